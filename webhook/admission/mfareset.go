package admission

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/policy"
)

// MFAResets decides about MFAResets: nobody may reset their own MFA.
type MFAResets struct {
	Cluster *Cluster
}

var _ admission.Validator[*v1alpha1.MFAReset] = (*MFAResets)(nil)

// ValidateCreate implements admission.Validator.
func (v *MFAResets) ValidateCreate(ctx context.Context, reset *v1alpha1.MFAReset) (admission.Warnings, error) {
	request, err := admission.RequestFromContext(ctx)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	user := &v1alpha1.MFAUser{}
	err = v.Cluster.get(ctx, client.ObjectKey{Namespace: reset.Namespace, Name: reset.Spec.UserRef.Name}, user)
	path := field.NewPath("spec", "userRef", "name")
	if apierrors.IsNotFound(err) {
		// Whoever makes the user afterwards could be the one to be reset.
		return nil, invalidReset(reset, field.NotFound(path, reset.Spec.UserRef.Name))
	}
	if err != nil {
		return nil, apierrors.NewInternalError(fmt.Errorf("reading MFAUser %s: %w", reset.Spec.UserRef.Name, err))
	}
	if z := user.Status.Zitadel; user.Spec.Source == v1alpha1.SourceZitadel &&
		(z == nil || z.UserID == "" || user.Status.ObservedGeneration != user.Generation) {
		// Under which names the API server may know the person is not known yet.
		return nil, invalidReset(reset, field.Forbidden(path, fmt.Sprintf(
			"who MFAUser %s is has not been looked up in Zitadel yet; wait until it is Ready", user.Name)))
	}
	if policy.IsSelfReset(request.UserInfo.Username, user) {
		return nil, invalidReset(reset, field.Forbidden(path, fmt.Sprintf(
			"%s is the person whose factors would be removed; somebody else has to ask for it", request.UserInfo.Username)))
	}
	return nil, nil
}

func invalidReset(reset *v1alpha1.MFAReset, mistake *field.Error) error {
	return apierrors.NewInvalid(v1alpha1.GroupVersion.WithKind("MFAReset").GroupKind(), reset.Name, field.ErrorList{mistake})
}

// ValidateUpdate implements admission.Validator. A reset cannot be changed.
func (v *MFAResets) ValidateUpdate(context.Context, *v1alpha1.MFAReset, *v1alpha1.MFAReset) (admission.Warnings, error) {
	return nil, nil
}

// ValidateDelete implements admission.Validator. A deletion is never refused.
func (v *MFAResets) ValidateDelete(context.Context, *v1alpha1.MFAReset) (admission.Warnings, error) {
	return nil, nil
}
