package mfauser

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
)

// Reasons of Events on an MFAUser, besides those of Ready when it is False.
const (
	eventFactorsChanged    = "FactorsChanged"
	eventPhaseChanged      = "PhaseChanged"
	eventComplianceChanged = "ComplianceChanged"

	// Of a local user, as the ledger tells.
	eventFactorEnrolled     = "FactorEnrolled"
	eventFactorRemoved      = "FactorRemoved"
	eventRecoveryCodeUsed   = "RecoveryCodeUsed"
	eventUserLocked         = "UserLocked"
	eventVerificationFailed = "VerificationFailed"
	// eventRemovalNotRecorded: a user went, and the ledger did not take it.
	eventRemovalNotRecorded = "RemovalNotRecorded"
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
	// Of a local user the ledger tells of each factor.
	if b, n := before.Status.FactorTypes, u.Status.FactorTypes; b != n && u.Spec.Source != v1alpha1.SourceLocal {
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

// tellRecord raises an Event for what a record says of a local user. The recorder
// counts failures that are repeated; of each success there is none.
func (r *Reconciler) tellRecord(u *v1alpha1.MFAUser, record audit.Record) {
	var reason string
	kind, note := corev1.EventTypeNormal, record.Method
	switch ok := record.Outcome == audit.Succeeded; {
	case record.Action == audit.FactorEnrolled && ok:
		reason = eventFactorEnrolled
	case record.Action == audit.FactorRemoved && ok:
		reason = eventFactorRemoved
	case record.Action == audit.RecoveryCodeUsed && ok:
		kind, reason, note = corev1.EventTypeWarning, eventRecoveryCodeUsed, "a recovery code was used; another factor should be enrolled"
	case record.Action == audit.UserLocked && ok:
		kind, reason, note = corev1.EventTypeWarning, eventUserLocked, "too many wrong attempts"
	case (record.Action == audit.Verification || record.Action == audit.RecoveryCodeUsed) && !ok:
		kind, reason = corev1.EventTypeWarning, eventVerificationFailed
		note = strings.TrimSpace(record.Method + " " + string(record.Outcome) + " " + record.Reason)
	default:
		return
	}
	r.Events.Eventf(u, nil, kind, reason, "Verify", "%s", note)
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
