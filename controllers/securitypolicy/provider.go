package securitypolicy

import (
	"context"

	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
)

// Provider is the part of an identity provider this reconciler needs. Every
// error is one of the four kinds of package idp.
type Provider interface {
	// Organization finds one organization; an idp.ErrNotFound if there is none.
	Organization(ctx context.Context, ref idp.OrganizationRef) (idp.Organization, error)
	// Observe reads all settings of the groups.
	Observe(ctx context.Context, scope idp.Scope, groups ...idp.Group) (idp.State, error)
	// Apply writes the changes, nothing else, and returns once reads show them.
	Apply(ctx context.Context, scope idp.Scope, changes idp.Settings) (idp.State, error)
	// Reset makes an organization follow the instance in these groups again.
	Reset(ctx context.Context, scope idp.Scope, groups ...idp.Group) error
	// LastEdit tells who last changed a group, and when; an idp.ErrDenied if we
	// may not know.
	LastEdit(ctx context.Context, scope idp.Scope, group idp.Group) (idp.Edit, error)
}

// Providers finds the provider behind a ZitadelConnection. False means that no
// connection of that name has been made yet.
type Providers interface {
	Provider(connection string) (Provider, bool)
}

// Census counts users by their factors, and knows which organizations have
// settings of their own.
type Census interface {
	// Of returns the census of a connection; false: there is none, or none yet.
	Of(connection string) (policy.Census, bool)
}
