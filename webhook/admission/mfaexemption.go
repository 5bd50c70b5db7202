package admission

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/policy"
)

// MFAExemptions decides about MFAExemptions, as far as a clock or another object
// has a say. The reconciler honours no exemption that is refused here.
type MFAExemptions struct {
	Cluster *Cluster
	// Now is the clock; nil means the system's.
	Now func() time.Time
}

var _ admission.Validator[*v1alpha1.MFAExemption] = (*MFAExemptions)(nil)

// ValidateCreate implements admission.Validator.
func (v *MFAExemptions) ValidateCreate(ctx context.Context, e *v1alpha1.MFAExemption) (admission.Warnings, error) {
	if mistakes := v.judge(e); len(mistakes) > 0 {
		return nil, apierrors.NewInvalid(v1alpha1.GroupVersion.WithKind("MFAExemption").GroupKind(), e.Name, mistakes)
	}
	var n notes
	if err := v.tellMissing(ctx, &n, e); err != nil {
		return nil, nil //nolint:nilerr // it would only be a warning
	}
	return n.list(), nil
}

// ValidateUpdate implements admission.Validator. An exemption cannot be changed.
func (v *MFAExemptions) ValidateUpdate(context.Context, *v1alpha1.MFAExemption, *v1alpha1.MFAExemption) (admission.Warnings, error) {
	return nil, nil
}

// ValidateDelete implements admission.Validator. A deletion is never refused.
func (v *MFAExemptions) ValidateDelete(context.Context, *v1alpha1.MFAExemption) (admission.Warnings, error) {
	return nil, nil
}

func (v *MFAExemptions) judge(e *v1alpha1.MFAExemption) field.ErrorList {
	now := time.Now
	if v.Now != nil {
		now = v.Now
	}
	var mistakes field.ErrorList
	expires, ends := field.NewPath("spec", "expiresAt"), e.Spec.ExpiresAt.UTC().Format(time.RFC3339)
	switch made := now(); {
	case !e.Spec.ExpiresAt.After(made):
		mistakes = append(mistakes, field.Invalid(expires, ends, "is over already"))
	case e.Spec.ExpiresAt.After(made.AddDate(0, 0, v1alpha1.MaxExemptionDays)):
		mistakes = append(mistakes, field.Invalid(expires, ends, fmt.Sprintf("must be at most %d days ahead", v1alpha1.MaxExemptionDays)))
	}
	if e.Spec.Selector != nil {
		if _, err := metav1.LabelSelectorAsSelector(e.Spec.Selector); err != nil {
			mistakes = append(mistakes, field.Invalid(field.NewPath("spec", "selector"), metav1.FormatLabelSelector(e.Spec.Selector), err.Error()))
		}
	}
	return mistakes
}

// tellMissing tells what the exemption speaks of and is not there.
func (v *MFAExemptions) tellMissing(ctx context.Context, n *notes, e *v1alpha1.MFAExemption) error {
	err := v.Cluster.get(ctx, client.ObjectKey{Namespace: e.Namespace, Name: e.Spec.PolicyRef.Name}, &v1alpha1.SecurityPolicy{})
	switch {
	case apierrors.IsNotFound(err):
		n.add("policy", "spec.policyRef: there is no SecurityPolicy %s in namespace %s; an exemption stands beside its policy and means nothing without it",
			e.Spec.PolicyRef.Name, e.Namespace)
	case err != nil:
		return fmt.Errorf("reading the policy of an exemption: %w", err)
	}
	users := &v1alpha1.MFAUserList{}
	in := e.Namespace
	if e.Spec.UserRef != nil && e.Spec.UserRef.Namespace != "" {
		in = e.Spec.UserRef.Namespace
	}
	if err := v.Cluster.Cache.List(ctx, users, client.InNamespace(in), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing the users of an exemption: %w", err)
	}
	named := 0
	for i := range users.Items {
		if policy.ExemptionNames(e, &users.Items[i]) {
			named++
		}
	}
	switch {
	case named == 0 && e.Spec.UserRef != nil:
		n.add("users", "spec.userRef: there is no MFAUser %s in namespace %s yet", e.Spec.UserRef.Name, in)
	case named == 0:
		n.add("users", "spec.selector: no MFAUser in namespace %s has these labels now", in)
	case e.Spec.Selector != nil:
		n.add("users", "spec.selector: exempts %s now, and whoever gets these labels later", counted(named, "user"))
	}
	return nil
}
