package mfa

import (
	"context"
	"slices"

	"github.com/neosc/mfa-operator/internal/audit"
)

// ledgerOf returns the id of the ledger of a user's namespace.
func (s *Service) ledgerOf(ctx context.Context, w who) (string, error) {
	var id string
	err := s.Ledger.Head(ctx, w.Namespace, func(h audit.Head) { id = h.Ledger })
	if err != nil {
		return "", unavailable("reading the ledger", err)
	}
	return id, nil
}

// forgotten tells whether the ledger takes somebody for new who is not: see
// Forgotten. It asks for the ledger's id only where that matters.
func (s *Service) forgotten(ctx context.Context, w who, u *User, all []Credential) (bool, error) {
	if u.Known() || len(all) == 0 {
		return false, nil
	}
	id, err := s.ledgerOf(ctx, w)
	return Forgotten(u, all, id), err
}

// Known tells whether the ledger has known a factor of the user, or a reset.
func (u *User) Known() bool { return u.Enrolled || u.Settled }

// Forgotten tells whether what is kept of a user was put there for another ledger
// than this one, which has never known a factor of theirs: the one that did was
// lost. The password alone must not do for them what it does for somebody new. A
// link does, or a reset.
func Forgotten(u *User, all []Credential, ledger string) bool {
	return !u.Known() && slices.ContainsFunc(all, func(c Credential) bool { return c.Ledger != ledger })
}
