package integration

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

// alwaysRequired is the policy most people come for.
func alwaysRequired(spec *v1alpha1.SecurityPolicySpec) {
	spec.MFA = &v1alpha1.MFASettings{
		Enforcement:  v1alpha1.EnforcementAlwaysRequired,
		Methods:      []v1alpha1.Method{v1alpha1.MethodWebAuthn, v1alpha1.MethodTOTP},
		PasskeyLogin: v1alpha1.Allowed,
	}
}

func TestInstancePolicyPutsMFAInForce(t *testing.T) {
	w := newWorld(t)
	p := w.policy("mfa", "", alwaysRequired)
	w.create(p)
	w.ready(p)

	held, _ := w.zitadel.LoginPolicy("")
	w.Expect(held.ForceMfa).To(BeTrue())
	w.Expect(held.ForceMfaLocalOnly).To(BeFalse(), "never both flags")
	w.Expect(held.SecondFactorCheckLifetime.AsDuration().Minutes()).To(Equal(15.0))
	w.Expect(held.MultiFactorCheckLifetime.AsDuration().Minutes()).To(Equal(15.0))
	w.Expect(held.PasswordCheckLifetime.AsDuration().Hours()).To(Equal(240.0), "not managed, not touched")
	w.Expect(held.AllowRegister).To(BeTrue(), "not managed, not touched")

	w.Expect(p.Status.InForce).To(Equal("1/1"))
	w.Expect(p.Status.Targets).To(HaveLen(1))
	w.Expect(p.Status.Targets[0].LastChangeTime).NotTo(BeNil())
	limited := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionEnforcementLimited)
	w.Expect(limited).NotTo(BeNil(), "Zitadel cannot ask at literally every login")
	w.Expect(limited.Message).To(ContainSubstring("max_age=0"))
	w.Eventually(w.notes(p)).Should(ContainElement(And(
		HavePrefix("PolicyApplied instance of "+w.connection), ContainSubstring("login.forceMfa false → true"))))
}

func TestOrganizationIsFoundByEachSelector(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.zitadel.AddOrganization("acme")
	for _, c := range []struct {
		by       string
		selector v1alpha1.OrganizationSelector
	}{
		{"id", v1alpha1.OrganizationSelector{ID: id}},
		{"name", v1alpha1.OrganizationSelector{Name: "acme"}},
		{"primary domain", v1alpha1.OrganizationSelector{PrimaryDomain: "acme.localhost"}},
	} {
		t.Run(c.by, func(t *testing.T) {
			w := *w
			w.t, w.WithT = t, NewWithT(t)
			w.SetDefaultEventuallyTimeout(patience)
			p := w.policy("by-selector", "acme", func(spec *v1alpha1.SecurityPolicySpec) {
				spec.Targets.Zitadel[0].Organization = &c.selector
				spec.Lockout = &v1alpha1.LockoutSettings{MaxPasswordAttempts: ptr.To[int32](7)}
				spec.DeletionPolicy = v1alpha1.DeletionRestore
			})
			w.create(p)
			w.ready(p)
			w.Expect(p.Status.Targets[0].OrganizationID).To(Equal(id))
			w.Expect(p.Status.Targets[0].Organization).To(Equal("acme"))
			held, own := w.zitadel.LockoutPolicy(id)
			w.Expect(own).To(BeTrue())
			w.Expect(held.MaxPasswordAttempts).To(BeEquivalentTo(7))
		})
	}
}

func TestOrganizationPolicyIsACopyOfTheInstancesWithOurChanges(t *testing.T) {
	w := newWorld(t)
	id := w.zitadel.AddOrganization("acme")
	instance, _ := w.zitadel.LoginPolicy("")
	p := w.policy("acme", "acme", func(spec *v1alpha1.SecurityPolicySpec) {
		spec.MFA = &v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementRequiredOnFirstLogin, AppliesTo: v1alpha1.LocalUsersOnly}
	})
	w.create(p)
	w.ready(p)

	held, own := w.zitadel.LoginPolicy(id)
	w.Expect(own).To(BeTrue())
	w.Expect(held.ForceMfa).To(BeFalse(), "never both flags")
	w.Expect(held.ForceMfaLocalOnly).To(BeTrue())
	w.Expect(held.AllowUsernamePassword).To(Equal(instance.AllowUsernamePassword))
	w.Expect(held.SecondFactors).To(Equal(instance.SecondFactors))
	w.Expect(held.MultiFactors).To(Equal(instance.MultiFactors))
	w.Expect(held.PasswordCheckLifetime.AsDuration()).To(Equal(instance.PasswordCheckLifetime.AsDuration()))
	_, lockoutOwn := w.zitadel.LockoutPolicy(id)
	w.Expect(lockoutOwn).To(BeFalse(), "a group the policy does not manage stays inherited")
}

