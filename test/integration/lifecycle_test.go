package integration

import (
	"testing"

	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

func sixAttempts(spec *v1alpha1.SecurityPolicySpec) {
	spec.Lockout = &v1alpha1.LockoutSettings{MaxPasswordAttempts: ptr.To[int32](6)}
}

func TestDeletionPolicy(t *testing.T) {
	for _, c := range []struct {
		how      v1alpha1.DeletionPolicy
		org      string
		own      bool  // the organization has a lockout policy of its own before we come
		attempts int64 // what stands after deletion
		stillOwn bool
		why      string
	}{
		{v1alpha1.DeletionRetain, "", false, 6, true, "an accidental prune weakens nobody"},
		{v1alpha1.DeletionRestore, "", false, 0, true, "the instance's value of before is back"},
		{v1alpha1.DeletionReset, "", false, 0, true, "there is nothing above the instance to follow: same as Restore"},
		{v1alpha1.DeletionRetain, "acme", false, 6, true, "the organization's new policy stays"},
		{v1alpha1.DeletionRestore, "acme", false, 0, false, "it followed the instance before, so it does again"},
		{v1alpha1.DeletionRestore, "acme", true, 3, true, "its own value of before is back"},
		{v1alpha1.DeletionReset, "acme", true, 0, false, "it follows the instance, whatever it had"},
	} {
		t.Run(string(c.how)+"/"+c.org+"/own="+map[bool]string{true: "yes", false: "no"}[c.own], func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			scope := ""
			if c.org != "" {
				scope = w.zitadel.AddOrganization(c.org)
			}
			if c.own {
				w.ownLockout(scope, 3)
			}
			p := w.policy("leaving", c.org, func(spec *v1alpha1.SecurityPolicySpec) {
				sixAttempts(spec)
				spec.DeletionPolicy = c.how
			})
			w.create(p)
			w.ready(p)
			w.Expect(cluster.client.Delete(w.ctx, p)).To(Succeed())
			w.gone(p)

			held, own := w.zitadel.LockoutPolicy(scope)
			w.Expect(held.MaxPasswordAttempts).To(BeEquivalentTo(c.attempts), c.why)
			if scope != "" {
				w.Expect(own).To(Equal(c.stillOwn), c.why)
			}
			w.Eventually(w.claims).Should(BeEmpty(), "nothing is held any more")
		})
	}
}

// TestFailedCleanupKeepsTheFinalizer until Zitadel is back, and says why.
func TestFailedCleanupKeepsTheFinalizer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.policy("leaving", "", func(spec *v1alpha1.SecurityPolicySpec) {
		sixAttempts(spec)
		spec.DeletionPolicy = v1alpha1.DeletionRestore
	})
	w.create(p)
	w.ready(p)

	w.zitadel.Stop()
	w.Expect(cluster.client.Delete(w.ctx, p)).To(Succeed())
	ready := w.failing(p, v1alpha1.ReasonZitadelUnreachable)
	w.Expect(ready.Message).To(ContainSubstring("instance of " + w.connection))
	w.Expect(p.Finalizers).To(ContainElement(v1alpha1.Finalizer))

	w.Expect(w.zitadel.Restart()).To(Succeed())
	w.gone(p)
	held, _ := w.zitadel.LockoutPolicy("")
	w.Expect(held.MaxPasswordAttempts).To(BeZero())
}

// TestCrashBetweenWritesLosesNothing: the answer to the write is lost, so the
// pass ends half way; what stood before is still known afterwards.
func TestCrashBetweenWritesLosesNothing(t *testing.T) {
	w := newWorld(t)
	w.zitadel.Inject(zitadeltest.Fault{
		Method: "/zitadel.admin.v1.AdminService/UpdateLockoutPolicy", LoseAnswer: true, Times: 5,
	})
	p := w.policy("leaving", "", func(spec *v1alpha1.SecurityPolicySpec) {
		sixAttempts(spec)
		spec.DeletionPolicy = v1alpha1.DeletionRestore
	})
	w.create(p)
	w.ready(p)
	w.Expect(cluster.client.Delete(w.ctx, p)).To(Succeed())
	w.gone(p)
	held, _ := w.zitadel.LockoutPolicy("")
	w.Expect(held.MaxPasswordAttempts).To(BeZero())
}

