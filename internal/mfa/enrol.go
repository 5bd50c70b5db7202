package mfa

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/neosc/mfa-operator/internal/audit"
)

const (
	// enrolmentLife is how long a seed waits to be confirmed.
	enrolmentLife = 10 * time.Minute
	longestName   = 64
)

// EnrolmentRequest begins to enrol a factor. The first one needs no Session and
// no Link as long as the rules give time for it; any other needs one of them.
type EnrolmentRequest struct {
	// Method is TOTP, WebAuthn, Email or SMS.
	Method Method
	// Name of the factor, at most 64 characters. May be empty.
	Name string
	// Session is the token of a verification at most five minutes old. May be
	// empty.
	Session string
	// Link is the token of a one-time link. May be empty.
	Link string
	// Algorithm and Digits of TOTP: SHA1, SHA256 or SHA512, and 6 or 8. Unset:
	// SHA1 and 6, which is all that many apps know.
	Algorithm string
	Digits    int
	From      From
}

// Enrolment is what the user needs to go on.
type Enrolment struct {
	// Token goes back with the confirmation. It is sealed; nothing was written.
	Token string
	// ExpiresAt is when the token ends.
	ExpiresAt time.Time
	// URI and Secret are for TOTP: otpauth://…, for a QR code, and the seed as
	// base32, to type. Never logged.
	URI, Secret string
	// Options are for WebAuthn: what navigator.credentials.create takes, as JSON
	// with a member publicKey.
	Options json.RawMessage
	// SentTo is for Email and SMS: the address, mostly hidden.
	SentTo string
}

// Confirmation ends an enrolment: it proves that the user has the factor.
type Confirmation struct {
	// Token of the Enrolment.
	Token string
	// Code is for TOTP, Email and SMS.
	Code string
	// Response is for WebAuthn: the PublicKeyCredential as JSON.
	Response []byte
	// Audience of the session that is issued: the application; at most 200
	// characters.
	Audience string
	From     From
}

// Confirmed is a factor that was enrolled. Whoever enrols proves possession, so
// there is a session too; the very code that proved it is used up.
type Confirmed struct {
	Factor  Factor
	Session Session
}

// grant is by what right a factor is enrolled.
type grant struct {
	// Session or Link, by their ids. None: it is the first factor.
	Session string `json:"session,omitempty"`
	Link    string `json:"link,omitempty"`
}

// why says what is against it now; empty: nothing. For forgotten see Forgotten.
func (g grant) why(u *User, forgotten bool, r Rules, now time.Time) string {
	switch {
	case g.Session != "":
		if s := u.session(g.Session); s == nil || !s.counts(r, now) {
			return ReasonVerificationNeeded
		}
	case g.Link != "":
		if l := u.live(forLink); l == nil || l.ID != g.Link {
			return ReasonLinkSpent
		}
	default:
		return whyNotFirst(u, forgotten, r, now)
	}
	return ""
}

// whyNotFirst says what is against enrolling a first factor, with nothing but the
// password; empty: nothing.
func whyNotFirst(u *User, forgotten bool, r Rules, now time.Time) string {
	switch {
	case u.has():
		return ReasonVerificationNeeded
	case forgotten:
		return ReasonLedgerLost
	case !r.Enforcement.Demands():
		return ""
	case r.GracePeriod > 0:
		if !u.FirstLogin.IsZero() && !now.Before(u.FirstLogin.Add(r.GracePeriod)) {
			return ReasonGraceOver
		}
	case u.Enrolled: // the first login is over
		return ReasonGraceOver
	}
	return ""
}

// enrolmentToken is what an Enrolment's token holds.
type enrolmentToken struct {
	// ID is that of the factor to be, unless it is a key: see keyFactor.
	ID     string    `json:"id"`
	Method Method    `json:"method"`
	Name   string    `json:"name,omitempty"`
	Until  time.Time `json:"until"`
	Grant  grant     `json:"grant,omitzero"`
	// One of these, by method.
	TOTP     *totpSecret     `json:"totp,omitempty"`
	WebAuthn json.RawMessage `json:"webauthn,omitempty"`
	Code     *sealedCode     `json:"code,omitempty"`
	Address  string          `json:"address,omitempty"`
}

