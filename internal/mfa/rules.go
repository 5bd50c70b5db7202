package mfa

import (
	"net/netip"
	"slices"
	"time"
)

// Enforcement says when a second factor is demanded.
type Enforcement string

// The words of a SecurityPolicy.
const (
	// NotEnforced: no policy and no baseline reaches the user. Nothing is asked.
	NotEnforced Enforcement = ""
	// Optional: asked of whoever has a factor.
	Optional Enforcement = "Optional"
	// RequiredOnFirstLogin: everybody enrols; asked when the last verification is
	// older than its lifetime.
	RequiredOnFirstLogin Enforcement = "RequiredOnFirstLogin"
	// AlwaysRequired: everybody enrols; asked at every login.
	AlwaysRequired Enforcement = "AlwaysRequired"
)

// Demands tells whether somebody without a factor has to enrol one.
func (e Enforcement) Demands() bool { return e == RequiredOnFirstLogin || e == AlwaysRequired }

// UserVerification says whether an authenticator must check a PIN or a
// biometric.
type UserVerification string

// The words of a SecurityPolicy.
const (
	UserVerificationRequired    UserVerification = "Required"
	UserVerificationPreferred   UserVerification = "Preferred"
	UserVerificationDiscouraged UserVerification = "Discouraged"
)

// Attestation says whether a new authenticator must prove its make.
type Attestation string

// The words of a SecurityPolicy.
const (
	// AttestationNone: any authenticator will do. What it says of itself is not
	// believed, but a denied AAGUID is refused.
	AttestationNone Attestation = "None"
	// AttestationDirect: only one whose attestation leads to a root in the
	// service's metadata; without metadata, none.
	AttestationDirect Attestation = "Direct"
)

// WebAuthnRules are what a policy says of security keys and passkeys. RPID, RPName and
// Origins come from the configuration, never from a request.
type WebAuthnRules struct {
	// UserVerification; unset: Preferred.
	UserVerification UserVerification
	// Attestation; unset: None. AllowedAAGUIDs imply Direct.
	Attestation Attestation
	// AllowedAAGUIDs, as UUIDs, are the only makes accepted at enrolment. Nil: all.
	// Empty: none, as of policies that have none in common.
	AllowedAAGUIDs []string
	// DeniedAAGUIDs, as UUIDs, are never accepted at enrolment.
	DeniedAAGUIDs []string
	// RPID is the relying party's domain, such as example.com. Empty: WebAuthn is
	// not offered.
	RPID string
	// RPName is shown by browsers. Empty: RPID.
	RPName string
	// Origins are the exact origins that may ask, such as https://login.example.com.
	Origins []string
}

// Rules are the effective policy of one user, in the words of this package.
type Rules struct {
	// Enforcement says when a second factor is demanded.
	Enforcement Enforcement
	// Methods that may be used.
	Methods []Method
	// Preferred is offered first. May be empty.
	Preferred Method
	// GracePeriod is the time to enrol after the first login. Zero: none, and the
	// first login lasts until a factor is enrolled.
	GracePeriod time.Duration
	// SecondFactor is how long a verification counts; MultiFactor how long one
	// with user verification does. Zero: DefaultLifetime.
	SecondFactor, MultiFactor time.Duration
	// WebAuthn are the rules of security keys.
	WebAuthn WebAuthnRules
	// MaxAttempts is how many failures lock a user, 1 to 100. Zero:
	// DefaultMaxAttempts.
	MaxAttempts int
	// AutoUnlock is how long a lock lasts. Zero: DefaultAutoUnlock. Negative:
	// until an administrator ends it.
	AutoUnlock time.Duration
	// Policy is the namespace/name of the policy that decided, for the record; at
	// most 317 characters.
	Policy string
}

// What holds where a policy says nothing.
const (
	DefaultLifetime    = 12 * time.Hour
	DefaultMaxAttempts = 10
	DefaultAutoUnlock  = 15 * time.Minute
)

func (r Rules) allows(m Method) bool { return slices.Contains(r.Methods, m) }

// lifetime is how long a verification counts.
func (r Rules) lifetime(userVerified bool) time.Duration {
	d := r.SecondFactor
	if userVerified {
		d = r.MultiFactor
	}
	if d <= 0 {
		return DefaultLifetime
	}
	return d
}

// Contact is where codes for a user are sent.
type Contact struct {
	// Email address; empty: none.
	Email string
	// Phone number as E.164; empty: none.
	Phone string
}

func (c Contact) address(m Method) string {
	switch m {
	case Email:
		return c.Email
	case SMS:
		return c.Phone
	default:
		return ""
	}
}

// Person is the user an application asks about. One that does not exist has no
// UID: everything is done for them as for somebody without a factor, and
// recorded under a pseudonym, so that nobody can tell the difference.
type Person struct {
	Owner
	// Username in the application, in one canonical form.
	Username string
	// DisplayName is shown by authenticators. Empty: Username.
	DisplayName string
	// Suspended: nothing is accepted, and no session is active.
	Suspended bool
	// ExemptUntil is when an exemption from the policy ends. Zero: none.
	ExemptUntil time.Time
	// Contact is where codes are sent.
	Contact Contact
}

// exempt tells whether an exemption is running.
func (p Person) exempt(now time.Time) bool { return now.Before(p.ExemptUntil) }

// From says who asks, for the record and for the throttle.
type From struct {
	// Actor is the authenticated caller: a Kubernetes user or service account.
	Actor string
	// IP is the end user's address, as the caller tells it. The zero Addr: not
	// told, and then there is no limit by address.
	IP netip.Addr
	// UserAgent of the end user. May be empty.
	UserAgent string
}
