package zitadeltest

import (
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// userService is the v2 API for users, their credentials and their factors.
type userService struct {
	userpb.UnimplementedUserServiceServer
	*Server
}

// userRow is a user, human or machine. A removed user keeps its row, so that commands can tell it
// from one that never was.
type userRow struct {
	rowDetails // owner is the organization
	id         string
	username   string
	state      userpb.UserState
	human      human
	machine    machine
	isHuman    bool
}

type human struct {
	givenName, familyName, nickName, displayName, language string
	gender                                                 userpb.Gender
	email, phone                                           contact
	password                                               string
	changePassword                                         bool
	passwordChanged                                        time.Time
	skippedMFA                                             time.Time
	failedPasswords                                        int // since the last right one or unlock
}

type contact struct {
	address  string
	verified bool
	code     string // to verify it with; "" if none is waited for
}

type machine struct {
	name, description string
	tokenType         userpb.AccessTokenType
}

func userAggregate(id, orgID string) aggregate {
	return aggregate{kind: kindUser, id: id, owner: orgID}
}

func (u userRow) aggregate() aggregate { return userAggregate(u.id, u.owner) }

// exists tells users from former users and from nothing.
func (u userRow) exists() bool {
	return u.id != "" && u.state != userpb.UserState_USER_STATE_DELETED
}

func (u userRow) displayName() string {
	if u.isHuman {
		return u.human.displayName
	}
	return u.machine.name
}

var (
	unknownUser      = notFound("QUERY-Dfbg2", "Errors.User.NotFound")
	unknownAggregate = notFound("COMMAND-4g3xq", "Errors.NotFound")
)

// mayUser checks a permission on a user, in the organization the user belongs to. With self, users
// may always do it to themselves.
func (s *Server) mayUser(ctx context.Context, permission, userID string, self bool) error {
	if self && userID == callOf(ctx).userID {
		return nil
	}
	user, known := s.write.users[userID]
	if !known {
		return unknownAggregate.err()
	}
	return s.mayObject(ctx, permission, user.owner)
}

// usernameTaken looks across the instance: with the default domain policy user names are login
// names, so they are unique everywhere.
func (s *Server) usernameTaken(username string) bool {
	_, taken := s.write.usernames[strings.ToLower(username)]
	return taken
}

func (s userService) GetUserByID(ctx context.Context, r *userpb.GetUserByIDRequest) (*userpb.GetUserByIDResponse, error) {
	user := s.read().users[r.GetUserId()]
	if !user.exists() {
		return nil, unknownUser.err()
	}
	if user.id != callOf(ctx).userID {
		if err := s.mayObject(ctx, "user.read", user.owner); err != nil {
			return nil, err
		}
	}
	return &userpb.GetUserByIDResponse{Details: user.v2(), User: user.pb()}, nil
}

func (u userRow) pb() *userpb.User {
	pb := &userpb.User{
		UserId: u.id, Details: u.v2(), State: u.state, Username: u.username,
		LoginNames: []string{u.username}, PreferredLoginName: u.username,
	}
	if !u.isHuman {
		pb.Type = &userpb.User_Machine{Machine: &userpb.MachineUser{
			Name: u.machine.name, Description: u.machine.description, AccessTokenType: u.machine.tokenType,
		}}
		return pb
	}
	h := u.human
	pb.Type = &userpb.User_Human{Human: &userpb.HumanUser{
		Profile: &userpb.HumanProfile{
			GivenName: h.givenName, FamilyName: h.familyName, NickName: &h.nickName,
			DisplayName: &h.displayName, PreferredLanguage: &h.language, Gender: &h.gender,
		},
		Email:                  &userpb.HumanEmail{Email: h.email.address, IsVerified: h.email.verified},
		Phone:                  &userpb.HumanPhone{Phone: h.phone.address, IsVerified: h.phone.verified},
		PasswordChangeRequired: h.changePassword,
		PasswordChanged:        optionalTime(h.passwordChanged),
		MfaInitSkipped:         optionalTime(h.skippedMFA),
	}}
	return pb
}

func optionalTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
