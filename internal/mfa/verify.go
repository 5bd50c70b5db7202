package mfa

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/neosc/mfa-operator/internal/audit"
)

// Proof is what a user shows.
type Proof struct {
	Method Method
	// Code is for TOTP, RecoveryCodes, Email and SMS.
	Code string
	// Challenge is the token of the Challenge, for WebAuthn, Email and SMS.
	Challenge string
	// Response is for WebAuthn: the PublicKeyCredential as JSON.
	Response []byte
	// Audience of the session: the application; at most 200 characters.
	Audience string
	From     From
}

// candidate is something right that was shown, if it was not used before.
type candidate struct {
	factor  string
	step    int64  // of TOTP
	code    int    // of RecoveryCodes
	counter uint32 // of WebAuthn
}

// evidence is what a proof turned out to be.
type evidence struct {
	candidates []candidate
	reason     string // if there are none
	challenge  string // that is used up
	until      time.Time
	live       string // what the challenge is the only one of, if it is
	amr        []string
	uv         bool
}

// wrong is evidence of nothing.
func wrong(reason string) evidence { return evidence{reason: reason} }

// Verify judges a proof and uses it up. Whatever is not right ends as ErrDenied;
// only what is malformed beyond doubt, such as a code with letters, is
// ErrInvalid and is not recorded.
func (s *Service) Verify(ctx context.Context, p Person, r Rules, proof Proof) (Session, error) {
	if err := proof.check(); err != nil {
		return Session{}, err
	}
	w, err := s.who(p)
	if err != nil {
		return Session{}, err
	}
	kept, err := s.load(ctx, w)
	if err != nil {
		return Session{}, err
	}
	e, err := s.examine(p, w, r, kept.Credentials, proof)
	if err != nil {
		return Session{}, err
	}
	if !usable(r, proof.Method) {
		e.candidates, e.reason = nil, ReasonMethodNotAllowed
	}
	if !w.known {
		e.candidates, e.reason = nil, ReasonUnknownUser
	}
	plan, err := s.newPlan(r, proof.Method, e.amr, e.uv, proof.Audience)
	if err != nil {
		return Session{}, err
	}
	action := audit.Verification
	if proof.Method == RecoveryCodes {
		action = audit.RecoveryCodeUsed
	}
	a := verification{act: s.newAct(s.record(action, w, r, proof.Method, proof.From), p, r), method: proof.Method, evidence: e, plan: plan}
	if e.challenge != "" {
		a.record.Claim = "challenge/" + e.challenge
		a.record.Details = []audit.Detail{detail(detailChallenge, e.challenge), untilDetail(e.until)}
	}
	records, err := s.append(ctx, w, a)
	if err != nil {
		return Session{}, err
	}
	won, err := accepted(records, action)
	if err != nil {
		return Session{}, err
	}
	return s.sign(w, won)
}

// check says what is malformed beyond doubt.
func (p Proof) check() error {
	if err := checkAudience(p.Audience); err != nil {
		return err
	}
	switch p.Method {
	case TOTP, Email, SMS:
		if !totpCode.MatchString(p.Code) {
			return invalid("code", "has to be 6 to 8 digits")
		}
	case RecoveryCodes:
		if plainRecovery(p.Code) == "" {
			return invalid("code", "has to be a recovery code of 25 characters")
		}
	case WebAuthn:
		if len(p.Response) == 0 || len(p.Response) > longestResponse {
			return invalid("response", "has to be what navigator.credentials.get returned")
		}
	default:
		return invalid("method", "has to be TOTP, WebAuthn, RecoveryCodes, Email or SMS")
	}
	return nil
}

func checkAudience(audience string) error {
	if utf8.RuneCountInString(audience) > 200 || audit.Printable(audience, 200) != audience {
		return invalid("audience", "has to be at most 200 printable characters")
	}
	return nil
}

// usable tells whether a method may be used. A possession factor that the policy
// no longer allows still proves who somebody is, for enrolling another one.
func usable(r Rules, m Method) bool { return r.allows(m) || m == TOTP || m == WebAuthn }

// examine does the expensive part: is the proof right, whatever was used before?
func (s *Service) examine(p Person, w who, r Rules, all []Credential, proof Proof) (evidence, error) {
	var mine []Credential
	for _, c := range all {
		if c.Method == proof.Method {
			mine = append(mine, c)
		}
	}
	switch proof.Method {
	case TOTP:
		return s.examineTOTP(mine, proof.Code)
	case RecoveryCodes:
		return s.examineRecovery(w, mine, plainRecovery(proof.Code))
	case WebAuthn:
		return s.examineAssertion(w, r, mine, proof)
	default:
		return s.examineCode(p, w, mine, proof)
	}
}

func (s *Service) examineTOTP(mine []Credential, code string) (evidence, error) {
	e := evidence{reason: ReasonWrongCode, amr: amrOf(TOTP)}
	now := s.Clock()
	for _, c := range mine {
		secret, err := parseTOTP(c.Secret)
		if err != nil {
			return e, unavailable("reading a factor", err)
		}
		steps, err := secret.match(code, now)
		if err != nil {
			return e, unavailable("reading a factor", err)
		}
		for _, step := range steps {
			e.candidates = append(e.candidates, candidate{factor: c.ID, step: step})
		}
	}
	if len(mine) == 0 {
		e.reason = ReasonNoFactor
		if _, err := nobodysTOTP.match(code, now); err != nil {
			return e, unavailable("looking for a factor", err)
		}
	}
	return e, nil
}

