package idp

import "time"

// PersonRef selects one human user: by UserID, or by exactly one of LoginName
// and Email within an organization.
type PersonRef struct {
	UserID    string
	LoginName string
	Email     string
	// OrganizationID is set with LoginName and Email, and only then.
	OrganizationID string
}

// String names the selector for people.
func (r PersonRef) String() string {
	switch {
	case r.UserID != "":
		return "id " + r.UserID
	case r.LoginName != "":
		return "login name " + r.LoginName
	default:
		return "e-mail address " + r.Email
	}
}

// Person is a human user as the provider knows it.
type Person struct {
	UserID         string
	OrganizationID string
	// LoginName is the preferred one.
	LoginName string
	State     PersonState
}

// PersonState says whether a user can sign in.
type PersonState string

// The states of a user.
const (
	PersonActive   PersonState = "Active"
	PersonLocked   PersonState = "Locked"
	PersonInactive PersonState = "Inactive"
	// PersonInitial users have not finished their registration.
	PersonInitial PersonState = "Initial"
)

// Credential is one way of a user to prove who they are.
type Credential struct {
	Factor Factor
	// ID and Name are set for keys, of which a user can have several. The name
	// is the user's own.
	ID, Name string
	// Ready: it can be used. Otherwise it is only being set up.
	Ready bool
}

// Credentials are all a user has.
type Credentials struct {
	List []Credential
	// MethodsKnown tells whether the provider let us read what follows, and
	// recovery codes in List.
	MethodsKnown bool
	HasPassword  bool
	// Linked: the user may sign in through an external identity provider.
	Linked bool
}

// Session is one sign-in of a user.
type Session struct {
	ID string
	// MFAVerified: a second factor, or a passkey with user verification, was
	// proven in it.
	MFAVerified bool
	// Expires is zero if the session has no end.
	Expires time.Time
}

// Ended tells whether the session is over.
func (s Session) Ended(now time.Time) bool { return !s.Expires.IsZero() && !now.Before(s.Expires) }
