package mfa

import (
	"context"
	"time"
)

// Why says why a second factor is needed now, or why not.
type Why string

// The answers. Needed: EveryLogin, NotVerified, MustEnrol, GraceOver. Not
// needed: the others.
const (
	// EveryLogin: the policy asks at every login.
	EveryLogin Why = "EveryLogin"
	// NotVerified: there is no verification yet, or it is too old.
	NotVerified Why = "NotVerified"
	// MustEnrol: there is no factor the policy allows; one has to be enrolled now.
	MustEnrol Why = "MustEnrol"
	// GraceOver: the time to enrol has passed; an administrator has to send a link.
	GraceOver Why = "GraceOver"
	// InGrace: there is no factor, and still time to enrol one.
	InGrace Why = "InGrace"
	// VerifiedRecently: the session that was shown still counts.
	VerifiedRecently Why = "VerifiedRecently"
	// NoFactor: nothing demands a factor, and there is none.
	NoFactor Why = "NoFactor"
	// Exempt: an exemption is running.
	Exempt Why = "Exempt"
	// NotInForce: no policy reaches the user.
	NotInForce Why = "NotInForce"
	// Suspended: the user may not sign in.
	Suspended Why = "Suspended"
)

// RequirementRequest asks whether a second factor is needed in a login.
type RequirementRequest struct {
	// Session is the token of an earlier verification. May be empty.
	Session string
	From    From
}

// Requirement says whether a second factor is needed now.
type Requirement struct {
	// Needed: the login must not go on without a session of this service.
	Needed bool
	Why    Why
	// Methods the user can verify with now, the preferred one first.
	Methods []Method
	// Enrollable are the methods the user may enrol, the preferred one first.
	Enrollable []Method
	// Preferred of the policy, if it is among Methods, or else Enrollable.
	Preferred Method
	// GraceEndsAt is when the time to enrol ends. Zero: there is no such time.
	GraceEndsAt time.Time
}

// Requirement tells whether a second factor is needed now. The first time it is
// asked about somebody who has to enrol, it records that the time to enrol
// begins. Of somebody who does not exist it says what it says of somebody new.
func (s *Service) Requirement(ctx context.Context, p Person, r Rules, ask RequirementRequest) (Requirement, error) {
	panic("not written yet")
}
