package mfa

import (
	"context"
	"time"
)

// LinkRequest makes a one-time link with which a factor can be enrolled.
type LinkRequest struct {
	// Lifetime is at most LongestLink. Zero: DefaultLink.
	Lifetime time.Duration
	From     From
}

// How long a link lives.
const (
	DefaultLink = time.Hour
	LongestLink = 24 * time.Hour
)

// Link lets its bearer enrol one factor.
type Link struct {
	// Token is what the link carries.
	Token string
	// ExpiresAt is when it ends, used or not.
	ExpiresAt time.Time
}

// StartLink makes a link; an earlier one is void. Whether the caller may is the
// door's business.
func (s *Service) StartLink(ctx context.Context, p Person, r Rules, ask LinkRequest) (Link, error) {
	panic("not written yet")
}

// LinkOwner names the user of a link in a namespace and tells whether it still
// can be used. ErrDenied if not.
func (s *Service) LinkOwner(ctx context.Context, namespace, token string) (Owner, error) {
	panic("not written yet")
}
