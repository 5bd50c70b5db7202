package integration

import (
	"testing"

	. "github.com/onsi/gomega"
	policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

func attempts(n int32) func(*v1alpha1.SecurityPolicySpec) {
	return func(spec *v1alpha1.SecurityPolicySpec) {
		spec.Lockout = &v1alpha1.LockoutSettings{MaxPasswordAttempts: ptr.To(n)}
		spec.DeletionPolicy = v1alpha1.DeletionRestore
	}
}

// TestTheStricterOfTwoPoliciesHolds, the other says so, and takes over when it
// is alone; what stood before the first of them is what comes back in the end.
func TestTheStricterOfTwoPoliciesHolds(t *testing.T) {
	w := newWorld(t)
	lax, strict := w.policy("lax", "", attempts(9)), w.policy("strict", "", attempts(6))
	inZitadel := func() uint64 {
		held, _ := w.zitadel.LockoutPolicy("")
		return held.MaxPasswordAttempts
	}
	w.create(lax)
	w.ready(lax)
	w.Expect(inZitadel()).To(BeEquivalentTo(9))

	w.create(strict)
	w.ready(strict)
	w.Expect(inZitadel()).To(BeEquivalentTo(6))
	lost := w.condition(lax, v1alpha1.ConditionOverridden, metav1.ConditionTrue, v1alpha1.ReasonStricterPolicy)
	w.Expect(lost.Message).To(Equal("lockout.maxPasswordAttempts at instance of " + w.connection + ": 6 of " + w.namespace + "/strict holds instead of 9"))
	w.Expect(lax.Status.Targets[0].Overridden).To(ConsistOf(v1alpha1.OverriddenField{
		Field: "lockout.maxPasswordAttempts", Value: "9", Effective: "6", Stricter: true, By: []string{w.namespace + "/strict"},
	}))
	w.ready(lax)
	w.Expect(meta.FindStatusCondition(strict.Status.Conditions, v1alpha1.ConditionOverridden)).To(BeNil())

	w.Expect(cluster.client.Delete(w.ctx, strict)).To(Succeed())
	w.gone(strict)
	w.Eventually(inZitadel).Should(BeEquivalentTo(9))
	w.Eventually(func() []metav1.Condition {
		w.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(lax), lax)).To(Succeed())
		return lax.Status.Conditions
	}).ShouldNot(ContainElement(HaveField("Type", v1alpha1.ConditionOverridden)))

	w.Expect(cluster.client.Delete(w.ctx, lax)).To(Succeed())
	w.gone(lax)
	w.Expect(inZitadel()).To(BeZero(), "what stood before the first policy, not what the second found")
	w.Eventually(w.claims).Should(BeEmpty())
}

// TestRetainLeavesNothingBehindOfOthers: a policy that leaves its values behind
// does not make them another policy's "before".
func TestRetainLeavesNothingBehindOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	strict, lax := w.policy("strict", "", attempts(6)), w.policy("lax", "", attempts(9))
	strict.Spec.DeletionPolicy = v1alpha1.DeletionRetain
	w.create(strict)
	w.ready(strict)
	w.create(lax)
	w.ready(lax)
	w.Expect(cluster.client.Delete(w.ctx, strict)).To(Succeed())
	w.gone(strict)
	w.Eventually(func() uint64 { held, _ := w.zitadel.LockoutPolicy(""); return held.MaxPasswordAttempts }).Should(BeEquivalentTo(9))
	w.Expect(cluster.client.Delete(w.ctx, lax)).To(Succeed())
	w.gone(lax)
	held, _ := w.zitadel.LockoutPolicy("")
	w.Expect(held.MaxPasswordAttempts).To(BeZero())
}