func (s *Service) examineRecovery(w who, mine []Credential, plain string) (evidence, error) {
	e := evidence{reason: ReasonWrongCode, amr: amrOf(RecoveryCodes)}
	for _, c := range mine {
		at, err := s.matchRecovery(w.Owner, c.Secret, plain)
		if err != nil {
			return e, unavailable("reading recovery codes", err)
		}
		if at >= 0 {
			e.candidates = append(e.candidates, candidate{factor: c.ID, code: at})
		}
	}
	if len(mine) == 0 {
		e.reason = ReasonNoFactor
		if _, _, err := s.Sealer.Hash(w.Owner, purposeRecovery, []byte(plain)); err != nil {
			return e, unavailable("looking for recovery codes", err)
		}
	}
	return e, nil
}

// examineCode looks at a code that was sent.
func (s *Service) examineCode(p Person, w who, mine []Credential, proof Proof) (evidence, error) {
	var c challengeToken
	err := s.open(w.Owner, purposeChallenge, proof.Challenge, &c)
	if errors.Is(err, errBadToken) || err == nil && c.Method != proof.Method {
		return wrong(ReasonBadToken), nil
	}
	if err != nil {
		return evidence{}, err
	}
	e := evidence{reason: ReasonWrongCode, challenge: c.ID, until: c.Until, live: string(c.Method), amr: amrOf(c.Method)}
	address := p.Contact.address(c.Method)
	right, err := s.isCode(w.Owner, c.Code, c.ID, address, proof.Code)
	if err != nil {
		return e, err
	}
	factor, err := addressFactor(mine, address)
	if err != nil {
		return e, err
	}
	switch {
	case len(mine) == 0:
		e.reason = ReasonNoFactor
	case factor == "":
		e.reason = ReasonAddressChanged
	case right:
		e.candidates = []candidate{{factor: factor}}
	}
	return e, nil
}

// verification is a guess at a second factor.
type verification struct {
	act
	method Method
	evidence
	plan plan
}

func (a verification) judge(state audit.State[Entry], now time.Time) ([]audit.Record, error) {
	return a.guarded(state, now, func(u *User) []audit.Record {
		outcome, reason, c := a.verdict(u, now)
		if outcome != audit.Succeeded {
			return []audit.Record{with(a.record, outcome, reason)}
		}
		r := with(a.record, audit.Succeeded, "", detail(detailFactor, c.factor))
		switch a.method {
		case TOTP:
			r.Claim = fmt.Sprintf("totp/%s/%d", c.factor, c.step)
			r.Details = append(r.Details, numberDetail(detailStep, c.step))
		case RecoveryCodes:
			r.Claim = fmt.Sprintf("recovery/%s/%d", c.factor, c.code)
			r.Details = append(r.Details, numberDetail(detailCode, int64(c.code)))
		case WebAuthn:
			r.Details = append(r.Details, numberDetail(detailCounter, int64(c.counter)))
		default:
		}
		return a.plan.issue(r, u, now)
	})
}

// verdict says whether one of the candidates is good, and which.
func (a verification) verdict(u *User, now time.Time) (audit.Outcome, string, candidate) {
	if outcome, reason := a.challengeVerdict(u, now); outcome != audit.Succeeded {
		return outcome, reason, candidate{}
	}
	outcome, reason := audit.Failed, a.reason
	for _, c := range a.candidates {
		f := u.factor(c.factor)
		switch {
		case f == nil || f.Method != a.method:
			outcome, reason = audit.Failed, ReasonFactorGone
		case a.method == TOTP && c.step <= f.Step, a.method == RecoveryCodes && f.Used&(1<<uint(c.code)) != 0:
			outcome, reason = audit.Replayed, ReasonUsed
		case a.method == WebAuthn && (c.counter != 0 || f.Counter != 0) && c.counter <= f.Counter:
			outcome, reason = audit.Failed, ReasonCloneSuspected
		default:
			return audit.Succeeded, "", c
		}
	}
	return outcome, reason, candidate{}
}

// challengeVerdict says whether the challenge may still be answered. A wrong
// answer to a challenge is wrong, also when that was used before.
func (e evidence) challengeVerdict(u *User, now time.Time) (audit.Outcome, string) {
	if e.challenge == "" {
		return audit.Succeeded, ""
	}
	for i := range u.Live {
		if l := &u.Live[i]; l.ID == e.challenge && l.Tries >= mostTries {
			return audit.Failed, ReasonTooManyTries
		}
	}
	switch {
	case len(e.candidates) == 0:
		return audit.Failed, e.reason
	case u.spent(e.challenge):
		return audit.Replayed, ReasonUsed
	case !now.Before(e.until):
		return audit.Failed, ReasonExpired
	case e.live != "" && (u.live(e.live) == nil || u.live(e.live).ID != e.challenge):
		return audit.Failed, ReasonNotLatest
	}
	return audit.Succeeded, ""
}
