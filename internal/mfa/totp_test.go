package mfa_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/mfa"
)

func TestACodeIsAcceptedOnce(t *testing.T) {
	w := newWorld(t)
	d, _ := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{Name: "phone"})
	code := d.at(w.clock.Now(), 0)
	s, err := w.verifyTOTP(w.alice, code)
	w.want("the first time", err, nil, audit.Succeeded, "")
	if s.Token == "" || !s.Verified || s.ACR != mfa.ACRTwo || s.Enrol {
		t.Errorf("the session is %+v", s)
	}
	_, err = w.verifyTOTP(w.alice, code)
	w.want("the second time", err, mfa.ErrDenied, audit.Replayed, mfa.ReasonUsed)
}

func TestStepsOnlyGoUp(t *testing.T) {
	for _, c := range []struct {
		first, second int64
		wanted        error
		outcome       audit.Outcome
		why, reason   string
	}{
		{1, 0, mfa.ErrDenied, audit.Replayed, mfa.ReasonUsed, "an older code that was never used is gone too"},
		{0, 1, nil, audit.Succeeded, "", "the next code, of a clock that runs fast"},
		{-1, 0, nil, audit.Succeeded, "", "a clock that runs slow"},
	} {
		w := newWorld(t)
		d, _ := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
		w.clock.Move(time.Minute)
		now := w.clock.Now()
		_, err := w.verifyTOTP(w.alice, d.at(now, c.first))
		w.want("first code", err, nil, audit.Succeeded, "")
		_, err = w.verifyTOTP(w.alice, d.at(now, c.second))
		w.want(c.reason, err, c.wanted, c.outcome, c.why)
	}
}

func TestTheWindowIsOneStepEitherWay(t *testing.T) {
	for steps, right := range map[int64]bool{-2: false, -1: true, 0: true, 1: true, 2: false} {
		w := newWorld(t)
		d, _ := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
		w.clock.Move(5 * time.Minute)
		_, err := w.verifyTOTP(w.alice, d.at(w.clock.Now(), steps))
		if right != (err == nil) {
			t.Errorf("%d steps off: %v", steps, err)
		}
	}
}

func TestAClockSetBackDoesNotBringACodeBack(t *testing.T) {
	w := newWorld(t)
	d, _ := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
	w.clock.Move(5 * time.Minute)
	code := d.at(w.clock.Now(), 0)
	if _, err := w.verifyTOTP(w.alice, code); err != nil {
		t.Fatal(err)
	}
	w.clock.Move(-2 * time.Minute)
	_, err := w.verifyTOTP(w.alice, d.at(w.clock.Now(), 0))
	w.want("the code of two minutes ago", err, mfa.ErrDenied, audit.Replayed, mfa.ReasonUsed)
}

func TestTheCodeThatEnrolledDoesNotLogIn(t *testing.T) {
	w := newWorld(t)
	e, err := w.StartEnrolment(t.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.TOTP})
	if err != nil {
		t.Fatal(err)
	}
	code := device{secret: e.Secret}.at(w.clock.Now(), 0)
	confirm := mfa.Confirmation{Token: e.Token, Code: code, From: w.from}
	if _, err := w.ConfirmEnrolment(t.Context(), w.alice, w.rules, confirm); err != nil {
		t.Fatal(err)
	}
	_, err = w.verifyTOTP(w.alice, code)
	w.want("the same code", err, mfa.ErrDenied, audit.Replayed, mfa.ReasonUsed)
	_, err = w.ConfirmEnrolment(t.Context(), w.alice, w.rules, confirm)
	w.want("the same enrolment", err, mfa.ErrDenied, audit.Replayed, mfa.ReasonUsed)
	if list, err := w.Factors(t.Context(), w.alice); err != nil || len(list) != 1 {
		t.Errorf("the factors are %v, %v", list, err)
	}
}