// StartEnrolment makes a seed or a challenge. Nothing is written but, for Email and
// SMS, that a code was sent.
func (s *Service) StartEnrolment(ctx context.Context, p Person, r Rules, ask EnrolmentRequest) (Enrolment, error) {
	if err := ask.check(); err != nil {
		return Enrolment{}, err
	}
	w, err := s.who(p)
	if err != nil {
		return Enrolment{}, err
	}
	if !r.allows(ask.Method) {
		return Enrolment{}, &NotAllowedError{ReasonMethodNotAllowed}
	}
	t := enrolmentToken{Method: ask.Method, Name: ask.Name, Until: s.after(enrolmentLife)}
	var kept Kept
	if t.Grant, kept, err = s.grant(ctx, p, w, r, ask); err != nil {
		return Enrolment{}, err
	}
	if t.ID, err = s.newID(); err != nil {
		return Enrolment{}, err
	}
	var e Enrolment
	switch ask.Method {
	case TOTP:
		e, err = s.startTOTP(p, r, ask, &t)
	case WebAuthn:
		t.Until = s.after(challengeLife)
		e.Options, t.WebAuthn, err = s.startKey(p, w, r, kept.Credentials)
	default:
		e, err = s.startAddress(ctx, p, w, r, ask, &t)
	}
	if err != nil {
		return Enrolment{}, err
	}
	e.ExpiresAt = t.Until
	e.Token, err = s.seal(w.Owner, purposeEnrolment, t)
	return e, err
}

func (ask EnrolmentRequest) check() error {
	if err := checkName(ask.Name); err != nil {
		return err
	}
	switch ask.Method {
	case TOTP, WebAuthn, Email, SMS:
	case RecoveryCodes:
		return invalid("method", "is not enrolled: ask for recovery codes")
	default:
		return invalid("method", "has to be TOTP, WebAuthn, Email or SMS")
	}
	if _, known := algorithms[ask.Algorithm]; !known && ask.Algorithm != "" {
		return invalid("algorithm", "has to be SHA1, SHA256 or SHA512")
	}
	if ask.Digits != 0 && ask.Digits != 6 && ask.Digits != 8 {
		return invalid("digits", "has to be 6 or 8")
	}
	return nil
}

func checkName(name string) error {
	if utf8.RuneCountInString(name) > longestName || audit.Printable(name, longestName) != name {
		return invalid("name", "has to be at most 64 printable characters")
	}
	return nil
}

// grant says by what right somebody enrols, and what is kept of them already.
func (s *Service) grant(ctx context.Context, p Person, w who, r Rules, ask EnrolmentRequest) (grant, Kept, error) {
	var g grant
	var err error
	switch {
	case ask.Session != "":
		if g.Session, err = s.sessionID(w, ask.Session); err != nil {
			return g, Kept{}, err
		}
	case ask.Link != "":
		if g.Link, err = s.linkID(w, ask.Link); err != nil {
			return g, Kept{}, err
		}
	}
	u, kept, err := s.both(ctx, w)
	if err != nil {
		return g, Kept{}, err
	}
	forgotten, err := s.forgotten(ctx, w, &u, kept.Credentials)
	if err != nil {
		return g, Kept{}, err
	}
	now := s.Clock()
	var reason string
	ss := u.session(g.Session)
	switch {
	case p.Suspended:
		reason = ReasonSuspended
	case ss != nil && now.Sub(ss.IssuedAt) > freshness:
		reason = ReasonVerificationNeeded
	case len(u.Factors) >= mostFactors:
		reason = ReasonFull
	default:
		reason = g.why(&u, forgotten, r, now)
	}
	if reason != "" {
		return g, Kept{}, &NotAllowedError{reason}
	}
	return g, kept, nil
}

