package mfaapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/mfa/mfatest"
	"github.com/neosc/mfa-operator/test/harness"
)

// service leads to the replicas that were ready when it last looked, one after the
// other, as a Service does; what it sees takes effect late.
type service struct {
	mu      sync.Mutex
	members []*harness.Webhook
	ready   []*harness.Webhook
	next    int
}

// late is how long it takes until what a probe says has reached every node.
const late = 500 * time.Millisecond

// watch probes the members until ctx ends.
func (s *service) watch(ctx context.Context) {
	for ctx.Err() == nil {
		s.mu.Lock()
		members := s.members
		s.mu.Unlock()
		var ready []*harness.Webhook
		for _, m := range members {
			if m.Ready(ctx) {
				ready = append(ready, m)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(late):
		}
		s.mu.Lock()
		s.ready = ready
		s.mu.Unlock()
	}
}

// leads tells whether it leads to a replica.
func (s *service) leads(to *harness.Webhook) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.ready {
		if m == to {
			return true
		}
	}
	return false
}

func (s *service) add(m *harness.Webhook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.members = append(s.members[:len(s.members):len(s.members)], m)
}

// url is where the next request goes.
func (s *service) url() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ready) == 0 {
		return "https://localhost:0" // nobody
	}
	s.next++
	return s.ready[s.next%len(s.ready)].URL
}

// load verifies by security keys, over and over, and holds to it that each is right.
type load struct {
	right    atomic.Int64
	mu       sync.Mutex
	failures []string
}

func (l *load) failed(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failures) < 20 {
		l.failures = append(l.failures, time.Now().Format(time.TimeOnly+" ")+fmt.Sprintf(format, args...))
	}
}

// one is one login: a challenge, and its answer.
func (l *load) one(a *app, to *service, user string, key *mfatest.Authenticator) {
	challenge, err := a.to(to.url(), http.MethodPost, user, "/challenges", object{"method": "WebAuthn"})
	if err != nil || challenge.status != http.StatusCreated {
		l.failed("%s has no challenge: %d %s %v", user, challenge.status, challenge.raw, err)
		return
	}
	got, err := a.to(to.url(), http.MethodPost, user, "/verifications", answerTo(challenge, key))
	if err != nil || got.status != http.StatusCreated {
		l.failed("%s is not verified: %d %s %v", user, got.status, got.raw, err)
		return
	}
	l.right.Add(1)
}

// Every replica is replaced while people log in, as a Deployment does it, and the
// manager is restarted: nobody who shows the right thing is told anything but that.
func TestRollingRestart(t *testing.T) {
	s, stop, err := startSite(layout{replicas: replicas, forked: true, flags: []string{"--shutdown-delay=3s"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	w := newWorldOn(t, s)
	managed := &harness.Recorder{}
	manage := func() (stop func() error) {
		stop, err := harness.StartManager(s.env, managed, "--metrics-bind-address=0")
		w.Expect(err).NotTo(gomega.HaveOccurred())
		return stop
	}
	endManager := manage()
	t.Cleanup(func() {
		if err := endManager(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("log of the replicas:\n%s", s.logs)
			t.Logf("log of the manager:\n%s", managed)
		}
	})

	// Few, who take their time: what is asked is whether restarts are noticed, not how
	// much the machine that the tests run on can bear.
	const people, rest = 6, 150 * time.Millisecond
	keys := map[string]*mfatest.Authenticator{}
	for i := range people {
		user := fmt.Sprintf("user-%d", i)
		w.app.register(user)
		keys[user] = w.app.enrolKey(user, "")
	}
	w.enrolled("user-0")

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	to, under := &service{members: s.replicas}, &load{}
	var looking, working sync.WaitGroup
	looking.Go(func() { to.watch(ctx) })
	for _, m := range s.replicas {
		w.Eventually(func() bool { return to.leads(m) }).Should(gomega.BeTrue())
	}
	over := make(chan struct{})
	for user, key := range keys {
		working.Go(func() {
			for {
				under.one(w.app, to, user, key)
				select {
				case <-over:
					return
				case <-time.After(rest):
				}
			}
		})
	}
	for _, old := range s.replicas {
		before := under.right.Load()
		w.Expect(endManager()).To(gomega.Succeed())
		replacement, err := harness.ForkWebhook(s.kubeconfig, s.logs, append(slices.Clone(flags), "--shutdown-delay=3s")...)
		w.Expect(err).NotTo(gomega.HaveOccurred())
		t.Cleanup(func() {
			if err := replacement.Stop(); err != nil {
				t.Error(err)
			}
		})
		endManager = manage()
		w.Expect(replacement.AwaitReady(w.ctx)).To(gomega.Succeed())
		to.add(replacement)
		w.Eventually(func() bool { return to.leads(replacement) }).Should(gomega.BeTrue())
		w.Expect(old.Terminate()).To(gomega.Succeed(), "it ends as it should")
		w.Expect(to.leads(old)).To(gomega.BeFalse(), "it said that it goes before it went")
		w.Expect(under.right.Load()).To(gomega.BeNumerically(">", before), "people log in meanwhile")
	}
	close(over)
	working.Wait()
	cancel()
	looking.Wait()

	w.Expect(under.failures).To(gomega.BeEmpty())
	recorded := 0
	for _, r := range w.trail(audit.Verification) {
		w.Expect(r.Outcome).To(gomega.Equal(audit.Succeeded), r.Reason)
		recorded++
	}
	w.Expect(recorded).To(gomega.BeEquivalentTo(under.right.Load()), "what people were told is what is recorded")
	t.Logf("%d verifications while %d replicas were replaced", recorded, len(s.replicas))

	// The manager's work goes on.
	s.replicas = to.members[len(s.replicas):]
	w.Expect(harness.Redirect(w.ctx, s.client, s.replicas[0].URL)).To(gomega.Succeed())
	w.app.register("late")
	w.app.enrolKey("late", "")
	w.enrolled("late")
}

// enrolled waits until the manager reports so.
func (w *world) enrolled(username string) {
	w.t.Helper()
	w.Eventually(func() v1alpha1.UserPhase {
		list := &v1alpha1.MFAUserList{}
		w.Expect(w.site.client.List(w.ctx, list, client.InNamespace(w.namespace))).To(gomega.Succeed())
		for _, u := range list.Items {
			if u.Spec.Username == username {
				return u.Status.Phase
			}
		}
		return ""
	}).Should(gomega.Equal(v1alpha1.UserEnrolled), username)
}
