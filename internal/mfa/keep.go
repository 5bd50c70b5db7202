package mfa

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
)

const (
	// orphanAge is how long what the ledger does not know stays in the vault: an
	// enrolment that is under way is younger.
	orphanAge = 10 * time.Minute
	// mostKept bounds the vault of a user, orphans included.
	mostKept = mostFactors + 8
	// mostConflicts is how often saving is tried anew.
	mostConflicts = 8
)

// load returns what the vault has of a user. For strangers it looks too.
func (s *Service) load(ctx context.Context, w who) (Kept, error) {
	kept, err := s.Vault.Load(ctx, w.Owner)
	if err != nil {
		return Kept{}, unavailable("reading factors", err)
	}
	return kept, nil
}

// standing returns what the ledger knows of a user now.
func (s *Service) standing(ctx context.Context, w who) (User, error) {
	var u User
	err := s.Ledger.Read(ctx, w.Namespace, func(state audit.State[Entry]) { u = UserAt(state, w.subject(), s.Clock()) })
	if err != nil {
		return User{}, unavailable("reading the ledger", err)
	}
	return u, nil
}

// mayNow asks whether something would be allowed now. It is only asked to spare
// the vault; the fold decides.
func (s *Service) mayNow(ctx context.Context, w who, why func(*User, time.Time) string) error {
	u, err := s.standing(ctx, w)
	if err != nil {
		return err
	}
	if reason := why(&u, s.Clock()); reason != "" {
		return &NotAllowedError{reason}
	}
	return nil
}

// add keeps more credentials, for a ledger. Until that knows them, they are worth
// nothing: so they are kept first, and whatever fails afterwards leaves nothing
// that counts.
func (s *Service) add(ctx context.Context, w who, ledger string, more ...Credential) error {
	return s.change(ctx, w, func(all []Credential, u *User) ([]Credential, error) {
		for _, c := range more {
			if slices.ContainsFunc(all, func(k Credential) bool { return k.ID == c.ID }) {
				continue // the same confirmation, sent twice; what comes along with it is new each time
			}
			all = slices.DeleteFunc(all, func(k Credential) bool {
				return u.factor(k.ID) == nil && c.AddedAt.Sub(k.AddedAt) > orphanAge
			})
			if len(all) >= mostKept {
				return nil, &NotAllowedError{ReasonFull}
			}
			c.Ledger = ledger
			all = append(all, c)
		}
		return all, nil
	})
}

// forget takes credentials out of the vault that do not live any more.
func (s *Service) forget(ctx context.Context, w who, ids ...string) error {
	return s.change(ctx, w, func(all []Credential, _ *User) ([]Credential, error) {
		return slices.DeleteFunc(all, func(k Credential) bool { return slices.Contains(ids, k.ID) }), nil
	})
}

// change reads, changes and saves, again if somebody else was faster.
func (s *Service) change(ctx context.Context, w who, change func([]Credential, *User) ([]Credential, error)) error {
	u, err := s.standing(ctx, w)
	if err != nil {
		return err
	}
	for range mostConflicts {
		kept, err := s.load(ctx, w)
		if err != nil {
			return err
		}
		before := len(kept.Credentials)
		changed, err := change(slices.Clone(kept.Credentials), &u)
		if err != nil {
			return err
		}
		if len(changed) == before && slices.EqualFunc(changed, kept.Credentials, same) {
			return nil
		}
		kept.Credentials = changed
		err = s.Vault.Save(ctx, w.Owner, kept)
		if err == nil {
			return nil
		}
		if !errors.Is(err, ErrConflict) {
			return unavailable("keeping factors", err)
		}
	}
	return unavailable("keeping factors", ErrConflict)
}

// same tells whether nothing was changed that may be changed.
func same(a, b Credential) bool { return a.ID == b.ID && a.Name == b.Name }

// append judges and records an attempt.
func (s *Service) append(ctx context.Context, w who, a Attempt) ([]audit.Record, error) {
	records, err := s.Ledger.Append(ctx, w.Namespace, a)
	switch {
	case err == nil:
		return records, nil
	case errors.Is(err, ErrThrottled), errors.Is(err, ErrNotFound):
		return nil, err
	default:
		return nil, unavailable("recording", err)
	}
}

// permitted appends something that is no guess: what speaks against it may be
// told.
func (s *Service) permitted(ctx context.Context, w who, a Attempt) error {
	records, err := s.append(ctx, w, a)
	if err == nil && records[0].Outcome != audit.Succeeded {
		err = &NotAllowedError{records[0].Reason}
	}
	return err
}

// accepted returns the record of a guess that was right. For any other there is
// the same error, whatever was wrong.
func accepted(records []audit.Record, actions ...audit.Action) (audit.Record, error) {
	r := find(records, actions...)
	switch r.Outcome {
	case audit.Succeeded:
		return r, nil
	case audit.Throttled:
		return r, &ThrottledError{RetryAfter: time.Duration(number(r, detailRetryAfter)) * time.Second}
	default:
		return r, ErrDenied
	}
}