// TestRemovedTargetIsLetGoOf as the deletion policy says, and the others stay.
func TestRemovedTargetIsLetGoOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme, globex := w.zitadel.AddOrganization("acme"), w.zitadel.AddOrganization("globex")
	p := w.policy("two", "acme", func(spec *v1alpha1.SecurityPolicySpec) {
		sixAttempts(spec)
		spec.DeletionPolicy = v1alpha1.DeletionRestore
	})
	p.Spec.Targets.Zitadel = append(p.Spec.Targets.Zitadel, w.policy("", "globex", nil).Spec.Targets.Zitadel...)
	w.create(p)
	w.ready(p)

	w.update(p, func(spec *v1alpha1.SecurityPolicySpec) { spec.Targets.Zitadel = spec.Targets.Zitadel[:1] })
	w.ready(p)
	_, own := w.zitadel.LockoutPolicy(globex)
	w.Expect(own).To(BeFalse())
	held, _ := w.zitadel.LockoutPolicy(acme)
	w.Expect(held.MaxPasswordAttempts).To(BeEquivalentTo(6))
	w.Expect(p.Status.Targets).To(HaveLen(1))
}

// TestUnresolvedTargetIsNotLetGoOf: a target we cannot find just now is not one
// that was removed.
func TestUnresolvedTargetIsNotLetGoOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme := w.zitadel.AddOrganization("acme")
	p := w.policy("acme", "acme", func(spec *v1alpha1.SecurityPolicySpec) {
		sixAttempts(spec)
		spec.DeletionPolicy = v1alpha1.DeletionRestore
	})
	w.create(p)
	w.ready(p)

	w.zitadel.Inject(zitadeltest.Fault{
		Method: "/zitadel.org.v2.OrganizationService/ListOrganizations", Code: codes.Unavailable, Message: "try later",
	})
	w.failing(p, v1alpha1.ReasonZitadelUnreachable)
	held, own := w.zitadel.LockoutPolicy(acme)
	w.Expect(own).To(BeTrue())
	w.Expect(held.MaxPasswordAttempts).To(BeEquivalentTo(6))
}

func TestModes(t *testing.T) {
	w := newWorld(t)
	p := w.policy("mfa", "", func(spec *v1alpha1.SecurityPolicySpec) {
		alwaysRequired(spec)
		spec.MFA.Methods = []v1alpha1.Method{v1alpha1.MethodTOTP}
		spec.Mode = v1alpha1.ModeAudit
	})
	before := w.held("")
	w.create(p)
	w.ready(p)

	t.Log("Audit writes nothing and shows what it would")
	w.Expect(w.writes()).To(BeZero())
	w.Expect(p.Status.InForce).To(Equal("0/1"))
	w.Expect(p.Status.Targets[0].Pending).To(ContainElements(
		v1alpha1.SettingChange{Setting: "login.forceMfa", Found: "false", Wanted: "true"},
		v1alpha1.SettingChange{Setting: "login.secondFactors.U2F", Found: "true", Wanted: "false"},
		v1alpha1.SettingChange{Setting: "login.secondFactorCheckLifetime", Found: "18h0m0s", Wanted: "15m0s"},
	))

	t.Log("Warn writes all but the force flags")
	w.update(p, func(spec *v1alpha1.SecurityPolicySpec) { spec.Mode = v1alpha1.ModeWarn })
	w.ready(p)
	held, _ := w.zitadel.LoginPolicy("")
	w.Expect(held.ForceMfa).To(BeFalse())
	w.Expect(held.SecondFactors).To(HaveLen(1))
	w.Expect(p.Status.Targets[0].Pending).To(ConsistOf(v1alpha1.SettingChange{Setting: "login.forceMfa", Found: "false", Wanted: "true"}))

	t.Log("Enforce writes all")
	w.update(p, func(spec *v1alpha1.SecurityPolicySpec) { spec.Mode = v1alpha1.ModeEnforce })
	w.ready(p)
	held, _ = w.zitadel.LoginPolicy("")
	w.Expect(held.ForceMfa).To(BeTrue())
	w.Expect(p.Status.Targets[0].Pending).To(BeEmpty())

	t.Log("back in Warn nobody is blocked any more")
	w.update(p, func(spec *v1alpha1.SecurityPolicySpec) { spec.Mode = v1alpha1.ModeWarn })
	w.ready(p)
	held, _ = w.zitadel.LoginPolicy("")
	w.Expect(held.ForceMfa).To(BeFalse())
	w.Expect(held.SecondFactors).To(HaveLen(1))

	t.Log("disabled, everything is as it was, although the deletion policy is Retain")
	w.update(p, func(spec *v1alpha1.SecurityPolicySpec) { spec.Enabled = ptr.To(false) })
	ready := w.ready(p)
	w.Expect(ready.Reason).To(Equal(v1alpha1.ReasonDisabled))
	w.Expect(changed(before, w.held(""))).To(BeEmpty())
	w.Eventually(w.notes(p)).Should(ContainElement(HavePrefix("SettingsPutBack")))
}

