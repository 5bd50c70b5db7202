package mfa

import (
	"context"
)

// Proof is what a user shows.
type Proof struct {
	Method Method
	// Code is for TOTP, RecoveryCodes, Email and SMS.
	Code string
	// Challenge is the token of the Challenge, for WebAuthn, Email and SMS.
	Challenge string
	// Response is for WebAuthn: the PublicKeyCredential as JSON.
	Response []byte
	// Audience of the session: the application.
	Audience string
	From     From
}

// Verify judges a proof and uses it up. Whatever is not right ends as ErrDenied;
// only what is malformed beyond doubt, such as a code with letters, is
// ErrInvalid and is not recorded.
func (s *Service) Verify(ctx context.Context, p Person, r Rules, proof Proof) (Session, error) {
	panic("not written yet")
}
