package zitadeltest

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// newUser is what both ways of creating a user come down to.
type newUser struct {
	id, orgID, username string
	human               *newHuman // nil for a machine
	machine             machine
}

type newHuman struct {
	profile                        *userpb.SetHumanProfile
	email                          *userpb.SetHumanEmail
	phone                          *userpb.SetHumanPhone
	number                         string // of the phone, once it is checked
	password                       *userpb.Password
	hashedPassword, linked, totped bool // asked for, and not imitated
}

type createdUser struct {
	id                   string
	event                *event
	emailCode, phoneCode *string
}

func (s userService) CreateUser(ctx context.Context, r *userpb.CreateUserRequest) (*userpb.CreateUserResponse, error) {
	u := newUser{id: r.GetUserId(), orgID: r.GetOrganizationId(), username: r.GetUsername()}
	if h := r.GetHuman(); h != nil {
		u.human = &newHuman{
			profile: h.GetProfile(), email: h.GetEmail(), phone: h.GetPhone(), password: h.GetPassword(),
			hashedPassword: h.GetHashedPassword() != nil, linked: len(h.GetIdpLinks()) > 0, totped: h.TotpSecret != nil,
		}
	} else {
		m := r.GetMachine()
		u.machine = machine{name: m.GetName(), description: m.GetDescription(), tokenType: m.GetAccessTokenType()}
	}
	created, err := s.createUser(ctx, u)
	if err != nil {
		return nil, err
	}
	return &userpb.CreateUserResponse{
		Id: created.id, CreationDate: timestamppb.New(created.event.created),
		EmailCode: created.emailCode, PhoneCode: created.phoneCode,
	}, nil
}

// AddHumanUser is the older way to create a human. Without an organization it takes the one of the
// call.
func (s userService) AddHumanUser(ctx context.Context, r *userpb.AddHumanUserRequest) (*userpb.AddHumanUserResponse, error) {
	created, err := s.createUser(ctx, newUser{
		id:       r.GetUserId(),
		orgID:    orDefault(r.GetOrganization().GetOrgId(), callOf(ctx).org),
		username: r.GetUsername(),
		human: &newHuman{
			profile: r.GetProfile(), email: r.GetEmail(), phone: r.GetPhone(), password: r.GetPassword(),
			hashedPassword: r.GetHashedPassword() != nil, linked: len(r.GetIdpLinks()) > 0, totped: r.TotpSecret != nil,
		},
	})
	if err != nil {
		return nil, err
	}
	return &userpb.AddHumanUserResponse{
		UserId: created.id, Details: writtenDetails(created.event),
		EmailCode: created.emailCode, PhoneCode: created.phoneCode,
	}, nil
}

func (s *Server) createUser(ctx context.Context, u newUser) (createdUser, error) {
	if err := s.mayObject(ctx, "user.write", u.orgID); err != nil {
		return createdUser{}, err
	}
	if _, known := s.write.orgs[u.orgID]; !known {
		return createdUser{}, precondition("COMMAND-QXPGs", "Errors.Org.NotFound").err()
	}
	if s.write.users[u.id].exists() {
		if u.human != nil {
			return createdUser{}, precondition("COMMAND-7yiox1isql", "Errors.User.AlreadyExisting").err()
		}
		return createdUser{}, precondition("COMMAND-k2una", "Errors.User.AlreadyExisting").err()
	}
	u.id = orDefault(u.id, s.ids.next())
	result := createdUser{id: u.id}
	var changes []change
	if u.human == nil {
		u.username = orDefault(u.username, u.id)
		changes = []change{machineAdded{username: u.username, name: u.machine.name, description: u.machine.description, tokenType: u.machine.tokenType}}
	} else {
		if err := s.checkNewHuman(u); err != nil {
			return createdUser{}, err
		}
		u.username = orDefault(u.username, u.human.email.GetEmail())
		changes = u.human.changes(u.username, &result)
	}
	if s.usernameTaken(u.username) {
		return createdUser{}, taken.err()
	}
	result.event = s.push(editor(ctx), userAggregate(u.id, u.orgID), changes...)
	return result, nil
}

// checkNewHuman judges what a new human brings along, and brings the number of the phone into form.
func (s *Server) checkNewHuman(u newUser) error {
	switch {
	case u.human.hashedPassword:
		return unimplemented("users created with a hashed password")
	case u.human.linked:
		return unimplemented("users created with identity provider links")
	case u.human.totped:
		return unimplemented("users created with a TOTP secret")
	}
	if u.human.phone.GetPhone() != "" {
		var err error
		if u.human.number, err = normalPhone(u.human.phone.GetPhone()); err != nil {
			return err
		}
	}
	if u.human.password == nil {
		return nil
	}
	policy, _ := effectivePolicy(s.write, complexityKind, u.orgID)
	return policy.value.checkPassword(u.human.password.GetPassword(), ofNewUser)
}

// changes are the events of a new human. An address is verified at once or gets a code, which is
// handed out if the caller asked for it.
func (n *newHuman) changes(username string, result *createdUser) []change {
	added := humanAdded{username: username, human: human{
		givenName:   n.profile.GetGivenName(),
		familyName:  n.profile.GetFamilyName(),
		nickName:    n.profile.GetNickName(),
		displayName: orDefault(n.profile.GetDisplayName(), n.profile.GetGivenName()+" "+n.profile.GetFamilyName()),
		language:    orDefault(n.profile.GetPreferredLanguage(), "und"),
		gender:      n.profile.GetGender(),
		email:       contact{address: n.email.GetEmail()},
		phone:       contact{address: n.number},
		password:    n.password.GetPassword(), changePassword: n.password.GetChangeRequired(),
	}}
	changes := []change{added}
	if n.email.GetIsVerified() {
		changes = append(changes, contactVerified{emailContact})
	} else {
		code := newCode()
		changes = append(changes, contactCodeAdded{emailContact, *code})
		if n.email.GetReturnCode() != nil {
			result.emailCode = code
		}
	}
	if n.number == "" {
		return changes
	}
	if n.phone.GetIsVerified() {
		return append(changes, contactVerified{phoneContact})
	}
	code := newCode()
	if n.phone.GetReturnCode() != nil {
		result.phoneCode = code
	}
	return append(changes, contactCodeAdded{phoneContact, *code})
}

func newCode() *string {
	code := randomText(6)
	return &code
}
