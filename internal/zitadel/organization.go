package zitadel

import (
	"context"
	"slices"

	objectv2 "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/object/v2"
	orgv2 "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/org/v2"

	"github.com/neosc/mfa-operator/internal/idp"
)

// Organization finds the organization the reference selects, by
// ListOrganizations of the v2 Organization service. The error is
// idp.NoSuchOrganization if there is none; the server says the same when we
// may not see it. It is idp.InvalidValue if the reference selects nothing.
func (c *Client) Organization(ctx context.Context, ref idp.OrganizationRef) (idp.Organization, error) {
	doing := "finding the organization with " + ref.String()
	if (ref == idp.OrganizationRef{}) {
		return idp.Organization{}, &idp.Error{Cause: idp.InvalidValue, Doing: doing, Detail: "the reference is empty"}
	}
	found, err := c.api.OrganizationServiceV2().ListOrganizations(ctx, &orgv2.ListOrganizationsRequest{
		Queries: []*orgv2.SearchQuery{queryFor(ref)},
	})
	if err != nil {
		return idp.Organization{}, failure(ctx, doing, err)
	}
	// The query for a domain matches every domain of an organization, and
	// those that are not primary may be anybody's.
	i := slices.IndexFunc(found.GetResult(), func(o *orgv2.Organization) bool {
		return ref == idp.OrganizationRef{ID: o.GetId()} ||
			ref == idp.OrganizationRef{Name: o.GetName()} ||
			ref == idp.OrganizationRef{PrimaryDomain: o.GetPrimaryDomain()}
	})
	if i < 0 {
		return idp.Organization{}, &idp.Error{Cause: idp.NoSuchOrganization, Doing: doing}
	}
	o := found.GetResult()[i]
	return idp.Organization{ID: o.GetId(), Name: o.GetName(), PrimaryDomain: o.GetPrimaryDomain()}, nil
}

func queryFor(ref idp.OrganizationRef) *orgv2.SearchQuery {
	const exactly = objectv2.TextQueryMethod_TEXT_QUERY_METHOD_EQUALS
	switch {
	case ref.ID != "":
		return &orgv2.SearchQuery{Query: &orgv2.SearchQuery_IdQuery{IdQuery: &orgv2.OrganizationIDQuery{Id: ref.ID}}}
	case ref.Name != "":
		return &orgv2.SearchQuery{Query: &orgv2.SearchQuery_NameQuery{NameQuery: &orgv2.OrganizationNameQuery{Name: ref.Name, Method: exactly}}}
	default:
		return &orgv2.SearchQuery{Query: &orgv2.SearchQuery_DomainQuery{DomainQuery: &orgv2.OrganizationDomainQuery{Domain: ref.PrimaryDomain, Method: exactly}}}
	}
}
