package mfauser

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

// Reasons of Events on an MFAUser, besides those of Ready when it is False.
const (
	eventFactorsChanged    = "FactorsChanged"
	eventPhaseChanged      = "PhaseChanged"
	eventComplianceChanged = "ComplianceChanged"
)

// tell raises an Event for what is different from before. What is seen for the
// first time is no news.
func (r *Reconciler) tell(u, before *v1alpha1.MFAUser) {
	is := meta.FindStatusCondition(u.Status.Conditions, v1alpha1.ConditionReady)
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionReady)
	if is.Status == metav1.ConditionFalse {
		if was == nil || was.Reason != is.Reason {
			r.Events.Eventf(u, nil, corev1.EventTypeWarning, is.Reason, "Look", "%s", is.Message)
		}
		return
	}
	if before.Status.Phase == "" {
		return
	}
	if b, n := before.Status.FactorTypes, u.Status.FactorTypes; b != n {
		r.Events.Eventf(u, nil, corev1.EventTypeNormal, eventFactorsChanged, "Look", "%s → %s", orNone(b), orNone(n))
	}
	if b, n := before.Status.Phase, u.Status.Phase; b != n {
		r.Events.Eventf(u, nil, corev1.EventTypeNormal, eventPhaseChanged, "Look", "%s → %s", b, n)
	}
	if b, n := before.Status.Compliance, u.Status.Compliance; b != n && b != "" && n != "" {
		kind := corev1.EventTypeNormal
		if n == v1alpha1.NonCompliant {
			kind = corev1.EventTypeWarning
		}
		r.Events.Eventf(u, nil, kind, eventComplianceChanged, "Look", "%s → %s: %s", b, n, u.Status.ComplianceReason)
	}
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