// TestSecondReconcileIsSilent: an unchanged policy costs reads, and neither a
// write to Zitadel nor one to the API server.
func TestSecondReconcileIsSilent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.zitadel.AddOrganization("acme")
	p := w.policy("mfa", "", alwaysRequired)
	p.Spec.Targets.Zitadel = append(p.Spec.Targets.Zitadel, w.policy("", "acme", nil).Spec.Targets.Zitadel...)
	w.create(p)
	w.ready(p)
	w.Eventually(func() *v1alpha1.Impact {
		w.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
		return p.Status.Impact
	}, 2*time.Minute).ShouldNot(BeNil(), "users are counted; taking the census anew can take a minute")

	w.zitadel.ResetCalls()
	version := p.ResourceVersion
	w.Eventually(w.passes).Should(BeNumerically(">=", 6), "three more passes over two targets")
	w.Expect(w.writes()).To(BeZero(), "calls: %v", w.zitadel.CountCalls())
	w.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
	w.Expect(p.ResourceVersion).To(Equal(version))
	w.Eventually(w.notes(p)).Should(And(Not(BeEmpty()), HaveEach(HavePrefix("PolicyApplied"))), "Events for the change and for nothing else")
}

// TestEverySubsetOfMethodsReachesZitadel exactly, at both scopes, each from
// what the one before has left.
func TestEverySubsetOfMethodsReachesZitadel(t *testing.T) {
	t.Parallel()
	methods := []v1alpha1.Method{v1alpha1.MethodTOTP, v1alpha1.MethodWebAuthn, v1alpha1.MethodEmail, v1alpha1.MethodSMS, v1alpha1.MethodRecoveryCodes}
	second := map[v1alpha1.Method]policypb.SecondFactorType{
		v1alpha1.MethodTOTP:          policypb.SecondFactorType_SECOND_FACTOR_TYPE_OTP,
		v1alpha1.MethodWebAuthn:      policypb.SecondFactorType_SECOND_FACTOR_TYPE_U2F,
		v1alpha1.MethodEmail:         policypb.SecondFactorType_SECOND_FACTOR_TYPE_OTP_EMAIL,
		v1alpha1.MethodSMS:           policypb.SecondFactorType_SECOND_FACTOR_TYPE_OTP_SMS,
		v1alpha1.MethodRecoveryCodes: policypb.SecondFactorType_SECOND_FACTOR_TYPE_RECOVERY_CODES,
	}
	w := newWorld(t)
	id := w.zitadel.AddOrganization("acme")
	p := w.policy("methods", "", func(spec *v1alpha1.SecurityPolicySpec) {
		spec.MFA = &v1alpha1.MFASettings{Methods: methods}
	})
	p.Spec.Targets.Zitadel = append(p.Spec.Targets.Zitadel, w.policy("", "acme", nil).Spec.Targets.Zitadel...)
	w.create(p)
	w.ready(p)

	for bits := range 1 << len(methods) {
		subset := []v1alpha1.Method{}
		want, multi := []policypb.SecondFactorType{}, []policypb.MultiFactorType{}
		for i, m := range methods {
			if bits&(1<<i) != 0 {
				subset, want = append(subset, m), append(want, second[m])
			}
			if bits&(1<<i) != 0 && m == v1alpha1.MethodWebAuthn {
				multi = append(multi, policypb.MultiFactorType_MULTI_FACTOR_TYPE_U2F_WITH_VERIFICATION)
			}
		}
		w.update(p, func(spec *v1alpha1.SecurityPolicySpec) { spec.MFA.Methods = subset })
		w.ready(p)
		for _, scope := range []string{"", id} {
			held, _ := w.zitadel.LoginPolicy(scope)
			w.Expect(held.SecondFactors).To(ConsistOf(want), "methods %v in %q", subset, scope)
			w.Expect(held.MultiFactors).To(ConsistOf(multi), "methods %v in %q", subset, scope)
		}
	}
}

// TestWeakeningIsRepaired: what an administrator weakens in Zitadel comes back,
// and an Event says so.
func TestWeakeningIsRepaired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.policy("mfa", "", alwaysRequired)
	w.create(p)
	w.ready(p)

	w.weaken()
	w.Eventually(func() bool {
		held, _ := w.zitadel.LoginPolicy("")
		return held.ForceMfa
	}).Should(BeTrue())
	w.Eventually(w.notes(p)).Should(ContainElement(And(HavePrefix("DriftRepaired"), ContainSubstring("login.forceMfa false → true"))))
	w.ready(p)
}

// notes returns the Events on an object as "reason note".
func (w *world) notes(obj client.Object) func() []string {
	return func() []string {
		list := &eventsv1.EventList{}
		w.Expect(cluster.client.List(w.ctx, list, client.InNamespace(w.namespace))).To(Succeed())
		var notes []string
		for _, e := range list.Items {
			if e.Regarding.UID == obj.GetUID() {
				notes = append(notes, e.Reason+" "+e.Note)
			}
		}
		return notes
	}
}
