package securitypolicy

import (
	"context"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
)

// InForceAt returns the organization, and what the policies that apply to it put
// in force, for those who show it to its users. The organization is looked up at
// most once between two full comparisons.
func (r *Reconciler) InForceAt(ctx context.Context, conn *v1alpha1.ZitadelConnection, ref idp.OrganizationRef) (idp.Organization, policy.Applied, error) {
	provider, ok := r.Providers.Provider(conn.Name)
	if !ok {
		return idp.Organization{}, policy.Applied{}, errConnecting
	}
	org, err := r.organization(ctx, conn, provider, ref)
	if err != nil {
		return idp.Organization{}, policy.Applied{}, err
	}
	found, err := r.applicableAt(ctx, conn, org)
	return org, found.inForce(), err
}
