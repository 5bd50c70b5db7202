package mfaexemption

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

// Reasons of Events on an MFAExemption.
const (
	eventGranted = "ExemptionGranted"
	eventExpired = "ExemptionExpired"
	eventRefused = "ExemptionRefused"
)

// tell raises an Event when an exemption begins to count, and when it ends.
func (r *Reconciler) tell(e, before *v1alpha1.MFAExemption) {
	if e.Status.Phase == before.Status.Phase {
		return
	}
	about := fmt.Sprintf("policy %s, approved by %s, until %s: %s", e.Spec.PolicyRef.Name, e.Spec.ApprovedBy, e.Spec.ExpiresAt.UTC().Format(time.RFC3339), e.Spec.Reason)
	switch e.Status.Phase {
	case v1alpha1.ExemptionActive:
		r.Events.Eventf(e, nil, corev1.EventTypeNormal, eventGranted, "Grant", "%s", clip(about))
	case v1alpha1.ExemptionExpired:
		r.Events.Eventf(e, nil, corev1.EventTypeNormal, eventExpired, "Expire", "%s", clip(about))
	case v1alpha1.ExemptionRefused:
		r.Events.Eventf(e, nil, corev1.EventTypeWarning, eventRefused, "Grant", "%s", clip(meta.FindStatusCondition(e.Status.Conditions, v1alpha1.ConditionReady).Message))
	}
}

// noteLimit is what the API server accepts as the note of an Event, in bytes.
const noteLimit = 1024

func clip(text string) string {
	if len(text) <= noteLimit {
		return text
	}
	return strings.ToValidUTF8(text[:noteLimit-len("…")], "") + "…"
}
