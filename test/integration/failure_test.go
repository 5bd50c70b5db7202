package integration

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

const (
	readLogin  = "/zitadel.admin.v1.AdminService/GetLoginPolicy"
	writeLogin = "/zitadel.admin.v1.AdminService/UpdateLoginPolicy"
)

// TestFailures: each way Zitadel can fail has a reason of its own, takes Ready
// away from a policy that was in force, is retried or not as it should be, and
// never in a hot loop.
func TestFailures(t *testing.T) {
	for _, c := range []struct {
		name   string
		reason string
		// fail breaks something and returns how to mend it.
		fail    func(w *world, p *v1alpha1.SecurityPolicy) (mend func())
		retried bool // gets better by itself once mended; else somebody must act
		most    int  // calls of the operator in the watched time, all RPCs
		why     string
	}{
		{
			name: "down", reason: v1alpha1.ReasonZitadelUnreachable, retried: true, most: 0,
			fail: func(w *world, _ *v1alpha1.SecurityPolicy) func() {
				w.zitadel.Stop()
				return func() { w.Expect(w.zitadel.Restart()).To(Succeed()) }
			},
			why: "nothing reaches a server that is down",
		},
		{
			name: "unavailable", reason: v1alpha1.ReasonZitadelUnreachable, retried: true, most: 60,
			fail: inject(zitadeltest.Fault{Method: readLogin, Code: codes.Unavailable, Message: "try later"}),
			why:  "a proxy answers for a server that restarts",
		},
		{
			name: "slow", reason: v1alpha1.ReasonZitadelTimedOut, retried: true, most: 40,
			fail: inject(zitadeltest.Fault{Method: readLogin, Delay: time.Minute}),
			why:  "every call has a deadline",
		},
		{
			name: "too many requests", reason: v1alpha1.ReasonZitadelRateLimited, retried: true, most: 60,
			fail: inject(zitadeltest.Fault{Method: readLogin, Code: codes.ResourceExhausted, Message: "slow down"}),
			why:  "429 is retried with growing pauses",
		},
		{
			name: "lost race", reason: v1alpha1.ReasonWriteConflict, retried: true, most: 60,
			fail: func(w *world, p *v1alpha1.SecurityPolicy) func() {
				remove := w.zitadel.Inject(zitadeltest.Conflict(writeLogin, 0))
				w.update(p, func(spec *v1alpha1.SecurityPolicySpec) {
					spec.Session = &v1alpha1.SessionSettings{SecondFactorMinutes: ptr.To[int32](5)}
				})
				return remove
			},
			why: "another writer wins again and again",
		},
		{
			name: "wrong key", reason: v1alpha1.ReasonCredentialsRefused, most: 15,
			fail: func(w *world, _ *v1alpha1.SecurityPolicy) func() {
				return w.zitadel.Inject(zitadeltest.Fault{Code: codes.Unauthenticated, ErrorID: "AUTH-7fs1e", Message: "invalid token"})
			},
			why: "a refused key is not tried again at once",
		},
		{
			name: "missing role", reason: v1alpha1.ReasonPermissionMissing, most: 25,
			fail: inject(zitadeltest.Fault{Method: readLogin, Code: codes.PermissionDenied, ErrorID: "AUTH-5mWD2", Message: "no"}),
			why:  "a missing role is not tried again at once",
		},
		{
			name: "no membership", reason: v1alpha1.ReasonPermissionMissing, most: 25,
			fail: inject(zitadeltest.Fault{Method: readLogin, Code: codes.NotFound, ErrorID: "AUTHZ-cdgFk", Message: "membership not found"}),
			why:  "NotFound does not mean that something is missing",
		},
		{
			name: "unknown organization", reason: v1alpha1.ReasonOrganizationNotFound, most: 15,
			fail: func(w *world, p *v1alpha1.SecurityPolicy) func() {
				w.update(p, func(spec *v1alpha1.SecurityPolicySpec) { spec.Targets = w.policy("", "later", nil).Spec.Targets })
				return func() { w.zitadel.AddOrganization("later") }
			},
			why: "an organization that does not exist is not asked for again at once",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := w.policy("mfa", "", alwaysRequired)
			w.create(p)
			w.ready(p)

			mend := c.fail(w, p)
			w.failing(p, c.reason)
			stalled := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionStalled)
			w.Expect(stalled != nil).To(Equal(!c.retried), "Stalled says whether somebody must act")

			w.zitadel.ResetCalls()
			w.Consistently(func() int { return len(w.zitadel.Calls()) }, 4*time.Second, 200*time.Millisecond).
				Should(BeNumerically("<=", c.most), "%s: %v", c.why, w.zitadel.CountCalls())
			w.failing(p, c.reason)

			mend()
			if !c.retried {
				w.update(p, func(spec *v1alpha1.SecurityPolicySpec) { spec.Description = "looked at again" })
			}
			w.Eventually(func() string {
				w.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
				return meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReady).Reason
			}, time.Minute).Should(Equal(v1alpha1.ReasonInForce))
		})
	}
}

