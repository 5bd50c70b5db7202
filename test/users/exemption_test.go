package users

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
)

func (w *world) exemption(name string, policy string, ends time.Time, user string) *v1alpha1.MFAExemption {
	w.t.Helper()
	e := &v1alpha1.MFAExemption{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: name},
		Spec: v1alpha1.MFAExemptionSpec{
			UserRef: &v1alpha1.UserRef{Name: user}, PolicyRef: v1alpha1.LocalRef{Name: policy},
			Reason: "lost key, new one is on its way", ApprovedBy: "carol@example.com", ExpiresAt: metav1.NewTime(ends),
		},
	}
	w.create(e)
	return e
}

// TestAnExemptionEndsEverywhere: it counts in the user's compliance and in the
// policy's impact, and expires in both.
func TestAnExemptionEndsEverywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.zitadel.AddHuman(w.acme, "ann", "ann@example.com")
	p := w.policy("keys-only", v1alpha1.MethodWebAuthn)
	u := w.user("ann", v1alpha1.ZitadelUserRef{UserID: ann})
	w.shows(u, v1alpha1.UserPendingEnrolment, "", v1alpha1.NonCompliant)
	exempted := func() int64 {
		w.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
		if p.Status.Impact == nil {
			return -1
		}
		return p.Status.Impact.Exempt
	}
	w.Eventually(exempted).Should(BeZero())

	ends := time.Now().Add(8 * time.Second).Truncate(time.Second)
	e := w.exemption("ann", "keys-only", ends, "ann")
	w.shows(u, v1alpha1.UserPendingEnrolment, "", v1alpha1.Exempt)
	w.Expect(u.Status.ExemptUntil.Time).To(BeTemporally("==", ends))
	w.condition(e, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonGranted)
	w.Expect(e.Status.Phase).To(Equal(v1alpha1.ExemptionActive))
	w.Expect(*e.Status.Users).To(Equal(int32(1)))
	w.condition(e, v1alpha1.ConditionEnforcementLimited, metav1.ConditionTrue, v1alpha1.ReasonZitadelCannotExempt)
	w.Eventually(exempted).Should(Equal(int64(1)))
	login, _ := w.zitadel.LoginPolicy(w.acme)
	w.Expect(login.GetForceMfa()).To(BeTrue(), "nobody else is let off")

	w.shows(u, v1alpha1.UserPendingEnrolment, "", v1alpha1.NonCompliant)
	w.Expect(time.Now()).To(BeTemporally(">=", ends), "not before its end")
	w.Expect(u.Status.ExemptUntil).To(BeNil())
	w.condition(e, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonExpired)
	w.Expect(e.Status.Users).To(BeNil())
	w.Eventually(exempted).Should(BeZero())
	w.Expect(w.trail(audit.ExemptionGranted, audit.ExemptionExpired)).To(Equal([]string{
		"ExemptionGranted Succeeded ann by carol@example.com", "ExemptionExpired Succeeded ann by carol@example.com",
	}))
	w.Expect(time.Now()).To(BeTemporally("<", ends.Add(3*time.Second)), "at the same instant")
}

func TestExemptionsThatDoNotCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.zitadel.AddHuman(w.acme, "ann", "ann@example.com")
	w.policy("keys-only", v1alpha1.MethodWebAuthn)
	w.policy("also", v1alpha1.MethodWebAuthn)
	u := w.user("ann", v1alpha1.ZitadelUserRef{UserID: ann})
	w.shows(u, v1alpha1.UserPendingEnrolment, "", v1alpha1.NonCompliant)

	soon := time.Now().Add(time.Hour)
	far := w.exemption("far", "keys-only", time.Now().AddDate(0, 0, 91), "ann")
	w.condition(far, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonExpiryTooFar)
	nothing := w.exemption("nothing", "no-such-policy", soon, "ann")
	w.condition(nothing, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonPolicyNotFound)
	one := w.exemption("one", "keys-only", soon, "ann")
	w.condition(one, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonGranted)
	w.Consistently(func() v1alpha1.Compliance {
		w.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(u), u)).To(Succeed())
		return u.Status.Compliance
	}, time.Second).Should(Equal(v1alpha1.NonCompliant), "another policy demands it still")

	second := w.exemption("second", "also", soon.Add(-time.Minute), "ann")
	w.shows(u, v1alpha1.UserPendingEnrolment, "", v1alpha1.Exempt)
	w.Expect(u.Status.ExemptUntil.Time).To(BeTemporally("==", second.Spec.ExpiresAt.Time), "the first to end")
	w.Expect(cluster.client.Delete(w.ctx, second)).To(Succeed())
	w.shows(u, v1alpha1.UserPendingEnrolment, "", v1alpha1.NonCompliant)
}
