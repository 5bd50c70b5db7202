package mfa_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/mfa/mfatest"
)

// codes issues recovery codes with a session.
func (w *world) codes(session string) []string {
	w.Helper()
	codes, err := w.IssueRecoveryCodes(w.Context(), w.alice, w.rules, mfa.RecoveryCodesRequest{Session: session, From: w.from})
	if err != nil {
		w.Fatalf("issuing recovery codes: %v", err)
	}
	return codes
}

func (w *world) recover(code string) (mfa.Session, error) {
	return w.Verify(w.Context(), w.alice, w.rules, mfa.Proof{Method: mfa.RecoveryCodes, Code: code, Audience: "shop", From: w.from})
}

func TestRecoveryCodesAreUsedOnce(t *testing.T) {
	w := newWorld(t)
	_, c := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
	codes := w.codes(c.Session.Token)
	form := regexp.MustCompile(`^([0-9A-HJKMNP-TV-Z]{5}-){4}[0-9A-HJKMNP-TV-Z]{5}$`)
	if len(codes) != 10 || slices.ContainsFunc(codes, func(c string) bool { return !form.MatchString(c) }) {
		t.Errorf("%d codes, or not of the form that was promised", len(codes))
	}
	for n, code := range codes {
		if n%2 == 1 {
			code = strings.ToLower(strings.ReplaceAll(code, "-", " ")) // as somebody types it
		}
		s, err := w.recover(code)
		w.want("first use", err, nil, audit.Succeeded, "")
		if s.Verified || s.ACR != mfa.ACROne || !slices.Equal(s.AMR, []string{"rc"}) || !s.Enrol {
			t.Errorf("the session after a recovery code is %+v", s.Claims)
		}
		_, err = w.recover(code)
		w.want("second use", err, mfa.ErrDenied, audit.Replayed, mfa.ReasonUsed)
		list, err := w.Factors(t.Context(), w.alice)
		if err != nil || list[1].CodesLeft != 9-n {
			t.Errorf("after %d codes: %+v, %v", n+1, list, err)
		}
	}
	if s, err := w.recover("00000-00000-00000-00000-00000"); !errors.Is(err, mfa.ErrDenied) || s.Token != "" {
		t.Errorf("a code that is none: %v", err)
	}
}

func TestOneRecoveryCodeManyTimesAtOnce(t *testing.T) {
	w := newWorld(t)
	_, c := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
	for _, code := range w.codes(c.Session.Token) {
		var right atomic.Int64
		var all sync.WaitGroup
		for range 12 {
			s := w.replica()
			all.Go(func() {
				_, err := s.Verify(t.Context(), w.alice, w.rules, mfa.Proof{Method: mfa.RecoveryCodes, Code: code, From: w.from})
				if err == nil {
					right.Add(1)
				}
			})
		}
		all.Wait()
		if right.Load() != 1 {
			t.Fatalf("a recovery code was accepted %d times", right.Load())
		}
	}
}

func TestNewRecoveryCodesVoidTheOldOnes(t *testing.T) {
	w := newWorld(t)
	_, c := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
	old := w.codes(c.Session.Token)
	before, err := w.vault.Load(t.Context(), w.alice.Owner)
	if err != nil {
		t.Fatal(err)
	}
	fresh := w.codes(c.Session.Token)
	_, err = w.recover(old[0])
	w.want("an old one", err, mfa.ErrDenied, audit.Failed, mfa.ReasonWrongCode)
	w.vault.Change(w.alice.Owner, func(all []mfa.Credential) []mfa.Credential { return append(all, before.Credentials[1]) })
	_, err = w.recover(old[0])
	w.want("an old one, out of a backup", err, mfa.ErrDenied, audit.Failed, mfa.ReasonFactorGone)
	_, err = w.recover(fresh[0])
	w.want("a new one", err, nil, audit.Succeeded, "")
	w.sealer.Rotate()
	_, err = w.recover(fresh[1])
	w.want("after the key was rotated", err, nil, audit.Succeeded, "")
	w.sealer.Lose("key-1")
	if _, err = w.recover(fresh[2]); !errors.Is(err, mfa.ErrDenied) {
		t.Errorf("after the key is gone: %v", err)
	}
}