func (s *Service) startTOTP(p Person, r Rules, ask EnrolmentRequest, t *enrolmentToken) (Enrolment, error) {
	secret := totpSecret{Algorithm: ask.Algorithm, Digits: ask.Digits}
	if secret.Algorithm == "" {
		secret.Algorithm = "SHA1"
	}
	if secret.Digits == 0 {
		secret.Digits = 6
	}
	var err error
	if secret.Seed, err = s.random(algorithms[secret.Algorithm].size); err != nil {
		return Enrolment{}, err
	}
	t.TOTP = &secret
	issuer := r.WebAuthn.RPName
	if issuer == "" {
		issuer = p.Namespace
	}
	return Enrolment{URI: secret.uri(issuer, p.Username), Secret: secret.base32()}, nil
}

// startAddress sends a code to the address that is to become a factor.
func (s *Service) startAddress(ctx context.Context, p Person, w who, r Rules, ask EnrolmentRequest, t *enrolmentToken) (Enrolment, error) {
	t.Address = p.Contact.address(ask.Method)
	if t.Address == "" || !s.offers(ask.Method) {
		return Enrolment{}, &NotAllowedError{ReasonNotOffered}
	}
	_, sent, err := s.send(ctx, p, w, r, sending{
		method: ask.Method, kind: enrolPrefix + string(ask.Method), address: t.Address, from: ask.From,
	})
	t.ID, t.Until, t.Code = sent.ID, sent.Until, &sent.Code
	return Enrolment{SentTo: hidden(ask.Method, t.Address)}, err
}

// ConfirmEnrolment adds the factor and issues a session.
func (s *Service) ConfirmEnrolment(ctx context.Context, p Person, r Rules, c Confirmation) (Confirmed, error) {
	if err := checkAudience(c.Audience); err != nil {
		return Confirmed{}, err
	}
	w, err := s.who(p)
	if err != nil {
		return Confirmed{}, err
	}
	factor, records, err := s.confirm(ctx, p, w, r, c, func(a *enrolmentAttempt) (err error) {
		a.plan, err = s.newPlan(r, a.token.Method, a.amr, a.uv, c.Audience)
		return err
	})
	if err != nil {
		return Confirmed{}, err
	}
	session, err := s.sign(w, find(records, audit.FactorEnrolled))
	if err != nil {
		return Confirmed{}, err
	}
	return Confirmed{Session: session, Factor: factor}, nil
}

// confirm proves a factor and has it recorded, together with what complete plans
// to come of it.
func (s *Service) confirm(ctx context.Context, p Person, w who, r Rules, c Confirmation, complete func(*enrolmentAttempt) error) (Factor, []audit.Record, error) {
	var t enrolmentToken
	err := s.open(w.Owner, purposeEnrolment, c.Token, &t)
	if err != nil && !errors.Is(err, errBadToken) {
		return Factor{}, nil, err
	}
	a := enrolmentAttempt{
		act: s.newAct(s.record(audit.FactorEnrolled, w, r, t.Method, c.From), p, r), token: t,
		evidence: evidence{challenge: t.ID, until: t.Until},
	}
	credential := Credential{ID: t.ID, Method: t.Method, Name: t.Name, AddedAt: s.Clock().UTC()}
	if err != nil {
		a.reason = ReasonBadToken
	} else if err := s.prove(ctx, p, w, r, c, &a, &credential); err != nil {
		return Factor{}, nil, err
	}
	if err := complete(&a); err != nil {
		return Factor{}, nil, err
	}
	if err := s.keepFirst(ctx, w, &a, credential); err != nil {
		return Factor{}, nil, err
	}
	records, err := s.append(ctx, w, a)
	if err != nil {
		return Factor{}, nil, err
	}
	record, err := accepted(records, audit.FactorEnrolled)
	if errors.Is(err, ErrDenied) && slices.Contains(enrolmentRules, record.Reason) {
		err = &NotAllowedError{record.Reason}
	}
	return Factor{
		ID: credential.ID, Method: credential.Method, Name: credential.Name, AddedAt: record.Time, AAGUID: credential.AAGUID,
	}, records, err
}

