package mfa

import (
	"context"
	"math/bits"
	"slices"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
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

// codesLeft is how many recovery codes were not used yet.
func (f FactorState) codesLeft() int { return f.Codes - bits.OnesCount32(f.Used) }

// Factors lists the factors of a user in the order in which they were added.
func (s *Service) Factors(ctx context.Context, p Person) ([]Factor, error) {
	w, err := s.who(p)
	if err != nil {
		return nil, err
	}
	u, kept, err := s.both(ctx, w)
	if err != nil {
		return nil, err
	}
	return List(u, kept), nil
}

// both returns what the ledger and the vault have of a user. The ledger is read
// last: what lives there is in the vault already.
func (s *Service) both(ctx context.Context, w who) (User, Kept, error) {
	kept, err := s.load(ctx, w)
	if err != nil {
		return User{}, Kept{}, err
	}
	u, err := s.standing(ctx, w)
	return u, kept, err
}

// List returns the factors that count: those that are kept, and live by the
// ledger.
func List(u User, kept Kept) []Factor {
	var list []Factor
	for _, c := range kept.Credentials {
		f := u.factor(c.ID)
		if f == nil || f.Method != c.Method {
			continue
		}
		list = append(list, Factor{
			ID: c.ID, Method: c.Method, Name: c.Name, AddedAt: f.AddedAt, LastUsedAt: f.UsedAt.Truncate(time.Minute),
			AAGUID: c.AAGUID, CodesLeft: f.codesLeft(),
		})
	}
	return list
}

// Rename gives a factor another name. ErrNotFound if there is no such factor.
func (s *Service) Rename(ctx context.Context, p Person, r Rules, ask RenameRequest) error {
	if err := checkName(ask.Name); err != nil {
		return err
	}
	w, err := s.who(p)
	if err != nil {
		return err
	}
	u, _, err := s.both(ctx, w)
	if err != nil {
		return err
	}
	f := u.factor(ask.ID)
	if f == nil {
		return ErrNotFound
	}
	var before string
	err = s.change(ctx, w, func(all []Credential, _ *User) ([]Credential, error) {
		i := slices.IndexFunc(all, func(c Credential) bool { return c.ID == ask.ID })
		if i < 0 {
			return nil, ErrNotFound
		}
		before, all[i].Name = all[i].Name, ask.Name
		return all, nil
	})
	if err != nil || before == ask.Name {
		return err
	}
	record := with(s.record(audit.UserChanged, w, r, f.Method, ask.From), audit.Succeeded, "",
		detail(detailFactor, ask.ID), audit.Detail{Name: detailName, Old: before, Value: ask.Name})
	_, err = s.append(ctx, w, told{record})
	return err
}

// Remove takes a factor away. It needs a fresh verification; the last factor of
// somebody who must have one stays.
func (s *Service) Remove(ctx context.Context, p Person, r Rules, ask RemoveRequest) error {
	w, err := s.who(p)
	if err != nil {
		return err
	}
	sid, err := s.sessionID(w, ask.Session)
	if err != nil {
		return err
	}
	a := removal{act: s.newAct(s.record(audit.FactorRemoved, w, r, "", ask.From), p, r), session: sid, factor: ask.ID}
	if err := s.permitted(ctx, w, a); err != nil {
		return err
	}
	return s.forget(ctx, w, ask.ID)
}

// removal wants a factor to be taken away.
type removal struct {
	act
	session, factor string
}

func (a removal) judge(state audit.State[Entry], now time.Time) ([]audit.Record, error) {
	u := UserAt(state, a.record.Subject, now)
	no := func(reason string) ([]audit.Record, error) {
		return []audit.Record{with(a.record, audit.Failed, reason)}, nil
	}
	if a.suspended {
		return no(ReasonSuspended)
	}
	if !u.fresh(a.session, a.rules, now) {
		return no(ReasonVerificationNeeded)
	}
	f := u.factor(a.factor)
	if f == nil {
		return nil, ErrNotFound
	}
	a.record.Method = string(f.Method)
	others := slices.ContainsFunc(u.Factors, func(o FactorState) bool {
		return o.ID != a.factor && o.Method != RecoveryCodes && a.rules.allows(o.Method)
	})
	if a.rules.Enforcement.Demands() && f.Method != RecoveryCodes && !others {
		return no(ReasonLastFactor)
	}
	return []audit.Record{with(a.record, audit.Succeeded, "", detail(detailFactor, a.factor))}, nil
}
