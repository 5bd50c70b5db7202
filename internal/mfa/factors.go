package mfa

import (
	"context"
	"time"
)

// Factor is one factor of a user, without anything secret.
type Factor struct {
	// ID of the factor, unique within the user.
	ID     string
	Method Method
	// Name the user gave it.
	Name    string
	AddedAt time.Time
	// LastUsedAt, to the minute. Zero: never.
	LastUsedAt time.Time
	// AAGUID of an authenticator. Empty: not told.
	AAGUID string
	// CodesLeft is for RecoveryCodes.
	CodesLeft int
}

// RenameRequest gives a factor another name.
type RenameRequest struct {
	// ID of the factor.
	ID string
	// Name is at most 64 characters.
	Name string
	From From
}

// RemoveRequest takes a factor away.
type RemoveRequest struct {
	// ID of the factor.
	ID string
	// Session is the token of a verification at most five minutes old.
	Session string
	From    From
}

// Factors lists the factors of a user in the order in which they were added.
func (s *Service) Factors(ctx context.Context, p Person) ([]Factor, error) {
	panic("not written yet")
}

// Rename gives a factor another name. ErrNotFound if there is no such factor.
func (s *Service) Rename(ctx context.Context, p Person, r Rules, ask RenameRequest) error {
	panic("not written yet")
}

// Remove takes a factor away. It needs a fresh verification; the last factor of
// somebody who must have one stays.
func (s *Service) Remove(ctx context.Context, p Person, r Rules, ask RemoveRequest) error {
	panic("not written yet")
}
