package users

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

// Two makes of authenticators.
const (
	make1 = "11111111-1111-1111-1111-111111111111"
	make2 = "22222222-2222-2222-2222-222222222222"
)

// TestLocalUsersAreUnderAPolicy: MFA is on by default, and policies take over
// from the baseline.
func TestLocalUsersAreUnderAPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	local := func(name string, enabled *bool) *v1alpha1.MFAUser {
		u := &v1alpha1.MFAUser{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: name, Labels: map[string]string{"app": name}},
			Spec:       v1alpha1.MFAUserSpec{Source: v1alpha1.SourceLocal, Username: name + "@example.com", MFAEnabled: enabled},
		}
		w.create(u)
		return u
	}
	ann, off := local("ann", nil), local("off", ptr.To(false))
	under := func(u *v1alpha1.MFAUser, names string, enforcement v1alpha1.Enforcement) {
		t.Helper()
		w.Eventually(func(g Gomega) {
			g.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(u), u)).To(Succeed())
			g.Expect(u.Status.EffectivePolicy).NotTo(BeNil())
			g.Expect(u.Status.EffectivePolicy.Names).To(Equal(names))
			g.Expect(u.Status.EffectivePolicy.Enforcement).To(Equal(enforcement))
		}).Should(Succeed())
	}
	under(ann, "built-in", v1alpha1.EnforcementRequiredOnFirstLogin)
	w.shows(ann, v1alpha1.UserPendingEnrolment, "", v1alpha1.NonCompliant)
	w.Expect(ann.Status.EffectivePolicy.Methods).To(ConsistOf(v1alpha1.MethodWebAuthn, v1alpha1.MethodTOTP, v1alpha1.MethodRecoveryCodes))
	under(off, "", "")
	w.shows(off, v1alpha1.UserPendingEnrolment, "", v1alpha1.Compliant)

	p := &v1alpha1.SecurityPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "apps"},
		Spec: v1alpha1.SecurityPolicySpec{
			Targets: v1alpha1.Targets{LocalUsers: &v1alpha1.LocalUsersTarget{Selector: &metav1.LabelSelector{}}},
			MFA: &v1alpha1.MFASettings{
				Enforcement: v1alpha1.EnforcementAlwaysRequired, PreferredMethod: v1alpha1.MethodTOTP, GracePeriodHours: ptr.To[int32](0),
				WebAuthn: &v1alpha1.WebAuthnSettings{
					UserVerification: v1alpha1.UserVerificationRequired, Attestation: v1alpha1.AttestationNone,
					AllowedAAGUIDs: []v1alpha1.AAGUID{make1}, DeniedAAGUIDs: []v1alpha1.AAGUID{make1},
				},
			},
			Lockout: &v1alpha1.LockoutSettings{AutoUnlockMinutes: ptr.To[int32](30)},
		},
	}
	w.create(p)
	under(ann, "built-in,"+w.name+"/apps", v1alpha1.EnforcementAlwaysRequired) // methods are still the baseline's
	t.Log("mfaEnabled takes nobody out of a policy")
	under(off, w.name+"/apps", v1alpha1.EnforcementAlwaysRequired)
	w.shows(off, v1alpha1.UserPendingEnrolment, "", v1alpha1.NonCompliant)
	w.condition(p, v1alpha1.ConditionReady, metav1.ConditionTrue, "")

	t.Log("what Zitadel knows nothing of is shown as well, and what policies have in common")
	holds := func(field, value string, by ...string) {
		t.Helper()
		w.Expect(ann.Status.EffectivePolicy.Provenance).To(ContainElement(And(
			HaveField("Field", field), HaveField("Value", value), HaveField("By", ConsistOf(by)), // the oldest first, and two of one second by name
		)))
	}
	for field, value := range map[string]string{
		"mfa.preferredMethod": "TOTP", "mfa.gracePeriodHours": "0", "mfa.webauthn.userVerification": "Required", "mfa.webauthn.attestation": "None",
		"mfa.webauthn.allowedAAGUIDs": "[" + make1 + "]", "mfa.webauthn.deniedAAGUIDs": "[" + make1 + "]", "lockout.autoUnlockMinutes": "30",
	} {
		holds(field, value, w.name+"/apps")
	}
	other := &v1alpha1.SecurityPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "anns"},
		Spec: v1alpha1.SecurityPolicySpec{
			Targets: v1alpha1.Targets{LocalUsers: &v1alpha1.LocalUsersTarget{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "ann"}}}},
			MFA:     &v1alpha1.MFASettings{WebAuthn: &v1alpha1.WebAuthnSettings{AllowedAAGUIDs: []v1alpha1.AAGUID{make2}}},
		},
	}
	w.create(other)
	under(ann, "built-in,"+w.name+"/anns,"+w.name+"/apps", v1alpha1.EnforcementAlwaysRequired)
	holds("mfa.webauthn.allowedAAGUIDs", "[]", w.name+"/anns", w.name+"/apps")
	w.Expect(cluster.client.Delete(w.ctx, other)).To(Succeed())

	w.exemption("off", "apps", time.Now().Add(time.Hour), "off")
	w.shows(off, v1alpha1.UserPendingEnrolment, "", v1alpha1.Exempt)

	t.Log("a policy that only audits is not in force, so the baseline is")
	before := p.DeepCopy()
	p.Spec.Mode = v1alpha1.ModeAudit
	w.Expect(cluster.client.Patch(w.ctx, p, client.MergeFrom(before))).To(Succeed())
	under(ann, "built-in", v1alpha1.EnforcementRequiredOnFirstLogin)
	w.shows(off, v1alpha1.UserPendingEnrolment, "", v1alpha1.Compliant)
}
