package idp

import "time"

// Event is one thing that happened at the provider, as its event log has it.
// It holds only what is listed here: a provider's payload can carry hashes and
// ciphertext, so none of it passes unless it has a field.
type Event struct {
	// Aggregate is the object the provider filed the event under, and Sequence
	// its number there, from 1. Together they name the event for good.
	Aggregate Aggregate
	Sequence  uint64
	// At is when the provider recorded it, in microseconds. All events of one
	// command share it.
	At   time.Time
	Kind EventKind
	// Name is the provider's own name for it, such as user.locked.
	Name string
	// Editor is who did it; not whom it was done to.
	Editor Editor

	// Scope, Group and Change are set for SettingsChanged.
	Scope  Scope
	Group  Group
	Change Change

	// OrganizationID is the organization the event is about or whose user it
	// is about; empty for events of the instance and of sessions, except that
	// SessionUserChecked has it where the provider tells.
	OrganizationID string
	// OrganizationName and PrimaryDomain are set where the event says what they
	// are from now on.
	OrganizationName string
	PrimaryDomain    string

	// UserID is the user the event is about. Of the events of a session, whose
	// id is Aggregate.ID, only SessionUserChecked knows it.
	UserID string
	// HasPassword: the user was added with one. Set for UserAdded.
	HasPassword bool
	// Factor is set for events of factors and of checks.
	Factor Factor
	// Credential is the id of the key, for WebAuthn factors.
	Credential string
	// IDPID is the external identity provider, and ExternalUserID the user's
	// id there, for IDPLinked and IDPUnlinked; IDPRemoved has the former.
	IDPID          string
	ExternalUserID string
}

// Key names the event for good. Who must not act twice on one event remembers
// it. The type of the aggregate is part of it because ids can be chosen by
// whoever creates a user or an organization.
func (e Event) Key() EventKey { return EventKey{e.Aggregate, e.Sequence} }

// EventKey names one event.
type EventKey struct {
	Aggregate Aggregate
	Sequence  uint64
}

// Aggregate is an object with a history of its own.
type Aggregate struct {
	// Type is instance, org, user or session.
	Type string
	ID   string
}

// Editor is who caused an event.
type Editor struct {
	UserID string
	// Name is for people, and as the provider knows it today; empty or the id
	// if it knows none.
	Name string
}

// Edit is the last change of something: who, and when.
type Edit struct {
	Editor Editor
	At     time.Time
}

// EventKind sorts events by what they mean to us.
type EventKind string

// The kinds of events.
const (
	// SettingsChanged: a policy of the four groups was created, changed or
	// removed at Scope.
	SettingsChanged EventKind = "SettingsChanged"

	OrganizationAdded       EventKind = "OrganizationAdded"
	OrganizationChanged     EventKind = "OrganizationChanged" // its name or its primary domain
	OrganizationDeactivated EventKind = "OrganizationDeactivated"
	OrganizationReactivated EventKind = "OrganizationReactivated"
	OrganizationRemoved     EventKind = "OrganizationRemoved" // and with it all its users

	UserAdded       EventKind = "UserAdded" // a human
	MachineAdded    EventKind = "MachineAdded"
	UserChanged     EventKind = "UserChanged" // name, e-mail address, profile
	UserLocked      EventKind = "UserLocked"
	UserUnlocked    EventKind = "UserUnlocked"
	UserDeactivated EventKind = "UserDeactivated"
	UserReactivated EventKind = "UserReactivated"
	UserRemoved     EventKind = "UserRemoved"
	PasswordChanged EventKind = "PasswordChanged"
	// PhoneRemoved ends the factor OTPSMS, too, if the user had it.
	PhoneRemoved EventKind = "PhoneRemoved"

	// FactorAdded: a factor is ready for use. Setting one up is not enough.
	FactorAdded EventKind = "FactorAdded"
	// FactorRemoved may be about a factor that was only being set up: the event
	// does not tell, only what came before it does.
	FactorRemoved EventKind = "FactorRemoved"

	IDPLinked   EventKind = "IDPLinked"   // the user may sign in through an external identity provider
	IDPUnlinked EventKind = "IDPUnlinked" // that is over
	IDPRemoved  EventKind = "IDPRemoved"  // the external identity provider itself, and every link to it

	// CheckSucceeded and CheckFailed: the user proved, or failed to prove, a
	// password or a factor.
	CheckSucceeded EventKind = "CheckSucceeded"
	CheckFailed    EventKind = "CheckFailed"

	SessionStarted EventKind = "SessionStarted"
	// SessionUserChecked: the session is for UserID from now on.
	SessionUserChecked EventKind = "SessionUserChecked"
	// SessionFactorChecked: the session's user proved a password or a factor.
	SessionFactorChecked EventKind = "SessionFactorChecked"
	// SessionEnded, or of a user: signed out of a browser.
	SessionEnded EventKind = "SessionEnded"

	// OtherEvent is anything else.
	OtherEvent EventKind = "Other"
)

// Change says what became of a scope's own policy.
type Change string

// The changes of a policy.
const (
	PolicyCreated Change = "Created" // an organization no longer inherits the group
	PolicyEdited  Change = "Edited"
	PolicyRemoved Change = "Removed" // it inherits the group again
)

// Factor is a way to prove who one is.
type Factor string

// The second factors, and those that stand alone.
const (
	TOTP          Factor = "TOTP"
	U2F           Factor = "U2F"
	OTPEmail      Factor = "OTPEmail"
	OTPSMS        Factor = "OTPSMS"
	RecoveryCodes Factor = "RecoveryCodes"
	Passkey       Factor = "Passkey"
)

// What else is checked. No user has these as a factor.
const (
	Password Factor = "Password"
	// ExternalLogin is a sign-in through an external identity provider.
	ExternalLogin Factor = "ExternalLogin"
	// WebAuthn is a key of which the event does not tell whether it is U2F or a
	// passkey.
	WebAuthn Factor = "WebAuthn"
)

// AllFactors returns the factors a user can have.
func AllFactors() []Factor {
	return []Factor{TOTP, U2F, OTPEmail, OTPSMS, RecoveryCodes, Passkey}
}