// enrolmentRules are the reasons that may be told: they are about the rules, not
// about a code.
var enrolmentRules = []string{
	ReasonVerificationNeeded, ReasonLinkSpent, ReasonGraceOver, ReasonLedgerLost, ReasonTaken, ReasonFull, ReasonAttestation, ReasonAAGUID,
	ReasonMethodNotAllowed,
}

// keepFirst puts the credential into the vault, if the ledger is likely to take
// it. Where it is not, the ledger must not: it would be a factor without a secret.
func (s *Service) keepFirst(ctx context.Context, w who, a *enrolmentAttempt, c Credential) error {
	if !a.right {
		return nil
	}
	ledger, err := s.ledgerOf(ctx, w)
	if err != nil {
		return err
	}
	kept, err := s.load(ctx, w)
	if err != nil {
		return err
	}
	var outcome audit.Outcome
	var reason string
	err = s.Ledger.Read(ctx, w.Namespace, func(state audit.State[Entry]) {
		now := s.Clock()
		u := UserAt(state, w.subject(), now)
		a.forgotten = Forgotten(&u, kept.Credentials, ledger)
		if left, _ := u.CodesLeft(); left > 0 {
			a.codes = nil // those still count
		}
		if outcome, reason = a.verdict(state, &u, now); u.Lock != nil && !u.Lock.over(now) || a.suspended || !u.Removed.IsZero() {
			outcome, reason = audit.Failed, ReasonLocked
		}
	})
	if err != nil {
		return unavailable("reading the ledger", err)
	}
	switch outcome {
	case audit.Succeeded:
		if a.codes == nil {
			return s.add(ctx, w, ledger, c)
		}
		return s.add(ctx, w, ledger, c, *a.codes)
	case audit.Replayed:
		return nil // it stays one
	default:
		a.right, a.reason = false, reason
		return nil
	}
}

// prove checks what was shown, and makes the credential of it.
func (s *Service) prove(ctx context.Context, p Person, w who, r Rules, c Confirmation, a *enrolmentAttempt, credential *Credential) error {
	t := a.token
	var secret any
	a.reason, a.amr = ReasonWrongCode, amrOf(t.Method)
	switch {
	case t.Method != WebAuthn && !totpCode.MatchString(c.Code):
		return invalid("code", "has to be 6 to 8 digits")
	case t.Method == WebAuthn && (len(c.Response) == 0 || len(c.Response) > longestResponse):
		return invalid("response", "has to be what navigator.credentials.create returned")
	}
	switch t.Method {
	case TOTP:
		if t.TOTP == nil || !t.TOTP.sound() {
			a.reason = ReasonBadToken
			return nil
		}
		steps, err := t.TOTP.match(c.Code, s.Clock())
		if err != nil {
			return unavailable("checking a code", err)
		}
		if a.right = len(steps) > 0; a.right {
			a.step = slices.Max(steps)
		}
		secret = t.TOTP
	case WebAuthn:
		k, reason, err := s.finishKey(ctx, w, r, t.WebAuthn, c.Response)
		if err != nil {
			return err
		}
		a.right, a.reason = reason == "", reason
		a.counter, a.amr, a.uv = k.counter, k.amr, k.uv
		credential.AAGUID, secret = k.aaguid, k.keySecret
		if a.right {
			credential.ID, a.credential = keyFactor(t.ID, k.ID), credentialHash(k.ID)
			a.record.Details = []audit.Detail{
				detail(detailAAGUID, k.aaguid), detail(detailAttested, audit.Printable(k.Type, audit.MaxDetailValue)),
				detail(detailBackup, strconv.FormatBool(k.backedUp)),
			}
		}
	default:
		if t.Code == nil || t.Address == "" {
			a.reason = ReasonBadToken
			return nil
		}
		a.live = enrolPrefix + string(t.Method)
		right, err := s.isCode(w.Owner, *t.Code, t.ID, t.Address, c.Code)
		if err != nil {
			return err
		}
		switch {
		case p.Contact.address(t.Method) != t.Address:
			a.reason = ReasonAddressChanged
		case right:
			a.right = true
		}
		secret = addressSecret{Address: t.Address}
	}
	// Asked last, so that it takes the same work and the same form of a code for
	// whomever.
	switch {
	case !w.known:
		a.right, a.reason = false, ReasonUnknownUser
	case !r.allows(t.Method):
		a.right, a.reason = false, ReasonMethodNotAllowed
	}
	a.factor = credential.ID
	var err error
	if credential.Secret, err = json.Marshal(secret); err != nil {
		return unavailable("keeping a factor", err)
	}
	return nil
}

