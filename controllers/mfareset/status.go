package mfareset

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/kube"
)

// Reasons of Events on an MFAReset.
const (
	eventStarted   = "ResetStarted"
	eventCompleted = "ResetCompleted"
	eventFailed    = "ResetFailed"
)

// write changes the status, if it changes anything, and fails where somebody else
// was faster: two managers must not both believe to be at work.
func (r *Reconciler) write(ctx context.Context, reset *v1alpha1.MFAReset, change func(*v1alpha1.MFAReset)) error {
	before := reset.DeepCopy()
	change(reset)
	reset.Status.ObservedGeneration = reset.Generation
	if equality.Semantic.DeepEqual(before, reset) {
		return nil
	}
	if err := r.Client.Status().Patch(ctx, reset, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	return nil
}

// finish ends a reset for good.
func (r *Reconciler) finish(ctx context.Context, reset *v1alpha1.MFAReset, phase v1alpha1.ResetPhase, reason, message string) error {
	if reason != v1alpha1.ReasonAlreadyDone && reset.Status.RecordedTime == nil {
		if err := r.record(ctx, reset, phase, reason); err != nil {
			return err
		}
	}
	err := r.write(ctx, reset, func(reset *v1alpha1.MFAReset) {
		now := metav1.NewTime(r.now().UTC().Truncate(time.Second))
		reset.Status.Phase, reset.Status.FinishTime = phase, &now
		status := metav1.ConditionTrue
		if phase == v1alpha1.ResetFailed {
			status = metav1.ConditionFalse
		}
		setReady(reset, status, reason, message)
		kube.SetPresentWhileTrue(&reset.Status.Conditions, phase == v1alpha1.ResetFailed, metav1.Condition{
			Type: v1alpha1.ConditionStalled, Reason: reason, Message: clip(message, longestMessage), ObservedGeneration: reset.Generation,
		})
	})
	if err != nil {
		return err
	}
	kind, event := corev1.EventTypeNormal, eventCompleted
	if phase == v1alpha1.ResetFailed {
		kind, event = corev1.EventTypeWarning, eventFailed
	}
	r.Events.Eventf(reset, nil, kind, event, "Reset", "%s", clip(message, noteLimit))
	return nil
}

func (r *Reconciler) tellStarted(reset *v1alpha1.MFAReset) {
	r.Events.Eventf(reset, nil, corev1.EventTypeNormal, eventStarted, "Reset", "%s",
		clip(fmt.Sprintf("user %s, requested by %s: %s", reset.Status.UserID, reset.Spec.RequestedBy, reset.Spec.Reason), noteLimit))
}

func setReady(reset *v1alpha1.MFAReset, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&reset.Status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: status, Reason: reason, Message: clip(message, longestMessage), ObservedGeneration: reset.Generation,
	})
}

func lastMessage(reset *v1alpha1.MFAReset) string {
	if c := meta.FindStatusCondition(reset.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		return c.Message
	}
	return "nothing was tried"
}

const (
	// noteLimit is what the API server accepts as the note of an Event, in bytes.
	noteLimit = 1024
	// longestMessage is less than a condition may have, in bytes.
	longestMessage = 8192
)

func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len("…")], "") + "…"
}
