package mfa

import (
	"context"
	"encoding/json"
	"time"
)

// EnrolmentRequest begins to enrol a factor. The first one needs no Session and
// no Link as long as the rules give time for it; any other needs one of them.
type EnrolmentRequest struct {
	// Method is TOTP, WebAuthn, Email or SMS.
	Method Method
	// Name of the factor, at most 64 characters. May be empty.
	Name string
	// Session is the token of a verification at most five minutes old. May be
	// empty.
	Session string
	// Link is the token of a one-time link. May be empty.
	Link string
	// Algorithm and Digits of TOTP: SHA1, SHA256 or SHA512, and 6 or 8. Unset:
	// SHA1 and 6, which is all that many apps know.
	Algorithm string
	Digits    int
	From      From
}

// Enrolment is what the user needs to go on.
type Enrolment struct {
	// Token goes back with the confirmation. It is sealed; nothing was written.
	Token string
	// ExpiresAt is when the token ends.
	ExpiresAt time.Time
	// URI and Secret are for TOTP: otpauth://…, for a QR code, and the seed as
	// base32, to type. Never logged.
	URI, Secret string
	// Options are for WebAuthn: what navigator.credentials.create takes, as JSON
	// with a member publicKey.
	Options json.RawMessage
	// SentTo is for Email and SMS: the address, mostly hidden.
	SentTo string
}

// Confirmation ends an enrolment: it proves that the user has the factor.
type Confirmation struct {
	// Token of the Enrolment.
	Token string
	// Code is for TOTP, Email and SMS.
	Code string
	// Response is for WebAuthn: the PublicKeyCredential as JSON.
	Response []byte
	// Audience of the session that is issued: the application.
	Audience string
	From     From
}

// Confirmed is a factor that was enrolled. Whoever enrols proves possession, so
// there is a session too; the very code that proved it is used up.
type Confirmed struct {
	Factor  Factor
	Session Session
}

// StartEnrolment makes a seed or a challenge. Nothing is written but, for Email and
// SMS, that a code was sent.
func (s *Service) StartEnrolment(ctx context.Context, p Person, r Rules, ask EnrolmentRequest) (Enrolment, error) {
	panic("not written yet")
}

// ConfirmEnrolment adds the factor and issues a session.
func (s *Service) ConfirmEnrolment(ctx context.Context, p Person, r Rules, c Confirmation) (Confirmed, error) {
	panic("not written yet")
}