func inject(f zitadeltest.Fault) func(*world, *v1alpha1.SecurityPolicy) func() {
	return func(w *world, _ *v1alpha1.SecurityPolicy) func() { return w.zitadel.Inject(f) }
}

func TestUnknownOrganization(t *testing.T) {
	w := newWorld(t)
	p := w.policy("ghost", "nobody", alwaysRequired)
	w.create(p)
	ready := w.failing(p, v1alpha1.ReasonOrganizationNotFound)
	w.Expect(ready.Message).To(ContainSubstring("nobody"))
	w.Expect(w.writes()).To(BeZero())
}

// TestOneFailedTargetDoesNotHoldUpTheOthers, and each says what became of it.
func TestOneFailedTargetDoesNotHoldUpTheOthers(t *testing.T) {
	w := newWorld(t)
	id := w.zitadel.AddOrganization("acme")
	p := w.policy("both", "nobody", alwaysRequired)
	p.Spec.Targets.Zitadel = append(p.Spec.Targets.Zitadel, w.policy("", "acme", nil).Spec.Targets.Zitadel...)
	w.create(p)
	w.failing(p, v1alpha1.ReasonOrganizationNotFound)
	w.Expect(p.Status.InForce).To(Equal("1/2"))
	w.Expect(p.Status.Targets[0].State).To(Equal(v1alpha1.TargetFailed))
	w.Expect(p.Status.Targets[1].State).To(Equal(v1alpha1.TargetInForce))
	held, _ := w.zitadel.LoginPolicy(id)
	w.Expect(held.ForceMfa).To(BeTrue())
}

// TestNoWayInIsNotWritten: forcing a factor and leaving no method would lock
// everybody out.
func TestNoWayInIsNotWritten(t *testing.T) {
	w := newWorld(t)
	p := w.policy("lockout", "", func(spec *v1alpha1.SecurityPolicySpec) {
		spec.MFA = &v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementAlwaysRequired, PasskeyLogin: v1alpha1.Forbidden}
	})
	w.create(p)
	w.ready(p)

	w.update(p, func(spec *v1alpha1.SecurityPolicySpec) {
		spec.MFA = &v1alpha1.MFASettings{Methods: []v1alpha1.Method{}}
		spec.Lockout = &v1alpha1.LockoutSettings{MaxOTPAttempts: ptr.To[int32](3)}
	})
	w.failing(p, v1alpha1.ReasonNoMethodLeft)
	held, _ := w.zitadel.LoginPolicy("")
	w.Expect(held.SecondFactors).To(HaveLen(2), "nothing is half done")
	lockout, _ := w.zitadel.LockoutPolicy("")
	w.Expect(lockout.MaxOtpAttempts).To(BeZero(), "nothing is half done")
}
