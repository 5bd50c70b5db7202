package mfa

import (
	"context"
	"errors"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
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

// linkToken is what a Link's token holds. It is sealed for the namespace: who
// follows a link does not say whose it is.
type linkToken struct {
	ID    string    `json:"id"`
	Name  string    `json:"name"`
	UID   string    `json:"uid"`
	Until time.Time `json:"until"`
}

// StartLink makes a link; an earlier one is void. Whether the caller may is the
// door's business.
func (s *Service) StartLink(ctx context.Context, p Person, r Rules, ask LinkRequest) (Link, error) {
	if ask.Lifetime < 0 || ask.Lifetime > LongestLink {
		return Link{}, invalid("lifetime", "has to be at most 24 hours")
	}
	if ask.Lifetime == 0 {
		ask.Lifetime = DefaultLink
	}
	w, err := s.who(p)
	if err != nil {
		return Link{}, err
	}
	if !w.known {
		return Link{}, ErrNotFound
	}
	t := linkToken{Name: w.Name, UID: w.UID, Until: s.after(ask.Lifetime)}
	if t.ID, err = s.newID(); err != nil {
		return Link{}, err
	}
	token, err := s.seal(namespaceOf(w), purposeLink, t)
	if err != nil {
		return Link{}, err
	}
	a := linkAttempt{s.newAct(with(s.record(audit.EnrolmentLinkIssued, w, r, "", ask.From), audit.Succeeded, "",
		detail(detailLink, t.ID), untilDetail(t.Until)), p, r)}
	if err := s.permitted(ctx, w, a); err != nil {
		return Link{}, err
	}
	return Link{Token: token, ExpiresAt: t.Until}, nil
}

func namespaceOf(w who) Owner { return Owner{Namespace: w.Namespace, UID: anyone} }

type linkAttempt struct{ act }

func (a linkAttempt) judge(state audit.State[Entry], now time.Time) ([]audit.Record, error) {
	u := UserAt(state, a.record.Subject, now)
	switch {
	case a.suspended:
		return []audit.Record{with(a.record, audit.Failed, ReasonSuspended)}, nil
	case !u.Removed.IsZero():
		return []audit.Record{with(a.record, audit.Failed, ReasonUserRemoved)}, nil
	}
	return []audit.Record{a.record}, nil
}

// linkID returns the id of a link of this user.
func (s *Service) linkID(w who, token string) (string, error) {
	var t linkToken
	err := s.open(namespaceOf(w), purposeLink, token, &t)
	if errors.Is(err, errBadToken) || err == nil && (t.UID != w.UID || t.ID == "" || !s.Clock().Before(t.Until)) {
		return "", &NotAllowedError{ReasonLinkSpent}
	}
	return t.ID, err
}

// LinkOwner names the user of a link in a namespace, if it still can be used.
// ErrDenied if not.
func (s *Service) LinkOwner(ctx context.Context, namespace, token string) (Owner, error) {
	w := who{Owner: Owner{Namespace: namespace}}
	var t linkToken
	err := s.open(namespaceOf(w), purposeLink, token, &t)
	if errors.Is(err, errBadToken) || err == nil && !s.Clock().Before(t.Until) {
		return Owner{}, ErrDenied
	}
	if err != nil {
		return Owner{}, err
	}
	w.Name, w.UID = t.Name, t.UID
	u, err := s.standing(ctx, w)
	if err != nil {
		return Owner{}, err
	}
	if l := u.live(forLink); l == nil || l.ID != t.ID {
		return Owner{}, ErrDenied
	}
	return w.Owner, nil
}
