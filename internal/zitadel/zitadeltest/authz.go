package zitadeltest

import (
	"context"

	"google.golang.org/protobuf/proto"

	objectv2pb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/object/v2"
)

var (
	noMembership      = notFound("AUTHZ-cdgFk", "membership not found")
	unknownOrg        = denied("AUTH-Bs7Ds", "Organisation doesn't exist")
	noMethodRight     = denied("AUTH-5mWD2", "No matching permissions found")
	noObjectRight     = denied("AUTH-AWfge", "No matching permissions found")
	permissionAnybody = "authenticated" // how the API marks methods open to every valid token
)

// authorize decides whether a call may reach its handler. Methods that act on an object of their own
// choosing are open to everybody here and check that object themselves, with mayObject.
func (s *Server) authorize(ctx context.Context, method string, request any, org string) (call, error) {
	rule, guarded := methodRules[method]
	if !guarded || rule.permission == "" {
		return call{}, nil // health checks
	}
	userID, err := s.authenticate(ctx)
	if err != nil {
		return call{}, err
	}
	if rule.orgInRequest {
		if id := requestOrg(request); id != "" {
			org = id
		}
	}
	if org == "" {
		org = s.write.users[userID].owner
	}
	if _, known := s.read().orgs[org]; !known {
		return call{}, unknownOrg.err()
	}
	c := call{userID: userID, org: org}
	if rule.permission == permissionAnybody {
		return c, nil
	}
	return c, s.check(userID, rule.permission, org, noMethodRight)
}

// mayObject checks a permission on an object of the given organization.
func (s *Server) mayObject(ctx context.Context, permission, orgID string) error {
	return s.check(callOf(ctx).userID, permission, orgID, noObjectRight)
}

// may is mayObject for lists, which leave out what the caller may not see.
func (s *Server) may(ctx context.Context, permission, orgID string) bool {
	return s.mayObject(ctx, permission, orgID) == nil
}

// mayIn is may for lists over many objects: it asks once per organization.
func (s *Server) mayIn(ctx context.Context, permission string) func(orgID string) bool {
	known := map[string]bool{}
	return func(orgID string) bool {
		allowed, asked := known[orgID]
		if !asked {
			allowed = s.may(ctx, permission, orgID)
			known[orgID] = allowed
		}
		return allowed
	}
}

// check looks for the permission among the caller's roles on the instance and on one organization.
// Memberships come from the read view, so a grant takes effect with the usual lag.
func (s *Server) check(userID, permission, orgID string, refused refusal) error {
	st := s.read()
	member := false
	for _, scope := range []string{s.instanceID, orgID} {
		row, ok := st.members[memberKey{scope, userID}]
		if !ok {
			continue
		}
		member = true
		for _, role := range row.roles {
			if rolePermissions[role][permission] {
				return nil
			}
		}
	}
	if !member {
		return noMembership.err()
	}
	return refused.err()
}

// requestOrg returns the organization a request carries in its organization field.
func requestOrg(request any) string {
	r, ok := request.(interface {
		proto.Message
		GetOrganization() *objectv2pb.Organization
	})
	if !ok {
		return ""
	}
	return r.GetOrganization().GetOrgId()
}
