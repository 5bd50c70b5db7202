package mfaapi

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/neosc/mfa-operator/internal/mfa"
)

const created = http.StatusCreated

type challengeRequest struct {
	UserPath
	Body struct {
		Method       mfa.Method `json:"method" enum:"WebAuthn,Email,SMS" doc:"How the user wants to verify."`
		Discoverable bool       `json:"discoverable,omitempty" doc:"Of WebAuthn: name no credentials; any passkey for the relying party will do."`
		Application  string     `json:"application,omitempty" maxLength:"64" doc:"Who asks, in the words of the user; shown in the message."`
	}
}

type challengeResponse struct {
	Status int
	Body   struct {
		Token     string          `json:"token" doc:"Goes back with the answer."`
		ExpiresAt time.Time       `json:"expiresAt"`
		Options   json.RawMessage `json:"options,omitempty" doc:"Of WebAuthn: what navigator.credentials.get takes."`
	}
}

func (a *API) startChallenge(ctx context.Context, s subject, in *challengeRequest) (*challengeResponse, error) {
	c, err := a.Verifier.StartChallenge(ctx, s.person, s.rules, mfa.ChallengeRequest{
		Method: in.Body.Method, Discoverable: in.Body.Discoverable, Application: in.Body.Application, From: s.from,
	})
	if err != nil {
		return nil, err
	}
	out := &challengeResponse{Status: created}
	out.Body.Token, out.Body.ExpiresAt, out.Body.Options = c.Token, c.ExpiresAt.UTC(), c.Options
	return out, nil
}

type verificationRequest struct {
	UserPath
	Body struct {
		Method    mfa.Method      `json:"method" enum:"TOTP,WebAuthn,RecoveryCodes,Email,SMS"`
		Code      string          `json:"code,omitempty" maxLength:"64" doc:"Of TOTP, RecoveryCodes, Email and SMS."`
		Challenge string          `json:"challenge,omitempty" maxLength:"16384" doc:"Token of the challenge, of WebAuthn, Email and SMS."`
		Response  json.RawMessage `json:"response,omitempty" doc:"Of WebAuthn: the PublicKeyCredential, as its toJSON gives it."`
		Audience  string          `json:"audience,omitempty" maxLength:"200" doc:"The application the session is for."`
	}
}

type verificationResponse struct {
	Status int
	Body   session
}

// verify judges a second factor and uses it up.
func (a *API) verify(ctx context.Context, s subject, in *verificationRequest) (*verificationResponse, error) {
	b := &in.Body
	won, err := a.Verifier.Verify(ctx, s.person, s.rules, mfa.Proof{
		Method: b.Method, Code: b.Code, Challenge: b.Challenge, Response: b.Response, Audience: b.Audience, From: s.from,
	})
	if err != nil {
		return nil, err
	}
	return &verificationResponse{Status: created, Body: sessionOf(won)}, nil
}
