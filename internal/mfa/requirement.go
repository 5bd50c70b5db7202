package mfa

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
)

// Why says why a second factor is needed now, or why not.
type Why string

// The answers. Needed: EveryLogin, NotVerified, MustEnrol, GraceOver. Not
// needed: the others.
const (
	// EveryLogin: the policy asks at every login.
	EveryLogin Why = "EveryLogin"
	// NotVerified: there is no verification yet, or it is too old.
	NotVerified Why = "NotVerified"
	// MustEnrol: there is no factor the policy allows; one has to be enrolled now.
	MustEnrol Why = "MustEnrol"
	// GraceOver: the password alone does not allow to enrol any more; an
	// administrator has to send a link.
	GraceOver Why = "GraceOver"
	// InGrace: there is no factor, and still time to enrol one.
	InGrace Why = "InGrace"
	// VerifiedRecently: the session that was shown still counts.
	VerifiedRecently Why = "VerifiedRecently"
	// NoFactor: nothing demands a factor, and there is none.
	NoFactor Why = "NoFactor"
	// Exempt: an exemption is running.
	Exempt Why = "Exempt"
	// NotInForce: no policy reaches the user.
	NotInForce Why = "NotInForce"
	// Suspended: the user may not sign in.
	Suspended Why = "Suspended"
)

// RequirementRequest asks whether a second factor is needed in a login.
type RequirementRequest struct {
	// Session is the token of an earlier verification. May be empty.
	Session string
	From    From
}

// Requirement says whether a second factor is needed now.
type Requirement struct {
	// Needed: the login must not go on without a session of this service.
	Needed bool
	Why    Why
	// Methods the user can verify with now, the preferred one first.
	Methods []Method
	// Enrollable are the methods the user may enrol, the preferred one first.
	Enrollable []Method
	// Preferred of the policy, if it is among Methods, or else Enrollable.
	Preferred Method
	// GraceEndsAt is when the time to enrol ends. Zero: there is no such time.
	GraceEndsAt time.Time
}

// Requirement tells whether a second factor is needed now. The first time it is
// asked about somebody who has to enrol, it records that the time to enrol
// begins. Of somebody who does not exist it says what it says of somebody new.
func (s *Service) Requirement(ctx context.Context, p Person, r Rules, ask RequirementRequest) (Requirement, error) {
	w, err := s.who(p)
	if err != nil {
		return Requirement{}, err
	}
	c, ours, err := s.claims(w, ask.Session)
	if err != nil {
		return Requirement{}, err
	}
	u, kept, err := s.both(ctx, w)
	if err != nil {
		return Requirement{}, err
	}
	var shown *SessionState
	if ours {
		shown = u.session(c.SessionID)
	}
	has, err := s.has(p, r, &u, kept)
	if err != nil {
		return Requirement{}, err
	}
	forgotten, err := s.forgotten(ctx, w, &u, kept.Credentials)
	if err != nil {
		return Requirement{}, err
	}
	now := s.Clock()
	q := s.require(p, r, &u, forgotten, has, shown, now)
	if !q.mustHave || forgotten || !u.FirstLogin.IsZero() || !w.known || p.Suspended {
		return q.Requirement, nil
	}
	records, err := s.append(ctx, w, graceAttempt{s.record(audit.GraceStarted, w, r, "", ask.From)})
	switch {
	case err == nil:
		u.FirstLogin = records[0].Time
	case errors.Is(err, ErrNotFound): // somebody else was first
		u, err = s.standing(ctx, w)
	}
	if err != nil {
		return Requirement{}, err
	}
	return s.require(p, r, &u, forgotten, has, shown, now).Requirement, nil
}

// graceAttempt notes the first login, once.
type graceAttempt struct{ record audit.Record }

func (a graceAttempt) judge(state audit.State[Entry], now time.Time) ([]audit.Record, error) {
	u := UserAt(state, a.record.Subject, now)
	if !u.FirstLogin.IsZero() || !u.Removed.IsZero() {
		return nil, ErrNotFound
	}
	return []audit.Record{with(a.record, audit.Succeeded, "")}, nil
}

// holdings are what a user can verify with.
type holdings struct {
	// met are methods that meet the policy; other ones prove who somebody is, for
	// enrolling: recovery codes, and factors that are no longer allowed.
	met, other []Method
}

