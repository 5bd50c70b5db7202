package zitadeltest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// The methods here set a scene without going through the API. What they write is in the event log
// like everything else, attributed to the owner, and visible at once whatever the lag. They panic
// where a test got its own scene wrong. As (acting.go) attributes to somebody else.

// AddOrganization adds an organization and returns its id.
func (s *Server) AddOrganization(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.orgNameTaken(name) {
		panic(fmt.Sprintf("zitadeltest: there is already an organization %q", name))
	}
	id := s.ids.next()
	s.seed(draftsFor(orgAggregate(id), s.newOrganization(name)...)...)
	return id
}

// AddHuman adds an active human without a password, whose e-mail address is verified.
func (s *Server) AddHuman(orgID, username, email string) string {
	given, family, _ := strings.Cut(username, " ")
	return s.addUser(orgID, username,
		humanAdded{username: username, human: human{
			givenName: given, familyName: orDefault(family, "Example"), displayName: username, language: "und",
			email: contact{address: email},
		}},
		contactVerified{emailContact},
	)
}

// AddHumanWithPhone is AddHuman with a phone number that is verified, too.
func (s *Server) AddHumanWithPhone(orgID, username, email, phone string) string {
	return s.addUser(orgID, username,
		humanAdded{username: username, human: human{
			givenName: username, familyName: "Example", displayName: username, language: "und",
			email: contact{address: email}, phone: contact{address: phone},
		}},
		contactVerified{emailContact}, contactVerified{phoneContact},
	)
}

// AddMachine adds a machine user with roles and a personal access token. IAM_ roles are granted on
// the instance, ORG_ roles on the machine's own organization; GrantRoles grants elsewhere.
func (s *Server) AddMachine(orgID, name string, roles ...string) (id, token string) {
	id = s.addUser(orgID, name, machineAdded{username: name, name: name})
	var instance, org []string
	for _, role := range roles {
		if strings.HasPrefix(role, instanceMembers.prefix) {
			instance = append(instance, role)
		} else {
			org = append(org, role)
		}
	}
	s.GrantRoles(id, "", instance...)
	s.GrantRoles(id, orgID, org...)
	_, token = s.AddToken(id, farFuture)
	return id, token
}

// GrantRoles makes a user hold exactly these roles on an organization, or on the instance for "". No
// roles end the membership.
func (s *Server) GrantRoles(userID, orgID string, roles ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	scope, level := s.instance(), instanceMembers
	if orgID != "" {
		scope, level = orgAggregate(orgID), orgMembers
	}
	if err := s.checkNewMember(level, userID, roles); err != nil {
		panic(fmt.Sprintf("zitadeltest: granting %v: %v", roles, err))
	}
	_, member := s.write.members[memberKey{scope.id, userID}]
	switch {
	case len(roles) == 0 && member:
		s.seed(draftsFor(scope, memberRemoved{userID: userID})...)
	case len(roles) == 0:
	case member:
		s.seed(draftsFor(scope, memberChanged{userID: userID, roles: slices.Clone(roles)})...)
	default:
		s.seed(draftsFor(scope, memberAdded{userID: userID, roles: slices.Clone(roles)})...)
	}
}

// AddToken gives a machine user a further personal access token.
func (s *Server) AddToken(userID string, expires time.Time) (id, token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token = newToken()
	added := patAdded{id: s.newPAT(userID, token), expires: expires}
	s.seed(draftsFor(s.seededUser(userID).aggregate(), added)...)
	return added.id, token
}

// RevokeToken makes a token useless at once, be it a personal access token or one of the token
// endpoint.
func (s *Server) RevokeToken(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, known := s.tokens[secret]
	if !known {
		panic("zitadeltest: revoking a token that is not known")
	}
	delete(s.tokens, secret)
	if pat, held := s.write.pats[t.pat]; held {
		s.seed(draftsFor(userAggregate(pat.userID, pat.owner), patRemoved{pat.id})...)
	}
}

// AddKey gives a machine user a key and returns the JSON key file.
func (s *Server) AddKey(userID string, expires time.Time) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, file := s.generateKey(s.ownerID, s.seededUser(userID), expires)
	s.settle()
	return file
}

// AddTOTP gives a human a ready TOTP factor and returns its secret.
func (s *Server) AddTOTP(userID string) (secret string) { return s.Owner().AddTOTP(userID) }

// AddU2F gives a human a ready U2F key that no authenticator holds.
func (s *Server) AddU2F(userID, name string) (id string) { return s.Owner().AddU2F(userID, name) }

// AddPasskey gives a human a ready passkey that no authenticator holds.
func (s *Server) AddPasskey(userID, name string) (id string) {
	return s.Owner().AddPasskey(userID, name)
}

// RemoveOrganization removes an organization with its users, policies and administrators.
func (s *Server) RemoveOrganization(orgID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.write.orgs[orgID]; !known {
		panic(fmt.Sprintf("zitadeltest: there is no organization %q", orgID))
	}
	s.seed(draftsFor(orgAggregate(orgID), orgRemoved{})...)
}

// SetUserState moves a user to a state, whatever the rules about moving there.
func (s *Server) SetUserState(userID string, state userpb.UserState) {
	move, known := userStates[state]
	if !known {
		panic(fmt.Sprintf("zitadeltest: a user cannot be moved to %s", state))
	}
	s.Owner().onUser(userID, move)
}

// SetInstanceIDPs replaces the identity providers of the instance and of its login policy.
func (s *Server) SetInstanceIDPs(idps ...IDP) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var changes []change
	for _, old := range s.idps {
		changes = append(changes, idpUnlinked{old.ID})
	}
	for _, idp := range idps {
		changes = append(changes, idpLinked{idp})
	}
	s.idps = slices.Clone(idps)
	if len(changes) > 0 {
		s.seed(draftsFor(s.instance(), changes...)...)
	}
}

// StoreSecondFactor adds a second factor to the login policy of an organization, or of the instance
// for "", without validation: this is how a number that only a newer server knows gets in.
func (s *Server) StoreSecondFactor(orgID string, number policypb.SecondFactorType) {
	s.mu.Lock()
	defer s.mu.Unlock()
	agg := s.instance()
	if orgID != "" {
		agg = orgAggregate(orgID)
	}
	s.seed(draftsFor(agg, factorAdded{secondFactor, int32(number)})...)
}

func (s *Server) addUser(orgID, username string, changes ...change) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.write.orgs[orgID]; !known {
		panic(fmt.Sprintf("zitadeltest: there is no organization %q", orgID))
	}
	if s.usernameTaken(username) {
		panic(fmt.Sprintf("zitadeltest: there is already a user %q", username))
	}
	id := s.ids.next()
	s.seed(draftsFor(userAggregate(id, orgID), changes...)...)
	return id
}

func (s *Server) seededUser(id string) userRow {
	user := s.write.users[id]
	if !user.exists() {
		panic(fmt.Sprintf("zitadeltest: there is no user %q", id))
	}
	return user
}

func draftsFor(agg aggregate, changes ...change) []draft {
	drafts := make([]draft, len(changes))
	for i, c := range changes {
		drafts[i] = draft{agg, c}
	}
	return drafts
}

func (s *Server) seed(drafts ...draft) {
	s.pushAll(s.ownerID, drafts...)
	s.settle()
}
