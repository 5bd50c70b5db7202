package mfa

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
)

// The words of acr.
const (
	// ACRTwo: two factors, by AAL2 of SP 800-63B-4.
	ACRTwo = "aal2"
	// ACROne: less than that: a code by e-mail, a recovery code, a factor that the
	// policy no longer allows.
	ACROne = "aal1"
)

const (
	// freshness is how old a verification may be that allows to change factors.
	freshness = 5 * time.Minute
	// unmetLifetime is how long a session lives that does not meet the policy: to
	// enrol a factor, no longer.
	unmetLifetime = 15 * time.Minute
	longestWords  = 200
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
	ACR       string   `json:"acr"` // ACRTwo or ACROne
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
	// Enrol: the policy is not met yet; a factor has to be enrolled with this
	// session.
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

// plan is a session that is issued if a guess is right.
type plan struct {
	id       string
	audience string
	amr      []string
	acr      string
	uv       bool
	verified bool
	lifetime time.Duration
}

// newPlan says what a verification by a method is worth under the rules.
func (s *Service) newPlan(r Rules, m Method, amr []string, uv bool, audience string) (plan, error) {
	id, err := s.newID()
	if err != nil {
		return plan{}, err
	}
	p := plan{
		id: id, audience: audience, amr: amr, acr: ACROne, uv: uv,
		verified: m != RecoveryCodes && r.allows(m), lifetime: unmetLifetime,
	}
	if p.verified {
		p.lifetime = r.lifetime(uv)
		p.amr = append(p.amr, "mfa") // the application has checked the password
		if m != Email {
			p.acr = ACRTwo
		}
	}
	return p, nil
}

// amrOf are the methods of RFC 8176, but rc, which has none there.
func amrOf(m Method) []string {
	switch m {
	case RecoveryCodes:
		return []string{"rc"}
	case SMS:
		return []string{"sms"}
	case Email:
		return []string{"otp", "mca"}
	case TOTP, WebAuthn: // those of a key depend on the key
		return []string{"otp"}
	default:
		return nil
	}
}

// issue has the record of a guess that was right tell of the session it gives. One
// more than a user may have ends the oldest.
func (p plan) issue(r audit.Record, u *User, now time.Time) []audit.Record {
	details := []audit.Detail{
		timeDetail(detailSessionUntil, now.Add(p.lifetime).Truncate(time.Second)), detail(detailAMR, words(p.amr)), detail(detailACR, p.acr),
	}
	if p.uv {
		details = append(details, detail(detailUV, yes))
	}
	if p.verified {
		details = append(details, detail(detailVerified, yes))
	}
	if p.audience != "" {
		details = append(details, detail(detailAudience, p.audience))
	}
	given := with(r, r.Outcome, r.Reason, details...)
	given.Session = p.id
	if len(u.Sessions) < mostSessions {
		return []audit.Record{given}
	}
	ended := as(r, audit.SessionRevoked, ReasonTooManySessions)
	ended.Session = u.Sessions[0].ID
	return []audit.Record{given, ended}
}

// sessionOf reads the session that a record tells of.
func sessionOf(r audit.Record) SessionState {
	return SessionState{
		ID: r.Session, Method: Method(r.Method), AMR: strings.Fields(r.Detail(detailAMR)), ACR: r.Detail(detailACR),
		IssuedAt: r.Time, ExpiresAt: moment(r, detailSessionUntil),
		UserVerified: r.Detail(detailUV) == yes, Verified: r.Detail(detailVerified) == yes,
	}
}

// sign makes the token of the session that a record tells of.
func (s *Service) sign(w who, r audit.Record) (Session, error) {
	ss := sessionOf(r)
	session := Session{Claims: Claims{
		Issuer: s.Issuer, Audience: r.Detail(detailAudience), Subject: r.Subject, Namespace: w.Namespace, User: w.Name,
		SessionID: ss.ID, AMR: ss.AMR, ACR: ss.ACR,
		AuthTime: ss.IssuedAt.Unix(), IssuedAt: ss.IssuedAt.Unix(), ExpiresAt: ss.ExpiresAt.Unix(), Verified: ss.Verified,
	}}
	session.Enrol = !session.Verified
	var err error
	if session.Token, err = s.Signer.Sign(session.Claims); err != nil {
		return Session{}, unavailable("signing a session", err)
	}
	return session, nil
}

// claims returns those of a token of ours for this user that has not expired;
// false for any other.
func (s *Service) claims(w who, token string) (Claims, bool, error) {
	var c Claims
	if token == "" || len(token) > longestToken {
		return c, false, nil
	}
	err := s.Signer.Verify(token, &c)
	if errors.Is(err, ErrUnsealable) {
		return Claims{}, false, nil
	}
	if err != nil {
		return Claims{}, false, unavailable("checking a session", err)
	}
	ours := c.Issuer == s.Issuer && c.Namespace == w.Namespace && c.Subject == w.UID && c.SessionID != "" &&
		s.Clock().Before(time.Unix(c.ExpiresAt, 0))
	return c, ours, nil
}

// sessionID returns the id of the session of a token; the fold says whether it
// still stands.
func (s *Service) sessionID(w who, token string) (string, error) {
	c, ours, err := s.claims(w, token)
	if err != nil {
		return "", err
	}
	if !ours {
		return "", &NotAllowedError{ReasonVerificationNeeded}
	}
	return c.SessionID, nil
}

// fresh tells whether a session was issued a moment ago that meets the rules.
func (u *User) fresh(id string, r Rules, now time.Time) bool {
	s := u.session(id)
	return s != nil && s.meets(r) && s.counts(r, now) && now.Sub(s.IssuedAt) <= freshness
}

// stands tells whether a session of that person counts.
func (ss SessionState) stands(p Person, r Rules, now time.Time) bool {
	return !p.Suspended && ss.counts(r, now)
}

// counts tells whether a session would still be issued under the rules.
func (ss SessionState) counts(r Rules, now time.Time) bool {
	switch {
	case !now.Before(ss.ExpiresAt):
		return false
	case !ss.Verified: // nothing to lose but its end
		return ss.Method == RecoveryCodes && r.allows(RecoveryCodes) || ss.Method == TOTP || ss.Method == WebAuthn
	}
	return ss.meets(r) && now.Before(ss.IssuedAt.Add(r.lifetime(ss.UserVerified)))
}

// ActiveSessions counts the sessions that would still be issued under the rules,
// and those of them that meet the policy. next is when the first of them ends by
// itself; zero if there is none.
func (u *User) ActiveSessions(p Person, r Rules, now time.Time) (active, verified int, next time.Time) {
	for _, ss := range u.Sessions {
		if !ss.stands(p, r, now) {
			continue
		}
		active++
		end := ss.ExpiresAt
		if ss.Verified {
			if limit := ss.IssuedAt.Add(r.lifetime(ss.UserVerified)); limit.Before(end) {
				end = limit
			}
		}
		if ss.meets(r) {
			verified++
		}
		if next.IsZero() || end.Before(next) {
			next = end
		}
	}
	return active, verified, next
}

// meets tells whether what was verified is enough for the rules.
func (ss SessionState) meets(r Rules) bool {
	return ss.Verified && r.allows(ss.Method) &&
		(ss.Method != WebAuthn || r.WebAuthn.UserVerification != UserVerificationRequired || ss.UserVerified)
}

// Sessions lists the sessions of a user that are active, oldest first.
func (s *Service) Sessions(ctx context.Context, p Person, r Rules) ([]SessionInfo, error) {
	w, err := s.who(p)
	if err != nil {
		return nil, err
	}
	u, err := s.standing(ctx, w)
	if err != nil {
		return nil, err
	}
	var list []SessionInfo
	for _, ss := range u.Sessions {
		if ss.stands(p, r, s.Clock()) {
			list = append(list, SessionInfo{
				ID: ss.ID, Method: ss.Method, AMR: ss.AMR, ACR: ss.ACR, IssuedAt: ss.IssuedAt, ExpiresAt: ss.ExpiresAt,
				Verified: ss.meets(r),
			})
		}
	}
	return list, nil
}

// Introspect says what a token is worth now. A token of somebody else, or not of
// ours, is not active; that is no error.
func (s *Service) Introspect(ctx context.Context, p Person, r Rules, token string) (Introspection, error) {
	w, err := s.who(p)
	if err != nil {
		return Introspection{}, err
	}
	c, ours, err := s.claims(w, token)
	if err != nil || !ours {
		return Introspection{}, err
	}
	u, err := s.standing(ctx, w)
	if err != nil {
		return Introspection{}, err
	}
	ss := u.session(c.SessionID)
	if ss == nil || !ss.stands(p, r, s.Clock()) {
		return Introspection{}, nil
	}
	return Introspection{Active: true, Claims: c}, nil
}

// Revoke ends one session or all, at once. ErrNotFound if there is no such
// session.
func (s *Service) Revoke(ctx context.Context, p Person, ask RevokeRequest) error {
	if len(ask.ID) > audit.MaxSession {
		return invalid("session", "has at most 128 characters")
	}
	w, err := s.who(p)
	if err != nil {
		return err
	}
	record := s.record(audit.SessionRevoked, w, Rules{}, "", ask.From)
	record.Session = ask.ID
	_, err = s.append(ctx, w, revocation{record})
	return err
}

// revocation ends a session, or all if the record names none.
type revocation struct{ record audit.Record }

func (a revocation) judge(state audit.State[Entry], now time.Time) ([]audit.Record, error) {
	u := UserAt(state, a.record.Subject, now)
	if a.record.Session != "" && u.session(a.record.Session) == nil || len(u.Sessions) == 0 {
		return nil, ErrNotFound
	}
	return []audit.Record{with(a.record, audit.Succeeded, ReasonAdministrator)}, nil
}

// Unlock ends a lock and forgets all failures. ErrNotFound if there is nothing to
// forget.
func (s *Service) Unlock(ctx context.Context, p Person, from From) error {
	w, err := s.who(p)
	if err != nil {
		return err
	}
	_, err = s.append(ctx, w, unlocking{s.record(audit.UserUnlocked, w, Rules{}, "", from)})
	return err
}

type unlocking struct{ record audit.Record }

func (a unlocking) judge(state audit.State[Entry], now time.Time) ([]audit.Record, error) {
	u := UserAt(state, a.record.Subject, now)
	if u.Lock == nil && len(u.Failures) == 0 {
		return nil, ErrNotFound
	}
	return []audit.Record{with(a.record, audit.Succeeded, ReasonAdministrator)}, nil
}