func TestTheAlgorithmsOfAnApp(t *testing.T) {
	for _, c := range []struct {
		algorithm string
		digits    int
		otp       otp.Algorithm
		seed      int
	}{
		{"SHA1", 6, otp.AlgorithmSHA1, 20}, {"SHA256", 6, otp.AlgorithmSHA256, 32}, {"SHA512", 8, otp.AlgorithmSHA512, 64},
	} {
		w := newWorld(t)
		e, err := w.StartEnrolment(t.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.TOTP, Algorithm: c.algorithm, Digits: c.digits})
		if err != nil {
			t.Fatal(err)
		}
		key, err := otp.NewKeyFromURL(e.URI)
		if err != nil || key.Secret() != e.Secret || key.Period() != 30 || key.Algorithm() != c.otp || int(key.Digits()) != c.digits || key.AccountName() != "alice@example.com" {
			t.Errorf("%s: an app reads %s otherwise: %v", c.algorithm, strings.ReplaceAll(e.URI, e.Secret, "…"), err)
		}
		d := device{e.Secret, c.otp, otp.Digits(c.digits)}
		if n := len(d.rawSeed()); n != c.seed {
			t.Errorf("%s: the seed has %d bytes", c.algorithm, n)
		}
		if _, err := w.ConfirmEnrolment(t.Context(), w.alice, w.rules, mfa.Confirmation{Token: e.Token, Code: d.at(w.clock.Now(), 0)}); err != nil {
			t.Errorf("%s: %v", c.algorithm, err)
		}
		w.clock.Move(30 * time.Second)
		w.mustVerify(w.alice, d)
	}
}

func TestAMalformedCodeIsNotLookedAt(t *testing.T) {
	w := newWorld(t)
	d, _ := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
	code := d.at(w.clock.Now(), 0)
	before := len(w.ledger.Records("team-a"))
	fullwidth := strings.Map(func(r rune) rune { return r - '0' + '０' }, code)
	for _, bad := range []string{
		"", " ", " " + code, code + " ", code + "\n", "\n" + code, "\t" + code, code + "\r\n", "\u00a0" + code, code + "\u00a0",
		"\u2003" + code, code + "\u200b", "\ufeff" + code, code[:3] + " " + code[3:], code[:3] + "-" + code[3:],
		code[:5], "1", "12345", "123456789", strings.Repeat("1", 10000), "-12345", "+12345", "12345.", "1e5", "1e5000", "0x1234",
		"12345a", "abcdef", "١٢٣٤٥٦", fullwidth, code + "\x00", "\x00" + code, "\xff\xfe" + code, `"` + code + `"`,
		"null", "true", "[]", "{}", "%31%32%33%34%35%36", "12345\u0660", "',1,1)--",
	} {
		if _, err := w.verifyTOTP(w.alice, bad); !errors.Is(err, mfa.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		} else if strings.Contains(err.Error(), code) {
			t.Errorf("%q: the error repeats the code", bad)
		}
	}
	if n := len(w.ledger.Records("team-a")); n != before {
		t.Errorf("%d records were written for what is malformed", n-before)
	}
	w.mustVerify(w.alice, d)
}

func TestCodesOfOthersAndOfFactorsThatAreGone(t *testing.T) {
	w := newWorld(t)
	bob := w.alice
	bob.Owner = mfa.Owner{Namespace: "team-a", Name: "bob", UID: "6f1c1f6e-0000-4000-8000-000000000002"}
	first, _ := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
	w.enrolTOTP(bob, mfa.EnrolmentRequest{})
	_, err := w.verifyTOTP(bob, first.at(w.clock.Now(), 0))
	w.want("a code of somebody else", err, mfa.ErrDenied, audit.Failed, mfa.ReasonWrongCode)

	pending, err := w.StartEnrolment(t.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.TOTP, Session: w.mustVerify(w.alice, first).Token})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.verifyTOTP(w.alice, device{secret: pending.Secret}.at(w.clock.Now(), 0))
	w.want("a code of a factor that was not confirmed", err, mfa.ErrDenied, audit.Failed, mfa.ReasonWrongCode)

	if err := w.ledger.Record("team-a", mfa.Reset(w.alice.UID, "root", "LostDevice", nil, nil, false)); err != nil {
		t.Fatal(err)
	}
	w.clock.Move(time.Minute)
	_, err = w.verifyTOTP(w.alice, first.at(w.clock.Now(), 0))
	w.want("a factor that was reset, though the vault still has it", err, mfa.ErrDenied, audit.Failed, mfa.ReasonFactorGone)
}