// enrolmentAttempt wants a factor to live.
type enrolmentAttempt struct {
	act
	evidence
	token      enrolmentToken
	factor     string      // its id
	plan       plan        // of a session; none: there is to be no session
	codes      *Credential // recovery codes that come along; nil: none do
	right      bool        // what was shown is
	forgotten  bool        // see Forgotten
	step       int64
	counter    uint32
	credential string // hash of a WebAuthn credential's id
}

func (a enrolmentAttempt) judge(state audit.State[Entry], now time.Time) ([]audit.Record, error) {
	if a.challenge != "" {
		a.record.Claim = "enrolment/" + a.challenge
		a.record.Details = append(slices.Clone(a.record.Details),
			detail(detailChallenge, a.challenge), untilDetail(a.until))
	}
	return a.guarded(state, now, func(u *User) []audit.Record {
		outcome, reason := a.verdict(state, u, now)
		if outcome != audit.Succeeded {
			return []audit.Record{with(a.record, outcome, reason)}
		}
		r := with(a.record, audit.Succeeded, "", detail(detailFactor, a.factor))
		if a.token.Name != "" {
			r.Details = append(r.Details, detail(detailName, a.token.Name))
		}
		if a.token.Grant.Link != "" {
			r.Details = append(r.Details, detail(detailLink, a.token.Grant.Link))
		}
		switch a.token.Method {
		case TOTP:
			r.Details = append(r.Details, numberDetail(detailStep, a.step))
		case WebAuthn:
			r.Details = append(r.Details, numberDetail(detailCounter, int64(a.counter)), detail(detailCredential, a.credential))
		default:
		}
		records := []audit.Record{r}
		if a.plan.id != "" {
			records = a.plan.issue(r, u, now)
		}
		if left, _ := u.CodesLeft(); a.codes != nil && left == 0 {
			issued := as(a.record, audit.RecoveryCodesIssued, "", detail(detailFactor, a.codes.ID), numberDetail(detailCodes, recoveryCodes))
			issued.Method = string(RecoveryCodes)
			records = append(records, issued)
		}
		return records
	})
}

func (a enrolmentAttempt) verdict(state audit.State[Entry], u *User, now time.Time) (audit.Outcome, string) {
	e := a.evidence
	if a.right {
		e.candidates = []candidate{{factor: a.factor}}
	}
	if outcome, reason := e.challengeVerdict(u, now); outcome != audit.Succeeded {
		return outcome, reason
	}
	switch reason := a.token.Grant.why(u, a.forgotten, a.rules, now); {
	case !a.right: // there was no token
		return audit.Failed, a.reason
	case reason != "":
		return audit.Failed, reason
	case len(u.Factors) >= mostFactors:
		return audit.Failed, ReasonFull
	case a.credential != "" && state.Get(credentialPrefix+a.credential).Owner != "":
		return audit.Failed, ReasonTaken
	}
	return audit.Succeeded, ""
}