// TestInstancePolicyIsTheFloor: an organization's policy can be stricter than
// the instance's and not weaker.
func TestInstancePolicyIsTheFloor(t *testing.T) {
	w := newWorld(t)
	acme := w.zitadel.AddOrganization("acme")
	base := w.policy("baseline", "", func(spec *v1alpha1.SecurityPolicySpec) {
		spec.MFA = &v1alpha1.MFASettings{
			Enforcement: v1alpha1.EnforcementRequiredOnFirstLogin,
			Methods:     []v1alpha1.Method{v1alpha1.MethodWebAuthn, v1alpha1.MethodTOTP},
		}
		spec.Session = &v1alpha1.SessionSettings{SecondFactorMinutes: ptr.To[int32](600)}
	})
	tenant := w.policy("tenant", "acme", func(spec *v1alpha1.SecurityPolicySpec) {
		spec.MFA = &v1alpha1.MFASettings{
			Enforcement: v1alpha1.EnforcementOptional,
			Methods:     []v1alpha1.Method{v1alpha1.MethodTOTP, v1alpha1.MethodSMS},
		}
		spec.Session = &v1alpha1.SessionSettings{SecondFactorMinutes: ptr.To[int32](60)}
	})
	w.create(base)
	w.create(tenant)
	w.ready(base)
	w.ready(tenant)

	held, own := w.zitadel.LoginPolicy(acme)
	w.Expect(own).To(BeTrue())
	w.Expect(held.ForceMfa).To(BeTrue(), "the floor")
	w.Expect(held.SecondFactors).To(ConsistOf(policypb.SecondFactorType_SECOND_FACTOR_TYPE_OTP), "what both allow")
	w.Expect(held.SecondFactorCheckLifetime.AsDuration().Minutes()).To(Equal(60.0), "stricter than the floor")
	w.condition(tenant, v1alpha1.ConditionOverridden, metav1.ConditionTrue, v1alpha1.ReasonStricterPolicy)
	w.Expect(tenant.Status.Targets[0].Overridden).To(HaveLen(2))
	w.Expect(meta.FindStatusCondition(base.Status.Conditions, v1alpha1.ConditionOverridden)).To(BeNil(),
		"what an organization does is not held against the instance's policy")

	w.update(base, func(spec *v1alpha1.SecurityPolicySpec) { spec.Session.SecondFactorMinutes = ptr.To[int32](30) })
	w.Eventually(func() float64 {
		held, _ := w.zitadel.LoginPolicy(acme)
		return held.SecondFactorCheckLifetime.AsDuration().Minutes()
	}).Should(Equal(30.0), "a floor that rises lifts the organization along")
}

// TestNoMethodInCommon: policies that allow nothing together change nothing, and
// both say so.
func TestNoMethodInCommon(t *testing.T) {
	w := newWorld(t)
	only := func(m v1alpha1.Method) func(*v1alpha1.SecurityPolicySpec) {
		return func(spec *v1alpha1.SecurityPolicySpec) {
			spec.MFA = &v1alpha1.MFASettings{Methods: []v1alpha1.Method{m}}
		}
	}
	first, second := w.policy("first", "", only(v1alpha1.MethodTOTP)), w.policy("second", "", only(v1alpha1.MethodWebAuthn))
	w.create(first)
	w.ready(first)
	w.create(second)
	for _, p := range []*v1alpha1.SecurityPolicy{first, second} {
		ready := w.failing(p, v1alpha1.ReasonNoMethodLeft)
		w.Expect(ready.Message).To(And(ContainSubstring(w.namespace+"/first [TOTP]"), ContainSubstring(w.namespace+"/second [WebAuthn]")))
	}
	held, _ := w.zitadel.LoginPolicy("")
	w.Expect(held.SecondFactors).To(ConsistOf(policypb.SecondFactorType_SECOND_FACTOR_TYPE_OTP), "as the first had left it")

	w.update(second, func(spec *v1alpha1.SecurityPolicySpec) { spec.Mode = v1alpha1.ModeAudit })
	w.ready(first)
	w.ready(second)
	w.Expect(second.Status.Targets[0].State).To(Equal(v1alpha1.TargetPending))
}

// TestPrecedence decides where no value is stricter: priority, then age.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	to := func(uri string) func(*v1alpha1.SecurityPolicySpec) {
		return func(spec *v1alpha1.SecurityPolicySpec) {
			spec.Login = &v1alpha1.LoginSettings{DefaultRedirectURI: ptr.To(uri)}
		}
	}
	first, second := w.policy("first", "", to("https://first.example.com")), w.policy("second", "", to("https://second.example.com"))
	w.create(first)
	w.ready(first)
	second.Spec.Priority = ptr.To[int32](1)
	w.create(second)
	w.ready(second)
	held, _ := w.zitadel.LoginPolicy("")
	w.Expect(held.DefaultRedirectUri).To(Equal("https://second.example.com"))
	w.condition(first, v1alpha1.ConditionOverridden, metav1.ConditionTrue, v1alpha1.ReasonHigherPrecedence)
}
