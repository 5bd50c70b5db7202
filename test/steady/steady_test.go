package steady

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
	"google.golang.org/protobuf/types/known/durationpb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

func mfaRequired() v1alpha1.SecurityPolicySpec {
	return v1alpha1.SecurityPolicySpec{MFA: &v1alpha1.MFASettings{
		Enforcement: v1alpha1.EnforcementRequiredOnFirstLogin,
		Methods:     []v1alpha1.Method{v1alpha1.MethodWebAuthn, v1alpha1.MethodTOTP},
	}}
}

// TestSteadyStateIsOneCallPerPoll, however many policies and organizations there
// are, some with settings of their own.
func TestSteadyStateIsOneCallPerPoll(t *testing.T) {
	w := newWorld(t, 1)
	var orgs []string
	for i := range 100 {
		name := fmt.Sprintf("%s-org-%02d", w.connection, i)
		orgs = append(orgs, name)
		id := w.zitadel.AddOrganization(name)
		if i%10 == 0 {
			w.zitadel.Owner().ChangeLoginPolicy(id, func(p *policypb.LoginPolicy) { p.PasswordCheckLifetime = durationpb.New(time.Hour) })
		}
	}
	tenants := v1alpha1.SecurityPolicySpec{Session: &v1alpha1.SessionSettings{SecondFactorMinutes: ptr.To[int32](60)}}
	lockout := v1alpha1.SecurityPolicySpec{Lockout: &v1alpha1.LockoutSettings{MaxPasswordAttempts: ptr.To[int32](8)}}
	w.settled(w.policy("baseline", mfaRequired()), w.policy("tenants", tenants, orgs...), w.policy("lockout", lockout, orgs...))

	w.Eventually(func() map[string]int {
		w.zitadel.ResetCalls()
		w.Eventually(func() int { polls, _ := w.calls(); return polls }).Should(BeNumerically(">=", 2))
		_, others := w.calls()
		return others
	}).Should(BeEmpty(), "what our own writes brought about is over")

	w.zitadel.ResetCalls()
	w.Eventually(func() int { polls, _ := w.calls(); return polls }).Should(BeNumerically(">=", 5))
	polls, others := w.calls()
	w.Expect(others).To(BeEmpty(), "beside %d polls", polls)
}

// TestDriftIsHeardOf, the follower at its default of a poll each 10 seconds: by then
// nothing else looks for hours. How long it takes is logged, and a benchmark's business.
func TestDriftIsHeardOf(t *testing.T) {
	w := newWorld(t, 10)
	olga := w.zitadel.AddHuman(w.zitadel.DefaultOrganizationID(), "olga", "olga@example.com")
	p := w.policy("baseline", mfaRequired())
	w.settled(p)
	began := time.Now()
	w.weaken(olga)
	w.Eventually(w.forced).WithPolling(20 * time.Millisecond).Should(BeTrue())
	t.Logf("repaired after %s", time.Since(began).Round(10*time.Millisecond))
	w.Eventually(func(g Gomega) {
		g.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
		g.Expect(p.Status.Targets[0].Drift).NotTo(BeNil())
		g.Expect(p.Status.Targets[0].Drift.Editor).To(HaveValue(HaveField("UserID", olga)))
	}).Should(Succeed())
}

// TestAFollowerThatBeginsAnewLooksAtEverything: of what was changed before it
// begins, no event will tell.
func TestAFollowerThatBeginsAnewLooksAtEverything(t *testing.T) {
	w := newWorld(t, 3600)
	olga := w.zitadel.AddHuman(w.zitadel.DefaultOrganizationID(), "olga", "olga@example.com")
	w.settled(w.policy("baseline", mfaRequired()))
	conn := &v1alpha1.ZitadelConnection{ObjectMeta: metav1.ObjectMeta{Name: w.connection}}
	w.Expect(cluster.client.Status().Patch(w.ctx, conn, client.RawPatch(types.MergePatchType, []byte(`{"status":{"events":null}}`)))).To(Succeed())
	w.weaken(olga)
	w.Expect(cluster.client.Patch(w.ctx, conn, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"events":{"pollSeconds":1800}}}`)))).To(Succeed())
	w.Eventually(w.forced).Should(BeTrue())
}

// TestManagerEndsInTheMiddle at each step from the change in Zitadel to its
// repair: the next manager repairs it, says who it was, and says it once.
func TestManagerEndsInTheMiddle(t *testing.T) {
	const (
		observe = "/zitadel.admin.v1.AdminService/GetLoginPolicy"
		repair  = "/zitadel.admin.v1.AdminService/UpdateLoginPolicy"
	)
	for _, c := range []struct {
		name  string
		fault zitadeltest.Fault
	}{
		{"reading the events", zitadeltest.Fault{Method: listEvents, Delay: time.Minute}},
		{"looking at the target", zitadeltest.Fault{Method: observe, Delay: time.Minute}},
		{"writing the repair", zitadeltest.Fault{Method: repair, Delay: time.Minute}},
		{"after the repair, before its answer", zitadeltest.Fault{Method: repair, LoseAnswer: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1)
			olga := w.zitadel.AddHuman(w.zitadel.DefaultOrganizationID(), "olga", "olga@example.com")
			p := w.policy("baseline", mfaRequired())
			w.settled(p)

			w.zitadel.ResetCalls()
			heal := w.zitadel.Inject(c.fault)
			w.weaken(olga)
			w.Eventually(func() int { return w.zitadel.CountCalls()[c.fault.Method] }).Should(BeNumerically(">", 0), "it gets that far")
			w.end()
			heal()
			w.start()

			w.Eventually(w.forced).Should(BeTrue(), "repaired by the next manager")
			w.Eventually(func(g Gomega) {
				g.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
				g.Expect(p.Status.Targets[0].Drift).NotTo(BeNil(), "told")
				g.Expect(p.Status.Targets[0].Drift.Editor).To(HaveValue(HaveField("UserID", olga)))
				g.Expect(p.Status.Targets[0].State).To(Equal(v1alpha1.TargetInForce))
			}).Should(Succeed())
			w.Consistently(func() int { return w.repairs(p) }, 3*time.Second).Should(BeNumerically("<=", 1), "acted on once")
			w.Expect(w.forced()).To(BeTrue())
		})
	}
}
