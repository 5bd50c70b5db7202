package mfaledger

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/kube"
)

// readyFrom says how a ledger is, after it has been looked after.
func readyFrom(obj *v1alpha1.MFALedger, err error) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, ObservedGeneration: obj.Generation}
	keep := int64(obj.Spec.Retention.MaxMebibytes) << 20
	held := fmt.Sprintf("%d MiB are held, %d MiB are to be kept", obj.Status.Bytes>>20, keep>>20)
	switch {
	case errors.Is(err, audit.ErrBroken):
		c.Reason = v1alpha1.ReasonLedgerBroken
		c.Message = "records are missing or have been changed, and nothing is accepted until that is resolved: " + err.Error()
	case obj.Status.Bytes > 2*keep:
		c.Reason = v1alpha1.ReasonLedgerFull
		c.Message = held + "; nothing is recorded, and so no verification succeeds, until there is room" + why(err)
	case errors.Is(err, audit.ErrSink):
		c.Reason = v1alpha1.ReasonSinkFailing
		c.Message = "nothing can be removed before the sink has it; retrying" + why(err)
	case err != nil:
		c.Status = metav1.ConditionUnknown
		c.Reason = v1alpha1.ReasonLedgerUnavailable
		c.Message = "retrying" + why(err)
	case obj.Status.Bytes > keep+keep/4:
		c.Reason = v1alpha1.ReasonRetentionBehind
		c.Message = held + "; what is younger than five minutes cannot be removed"
	default:
		c.Status = metav1.ConditionTrue
		c.Reason = v1alpha1.ReasonLedgerInOrder
		c.Message = "the chain holds, and no more is kept than should be"
	}
	return c
}

func why(err error) string {
	if err == nil {
		return ""
	}
	return " (" + err.Error() + ")"
}

func setReady(obj *v1alpha1.MFALedger, c metav1.Condition) {
	obj.Status.ObservedGeneration = obj.Generation
	meta.SetStatusCondition(&obj.Status.Conditions, c)
	kube.SetPresentWhileTrue(&obj.Status.Conditions, c.Reason == v1alpha1.ReasonLedgerBroken, metav1.Condition{
		Type: v1alpha1.ConditionStalled, ObservedGeneration: obj.Generation, Reason: c.Reason, Message: c.Message,
	})
}

// retryable tells whether to try again soon: not when only somebody can help.
func retryable(err error) bool {
	return err != nil && !errors.Is(err, audit.ErrBroken) && !errors.Is(err, audit.ErrSink)
}

// announce raises an Event when a ledger becomes unwell, or well again.
func (r *Reconciler) announce(before *v1alpha1.MFALedger, c metav1.Condition) {
	last := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionReady)
	if last != nil && last.Reason == c.Reason || last == nil && c.Status == metav1.ConditionTrue {
		return
	}
	kind := corev1.EventTypeWarning
	if c.Status == metav1.ConditionTrue {
		kind = corev1.EventTypeNormal
	}
	r.Events.Eventf(before, nil, kind, c.Reason, "KeepLedger", "%s", c.Message)
}
