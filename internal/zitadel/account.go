package zitadel

import (
	"context"
	"time"

	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/admin"
	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/auth"
	filter "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/filter/v2"
	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/object"
	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user"
	userv2 "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/neosc/mfa-operator/internal/idp"
)

// membershipsPerPage is the most the server gives at once.
const membershipsPerPage = 1000

// Account asks who we are, and thereby whether the server answers and knows
// us: GetMyUser and ListMyMemberships of the Auth service, GetMyInstance of
// the Admin service for the version, and, with a PAT, ListPersonalAccessTokens
// of the User service for its expiry. The last two may be forbidden; then the
// account simply lacks what they tell. A server that shows more than one PAT
// of ours does not tell which we hold, so their expiry counts as unknown.
// Roles are those on the instance and on organizations; roles on projects
// matter to nobody here.
func (c *Client) Account(ctx context.Context) (idp.Account, error) {
	const doing = "finding out who we are"
	me, err := c.api.AuthService().GetMyUser(ctx, &auth.GetMyUserRequest{})
	if err != nil {
		return idp.Account{}, failure(ctx, doing, err)
	}
	account := idp.Account{UserID: me.GetUser().GetId(), UserName: me.GetUser().GetUserName(), CredentialExpires: c.keyExpires}
	if account.Roles, err = c.roles(ctx); err != nil {
		return idp.Account{}, failure(ctx, "reading our roles", err)
	}
	c.held.Store(&account.Roles)
	//nolint:staticcheck // its successor wants the id of the instance, which only this call tells
	instance, err := c.api.AdminService().GetMyInstance(ctx, &admin.GetMyInstanceRequest{})
	if err := unlessWithheld(err); err != nil {
		return idp.Account{}, failure(ctx, "reading the server version", err)
	}
	account.ServerVersion = instance.GetInstance().GetVersion()
	if c.credentialType == PAT {
		if account.CredentialExpires, err = c.tokenExpiry(ctx, account.UserID); err != nil {
			return idp.Account{}, failure(ctx, "reading when our token expires", err)
		}
	}
	return account, nil
}

func (c *Client) roles(ctx context.Context) ([]idp.Role, error) {
	var roles []idp.Role
	for offset := uint64(0); ; offset += membershipsPerPage {
		page, err := c.api.AuthService().ListMyMemberships(ctx, &auth.ListMyMembershipsRequest{
			Query: &object.ListQuery{Offset: offset, Limit: membershipsPerPage, Asc: true},
		})
		if err != nil {
			return nil, unlessWithheld(err)
		}
		for _, membership := range page.GetResult() {
			roles = append(roles, rolesOf(membership)...)
		}
		// The total is no guide: it is 0 beyond the end.
		if len(page.GetResult()) < membershipsPerPage {
			return roles, nil
		}
	}
}

func rolesOf(m *user.Membership) []idp.Role {
	organization := ""
	switch on := m.GetType().(type) {
	case *user.Membership_Iam:
	case *user.Membership_OrgId:
		organization = on.OrgId
	default:
		return nil
	}
	roles := make([]idp.Role, 0, len(m.GetRoles()))
	for _, name := range m.GetRoles() {
		roles = append(roles, idp.Role{Name: name, OrganizationID: organization})
	}
	return roles
}

func (c *Client) tokenExpiry(ctx context.Context, userID string) (time.Time, error) {
	tokens, err := c.api.UserServiceV2().ListPersonalAccessTokens(ctx, &userv2.ListPersonalAccessTokensRequest{
		Filters: []*userv2.PersonalAccessTokensSearchFilter{{
			Filter: &userv2.PersonalAccessTokensSearchFilter_UserIdFilter{UserIdFilter: &filter.IDFilter{Id: userID}},
		}},
	})
	if err := unlessWithheld(err); err != nil {
		return time.Time{}, err
	}
	if mine := tokens.GetResult(); len(mine) == 1 && mine[0].GetExpirationDate().IsValid() {
		return unlessNever(mine[0].GetExpirationDate().AsTime()), nil
	}
	return time.Time{}, nil
}

// unlessWithheld drops the errors of a server that will not or cannot say: we
// lack a role, or it is older than the call.
func unlessWithheld(err error) error {
	if err == nil || causeOf(err) == idp.MissingPermission || status.Code(err) == codes.Unimplemented {
		return nil
	}
	return err
}
