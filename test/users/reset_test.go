package users

import (
	"slices"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

// TestALostDeviceIsReset: what Zitadel holds afterwards, and that the same
// manifest does nothing when it is applied again.
func TestALostDeviceIsReset(t *testing.T) {
	w := newWorld(t)
	owner := w.zitadel.Owner()
	ann := w.zitadel.AddHuman(w.acme, "ann", "ann@example.com")
	owner.AddTOTP(ann)
	owner.AddU2F(ann, "blue")
	owner.AddPasskey(ann, "phone")
	owner.AddRecoveryCodes(ann, 2)
	owner.CreateSession(ann, 0, zitadeltest.StampPassword, zitadeltest.StampTOTP)
	u := w.user("ann", v1alpha1.ZitadelUserRef{UserID: ann})
	w.shows(u, v1alpha1.UserEnrolled, "Passkey,RecoveryCodes,TOTP,U2F", v1alpha1.Compliant)

	reset := func() *v1alpha1.MFAReset {
		return &v1alpha1.MFAReset{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "lost-phone"},
			Spec: v1alpha1.MFAResetSpec{
				UserRef: v1alpha1.LocalRef{Name: "ann"}, Factors: []v1alpha1.ResetFactor{"TOTP", "WebAuthn"},
				Reason: "phone stolen", RequestedBy: "carol@example.com",
			},
		}
	}
	first := reset()
	w.create(first)
	w.condition(first, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonCompleted)
	w.Expect(first.Status.Phase).To(Equal(v1alpha1.ResetCompleted))
	w.Expect(first.Status.Factors).To(HaveLen(3))
	w.Expect(first.Status.SessionsEnded).To(Equal(int32(1)))
	w.shows(u, v1alpha1.UserEnrolled, "RecoveryCodes", v1alpha1.Compliant)
	w.Eventually(func() *v1alpha1.SessionsStatus {
		w.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(u), u)).To(Succeed())
		return u.Status.Sessions
	}).Should(Equal(&v1alpha1.SessionsStatus{}))
	happened := w.zitadel.EventTypes(ann)
	for _, once := range []string{"user.human.mfa.otp.removed", "user.human.mfa.u2f.token.removed", "user.human.passwordless.token.removed"} {
		w.Expect(slices.DeleteFunc(slices.Clone(happened), func(name string) bool { return name != once })).To(HaveLen(1), "%s in %v", once, happened)
	}

	t.Log("she enrols anew; applying the manifest again takes nothing away, also after somebody tidied up")
	owner.AddTOTP(ann)
	w.shows(u, v1alpha1.UserEnrolled, "RecoveryCodes,TOTP", v1alpha1.Compliant)
	w.Expect(cluster.client.Delete(w.ctx, first)).To(Succeed())
	second := reset()
	w.create(second)
	w.condition(second, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonAlreadyDone)
	w.Expect(w.zitadel.EventTypes(ann)).To(HaveLen(len(happened)+2), "only what she did herself: begun and verified")
	w.Expect(w.trail(audit.MFAReset)).To(Equal([]string{"MFAReset Succeeded " + ann + " by carol@example.com"}), "once")
}

func TestAResetThatMayNot(t *testing.T) {
	w := newWorld(t, "ORG_USER_MANAGER")
	ann := w.zitadel.AddHuman(w.acme, "ann", "ann@example.com")
	w.zitadel.AddTOTP(ann)
	w.zitadel.Owner().AddRecoveryCodes(ann, 2)
	u := w.user("ann", v1alpha1.ZitadelUserRef{UserID: ann})
	w.shows(u, v1alpha1.UserEnrolled, "RecoveryCodes,TOTP", v1alpha1.Compliant)
	r := &v1alpha1.MFAReset{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "all"},
		Spec: v1alpha1.MFAResetSpec{
			UserRef: v1alpha1.LocalRef{Name: "ann"}, Factors: []v1alpha1.ResetFactor{v1alpha1.ResetAll}, Reason: "lost", RequestedBy: "carol",
		},
	}
	w.create(r)
	c := w.condition(r, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonResetFailed)
	w.Expect(c.Message).To(ContainSubstring("RecoveryCodes is left"))
	w.Expect(w.zitadel.EventTypes(ann)).To(ContainElement("user.human.mfa.otp.removed"), "the rest is done")
	w.Expect(w.zitadel.EventTypes(ann)).NotTo(ContainElement("user.human.mfa.recoverycode.removed"))
}