// The same code, at once, through several replicas: one success, and every other
// one is recorded as a replay.
func TestOneCodeManyTimesAtOnce(t *testing.T) {
	w := newWorld(t)
	const users, times = 40, 16
	replicas := []*mfa.Service{w.replica(), w.replica(), w.replica()}
	for n := range users {
		p := w.alice
		p.UID = fmt.Sprintf("6f1c1f6e-0000-4000-8000-%012d", n+100)
		d, _ := w.enrolTOTP(p, mfa.EnrolmentRequest{})
		code := d.at(w.clock.Now(), 0)
		before := len(w.ledger.Records("team-a"))
		var right, denied atomic.Int64
		var all sync.WaitGroup
		start := make(chan struct{})
		for i := range times {
			all.Go(func() {
				<-start
				_, err := replicas[i%3].Verify(t.Context(), p, w.rules, mfa.Proof{Method: mfa.TOTP, Code: code, From: w.from})
				switch {
				case err == nil:
					right.Add(1)
				case errors.Is(err, mfa.ErrDenied):
					denied.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		close(start)
		all.Wait()
		replays := 0
		for _, r := range w.ledger.Records("team-a")[before:] {
			if r.Outcome == audit.Replayed {
				replays++
			}
		}
		if right.Load() != 1 || denied.Load() != times-1 || replays != times-1 {
			t.Fatalf("user %d: %d right, %d denied, %d recorded as replays", n, right.Load(), denied.Load(), replays)
		}
	}
}

func TestWhatIsNotKnownIsNoAnswer(t *testing.T) {
	for _, c := range []struct {
		reason string
		spoil  func(*world)
	}{
		{"the ledger is away", func(w *world) { w.ledger.Fail(errors.New("connection refused")) }},
		{"the vault is away", func(w *world) { w.vault.Fail(mfa.ErrUnavailable) }},
		{"a factor does not open", func(w *world) { w.vault.Fail(mfa.ErrUnsealable) }},
		{"a seed is empty", func(w *world) {
			w.vault.Change(w.alice.Owner, func(all []mfa.Credential) []mfa.Credential {
				all[0].Secret = []byte(`{"seed":"","algorithm":"SHA1","digits":6}`)
				return all
			})
		}},
		{"randomness is away", func(w *world) { w.Rand = strings.NewReader("") }},
	} {
		w := newWorld(t)
		d, _ := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
		code := d.at(w.clock.Now(), 0)
		before := len(w.ledger.Records("team-a"))
		c.spoil(w)
		s, err := w.verifyTOTP(w.alice, code)
		if !errors.Is(err, mfa.ErrUnavailable) || errors.Is(err, mfa.ErrDenied) || s.Token != "" {
			t.Errorf("%s: %v", c.reason, err)
		}
		if strings.Contains(fmt.Sprint(err), code) {
			t.Errorf("%s: the error has the code", c.reason)
		}
		if n := len(w.ledger.Records("team-a")); n != before {
			t.Errorf("%s: %d records", c.reason, n-before)
		}
	}
}

func TestSeedsAreAllDifferent(t *testing.T) {
	w := newWorld(t)
	seen := map[string]bool{}
	for range 2000 {
		e, err := w.StartEnrolment(t.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.TOTP})
		if err != nil {
			t.Fatal(err)
		}
		if seen[e.Secret] {
			t.Fatal("a seed came twice")
		}
		seen[e.Secret] = true
	}
	if len(w.ledger.Records("team-a")) != 0 {
		t.Error("starting an enrolment wrote something")
	}
}
