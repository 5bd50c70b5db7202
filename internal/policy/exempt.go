package policy

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

// Exempt tells whether exemptions let a user off the demand of a policy at an
// instant, and until when. It is the one place that decides, so that an
// exemption ends everywhere at the same instant. An exemption counts only
// beside the policy it speaks of, so that whoever may not write the policy
// cannot make a hole in it.
func Exempt(now time.Time, exemptions []v1alpha1.MFAExemption, user *v1alpha1.MFAUser, from types.NamespacedName) (until time.Time, exempt bool) {
	for i := range exemptions {
		e := &exemptions[i]
		if e.Namespace != from.Namespace || e.Spec.PolicyRef.Name != from.Name ||
			ExemptionPhaseAt(now, e) != v1alpha1.ExemptionActive || !ExemptionNames(e, user) {
			continue
		}
		if ends := e.Spec.ExpiresAt.Time; ends.After(until) {
			until, exempt = ends, true
		}
	}
	return until, exempt
}

// ExemptionPhaseAt says whether an exemption counts at an instant: from when it
// was made until it expires, the instant of expiry excluded. One that reaches
// too far never counts, and neither does one that is being deleted.
func ExemptionPhaseAt(now time.Time, e *v1alpha1.MFAExemption) v1alpha1.ExemptionPhase {
	longest := e.CreationTimestamp.AddDate(0, 0, v1alpha1.MaxExemptionDays)
	switch {
	case e.Spec.ExpiresAt.After(longest):
		return v1alpha1.ExemptionRefused
	case !e.DeletionTimestamp.IsZero(), !now.Before(e.Spec.ExpiresAt.Time):
		return v1alpha1.ExemptionExpired
	default:
		return v1alpha1.ExemptionActive
	}
}

// ExemptionNames tells whether an exemption is about a user. A selector that
// cannot be read selects nobody, and reaches no other namespace.
func ExemptionNames(e *v1alpha1.MFAExemption, user *v1alpha1.MFAUser) bool {
	if ref := e.Spec.UserRef; ref != nil {
		namespace := ref.Namespace
		if namespace == "" {
			namespace = e.Namespace
		}
		return namespace == user.Namespace && ref.Name == user.Name
	}
	if e.Spec.Selector == nil || e.Namespace != user.Namespace {
		return false
	}
	selector, err := metav1.LabelSelectorAsSelector(e.Spec.Selector)
	return err == nil && selector.Matches(labels.Set(user.Labels))
}
