package users

import (
	"slices"
	"testing"

	"github.com/emersion/go-smtp"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
	"github.com/neosc/mfa-operator/test/harness"
	"github.com/neosc/mfa-operator/test/mailbox"
)

// TestALostDeviceIsReset: what Zitadel holds afterwards, and that the same
// manifest does nothing when it is applied again.
func TestALostDeviceIsReset(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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

// TestALocalUserIsToldOfAReset: one e-mail for each reset, whatever becomes of the manager,
// to the address of the MFAUser, and nothing of it in a log.
func TestALocalUserIsToldOfAReset(t *testing.T) {
	w := newWorld(t)
	for name, contact := range map[string]*v1alpha1.Contact{
		"ann": {Email: "ann@" + w.name + ".example"}, "ben": nil, "cat": {Email: "cat@" + w.name + ".example"}, "dan": {Email: "dan@" + w.name + ".example"},
	} {
		w.create(&v1alpha1.MFAUser{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: name},
			Spec:       v1alpha1.MFAUserSpec{Source: v1alpha1.SourceLocal, Username: name, Contact: contact},
		})
	}
	reset := func(name string) *v1alpha1.MFAReset {
		t.Helper()
		r := &v1alpha1.MFAReset{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: name},
			Spec: v1alpha1.MFAResetSpec{
				UserRef: v1alpha1.LocalRef{Name: name}, Factors: []v1alpha1.ResetFactor{v1alpha1.ResetAll},
				Reason: "her PIN is 482913", RequestedBy: "carol@example.com",
			},
		}
		w.create(r)
		return r
	}
	told := func(name string) (letters []mailbox.Letter) {
		for _, l := range cluster.mail.Letters() {
			if slices.Contains(l.To, name+"@"+w.name+".example") {
				letters = append(letters, l)
			}
		}
		return letters
	}
	completed := func(r *v1alpha1.MFAReset) {
		t.Helper()
		w.condition(r, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonCompleted)
	}

	anns, bens := reset("ann"), reset("ben")
	completed(anns)
	completed(bens)
	w.Eventually(func() []mailbox.Letter { return told("ann") }).Should(HaveLen(1))
	letter := told("ann")[0]
	subject, text, err := letter.Read()
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect([]any{letter.From, letter.To, letter.Encrypted, subject}).To(Equal(
		[]any{"no-reply@acme.example", []string{"ann@" + w.name + ".example"}, true, "Your second factor: please check"}))
	recorded, err := harness.Trail(w.ctx, cluster.env.Config, w.name, audit.MFAReset)
	w.Expect(err).NotTo(HaveOccurred())
	at := recorded[slices.IndexFunc(recorded, func(r audit.Record) bool { return r.Subject == anns.Status.UserID })].Time
	w.Expect(text).To(And(
		HavePrefix("Your second factor was reset by an administrator, on "+at.UTC().Format("2 January 2006 at 15:04 MST")+"."),
		ContainSubstring("If you did not"), ContainSubstring("change your password")))
	w.Expect(text).NotTo(Or(ContainSubstring("482913"), ContainSubstring("carol"), ContainSubstring("http")), "it may have gone to somebody else")

	t.Log("the manager ends and starts; what is reset meanwhile is told by the next")
	var cats *v1alpha1.MFAReset
	w.Expect(cluster.restart(func() { cats = reset("cat") })).To(Succeed())
	completed(cats)
	w.Eventually(func() []mailbox.Letter { return told("cat") }).Should(HaveLen(1))

	t.Log("applied again after a deletion it does nothing, and says nothing")
	w.Expect(cluster.client.Delete(w.ctx, anns)).To(Succeed())
	again := reset("ann")
	w.condition(again, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonAlreadyDone)

	t.Log("a server that is away delays no reset; who was not told is in the log, without the address")
	cluster.mail.Refuse(&smtp.SMTPError{Code: 550, Message: "no dan@" + w.name + ".example here"})
	defer cluster.mail.Refuse(nil)
	completed(reset("dan"))
	w.Eventually(cluster.logs.String).Should(And(ContainSubstring("A user was not told of a change to their second factor"), ContainSubstring(`"user":"dan"`)))
	w.Expect(cluster.logs.String()).NotTo(ContainSubstring("@" + w.name + ".example"))

	// A manager sends what waits before it ends, so what is to come has come.
	w.Expect(cluster.restart(func() {
		w.Expect([]int{len(told("ann")), len(told("cat")), len(told("dan"))}).To(Equal([]int{1, 1, 0}), "each once")
	})).To(Succeed())
	w.Expect(w.trail(audit.MFAReset)).To(HaveLen(4))
}
