package mfauser

import (
	"context"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
)

// Provider is the part of an identity provider this reconciler needs. Every
// error is one of the four kinds of package idp.
type Provider interface {
	// Person finds one human user; an idp.ErrNotFound if there is none or we may
	// not see them.
	Person(ctx context.Context, ref idp.PersonRef) (idp.Person, error)
	// Credentials reads what a user has that Person has found.
	Credentials(ctx context.Context, userID string) (idp.Credentials, error)
	// Sessions lists a user's sessions; an idp.ErrDenied if we may not see them.
	Sessions(ctx context.Context, userID, organizationID string) ([]idp.Session, error)
	// SetLocked locks or unlocks a user, and returns once reads show it. That it is
	// so already is success.
	SetLocked(ctx context.Context, userID string, locked bool) error
	// Observe reads all settings of the groups.
	Observe(ctx context.Context, scope idp.Scope, groups ...idp.Group) (idp.State, error)
}

// Providers finds the provider behind a ZitadelConnection. False means that no
// connection of that name has been made yet.
type Providers interface {
	Provider(connection string) (Provider, bool)
}

// Policies knows what the policies of an organization put in force.
type Policies interface {
	InForceAt(ctx context.Context, conn *v1alpha1.ZitadelConnection, ref idp.OrganizationRef) (idp.Organization, policy.Applied, error)
}
