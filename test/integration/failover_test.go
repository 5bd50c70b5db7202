package integration

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/neosc/mfa-operator/controllers/zitadelconnection"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/test/harness"
)

// replica is one manager with a follower, which competes for the lead.
type replica struct {
	heard *effects
	polls atomic.Int32
	end   context.CancelFunc
	ended chan error
}

// countedLog counts the polls of one replica.
type countedLog struct {
	zitadelconnection.EventLog
	polls *atomic.Int32
}

func (l countedLog) Events(ctx context.Context, since idp.Cursor) (idp.Batch, error) {
	l.polls.Add(1)
	return l.EventLog.Events(ctx, since)
}

func (w *world) replica(log zitadelconnection.EventLog) *replica {
	w.t.Helper()
	mgr, err := ctrl.NewManager(cluster.env.Config, ctrl.Options{
		Scheme: harness.Scheme, Controller: ctrlconfig.Controller{SkipNameValidation: ptr.To(true)}, Metrics: server.Options{BindAddress: "0"},
		LeaderElection: true, LeaderElectionID: w.connection, LeaderElectionNamespace: operatorNamespace,
		LeaseDuration: ptr.To(2 * time.Second), RenewDeadline: ptr.To(1500 * time.Millisecond), RetryPeriod: ptr.To(200 * time.Millisecond),
	})
	w.Expect(err).NotTo(HaveOccurred())
	r := &replica{heard: &effects{}, ended: make(chan error, 1)}
	follower := &zitadelconnection.Follower{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Listeners: []zitadelconnection.Listener{r.heard}, Events: mgr.GetEventRecorder("test"),
		Logs: logs{w.connection: countedLog{log, &r.polls}},
	}
	w.Expect(follower.SetupWithManager(mgr)).To(Succeed())
	ctx, cancel := context.WithCancel(w.ctx)
	r.end = cancel
	go func() { r.ended <- mgr.Start(ctx) }()
	w.t.Cleanup(cancel)
	return r
}

// TestOnlyTheLeaderFollows has two managers, and ends the one that leads,
// without giving up its lease, while things go on happening.
func TestOnlyTheLeaderFollows(t *testing.T) {
	t.Parallel()
	w := quietWorld(t)
	log := w.log(w.zitadel.OwnerToken())
	replicas := []*replica{w.replica(log), w.replica(log)}
	var leader, other *replica
	w.Eventually(func() bool {
		for i, r := range replicas {
			if r.polls.Load() > 0 {
				leader, other = r, replicas[1-i]
			}
		}
		return leader != nil
	}).Should(BeTrue(), "somebody leads")

	var orgs []string
	happen := func(name string) { orgs = append(orgs, w.zitadel.AddOrganization(name)) }
	happen("while one leads")
	w.Eventually(func() []string { return leader.heard.of("org", orgs[0]) }).ShouldNot(BeEmpty())
	polls := leader.polls.Load()
	w.Eventually(leader.polls.Load).Should(BeNumerically(">", polls+1), "the leader goes on")
	w.Expect(other.polls.Load()).To(BeZero(), "the other one does nothing")

	happen("just before the end")
	leader.end()
	w.Expect(<-leader.ended).To(Succeed())
	happen("while nobody leads")
	w.Eventually(other.polls.Load).Should(BeNumerically(">", 0), "the other one takes over")
	happen("after the change")
	w.Eventually(func() []string { return other.heard.of("org", orgs[3]) }).ShouldNot(BeEmpty())

	for i, org := range orgs {
		all := HaveLen(len(w.zitadel.EventTypes(org))) // twice, if the leader ended just before it wrote its place down
		w.Expect([][]string{leader.heard.of("org", org), other.heard.of("org", org)}).To(ContainElement(all), "organization %d", i)
	}
	w.Expect(other.heard.began).To(BeZero(), "the other one goes on where the leader was")
}
