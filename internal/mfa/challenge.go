package mfa

import (
	"context"
	"encoding/json"
	"time"
)

// ChallengeRequest begins a verification that needs a challenge.
type ChallengeRequest struct {
	// Method is WebAuthn, Email or SMS.
	Method Method
	// Discoverable is for WebAuthn: no credentials are named, any passkey the
	// authenticator has for the relying party will do.
	Discoverable bool
	// Application asks, in the user's words; shown in the message. May be empty.
	Application string
	From        From
}

// Challenge is what the user needs to answer.
type Challenge struct {
	// Token goes back with the answer. It is sealed.
	Token string
	// ExpiresAt is when the token ends.
	ExpiresAt time.Time
	// Options are for WebAuthn: what navigator.credentials.get takes, as JSON with
	// a member publicKey.
	Options json.RawMessage
}

// StartChallenge makes a WebAuthn challenge, for which nothing is written, or
// sends a code, which is recorded. It answers alike whether or not there is such
// a user or factor: the credential ids of somebody without any are made up, and
// stay the same.
func (s *Service) StartChallenge(ctx context.Context, p Person, r Rules, ask ChallengeRequest) (Challenge, error) {
	panic("not written yet")
}