// TestAuditShowsWhatIsPendingAtOnce, also where going back to Audit made an
// organization follow the instance again: what is reported is what holds then.
func TestAuditShowsWhatIsPendingAtOnce(t *testing.T) {
	w := newWorld(t)
	w.zitadel.AddOrganization("acme")
	p := w.policy("acme", "acme", sixAttempts)
	w.create(p)
	w.ready(p)
	w.update(p, func(spec *v1alpha1.SecurityPolicySpec) { spec.Mode = v1alpha1.ModeAudit })
	w.ready(p)
	w.Expect(p.Status.InForce).To(Equal("0/1"))
	w.Expect(p.Status.Targets[0].Pending).To(ConsistOf(
		v1alpha1.SettingChange{Setting: "lockout.maxPasswordAttempts", Found: "0", Wanted: "6"}))
}

// TestDroppedField: a field that leaves the spec stays as it is under Retain
// and is put back under Restore.
func TestDroppedField(t *testing.T) {
	for how, attempts := range map[v1alpha1.DeletionPolicy]int64{v1alpha1.DeletionRetain: 6, v1alpha1.DeletionRestore: 0} {
		t.Run(string(how), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := w.policy("shrinking", "", func(spec *v1alpha1.SecurityPolicySpec) {
				sixAttempts(spec)
				spec.Lockout.MaxOTPAttempts = ptr.To[int32](4)
				spec.DeletionPolicy = how
			})
			w.create(p)
			w.ready(p)
			w.update(p, func(spec *v1alpha1.SecurityPolicySpec) { spec.Lockout.MaxPasswordAttempts = nil })
			w.ready(p)
			held, _ := w.zitadel.LockoutPolicy("")
			w.Expect(held.MaxPasswordAttempts).To(BeEquivalentTo(attempts))
			w.Expect(held.MaxOtpAttempts).To(BeEquivalentTo(4))
		})
	}
}

func (w *world) gone(obj client.Object) {
	w.t.Helper()
	w.Eventually(func() bool {
		return apierrors.IsNotFound(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(obj), obj))
	}).Should(BeTrue(), "%s must go away", obj.GetName())
}

// claims lists what is held through the test's connection.
func (w *world) claims() []corev1.ConfigMap {
	list := &corev1.ConfigMapList{}
	w.Expect(cluster.client.List(w.ctx, list, client.InNamespace(operatorNamespace),
		client.MatchingLabels{"security.neosc.io/connection": w.connection})).To(Succeed())
	return list.Items
}
