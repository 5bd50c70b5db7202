package zitadeltest

import (
	"context"

	authpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/auth"
	userv1pb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user"
	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// authService is the v1 API about the caller.
type authService struct {
	authpb.UnimplementedAuthServiceServer
	*Server
}

func (authService) Healthz(context.Context, *authpb.HealthzRequest) (*authpb.HealthzResponse, error) {
	return &authpb.HealthzResponse{}, nil
}

func (s authService) GetMyUser(ctx context.Context, _ *authpb.GetMyUserRequest) (*authpb.GetMyUserResponse, error) {
	user := s.read().users[callOf(ctx).userID]
	if !user.exists() {
		return nil, unknownUser.err()
	}
	return &authpb.GetMyUserResponse{User: user.v1User()}, nil
}

// v1States renders user states for the v1 API, whose numbers differ.
var v1States = map[userpb.UserState]userv1pb.UserState{
	userpb.UserState_USER_STATE_ACTIVE:   userv1pb.UserState_USER_STATE_ACTIVE,
	userpb.UserState_USER_STATE_INACTIVE: userv1pb.UserState_USER_STATE_INACTIVE,
	userpb.UserState_USER_STATE_DELETED:  userv1pb.UserState_USER_STATE_DELETED,
	userpb.UserState_USER_STATE_LOCKED:   userv1pb.UserState_USER_STATE_LOCKED,
	userpb.UserState_USER_STATE_INITIAL:  userv1pb.UserState_USER_STATE_INITIAL,
}

func (u userRow) v1User() *userv1pb.User {
	pb := &userv1pb.User{
		Id: u.id, Details: u.v1(), State: v1States[u.state], UserName: u.username,
		LoginNames: []string{u.username}, PreferredLoginName: u.username,
	}
	if !u.isHuman {
		pb.Type = &userv1pb.User_Machine{Machine: &userv1pb.Machine{
			Name: u.machine.name, Description: u.machine.description,
		}}
		return pb
	}
	h := u.human
	pb.Type = &userv1pb.User_Human{Human: &userv1pb.Human{
		Profile: &userv1pb.Profile{
			FirstName: h.givenName, LastName: h.familyName, NickName: h.nickName, DisplayName: h.displayName,
			PreferredLanguage: h.language, Gender: userv1pb.Gender(h.gender),
		},
		Email: &userv1pb.Email{Email: h.email.address, IsEmailVerified: h.email.verified},
		Phone: &userv1pb.Phone{Phone: h.phone.address, IsPhoneVerified: h.phone.verified},
	}}
	return pb
}

// ListMyMemberships tells a caller where it holds which roles.
func (s authService) ListMyMemberships(ctx context.Context, r *authpb.ListMyMembershipsRequest) (*authpb.ListMyMembershipsResponse, error) {
	st := s.read()
	var list []*userv1pb.Membership
	for _, m := range s.membershipsOf(st, callOf(ctx).userID) {
		if !s.matchMembership(r.GetQueries(), m) {
			continue
		}
		pb := &userv1pb.Membership{UserId: m.userID, Details: m.v1(), Roles: m.roles}
		if m.scope == s.instanceID {
			pb.Type, pb.DisplayName = &userv1pb.Membership_Iam{Iam: true}, s.instanceName
		} else {
			pb.Type, pb.DisplayName = &userv1pb.Membership_OrgId{OrgId: m.scope}, st.orgs[m.scope].name
		}
		list = append(list, pb)
	}
	list, total := page(list, r.GetQuery().GetOffset(), uint64(r.GetQuery().GetLimit()))
	return &authpb.ListMyMembershipsResponse{Details: s.listDetailsV1(total), Result: list}, nil
}

func (s *Server) matchMembership(queries []*userv1pb.MembershipQuery, m memberRow) bool {
	for _, query := range queries {
		switch q := query.GetQuery().(type) {
		case *userv1pb.MembershipQuery_OrgQuery:
			if m.scope != q.OrgQuery.GetOrgId() {
				return false
			}
		case *userv1pb.MembershipQuery_IamQuery:
			if q.IamQuery.GetIam() != (m.scope == s.instanceID) {
				return false
			}
		default:
			return false // memberships of projects: there are none
		}
	}
	return true
}
