package mfaapi

import (
	"context"
	"encoding/json"
	"time"

	"github.com/neosc/mfa-operator/internal/mfa"
)

type session struct {
	Token       string    `json:"token" doc:"A JWT, for the application to keep. Secret."`
	ID          string    `json:"id"`
	AMR         []string  `json:"amr" nullable:"false" doc:"How it was verified (RFC 8176; rc for a recovery code)."`
	ACR         string    `json:"acr" doc:"aal2, or aal1 for less."`
	ExpiresAt   time.Time `json:"expiresAt"`
	MFAVerified bool      `json:"mfaVerified" doc:"What the policy demands was proven."`
	Enrol       bool      `json:"enrol" doc:"The policy is not met yet: a factor has to be enrolled with this session."`
}

func sessionOf(s mfa.Session) session {
	return session{
		Token: s.Token, ID: s.SessionID, AMR: listed(s.AMR), ACR: s.ACR,
		ExpiresAt: time.Unix(s.ExpiresAt, 0).UTC(), MFAVerified: s.Verified, Enrol: s.Enrol,
	}
}

type sessionsRequest struct{ UserPath }

type sessionInfo struct {
	ID          string     `json:"id"`
	Method      mfa.Method `json:"method"`
	AMR         []string   `json:"amr" nullable:"false"`
	ACR         string     `json:"acr"`
	IssuedAt    time.Time  `json:"issuedAt"`
	ExpiresAt   time.Time  `json:"expiresAt"`
	MFAVerified bool       `json:"mfaVerified" doc:"It meets the policy in force now."`
}

type sessionsResponse struct {
	Body struct {
		Sessions []sessionInfo `json:"sessions" nullable:"false"`
	}
}

func (a *API) sessions(ctx context.Context, s subject, _ *sessionsRequest) (*sessionsResponse, error) {
	list, err := a.Verifier.Sessions(ctx, s.person, s.rules)
	if err != nil {
		return nil, err
	}
	out := &sessionsResponse{}
	out.Body.Sessions = []sessionInfo{}
	for _, i := range list {
		out.Body.Sessions = append(out.Body.Sessions, sessionInfo{
			ID: i.ID, Method: i.Method, AMR: listed(i.AMR), ACR: i.ACR,
			IssuedAt: i.IssuedAt.UTC(), ExpiresAt: i.ExpiresAt.UTC(), MFAVerified: i.Verified,
		})
	}
	return out, nil
}

type introspectionRequest struct {
	UserPath
	Body struct {
		Token string `json:"token" maxLength:"8192"`
	}
}

type introspectionResponse struct {
	Body struct {
		Active bool        `json:"active" doc:"Ours, not expired, not revoked, and the policy in force now would still issue it."`
		Claims *mfa.Claims `json:"claims,omitempty" doc:"Of an active session."`
	}
}

func (a *API) introspect(ctx context.Context, s subject, in *introspectionRequest) (*introspectionResponse, error) {
	i, err := a.Verifier.Introspect(ctx, s.person, s.rules, in.Body.Token)
	if err != nil {
		return nil, err
	}
	out := &introspectionResponse{}
	if out.Body.Active = i.Active; i.Active {
		out.Body.Claims = &i.Claims
	}
	return out, nil
}

type revocationRequest struct {
	UserPath
	Session string `path:"session" maxLength:"128"`
}

func (a *API) revokeSession(ctx context.Context, s subject, in *revocationRequest) (*nothing, error) {
	return nil, a.Verifier.Revoke(ctx, s.person, mfa.RevokeRequest{ID: in.Session, From: s.from})
}

func (a *API) revokeSessions(ctx context.Context, s subject, _ *sessionsRequest) (*nothing, error) {
	return nil, a.Verifier.Revoke(ctx, s.person, mfa.RevokeRequest{From: s.from})
}

func (a *API) unlock(ctx context.Context, s subject, _ *sessionsRequest) (*nothing, error) {
	return nil, a.Verifier.Unlock(ctx, s.person, s.from)
}

type keysResponse struct {
	CacheControl string `header:"Cache-Control"`
	Body         json.RawMessage
}

// keys publishes the keys with which applications check sessions on their own.
func (a *API) keys(context.Context, *struct{}) (*keysResponse, error) {
	set, err := a.Keys()
	if err != nil {
		return nil, err
	}
	return &keysResponse{CacheControl: "public, max-age=300", Body: set}, nil
}
