package mfaexemption

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/kube"
)

// setStatus is the status of an exemption in that phase.
func setStatus(e *v1alpha1.MFAExemption, phase v1alpha1.ExemptionPhase, users named, policyMissing bool) {
	ends := e.Spec.ExpiresAt.UTC().Format(time.RFC3339)
	ready := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, ObservedGeneration: e.Generation}
	switch {
	case phase == v1alpha1.ExemptionRefused:
		ready.Reason = v1alpha1.ReasonExpiryTooFar
		ready.Message = fmt.Sprintf("expiresAt %s is more than %d days after the exemption was made, so it is not honoured; make one that ends sooner", ends, v1alpha1.MaxExemptionDays)
	case phase == v1alpha1.ExemptionExpired:
		ready.Reason, ready.Message = v1alpha1.ReasonExpired, "expired at "+ends
	case policyMissing:
		ready.Reason = v1alpha1.ReasonPolicyNotFound
		ready.Message = fmt.Sprintf("there is no SecurityPolicy %s in namespace %s; an exemption stands beside its policy", e.Spec.PolicyRef.Name, e.Namespace)
	default:
		ready.Status, ready.Reason, ready.Message = metav1.ConditionTrue, v1alpha1.ReasonGranted, "honoured until "+ends
	}
	e.Status.ObservedGeneration, e.Status.Phase, e.Status.Users = e.Generation, phase, nil
	if phase == v1alpha1.ExemptionActive {
		e.Status.Users = ptr.To(users.all)
	}
	meta.SetStatusCondition(&e.Status.Conditions, ready)
	kube.SetPresentWhileTrue(&e.Status.Conditions, phase == v1alpha1.ExemptionActive && users.ofZitadel > 0, metav1.Condition{
		Type: v1alpha1.ConditionEnforcementLimited, Reason: v1alpha1.ReasonZitadelCannotExempt, ObservedGeneration: e.Generation,
		Message: fmt.Sprintf("Zitadel cannot let a single user off a forced factor: it goes on asking %d of them at sign-in. "+
			"Here they count as exempt; for access without a factor move them to an organization under another policy, or use a machine account", users.ofZitadel),
	})
}
