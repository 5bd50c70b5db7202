package mfa_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/mfa/mfatest"
)

func (w *world) link() string {
	w.Helper()
	l, err := w.StartLink(w.Context(), w.alice, w.rules, mfa.LinkRequest{From: w.from})
	if err != nil {
		w.Fatal(err)
	}
	return l.Token
}

func TestWhoMayEnrol(t *testing.T) {
	const day = 24 * time.Hour
	firstLogin := func(w *world) {
		if _, err := w.Requirement(t.Context(), w.alice, w.rules, mfa.RequirementRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	reset := func(w *world) {
		if err := w.ledger.Record("team-a", mfa.Reset(w.alice.UID, "root", "LostDevice", nil, nil, false)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		reason  string
		grace   time.Duration
		enforce mfa.Enforcement
		prepare func(*world) mfa.EnrolmentRequest
		because string // empty: they may
	}{
		{"the first factor, at the first login", 0, mfa.AlwaysRequired, func(*world) mfa.EnrolmentRequest { return mfa.EnrolmentRequest{} }, ""},
		{"the first login goes on until there is one", 0, mfa.RequiredOnFirstLogin, func(w *world) mfa.EnrolmentRequest {
			firstLogin(w)
			w.clock.Move(30 * day)
			return mfa.EnrolmentRequest{}
		}, ""},
		{"within the grace period", 7 * day, mfa.RequiredOnFirstLogin, func(w *world) mfa.EnrolmentRequest {
			firstLogin(w)
			w.clock.Move(7*day - time.Second)
			return mfa.EnrolmentRequest{}
		}, ""},
		{"after the grace period", 7 * day, mfa.RequiredOnFirstLogin, func(w *world) mfa.EnrolmentRequest {
			firstLogin(w)
			w.clock.Move(7 * day)
			return mfa.EnrolmentRequest{}
		}, mfa.ReasonGraceOver},
		{"after the grace period, with a link", 7 * day, mfa.RequiredOnFirstLogin, func(w *world) mfa.EnrolmentRequest {
			firstLogin(w)
			w.clock.Move(8 * day)
			return mfa.EnrolmentRequest{Link: w.link()}
		}, ""},
		{"a reset does not begin it again", 7 * day, mfa.RequiredOnFirstLogin, func(w *world) mfa.EnrolmentRequest {
			firstLogin(w)
			w.clock.Move(8 * day)
			reset(w)
			return mfa.EnrolmentRequest{}
		}, mfa.ReasonGraceOver},
		{"nor the first login", 0, mfa.RequiredOnFirstLogin, func(w *world) mfa.EnrolmentRequest {
			w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
			reset(w)
			return mfa.EnrolmentRequest{}
		}, mfa.ReasonGraceOver},
		{"after a reset, with a link", 0, mfa.RequiredOnFirstLogin, func(w *world) mfa.EnrolmentRequest {
			w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
			reset(w)
			return mfa.EnrolmentRequest{Link: w.link()}
		}, ""},
		{"nobody demands it", 0, mfa.Optional, func(*world) mfa.EnrolmentRequest { return mfa.EnrolmentRequest{} }, ""},
		{"a second factor, with only the password", 0, mfa.RequiredOnFirstLogin, func(w *world) mfa.EnrolmentRequest {
			w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
			return mfa.EnrolmentRequest{}
		}, mfa.ReasonVerificationNeeded},
		{"also within the grace period", 7 * day, mfa.RequiredOnFirstLogin, func(w *world) mfa.EnrolmentRequest {
			w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
			return mfa.EnrolmentRequest{}
		}, mfa.ReasonVerificationNeeded},
		{"also where nobody demands it", 0, mfa.Optional, func(w *world) mfa.EnrolmentRequest {
			w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
			return mfa.EnrolmentRequest{}
		}, mfa.ReasonVerificationNeeded},
		{"with a verification of just now", 0, mfa.RequiredOnFirstLogin, func(w *world) mfa.EnrolmentRequest {
			d, _ := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
			s := w.mustVerify(w.alice, d)
			w.clock.Move(5 * time.Minute)
			return mfa.EnrolmentRequest{Session: s.Token}
		}, ""},
		{"with one of five minutes ago", 0, mfa.RequiredOnFirstLogin, func(w *world) mfa.EnrolmentRequest {
			d, _ := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
			s := w.mustVerify(w.alice, d)
			w.clock.Move(5*time.Minute + time.Second)
			return mfa.EnrolmentRequest{Session: s.Token}
		}, mfa.ReasonVerificationNeeded},
		{"with a session that was revoked", 0, mfa.RequiredOnFirstLogin, func(w *world) mfa.EnrolmentRequest {
			_, c := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
			if err := w.Revoke(t.Context(), w.alice, mfa.RevokeRequest{}); err != nil {
				t.Fatal(err)
			}
			return mfa.EnrolmentRequest{Session: c.Session.Token}
		}, mfa.ReasonVerificationNeeded},
		{"with a link that another one replaced", 0, mfa.RequiredOnFirstLogin, func(w *world) mfa.EnrolmentRequest {
			w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
			l := w.link()
			w.link()
			return mfa.EnrolmentRequest{Link: l}
		}, mfa.ReasonLinkSpent},
		{"with a link of an hour ago", 0, mfa.RequiredOnFirstLogin, func(w *world) mfa.EnrolmentRequest {
			w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
			l := w.link()
			w.clock.Move(time.Hour)
			return mfa.EnrolmentRequest{Link: l}
		}, mfa.ReasonLinkSpent},
		{"with a link of somebody else", 0, mfa.RequiredOnFirstLogin, func(w *world) mfa.EnrolmentRequest {
			l := w.link()
			w.alice.Owner = mfa.Owner{Namespace: "team-a", Name: "bob", UID: "6f1c1f6e-0000-4000-8000-000000000002"}
			return mfa.EnrolmentRequest{Link: l}
		}, mfa.ReasonLinkSpent},
		{"somebody suspended", 0, mfa.RequiredOnFirstLogin, func(w *world) mfa.EnrolmentRequest {
			w.alice.Suspended = true
			return mfa.EnrolmentRequest{}
		}, mfa.ReasonSuspended},
		{"a method the policy does not have", 0, mfa.RequiredOnFirstLogin, func(w *world) mfa.EnrolmentRequest {
			w.rules.Methods = []mfa.Method{mfa.WebAuthn}
			return mfa.EnrolmentRequest{}
		}, mfa.ReasonMethodNotAllowed},
	} {
		w := newWorld(t)
		w.rules.GracePeriod, w.rules.Enforcement = c.grace, c.enforce
		ask := c.prepare(w)
		ask.Method, ask.From = mfa.TOTP, w.from
		e, err := w.StartEnrolment(t.Context(), w.alice, w.rules, ask)
		if c.because != "" {
			var no *mfa.NotAllowedError
			if !errors.As(err, &no) || no.Reason != c.because {
				t.Errorf("%s: %v, want %s", c.reason, err, c.because)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.reason, err)
			continue
		}
		code := device{secret: e.Secret}.at(w.clock.Now(), 0)
		if _, err := w.ConfirmEnrolment(t.Context(), w.alice, w.rules, mfa.Confirmation{Token: e.Token, Code: code, From: w.from}); err != nil {
			t.Errorf("%s: confirming: %v", c.reason, err)
		}
	}
}

// What allowed to begin has to hold at the end, too.
func TestWhatHasChangedBeforeTheConfirmation(t *testing.T) {
	for _, c := range []struct {
		reason  string
		session bool
		change  func(*world, mfa.EnrolmentRequest)
		because string
	}{
		{"the session was revoked", true, func(w *world, _ mfa.EnrolmentRequest) {
			if err := w.Revoke(t.Context(), w.alice, mfa.RevokeRequest{}); err != nil {
				t.Fatal(err)
			}
		}, mfa.ReasonVerificationNeeded},
		{"another first factor was enrolled", false, func(w *world, _ mfa.EnrolmentRequest) { w.mustEnrolKey(w.alice, mfatest.ES256) }, mfa.ReasonVerificationNeeded},
		{"the policy has lost the method", false, func(w *world, _ mfa.EnrolmentRequest) { w.rules.Methods = []mfa.Method{mfa.WebAuthn} }, mfa.ReasonMethodNotAllowed},
		{"it took too long", false, func(w *world, _ mfa.EnrolmentRequest) { w.clock.Move(10*time.Minute + time.Second) }, mfa.ReasonExpired},
		{"suspended", false, func(w *world, _ mfa.EnrolmentRequest) { w.alice.Suspended = true }, mfa.ReasonSuspended},
	} {
		w := newWorld(t)
		ask := mfa.EnrolmentRequest{Method: mfa.TOTP, From: w.from}
		if c.session {
			_, first := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
			ask.Session = first.Session.Token
		}
		e, err := w.StartEnrolment(t.Context(), w.alice, w.rules, ask)
		if err != nil {
			t.Fatal(err)
		}
		c.change(w, ask)
		before, err := w.Factors(t.Context(), w.alice)
		if err != nil {
			t.Fatal(err)
		}
		code := device{secret: e.Secret}.at(w.clock.Now(), 0)
		_, err = w.ConfirmEnrolment(t.Context(), w.alice, w.rules, mfa.Confirmation{Token: e.Token, Code: code, From: w.from})
		if err == nil || w.last().Action != audit.FactorEnrolled || w.last().Reason != c.because {
			t.Errorf("%s: %v, recorded as %s %s", c.reason, err, w.last().Action, w.last().Reason)
		}
		after, err := w.Factors(t.Context(), w.alice)
		if err != nil || len(after) != len(before) {
			t.Errorf("%s: the factors are %v, %v", c.reason, after, err)
		}
	}
}

func TestALinkIsGoodForOneFactor(t *testing.T) {
	w := newWorld(t)
	w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
	link := w.link()
	owner, err := w.LinkOwner(t.Context(), "team-a", link)
	if err != nil || owner != w.alice.Owner {
		t.Fatalf("it is of %+v, %v", owner, err)
	}
	if _, err := w.LinkOwner(t.Context(), "team-b", link); !errors.Is(err, mfa.ErrDenied) {
		t.Errorf("in another namespace: %v", err)
	}
	var tokens []mfa.Enrolment
	for range 8 {
		e, err := w.StartEnrolment(t.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.TOTP, Link: link})
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, e)
	}
	var right atomic.Int64
	var all sync.WaitGroup
	for _, e := range tokens {
		all.Go(func() {
			code := device{secret: e.Secret}.at(w.clock.Now(), 0)
			_, err := w.replica().ConfirmEnrolment(t.Context(), w.alice, w.rules, mfa.Confirmation{Token: e.Token, Code: code})
			var no *mfa.NotAllowedError
			switch {
			case err == nil:
				right.Add(1)
			case !errors.As(err, &no) || no.Reason != mfa.ReasonLinkSpent:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if right.Load() != 1 {
		t.Errorf("%d factors were enrolled with one link", right.Load())
	}
	if list, err := w.Factors(t.Context(), w.alice); err != nil || len(list) != 2 {
		t.Errorf("the factors are %v, %v", list, err)
	}
	if _, err := w.LinkOwner(t.Context(), "team-a", link); !errors.Is(err, mfa.ErrDenied) {
		t.Errorf("the link afterwards: %v", err)
	}
	if _, err := w.StartLink(t.Context(), w.alice, w.rules, mfa.LinkRequest{Lifetime: 25 * time.Hour}); !errors.Is(err, mfa.ErrInvalid) {
		t.Errorf("a link for longer than a day: %v", err)
	}
	if _, err := w.StartLink(t.Context(), w.nobody, w.rules, mfa.LinkRequest{}); !errors.Is(err, mfa.ErrNotFound) {
		t.Errorf("a link for nobody: %v", err)
	}
}

func TestOneConfirmationManyTimesAtOnce(t *testing.T) {
	w := newWorld(t)
	e, err := w.StartEnrolment(t.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.TOTP})
	if err != nil {
		t.Fatal(err)
	}
	code := device{secret: e.Secret}.at(w.clock.Now(), 0)
	var right atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if _, err := w.replica().ConfirmEnrolment(t.Context(), w.alice, w.rules, mfa.Confirmation{Token: e.Token, Code: code}); err == nil {
				right.Add(1)
			} else if !errors.Is(err, mfa.ErrDenied) && !errors.Is(err, mfa.ErrNotAllowed) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	list, err := w.Factors(t.Context(), w.alice)
	if err != nil || right.Load() != 1 || len(list) != 1 {
		t.Fatalf("accepted %d times; the factors are %v, %v", right.Load(), list, err)
	}
	w.clock.Move(30 * time.Second)
	w.mustVerify(w.alice, device{secret: e.Secret})
}

func TestAWrongConfirmationCountsAsAGuess(t *testing.T) {
	w := newWorld(t)
	e, err := w.StartEnrolment(t.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.TOTP, From: w.from})
	if err != nil {
		t.Fatal(err)
	}
	d := device{secret: e.Secret}
	for range 3 {
		_, err := w.ConfirmEnrolment(t.Context(), w.alice, w.rules, mfa.Confirmation{Token: e.Token, Code: d.wrong(w.clock.Now()), From: w.from})
		w.want("a wrong code", err, mfa.ErrDenied, audit.Failed, mfa.ReasonWrongCode)
	}
	_, err = w.ConfirmEnrolment(t.Context(), w.alice, w.rules, mfa.Confirmation{Token: e.Token, Code: d.at(w.clock.Now(), 0), From: w.from})
	if !errors.Is(err, mfa.ErrThrottled) {
		t.Errorf("after three: %v", err)
	}
	w.clock.Move(time.Minute)
	if _, err = w.ConfirmEnrolment(t.Context(), w.alice, w.rules, mfa.Confirmation{Token: e.Token, Code: d.at(w.clock.Now(), 0), From: w.from}); err != nil {
		t.Errorf("later: %v", err)
	}
	kept, err := w.vault.Load(t.Context(), w.alice.Owner)
	if err != nil || len(kept.Credentials) != 1 {
		t.Errorf("the vault holds %d credentials, %v", len(kept.Credentials), err)
	}
	_, err = w.ConfirmEnrolment(t.Context(), w.alice, w.rules, mfa.Confirmation{Token: "AAAA", Code: "123456", From: w.from})
	w.want("a token that is none", err, mfa.ErrDenied, audit.Failed, mfa.ReasonBadToken)
	_, err = w.ConfirmEnrolment(t.Context(), w.nobody, w.rules, mfa.Confirmation{Token: e.Token, Code: "123456", From: w.from})
	w.want("for nobody", err, mfa.ErrDenied, audit.Failed, mfa.ReasonBadToken)
}

// Who does not exist is told of a malformed code what anybody is.
func TestAMalformedConfirmationTellsNobodyApart(t *testing.T) {
	for who, p := range map[string]func(*world) mfa.Person{
		"a user": func(w *world) mfa.Person { return w.alice }, "nobody": func(w *world) mfa.Person { return w.nobody },
	} {
		for _, method := range []mfa.Method{mfa.TOTP, mfa.WebAuthn} {
			w := newWorld(t)
			e, err := w.StartEnrolment(t.Context(), p(w), w.rules, mfa.EnrolmentRequest{Method: method, From: w.from})
			if err != nil {
				t.Fatal(err)
			}
			before := len(w.ledger.Records("team-a"))
			_, err = w.ConfirmEnrolment(t.Context(), p(w), w.rules, mfa.Confirmation{Token: e.Token, Code: "12 345", From: w.from})
			if !errors.Is(err, mfa.ErrInvalid) || len(w.ledger.Records("team-a")) != before {
				t.Errorf("%s, %s: %v, and %d records", who, method, err, len(w.ledger.Records("team-a"))-before)
			}
		}
	}
}

func TestManagingFactors(t *testing.T) {
	w := newWorld(t)
	d, first := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{Name: "old phone"})
	ctx := t.Context()
	reason := func(err error) string {
		var no *mfa.NotAllowedError
		if errors.As(err, &no) {
			return no.Reason
		}
		return fmt.Sprint(err)
	}
	s := w.mustVerify(w.alice, d)
	if err := w.Remove(ctx, w.alice, w.rules, mfa.RemoveRequest{ID: first.Factor.ID, Session: s.Token, From: w.from}); reason(err) != mfa.ReasonLastFactor {
		t.Errorf("removing the last one: %v", err)
	}
	w.codes(s.Token)
	if err := w.Remove(ctx, w.alice, w.rules, mfa.RemoveRequest{ID: first.Factor.ID, Session: s.Token, From: w.from}); reason(err) != mfa.ReasonLastFactor {
		t.Errorf("recovery codes are not enough: %v", err)
	}
	if err := w.Remove(ctx, w.alice, w.rules, mfa.RemoveRequest{ID: "none", Session: s.Token}); !errors.Is(err, mfa.ErrNotFound) {
		t.Errorf("removing what is not there: %v", err)
	}
	if err := w.Remove(ctx, w.alice, w.rules, mfa.RemoveRequest{ID: first.Factor.ID}); reason(err) != mfa.ReasonVerificationNeeded {
		t.Errorf("without a session: %v", err)
	}
	_, second := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{Session: s.Token})
	if err := w.Rename(ctx, w.alice, w.rules, mfa.RenameRequest{ID: second.Factor.ID, Name: "new phone", From: w.from}); err != nil {
		t.Fatal(err)
	}
	for name, wanted := range map[string]error{strings.Repeat("x", 65): mfa.ErrInvalid, "a\nb": mfa.ErrInvalid} {
		if err := w.Rename(ctx, w.alice, w.rules, mfa.RenameRequest{ID: second.Factor.ID, Name: name}); !errors.Is(err, wanted) {
			t.Errorf("renaming to %q: %v", name, err)
		}
	}
	if err := w.Rename(ctx, w.alice, w.rules, mfa.RenameRequest{ID: "none", Name: "x"}); !errors.Is(err, mfa.ErrNotFound) {
		t.Errorf("renaming what is not there: %v", err)
	}
	if err := w.Remove(ctx, w.alice, w.rules, mfa.RemoveRequest{ID: first.Factor.ID, Session: s.Token, From: w.from}); err != nil {
		t.Fatal(err)
	}
	list, err := w.Factors(ctx, w.alice)
	if err != nil || len(list) != 2 || list[0].Method != mfa.RecoveryCodes || list[1].Name != "new phone" {
		t.Errorf("the factors are %+v, %v", list, err)
	}
	w.clock.Move(time.Minute)
	_, err = w.verifyTOTP(w.alice, d.at(w.clock.Now(), 0))
	w.want("the one that was removed", err, mfa.ErrDenied, audit.Failed, mfa.ReasonWrongCode)
}

func TestAUserHasABoundedNumberOfFactors(t *testing.T) {
	w := newWorld(t)
	_, c := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
	session := c.Session.Token
	for n := 1; n < 16; n++ {
		_, c := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{Session: session})
		session = c.Session.Token
	}
	var no *mfa.NotAllowedError
	_, err := w.StartEnrolment(t.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.TOTP, Session: session})
	if !errors.As(err, &no) || no.Reason != mfa.ReasonFull {
		t.Errorf("the seventeenth: %v", err)
	}
}

func TestMalformedEnrolments(t *testing.T) {
	w := newWorld(t)
	for reason, ask := range map[string]mfa.EnrolmentRequest{
		"no method":               {},
		"recovery codes":          {Method: mfa.RecoveryCodes},
		"an unknown method":       {Method: "Voodoo"},
		"an algorithm of no RFC":  {Method: mfa.TOTP, Algorithm: "MD5"},
		"seven digits":            {Method: mfa.TOTP, Digits: 7},
		"a name that is too long": {Method: mfa.TOTP, Name: strings.Repeat("x", 65)},
		"a name with a line feed": {Method: mfa.TOTP, Name: "a\nb"},
	} {
		if _, err := w.StartEnrolment(t.Context(), w.alice, w.rules, ask); !errors.Is(err, mfa.ErrInvalid) {
			t.Errorf("%s: %v", reason, err)
		}
	}
}
