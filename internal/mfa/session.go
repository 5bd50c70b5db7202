package mfa

import (
	"context"
	"time"
)

// Claims are those of a session token (RFC 7519), times in seconds since 1970.
type Claims struct {
	Issuer    string   `json:"iss"`
	Audience  string   `json:"aud"`
	Subject   string   `json:"sub"`       // UID of the MFAUser
	Namespace string   `json:"namespace"` // of the MFAUser
	User      string   `json:"user"`      // name of the MFAUser
	SessionID string   `json:"sid"`
	AMR       []string `json:"amr"` // RFC 8176, and rc for a recovery code
	ACR       string   `json:"acr"` // aal2 or aal1
	AuthTime  int64    `json:"auth_time"`
	IssuedAt  int64    `json:"iat"`
	ExpiresAt int64    `json:"exp"`
	Verified  bool     `json:"mfa_verified"`
}

// Session is what a successful verification gives.
type Session struct {
	// Token is the signed claims, for the application to keep.
	Token string
	Claims
	// Enrol: the policy is not met yet; a factor has to be enrolled with this session.
	Enrol bool
}

// SessionInfo is a session as it is listed.
type SessionInfo struct {
	ID        string
	Method    Method
	AMR       []string
	ACR       string
	IssuedAt  time.Time
	ExpiresAt time.Time
	// Verified: it meets the policy in force now.
	Verified bool
}

// Introspection says what a token is worth now (RFC 7662).
type Introspection struct {
	// Active: it is ours, not expired, not revoked, and the policy in force now
	// would still issue it.
	Active bool
	// Claims, if Active.
	Claims Claims
}

// RevokeRequest ends sessions.
type RevokeRequest struct {
	// ID of the session. Empty: all of the user.
	ID   string
	From From
}

// Sessions lists the sessions of a user that are active, oldest first.
func (s *Service) Sessions(ctx context.Context, p Person, r Rules) ([]SessionInfo, error) {
	panic("not written yet")
}

// Introspect says what a token is worth now. A token of somebody else, or not of
// ours, is not active; that is no error.
func (s *Service) Introspect(ctx context.Context, p Person, r Rules, token string) (Introspection, error) {
	panic("not written yet")
}

// Revoke ends one session or all, at once. ErrNotFound if there is no such
// session.
func (s *Service) Revoke(ctx context.Context, p Person, ask RevokeRequest) error {
	panic("not written yet")
}

// Unlock ends a lock and forgets all failures. ErrNotFound if there is no lock.
func (s *Service) Unlock(ctx context.Context, p Person, from From) error {
	panic("not written yet")
}