// Whatever a race of verifying and issuing ends in: after new codes were handed
// out, no old one is accepted.
func TestIssuingWhileCodesAreUsed(t *testing.T) {
	w := newWorld(t)
	d, c := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
	codes := w.codes(c.Session.Token)
	for range 3 {
		var issued atomic.Bool
		var all sync.WaitGroup
		for _, code := range codes {
			all.Go(func() {
				late := issued.Load()
				if _, err := w.replica().Verify(t.Context(), w.alice, w.rules, mfa.Proof{Method: mfa.RecoveryCodes, Code: code}); err == nil && late {
					t.Error("an old code was accepted after new ones had been handed out")
				}
			})
		}
		for codes = nil; codes == nil; { // each use of a code ends the session that was to have new ones
			s := w.mustVerify(w.alice, d)
			w.clock.Move(30 * time.Second)
			var no *mfa.NotAllowedError
			var err error
			if codes, err = w.IssueRecoveryCodes(t.Context(), w.alice, w.rules, mfa.RecoveryCodesRequest{Session: s.Token, From: w.from}); err != nil && !errors.As(err, &no) {
				t.Fatal(err)
			}
		}
		issued.Store(true)
		all.Wait()
		if err := w.Unlock(t.Context(), w.alice, w.from); err != nil && !errors.Is(err, mfa.ErrNotFound) {
			t.Fatal(err)
		}
	}
}

func TestARecoveryCodeOnlyAllowsToEnrol(t *testing.T) {
	w := newWorld(t)
	_, c := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
	codes := w.codes(c.Session.Token)
	w.clock.Move(time.Hour)
	s, err := w.recover(codes[0])
	if err != nil {
		t.Fatal(err)
	}
	notAllowed := func(what string, err error) {
		t.Helper()
		var no *mfa.NotAllowedError
		if !errors.As(err, &no) || no.Reason != mfa.ReasonVerificationNeeded {
			t.Errorf("%s: %v", what, err)
		}
	}
	notAllowed("removing a factor", w.Remove(t.Context(), w.alice, w.rules, mfa.RemoveRequest{ID: c.Factor.ID, Session: s.Token}))
	_, err = w.IssueRecoveryCodes(t.Context(), w.alice, w.rules, mfa.RecoveryCodesRequest{Session: s.Token})
	notAllowed("issuing codes", err)
	q, err := w.Requirement(t.Context(), w.alice, w.rules, mfa.RequirementRequest{Session: s.Token})
	if err != nil || !q.Needed || q.Why != mfa.NotVerified {
		t.Errorf("the requirement is %+v, %v", q, err)
	}
	in, err := w.Introspect(t.Context(), w.alice, w.rules, s.Token)
	if err != nil || !in.Active || in.Claims.Verified {
		t.Errorf("the session is worth %+v, %v", in, err)
	}
	_, n := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{Session: s.Token})
	if !n.Session.Verified {
		t.Error("enrolling another factor does not meet the policy")
	}
	w.clock.Move(15 * time.Minute)
	if in, err := w.Introspect(t.Context(), w.alice, w.rules, s.Token); err != nil || in.Active {
		t.Errorf("a quarter of an hour later it still is worth something: %v", err)
	}
	// The lost device goes, by the right of the new one.
	if err := w.Remove(t.Context(), w.alice, w.rules, mfa.RemoveRequest{ID: c.Factor.ID, Session: n.Session.Token}); err == nil {
		t.Error("with a verification that is too old")
	}
	a := mfatest.NewAuthenticator(rpID, origin, mfatest.ES256)
	if _, err := w.enrolKey(w.alice, a, n.Session.Token); err == nil {
		t.Error("with a verification that is too old")
	}
}

func TestAThousandCodesAreAllDifferent(t *testing.T) {
	w := newWorld(t)
	_, c := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
	seen := map[string]bool{}
	counts := map[rune]int{}
	for range 100 {
		for _, code := range w.codes(c.Session.Token) {
			if seen[code] {
				t.Fatal("a code came twice")
			}
			seen[code] = true
			for _, r := range strings.ReplaceAll(code, "-", "") {
				counts[r]++
			}
		}
	}
	// 25,000 characters of 32 kinds: 781 of each, give or take 28.
	for r, n := range counts {
		if n < 600 || n > 960 {
			t.Errorf("%c comes %d times", r, n)
		}
	}
	if len(counts) != 32 {
		t.Errorf("%d characters are used", len(counts))
	}
	if kept, err := w.vault.Load(t.Context(), w.alice.Owner); err != nil || len(kept.Credentials) > 24 {
		t.Errorf("the vault holds %d credentials, %v", len(kept.Credentials), err)
	}
}
