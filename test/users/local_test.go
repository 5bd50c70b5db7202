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

// TestLocalUsersAreUnderAPolicy: MFA is on by default, and policies take over
// from the baseline.
func TestLocalUsersAreUnderAPolicy(t *testing.T) {
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
			MFA:     &v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementAlwaysRequired},
		},
	}
	w.create(p)
	under(ann, "built-in,"+w.name+"/apps", v1alpha1.EnforcementAlwaysRequired) // methods are still the baseline's
	t.Log("mfaEnabled takes nobody out of a policy")
	under(off, w.name+"/apps", v1alpha1.EnforcementAlwaysRequired)
	w.shows(off, v1alpha1.UserPendingEnrolment, "", v1alpha1.NonCompliant)
	w.condition(p, v1alpha1.ConditionReady, metav1.ConditionTrue, "")

	w.exemption("off", "apps", time.Now().Add(time.Hour), "off")
	w.shows(off, v1alpha1.UserPendingEnrolment, "", v1alpha1.Exempt)

	t.Log("a policy that only audits is not in force, so the baseline is")
	before := p.DeepCopy()
	p.Spec.Mode = v1alpha1.ModeAudit
	w.Expect(cluster.client.Patch(w.ctx, p, client.MergeFrom(before))).To(Succeed())
	under(ann, "built-in", v1alpha1.EnforcementRequiredOnFirstLogin)
	w.shows(off, v1alpha1.UserPendingEnrolment, "", v1alpha1.Compliant)
}
