package mfa

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/neosc/mfa-operator/internal/audit"
)

// challengeLife is how long a WebAuthn challenge may be answered.
const challengeLife = 5 * time.Minute

// ChallengeRequest begins a verification that needs a challenge.
type ChallengeRequest struct {
	// Method is WebAuthn, Email or SMS.
	Method Method
	// Discoverable is for WebAuthn: no credentials are named, any passkey the
	// authenticator has for the relying party will do. The person may be anybody of
	// the namespace: whose passkey it was, by UID, the answer has as its user handle.
	Discoverable bool
	// Application asks, in the user's words, at most 64 characters; shown in the
	// message. May be empty.
	Application string
	From        From
}

// Challenge is what the user needs to answer.
type Challenge struct {
	// Token goes back with the answer. It is sealed.
	Token string
	// ExpiresAt is when the token ends.
	ExpiresAt time.Time
	// Options are for WebAuthn: what navigator.credentials.get takes, as JSON with
	// a member publicKey.
	Options json.RawMessage
}

// challengeToken is what a Challenge's token holds.
type challengeToken struct {
	ID     string    `json:"id"`
	Method Method    `json:"method"`
	Until  time.Time `json:"until"`
	// WebAuthn is the session data of the library.
	WebAuthn json.RawMessage `json:"webauthn,omitempty"`
	// Code is that of Email and SMS.
	Code sealedCode `json:"code,omitzero"`
}

// StartChallenge makes a WebAuthn challenge, for which nothing is written, or
// sends a code, which is recorded. It answers alike whether or not there is such
// a user or factor: the credential ids of somebody without any are made up, and
// stay the same.
func (s *Service) StartChallenge(ctx context.Context, p Person, r Rules, ask ChallengeRequest) (Challenge, error) {
	if n := utf8.RuneCountInString(ask.Application); n > 64 || audit.Printable(ask.Application, 64) != ask.Application {
		return Challenge{}, invalid("application", "has to be at most 64 printable characters")
	}
	switch ask.Method {
	case WebAuthn, Email, SMS:
	case TOTP, RecoveryCodes:
		return Challenge{}, invalid("method", "needs no challenge")
	default:
		return Challenge{}, invalid("method", "has to be WebAuthn, Email or SMS")
	}
	if ask.Discoverable && ask.Method == WebAuthn {
		p = Person{Owner: Owner{Namespace: p.Namespace, UID: anyone}}
		return s.challengeKey(who{Owner: p.Owner}, r, nil, true)
	}
	w, err := s.who(p)
	if err != nil {
		return Challenge{}, err
	}
	kept, err := s.load(ctx, w)
	if err != nil {
		return Challenge{}, err
	}
	if ask.Method == WebAuthn {
		return s.challengeKey(w, r, kept.Credentials, false)
	}
	if !s.offers(ask.Method) {
		return Challenge{}, &NotAllowedError{ReasonNotOffered}
	}
	address := p.Contact.address(ask.Method)
	factor, err := addressFactor(kept.Credentials, address)
	if err != nil {
		return Challenge{}, err
	}
	var reason string
	switch {
	case !w.known:
		reason = ReasonUnknownUser
	case !r.allows(ask.Method):
		reason = ReasonMethodNotAllowed
	case factor == "":
		reason = ReasonNoFactor
	}
	sent, _, err := s.send(ctx, p, w, r, sending{
		method: ask.Method, kind: string(ask.Method), factor: factor, reason: reason, address: address,
		application: ask.Application, from: ask.From,
	})
	return sent, err
}

// offers tells whether codes of that kind can be sent.
func (s *Service) offers(m Method) bool {
	return m != Email && m != SMS || s.Courier != nil && s.Courier.Offers(m)
}

// addressFactor returns the id of the factor whose address that is; empty if
// there is none.
func addressFactor(all []Credential, address string) (string, error) {
	for _, c := range all {
		if c.Method != Email && c.Method != SMS {
			continue
		}
		var secret addressSecret
		if err := json.Unmarshal(c.Secret, &secret); err != nil {
			return "", unavailable("reading a factor", fmt.Errorf("%w: an address cannot be read", ErrUnsealable))
		}
		if address != "" && secret.Address == address {
			return c.ID, nil
		}
	}
	return "", nil
}

// sending is a code to be sent.
type sending struct {
	method               Method
	kind                 string // what it will be the only live one of
	factor               string // whose code; empty: none yet, in an enrolment
	reason               string // why nothing is sent, though it looks so
	address, application string
	from                 From
}

// send records that a code is sent and sends it. Nobody but the record is told
// when there is nothing to send.
func (s *Service) send(ctx context.Context, p Person, w who, r Rules, what sending) (Challenge, challengeToken, error) {
	none := func(err error) (Challenge, challengeToken, error) { return Challenge{}, challengeToken{}, err }
	id, err := s.newID()
	if err != nil {
		return none(err)
	}
	code, err := s.newCode()
	if err != nil {
		return none(err)
	}
	t := challengeToken{ID: id, Method: what.method, Until: s.after(codeLife)}
	if t.Code, err = s.hashCode(w.Owner, id, what.address, code); err != nil {
		return none(err)
	}
	token, err := s.seal(w.Owner, purposeChallenge, t)
	if err != nil {
		return none(err)
	}
	a := sendAttempt{act: s.newAct(s.record(audit.ChallengeSent, w, r, what.method, what.from), p, r), sending: what}
	a.record.Details = []audit.Detail{
		detail(detailChallenge, id), untilDetail(t.Until), detail(detailFor, what.kind),
	}
	records, err := s.append(ctx, w, a)
	if err != nil {
		return none(err)
	}
	_, err = accepted(records, audit.ChallengeSent)
	if err == nil {
		// It is on record as sent, so it is sent, also when nobody waits any more:
		// gateways are slower than ledgers, and have a bound of their own.
		ctx := context.WithoutCancel(ctx)
		message := Message{Method: what.method, To: what.address, Code: code, Application: what.application, ExpiresAt: t.Until}
		if sendErr := s.Courier.Send(ctx, message); sendErr != nil {
			_, err := s.append(ctx, w, told{with(a.record, audit.Failed, ReasonNotDelivered)})
			if err != nil {
				return none(err)
			}
			return none(unavailable("sending a code", sendErr))
		}
	} else if _, throttled := err.(*ThrottledError); throttled { //nolint:errorlint // accepted does not wrap
		return none(err)
	}
	return Challenge{Token: token, ExpiresAt: t.Until}, t, nil
}

// sendAttempt wants a code to be sent.
type sendAttempt struct {
	act
	sending
}

func (a sendAttempt) judge(state audit.State[Entry], now time.Time) ([]audit.Record, error) {
	if records, err := a.sendable(state, now); records != nil || err != nil {
		return records, err
	}
	return a.guarded(state, now, func(u *User) []audit.Record {
		switch {
		case a.reason != "":
			return []audit.Record{with(a.record, audit.Failed, a.reason)}
		case a.factor != "" && u.factor(a.factor) == nil:
			return []audit.Record{with(a.record, audit.Failed, ReasonFactorGone)}
		}
		return []audit.Record{with(a.record, audit.Succeeded, "")}
	})
}

// told is an attempt that needs no judgement: something that has happened.
type told struct{ record audit.Record }

func (a told) judge(audit.State[Entry], time.Time) ([]audit.Record, error) {
	return []audit.Record{a.record}, nil
}
