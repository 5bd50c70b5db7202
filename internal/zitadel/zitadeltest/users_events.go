package zitadeltest

import (
	"strings"

	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

type humanAdded struct {
	username string
	human    human
}

func (humanAdded) eventType(string) string { return "user.human.added" }

// payload carries the bcrypt hash of the password, as on the real server; here of none in particular.
func (c humanAdded) payload() any {
	fields := map[string]any{
		"userName": c.username, "firstName": c.human.givenName, "lastName": c.human.familyName,
		"displayName": c.human.displayName, "preferredLanguage": c.human.language, "email": c.human.email.address,
	}
	if c.human.phone.address != "" {
		fields["phone"] = c.human.phone.address
	}
	if c.human.password != "" {
		fields["encodedHash"] = noHash
	}
	if c.human.nickName != "" {
		fields["nickName"] = c.human.nickName
	}
	if c.human.gender != userpb.Gender_GENDER_UNSPECIFIED {
		fields["gender"] = int32(c.human.gender)
	}
	if c.human.changePassword {
		fields["changeRequired"] = true
	}
	return fields
}

func (c humanAdded) apply(st *state, e *event) {
	row := userRow{
		rowDetails: detailsOf(e), id: e.id, username: c.username,
		state: userpb.UserState_USER_STATE_ACTIVE, human: c.human, isHuman: true,
	}
	if c.human.password != "" {
		row.human.passwordChanged = e.created
	}
	st.addUser(row)
}

type machineAdded struct {
	username, name, description string
	tokenType                   userpb.AccessTokenType
}

func (machineAdded) eventType(string) string { return "user.machine.added" }
func (c machineAdded) payload() any {
	return map[string]any{"userName": c.username, "name": c.name, "description": c.description}
}
func (c machineAdded) apply(st *state, e *event) {
	st.addUser(userRow{
		rowDetails: detailsOf(e), id: e.id, username: c.username, state: userpb.UserState_USER_STATE_ACTIVE,
		machine: machine{name: c.name, description: c.description, tokenType: c.tokenType},
	})
}

// userStateChanged is one of locked, unlocked, deactivated, reactivated.
type userStateChanged struct {
	what  string
	state userpb.UserState
}

func (c userStateChanged) eventType(string) string { return "user." + c.what }
func (userStateChanged) payload() any              { return nil }

// apply also drops the sessions of a user who is shut out. Letting the user back in does not bring
// them back.
func (c userStateChanged) apply(st *state, e *event) {
	editUser(st, e, func(u *userRow) { u.state = c.state })
	if c.state != userpb.UserState_USER_STATE_ACTIVE {
		dropSessions(st, e.id)
	} else {
		resetFailures(st, e.id)
	}
}

type usernameChanged struct{ username string }

func (usernameChanged) eventType(string) string { return "user.username.changed" }
func (c usernameChanged) payload() any          { return map[string]any{"userName": c.username} }
func (c usernameChanged) apply(st *state, e *event) {
	delete(st.usernames, strings.ToLower(st.users[e.id].username))
	st.usernames[strings.ToLower(c.username)] = e.id
	editUser(st, e, func(u *userRow) { u.username = c.username })
}

type userRemoved struct{}

func (userRemoved) eventType(string) string { return "user.removed" }
func (userRemoved) payload() any            { return nil }
func (userRemoved) apply(st *state, e *event) {
	editUser(st, e, func(u *userRow) { u.state = userpb.UserState_USER_STATE_DELETED })
	st.dropUser(e.id)
	dropSessions(st, e.id)
	delete(st.factors, e.id)
}

// editUser changes a user, and their details with it.
func editUser(st *state, e *event, edit func(*userRow)) {
	editUserQuietly(st, e, func(row *userRow) {
		edit(row)
		row.touch(e)
	})
}

// editUserQuietly changes what to those who read a user is no change.
func editUserQuietly(st *state, e *event, edit func(*userRow)) {
	row := st.users[e.id]
	edit(&row)
	st.users[e.id] = row
}
