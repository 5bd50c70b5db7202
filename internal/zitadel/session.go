package zitadel

import (
	"context"
	"slices"

	sessionv2 "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/session/v2"

	"github.com/neosc/mfa-operator/internal/idp"
)

// Sessions lists the sessions of a user that can still be read, expired ones
// among them, with ListSessions of the v2 Session service. Sessions of users who
// were locked or deactivated are gone.
//
// Whoever may not see sessions gets an empty list from the server. So an empty
// list is an error, idp.MissingPermission, unless one of our roles lets us see
// sessions in the user's organization.
func (c *Client) Sessions(ctx context.Context, userID, organizationID string) ([]idp.Session, error) {
	doing := "reading the sessions of user " + userID
	found, err := c.api.SessionServiceV2().ListSessions(ctx, &sessionv2.ListSessionsRequest{
		Queries: []*sessionv2.SearchQuery{{Query: &sessionv2.SearchQuery_UserIdQuery{UserIdQuery: &sessionv2.UserIDQuery{Id: userID}}}},
	})
	if err != nil {
		return nil, failure(ctx, doing, err)
	}
	if len(found.GetSessions()) == 0 {
		allowed, err := c.maySeeSessions(ctx, organizationID)
		if err != nil {
			return nil, failure(ctx, "reading our roles", err)
		}
		if !allowed {
			return nil, &idp.Error{Cause: idp.MissingPermission, Doing: doing, Detail: "no role of ours shows sessions of organization " + organizationID}
		}
	}
	sessions := make([]idp.Session, 0, len(found.GetSessions()))
	for _, s := range found.GetSessions() {
		one := idp.Session{ID: s.GetId(), MFAVerified: mfaVerified(s.GetFactors())}
		if s.GetExpirationDate().IsValid() {
			one.Expires = s.GetExpirationDate().AsTime()
		}
		sessions = append(sessions, one)
	}
	return sessions, nil
}

// mfaVerified tells whether two factors were proven, or a key that verified its
// user, which counts as two.
func mfaVerified(f *sessionv2.Factors) bool {
	second := f.GetTotp() != nil || f.GetOtpSms() != nil || f.GetOtpEmail() != nil || f.GetRecoveryCode() != nil || f.GetWebAuthN() != nil
	first := f.GetPassword() != nil || f.GetIntent() != nil
	return first && second || f.GetWebAuthN().GetUserVerified()
}

// seesSessions are the built-in roles with the permission session.read, measured
// on a real server.
var seesSessions = []string{
	"IAM_OWNER", "IAM_OWNER_VIEWER", "IAM_ORG_MANAGER", "IAM_USER_MANAGER", "IAM_LOGIN_CLIENT",
	"ORG_OWNER", "ORG_USER_MANAGER",
}

// maySeeSessions asks for our roles once for each proof of the credential; see
// Account.
func (c *Client) maySeeSessions(ctx context.Context, organizationID string) (bool, error) {
	held := c.held.Load()
	if held == nil {
		roles, err := c.roles(ctx)
		if err != nil {
			return false, err
		}
		held = &roles
		c.held.Store(held)
	}
	return slices.ContainsFunc(*held, func(r idp.Role) bool {
		return (r.OrganizationID == "" || r.OrganizationID == organizationID) && slices.Contains(seesSessions, r.Name)
	}), nil
}
