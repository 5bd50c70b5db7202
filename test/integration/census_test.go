package integration

import (
	"context"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/controllers/zitadelconnection"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

// census is one taker of a census as of one process, whose clock the test
// moves.
type census struct {
	*zitadelconnection.Census
	w   *world
	now time.Time
}

func (w *world) census(log zitadelconnection.EventLog) *census {
	c := &census{w: w, now: time.Now()}
	c.Census = &zitadelconnection.Census{
		Client: cluster.client, Live: cluster.client, Logs: logs{w.connection: log}, Namespace: operatorNamespace,
		Pace: time.Millisecond, Interval: time.Minute, Now: func() time.Time { return c.now },
	}
	return c
}

// step is one pass of the reconciler; it tells whether the census is complete.
func (c *census) step() bool {
	c.w.t.Helper()
	result, err := c.Reconcile(c.w.ctx, ctrl.Request{NamespacedName: types.NamespacedName{Name: c.w.connection}})
	c.w.Expect(err).NotTo(HaveOccurred())
	return result.RequeueAfter == 2*time.Second
}

func (c *census) complete() {
	c.w.t.Helper()
	for range 1000 {
		if c.step() {
			return
		}
	}
	c.w.t.Fatal("the census never became complete")
}

// minute lets a minute pass and publishes.
func (c *census) minute() {
	c.w.t.Helper()
	c.now = c.now.Add(time.Minute)
	c.step()
}

func (w *world) published() (*corev1.ConfigMap, policy.Census) {
	w.t.Helper()
	stored := &corev1.ConfigMap{}
	w.Expect(cluster.client.Get(w.ctx, client.ObjectKey{Namespace: operatorNamespace, Name: policy.CensusName(w.connection)}, stored)).To(Succeed())
	read, err := policy.ReadCensus([]byte(stored.Data[policy.CensusKey]))
	w.Expect(err).NotTo(HaveOccurred())
	return stored, read
}

func (w *world) reached(scope idp.Scope) policy.Histogram {
	w.t.Helper()
	_, read := w.published()
	users, known := read.Reached(scope, idp.Login)
	w.Expect(known).To(BeTrue())
	return users
}

func TestCensusFollowsWhatHappens(t *testing.T) {
	t.Parallel()
	w := quietWorld(t)
	acme, other := w.zitadel.AddOrganization("acme"), w.zitadel.AddOrganization("other")
	ann := w.zitadel.AddHuman(acme, "ann", "ann@example.com")
	bob := w.zitadel.AddHuman(acme, "bob", "bob@example.com")
	eve := w.zitadel.AddHuman(other, "eve", "eve@example.com")
	w.zitadel.AddTOTP(ann)
	w.zitadel.AddU2F(ann, "one")
	log := w.log(w.zitadel.OwnerToken())
	c := w.census(log)
	f := w.follower(log, c)
	w.polled(f)
	c.complete()

	stored, read := w.published()
	w.Expect(stored.Labels).To(Equal(policy.CensusLabels))
	w.Expect(stored.OwnerReferences).To(HaveLen(1), "it goes with the connection")
	w.Expect(read.Complete).To(BeTrue())
	w.Expect(read.Instance).To(Equal(w.zitadel.URL()))
	for _, secret := range []string{ann, "ann", "example.com"} {
		w.Expect(w.json(stored)).NotTo(ContainSubstring(secret), "the census names no user")
	}
	w.Expect(w.reached(idp.InOrganization(acme))).To(Equal(policy.Histogram{policy.HasTOTP | policy.HasU2F: 1, 0: 1}))
	w.Expect(w.reached(idp.Instance)).To(Equal(policy.Histogram{policy.HasTOTP | policy.HasU2F: 1, 0: 2}))

	t.Log("changes are heard, not read: the census makes no call of its own")
	w.zitadel.AddPasskey(bob, "phone")
	w.zitadel.SetUserState(eve, user.UserState_USER_STATE_LOCKED)
	_, err := log.Apply(w.ctx, idp.InOrganization(other), idp.Settings{idp.ForceMFA: idp.Bool(true)})
	w.Expect(err).NotTo(HaveOccurred())
	w.polled(f)
	w.zitadel.ResetCalls()
	c.step()
	w.Expect(w.reached(idp.InOrganization(acme))).To(HaveKey(policy.Traits(0)), "not within a minute of the last time")
	c.minute()
	w.Expect(w.zitadel.CountCalls()).To(BeEmpty())
	w.Expect(w.reached(idp.InOrganization(acme))).To(Equal(policy.Histogram{policy.HasTOTP | policy.HasU2F: 1, policy.HasPasskey: 1}))
	w.Expect(w.reached(idp.InOrganization(other))).To(Equal(policy.Histogram{policy.Locked: 1}))
	w.Expect(w.reached(idp.Instance)).NotTo(HaveKey(policy.Locked), "an organization with a login policy of its own is not reached from the instance")

	w.zitadel.RemoveOrganization(other)
	w.polled(f)
	c.minute()
	w.Expect(w.reached(idp.InOrganization(other))).To(BeEmpty())
	stored, _ = w.published()
	c.minute()
	again, _ := w.published()
	w.Expect(again.ResourceVersion).To(Equal(stored.ResourceVersion), "where nothing changed nothing is written")
}

// TestCensusMissesNothingAtTheSeam: between reading history and hearing what
// happens no event may fall through, whichever comes first.
func TestCensusMissesNothingAtTheSeam(t *testing.T) {
	t.Parallel()
	for when := range 6 { // before which page something happens
		for _, heardFirst := range []bool{true, false} {
			w := quietWorld(t)
			acme := w.zitadel.AddOrganization("acme")
			ann := w.zitadel.AddHuman(acme, "ann", "ann@example.com")
			log := &hookedLog{EventLog: w.log(w.zitadel.OwnerToken())}
			c := w.census(log)
			f := w.follower(log.EventLog, c)
			w.polled(f)
			pages := 0
			log.around = func(read func()) {
				if pages++; pages != when {
					read()
					return
				}
				if !heardFirst {
					read()
				}
				w.zitadel.AddTOTP(ann)
				w.zitadel.AddHuman(acme, "bob", "bob@example.com")
				w.polled(f)
				if heardFirst {
					read()
				}
			}
			c.complete()
			if when == 0 || when > pages {
				w.zitadel.AddTOTP(ann)
				w.zitadel.AddHuman(acme, "bob", "bob@example.com")
			}
			w.polled(f)
			c.minute()
			w.Expect(w.reached(idp.InOrganization(acme))).To(Equal(policy.Histogram{policy.HasTOTP: 1, 0: 1}), "page %d, heard first: %v", when, heardFirst)
		}
	}
}

// hookedLog lets a test act around the reading of a page.
type hookedLog struct {
	zitadelconnection.EventLog
	around func(read func())
}

func (h *hookedLog) History(ctx context.Context, topic idp.Topic, since idp.Cursor) (batch idp.Batch, err error) {
	if h.around == nil {
		return h.EventLog.History(ctx, topic, since)
	}
	h.around(func() { batch, err = h.EventLog.History(ctx, topic, since) })
	return batch, err
}

// TestCensusStartsOver: a new process counts anew, and what the one before
// published stands until it is done. A log that is followed anew is read anew.
func TestCensusStartsOver(t *testing.T) {
	w := quietWorld(t)
	clock := time.Now().Add(-24 * time.Hour) // one command per second, since yesterday
	w.zitadel = zitadeltest.Start(t, zitadeltest.Options{Clock: func() time.Time {
		clock = clock.Add(time.Second)
		return clock
	}})
	acme := w.zitadel.AddOrganization("acme")
	for i := range 300 {
		ann := w.zitadel.AddHuman(acme, fmt.Sprint("ann-", i), "ann@example.com")
		for range 5 {
			w.zitadel.AddTOTP(ann)
		}
	}
	log := w.log(w.zitadel.OwnerToken())
	first := w.census(log)
	w.polled(w.follower(log, first))
	first.complete()
	stored, _ := w.published()

	second := w.census(log)
	w.polled(w.follower(log, second))
	w.zitadel.ResetCalls()
	for !second.step() {
		standing, _ := w.published()
		w.Expect(standing.ResourceVersion).To(Equal(stored.ResourceVersion))
	}
	calls := w.zitadel.CountCalls()["/zitadel.admin.v1.AdminService/ListEvents"]
	w.Expect(calls).To(BeNumerically("<=", 1+2), "one page of organizations and two of 1,800 events of users, not a call per user")
	w.Expect(w.reached(idp.InOrganization(acme))).To(Equal(policy.Histogram{policy.HasTOTP: 300}))

	t.Log("the status was lost: what happened meanwhile was heard by nobody")
	w.Expect(cluster.client.Status().Patch(w.ctx, w.connectionObject(), client.RawPatch(types.MergePatchType, []byte(`{"status":{"events":null}}`)))).To(Succeed())
	w.zitadel.AddHuman(acme, "bob", "bob@example.com")
	w.polled(w.follower(log, second))
	second.complete()
	w.Expect(w.reached(idp.InOrganization(acme))).To(Equal(policy.Histogram{policy.HasTOTP: 300, 0: 1}))
}

// TestManagerTakesTheCensus is the whole, as it is deployed.
func TestManagerTakesTheCensus(t *testing.T) {
	w := newWorld(t)
	w.zitadel.AddHuman(w.zitadel.DefaultOrganizationID(), "ann", "ann@example.com")
	w.condition(&v1alpha1.ZitadelConnection{ObjectMeta: w.connectionObject().ObjectMeta}, v1alpha1.ConditionEventsFollowed, "True", v1alpha1.ReasonFollowing)
	w.Eventually(func(g Gomega) {
		stored := &corev1.ConfigMap{}
		g.Expect(cluster.client.Get(w.ctx, client.ObjectKey{Namespace: operatorNamespace, Name: policy.CensusName(w.connection)}, stored)).To(Succeed())
		read, err := policy.ReadCensus([]byte(stored.Data[policy.CensusKey]))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(read.Complete).To(BeTrue())
	}).Should(Succeed())
}

// TestStaleCensus: a census that is not kept current says so, also that of the
// process before.
func TestStaleCensus(t *testing.T) {
	w := quietWorld(t)
	machine, token := w.zitadel.AddMachine(w.zitadel.DefaultOrganizationID(), "operator", "IAM_OWNER_VIEWER")
	log := w.log(token)
	first := w.census(log)
	f := w.follower(log, first)
	w.polled(f)
	first.complete()
	_, read := w.published()
	w.Expect(read.Stale).To(BeFalse())

	w.zitadel.GrantRoles(machine, "", "IAM_USER_MANAGER")
	_, err := w.poll(f)
	w.Expect(err).NotTo(HaveOccurred())
	first.minute()
	_, read = w.published()
	w.Expect(read.Stale).To(BeTrue())

	w.zitadel.GrantRoles(machine, "", "IAM_OWNER_VIEWER")
	w.polled(f)
	first.minute()
	_, read = w.published()
	w.Expect(read.Stale).To(BeFalse())

	w.zitadel.GrantRoles(machine, "", "IAM_USER_MANAGER")
	second := w.census(log)
	f = w.follower(log, second)
	_, err = w.poll(f)
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(second.step()).To(BeFalse())
	_, read = w.published()
	w.Expect(read.Stale).To(BeTrue(), "the one of the process before")
	w.Expect(read.Complete).To(BeTrue())
}
