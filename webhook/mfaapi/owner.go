package mfaapi

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/mfa"
)

// Person returns who an owner is to the rules, and what their policies say.
// mfa.ErrNotFound: there is no such user any more, or they are not verified here.
// One made later under the same name is somebody else.
func (d *Directory) Person(ctx context.Context, owner mfa.Owner) (mfa.Person, mfa.Rules, error) {
	if !d.Served(owner.Namespace) {
		return mfa.Person{}, mfa.Rules{}, mfa.ErrNotFound
	}
	user := &v1alpha1.MFAUser{}
	err := d.Cache.Get(ctx, types.NamespacedName{Namespace: owner.Namespace, Name: owner.Name}, user)
	if apierrors.IsNotFound(err) || err == nil && (string(user.UID) != owner.UID || !user.DeletionTimestamp.IsZero() || user.Spec.Source != v1alpha1.SourceLocal) {
		return mfa.Person{}, mfa.Rules{}, mfa.ErrNotFound
	}
	if err != nil {
		return mfa.Person{}, mfa.Rules{}, fmt.Errorf("%w: reading a user: %w", mfa.ErrUnavailable, err)
	}
	name, err := canonical(user.Spec.Username)
	if err != nil {
		return mfa.Person{}, mfa.Rules{}, mfa.ErrNotFound
	}
	return d.standing(ctx, found{namespace: user.Namespace, username: name, name: user.Name, user: user})
}