// has says what a user can verify with now.
func (s *Service) has(p Person, r Rules, u *User, kept Kept) (holdings, error) {
	var h holdings
	keys, err := keysOf(kept.Credentials, r.WebAuthn.RPID)
	if err != nil {
		return h, err
	}
	for _, c := range kept.Credentials {
		f := u.factor(c.ID)
		var list *[]Method
		switch {
		case f == nil || f.Method != c.Method || !usable(r, c.Method):
			continue
		case c.Method == WebAuthn && !slices.ContainsFunc(keys, func(k key) bool { return k.factor == c.ID }):
			continue
		case c.Method == RecoveryCodes && f.codesLeft() == 0:
			continue
		case c.Method == RecoveryCodes || !r.allows(c.Method):
			list = &h.other
		default:
			list = &h.met
		}
		if c.Method == Email || c.Method == SMS {
			id, err := addressFactor([]Credential{c}, p.Contact.address(c.Method))
			if err != nil {
				return h, err
			}
			if id == "" || !s.offers(c.Method) {
				continue // a code would not reach the address that was enrolled
			}
		}
		if !slices.Contains(*list, c.Method) {
			*list = append(*list, c.Method)
		}
	}
	return h, nil
}

// requirement is a Requirement, and whether there should be a factor and is not.
type requirement struct {
	Requirement
	mustHave bool
}

// require says whether a second factor is needed.
func (s *Service) require(p Person, r Rules, u *User, forgotten bool, has holdings, shown *SessionState, now time.Time) requirement {
	q := requirement{mustHave: r.Enforcement.Demands() && len(has.met) == 0 && !p.exempt(now)}
	if q.mustHave && r.GracePeriod > 0 && !forgotten {
		q.GraceEndsAt = now.Add(r.GracePeriod)
		if !u.FirstLogin.IsZero() {
			q.GraceEndsAt = u.FirstLogin.Add(r.GracePeriod)
		}
	}
	q.Methods = preferred(append(slices.Clone(has.met), has.other...), r.Preferred)
	if grace := whyNotFirst(u, forgotten, r, now); grace == "" || len(has.other) > 0 || len(has.met) > 0 {
		q.Enrollable = preferred(s.enrollable(p, r), r.Preferred)
	}
	for _, list := range [][]Method{q.Methods, q.Enrollable} {
		if q.Preferred == "" && slices.Contains(list, r.Preferred) {
			q.Preferred = r.Preferred
		}
	}
	switch {
	case p.Suspended:
		q.Requirement = Requirement{Needed: true, Why: Suspended}
	case r.Enforcement == NotEnforced:
		q.Why = NotInForce
	case p.exempt(now):
		q.Why = Exempt
	case shown != nil && shown.stands(p, r, now) && shown.meets(r) && r.Enforcement != AlwaysRequired:
		q.Why = VerifiedRecently
	case len(has.met) > 0 && r.Enforcement == AlwaysRequired:
		q.Needed, q.Why = true, EveryLogin
	case len(has.met) > 0:
		q.Needed, q.Why = true, NotVerified
	case forgotten:
		q.Needed, q.Why = true, GraceOver
	// A factor that no longer counts is no reason to ask for none at all.
	case !u.has() && !r.Enforcement.Demands():
		q.Why = NoFactor
	case !u.has() && now.Before(q.GraceEndsAt):
		q.Why = InGrace
	case len(q.Enrollable) > 0:
		q.Needed, q.Why = true, MustEnrol
	default:
		q.Needed, q.Why = true, GraceOver
	}
	return q
}

// enrollable are the methods a user may enrol by the rules.
func (s *Service) enrollable(p Person, r Rules) []Method {
	return kept(r.Methods, func(m Method) bool {
		switch m {
		case RecoveryCodes:
			return false
		case WebAuthn:
			return s.whyNoKey(r.WebAuthn) == ""
		case Email, SMS:
			return s.offers(m) && p.Contact.address(m) != ""
		default:
			return true
		}
	})
}

// preferred puts one method first.
func preferred(list []Method, first Method) []Method {
	slices.SortStableFunc(list, func(a, b Method) int {
		switch {
		case a == first && b != first:
			return -1
		case b == first && a != first:
			return 1
		}
		return 0
	})
	return list
}
