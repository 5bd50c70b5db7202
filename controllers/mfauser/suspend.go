package mfauser

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/kube"
)

// Reasons of Events about a suspension.
const (
	eventSuspended       = "UserSuspended"
	eventUnlocked        = "UserUnlocked"
	eventSuspendedAnew   = "SuspensionUndone"
	eventSuspensionFails = "SuspensionFailed"
)

// suspensionFailed tells that what spec.suspended says has to be tried again.
func suspensionFailed(u *v1alpha1.MFAUser) bool {
	return meta.IsStatusConditionFalse(u.Status.Conditions, v1alpha1.ConditionSuspensionApplied)
}

// suspend does what spec.suspended says, and returns the state the person is in
// then. A failure is the condition's business: everything else is shown all the
// same.
func (r *Reconciler) suspend(ctx context.Context, u *v1alpha1.MFAUser, one idp.Person, provider Provider) idp.PersonState {
	if u.Spec.Suspended == nil {
		meta.RemoveStatusCondition(&u.Status.Conditions, v1alpha1.ConditionSuspensionApplied)
		return one.State
	}
	wanted := *u.Spec.Suspended
	applied := meta.FindStatusCondition(u.Status.Conditions, v1alpha1.ConditionSuspensionApplied)
	done := applied != nil && applied.Status == metav1.ConditionTrue && applied.ObservedGeneration == u.Generation
	now := metav1.Condition{
		Type: v1alpha1.ConditionSuspensionApplied, Status: metav1.ConditionTrue, ObservedGeneration: u.Generation,
		Reason: v1alpha1.ReasonNotSuspended, Message: "the user was unlocked",
	}
	if wanted {
		now.Reason, now.Message = v1alpha1.ReasonSuspended, "the user is locked"
	}
	// Nobody signs in who was deactivated, and unlocking is done once: whoever is
	// locked for guessing passwords later must stay so.
	if locked := one.State == idp.PersonLocked; one.State == idp.PersonInactive || locked == wanted || !wanted && done {
		meta.SetStatusCondition(&u.Status.Conditions, now)
		return one.State
	}
	if err := provider.SetLocked(ctx, one.UserID, wanted); err != nil {
		now.Status = metav1.ConditionFalse
		var explained bool
		if now.Reason, now.Message, explained = kube.Explain(err); !explained {
			now.Reason, now.Message = v1alpha1.ReasonZitadelUnreachable, err.Error()
		}
		if applied == nil || applied.Reason != now.Reason {
			r.Events.Eventf(u, nil, corev1.EventTypeWarning, eventSuspensionFails, "Suspend", "%s", now.Message)
		}
		meta.SetStatusCondition(&u.Status.Conditions, now)
		return one.State
	}
	meta.SetStatusCondition(&u.Status.Conditions, now)
	switch {
	case wanted && done:
		r.Events.Eventf(u, nil, corev1.EventTypeWarning, eventSuspendedAnew, "Suspend", "somebody had unlocked the user in Zitadel; locked again")
	case wanted:
		r.Events.Eventf(u, nil, corev1.EventTypeNormal, eventSuspended, "Suspend", "locked in Zitadel")
	default:
		r.Events.Eventf(u, nil, corev1.EventTypeNormal, eventUnlocked, "Suspend", "unlocked in Zitadel")
	}
	if wanted {
		return idp.PersonLocked
	}
	return idp.PersonActive
}
