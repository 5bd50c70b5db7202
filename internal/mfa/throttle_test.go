package mfa_test

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/mfa"
)

// guess tries a wrong code, waiting as long as is asked for.
func (w *world) guess(p mfa.Person, code string) {
	w.Helper()
	for range 3 {
		_, err := w.verifyTOTP(p, code)
		var wait *mfa.ThrottledError
		if !errors.As(err, &wait) {
			if !errors.Is(err, mfa.ErrDenied) {
				w.Fatalf("a wrong code: %v", err)
			}
			return
		}
		w.clock.Move(wait.RetryAfter)
	}
	w.Fatal("waiting as asked does not help")
}

func TestFailuresDelayAndThenLock(t *testing.T) {
	w := newWorld(t)
	w.rules.MaxAttempts = 5
	d, _ := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
	w.clock.Move(time.Minute)
	for n, c := range []struct {
		wait   time.Duration
		reason string
	}{
		{0, "the first failure has no consequence"}, {0, "nor has the second"},
		{0, "the third is looked at"}, {time.Second, "after three, a second"}, {2 * time.Second, "after four, two"},
	} {
		_, err := w.verifyTOTP(w.alice, d.wrong(w.clock.Now()))
		var throttled *mfa.ThrottledError
		if errors.As(err, &throttled) != (c.wait > 0) {
			t.Fatalf("failure %d: %s: %v", n+1, c.reason, err)
		}
		if c.wait > 0 {
			if throttled.RetryAfter < c.wait || throttled.RetryAfter > c.wait+time.Second {
				t.Errorf("failure %d: %s: wait %s", n+1, c.reason, throttled.RetryAfter)
			}
			_, err = w.verifyTOTP(w.alice, d.at(w.clock.Now(), 0))
			if !errors.Is(err, mfa.ErrThrottled) {
				t.Errorf("failure %d: a right code that comes too soon: %v", n+1, err)
			}
			w.clock.Move(c.wait)
			_, err = w.verifyTOTP(w.alice, d.wrong(w.clock.Now()))
		}
		w.want(c.reason, err, mfa.ErrDenied, audit.Failed, mfa.ReasonWrongCode)
	}
	w.clock.Move(time.Minute)
	_, err := w.verifyTOTP(w.alice, d.at(w.clock.Now(), 0))
	w.want("locked: a right code", err, mfa.ErrDenied, audit.Failed, mfa.ReasonLocked)
	u := mfa.UserAt(w.ledger.State("team-a"), w.alice.UID, w.clock.Now())
	if until, locked := u.LockedUntil(w.clock.Now()); !locked || until.Sub(w.clock.Now()) > mfa.DefaultAutoUnlock {
		t.Errorf("locked %v until %s", locked, until)
	}
	w.clock.Move(mfa.DefaultAutoUnlock)
	s := w.mustVerify(w.alice, d)
	if s.Token == "" {
		t.Error("no session after the lock has ended by itself")
	}
	unlocked := 0
	for _, r := range w.ledger.Records("team-a") {
		if r.Action == audit.UserUnlocked && r.Reason == mfa.ReasonLockOver {
			unlocked++
		}
	}
	if unlocked != 1 {
		t.Errorf("%d records say that the lock is over", unlocked)
	}
}

func TestTheLimitIsThatOfThePolicy(t *testing.T) {
	for _, c := range []struct {
		max, looked int
		reason      string
	}{
		{1, 1, "one"}, {3, 3, "three"}, {0, mfa.DefaultMaxAttempts, "unset"}, {100, 100, "the most"}, {1 << 20, 100, "more than is allowed"},
	} {
		w := newWorld(t)
		w.rules.MaxAttempts = c.max
		d, _ := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
		for n := range c.looked {
			w.from.IP = netip.AddrFrom4([4]byte{198, 51, 100, byte(n / 50)}) // so that no source is throttled
			w.guess(w.alice, d.wrong(w.clock.Now()))
			if r := w.last(); r.Reason != mfa.ReasonWrongCode {
				t.Fatalf("%s: failure %d was recorded as %s", c.reason, n+1, r.Reason)
			}
		}
		w.clock.Move(time.Minute)
		_, err := w.verifyTOTP(w.alice, d.at(w.clock.Now(), 0))
		w.want(c.reason+": a right code afterwards", err, mfa.ErrDenied, audit.Failed, mfa.ReasonLocked)
	}
}

func TestAHundredFailuresLockForGood(t *testing.T) {
	w := newWorld(t)
	w.rules.MaxAttempts, w.rules.AutoUnlock = 7, time.Minute // 100 is none of its multiples
	d, _ := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
	for n := range 100 {
		w.from.IP = netip.AddrFrom4([4]byte{198, 51, 100, byte(n)})
		if n%7 == 0 {
			w.clock.Move(2 * time.Minute) // the lock ends by itself
		}
		w.guess(w.alice, d.wrong(w.clock.Now()))
	}
	w.clock.Move(1000 * time.Hour)
	_, err := w.verifyTOTP(w.alice, d.at(w.clock.Now(), 0))
	w.want("a right code, weeks later", err, mfa.ErrDenied, audit.Failed, mfa.ReasonLocked)
	if err := w.Unlock(t.Context(), w.alice, w.from); err != nil {
		t.Fatal(err)
	}
	w.mustVerify(w.alice, d)
	if err := w.Unlock(t.Context(), w.alice, w.from); !errors.Is(err, mfa.ErrNotFound) {
		t.Errorf("unlocking somebody who is not locked: %v", err)
	}
}

func TestAnAdministratorEndsALockThatDoesNotEnd(t *testing.T) {
	w := newWorld(t)
	w.rules.MaxAttempts, w.rules.AutoUnlock = 1, -1
	d, _ := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
	w.guess(w.alice, d.wrong(w.clock.Now()))
	w.clock.Move(1000 * time.Hour)
	_, err := w.verifyTOTP(w.alice, d.at(w.clock.Now(), 0))
	w.want("weeks later", err, mfa.ErrDenied, audit.Failed, mfa.ReasonLocked)
	if err := w.ledger.Record("team-a", mfa.Reset(w.alice.UID, "root", "LostDevice", []mfa.Method{mfa.SMS}, nil, false)); err != nil {
		t.Fatal(err)
	}
	w.mustVerify(w.alice, d)
}

func TestManyGuessesAtOnceAreNotMoreGuesses(t *testing.T) {
	w := newWorld(t)
	d, _ := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
	code, right := d.wrong(w.clock.Now()), d.at(w.clock.Now(), 0)
	before := len(w.ledger.Records("team-a"))
	replicas := []*mfa.Service{w.replica(), w.replica(), w.replica(), w.replica()}
	var all sync.WaitGroup
	var accepted atomic.Int64
	for n := range 200 {
		all.Go(func() {
			try := code
			if n > 100 {
				try = right
			}
			from := w.from
			from.IP = netip.AddrFrom4([4]byte{198, 51, 100, byte(n)})
			_, err := replicas[n%4].Verify(t.Context(), w.alice, w.rules, mfa.Proof{Method: mfa.TOTP, Code: try, From: from})
			if err == nil {
				accepted.Add(1)
			}
		})
	}
	all.Wait()
	looked := 0
	for _, r := range w.ledger.Records("team-a")[before:] {
		if r.Reason == mfa.ReasonWrongCode {
			looked++
		}
	}
	if looked > 3 || accepted.Load() > 1 {
		t.Errorf("%d guesses were looked at and %d accepted at one instant", looked, accepted.Load())
	}
	if n := len(w.ledger.Records("team-a")) - before; n > 110 {
		t.Errorf("%d records: refusals are recorded once a second", n)
	}
}

func TestOnlyTheFailuresOfTheSamePlaceAreForgotten(t *testing.T) {
	w := newWorld(t)
	d, _ := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
	home, attacker := w.from.IP, netip.MustParseAddr("203.0.113.9")
	w.from.IP = attacker
	for range 4 {
		w.guess(w.alice, d.wrong(w.clock.Now()))
	}
	w.from.IP = home
	w.guess(w.alice, d.wrong(w.clock.Now()))
	w.clock.Move(time.Minute)
	w.mustVerify(w.alice, d)
	u := mfa.UserAt(w.ledger.State("team-a"), w.alice.UID, w.clock.Now())
	if got := u.FailedAttempts(); got != 4 {
		t.Errorf("%d failures are left, want the 4 from elsewhere", got)
	}
}

func TestASourceIsThrottledOverAllUsers(t *testing.T) {
	for _, c := range []struct {
		reason string
		ip     func(n int) netip.Addr
		same   bool
	}{
		{"one IPv4 address", func(int) netip.Addr { return netip.MustParseAddr("203.0.113.9") }, true},
		{"one IPv4 address, also as IPv6", func(n int) netip.Addr {
			if n%2 == 0 {
				return netip.MustParseAddr("::ffff:203.0.113.9")
			}
			return netip.MustParseAddr("203.0.113.9")
		}, true},
		{"one IPv6 network of 64 bits", func(n int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8:1:2::%x", n+1)) }, true},
		{"with zones", func(n int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("fe80::1%%eth%d", n)) }, true},
		{"many IPv6 networks", func(n int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8:1:%x::1", n)) }, false},
		{"an address that is not told", func(int) netip.Addr { return netip.Addr{} }, false},
	} {
		w := newWorld(t)
		for n := range 130 {
			p := w.alice
			p.UID = fmt.Sprintf("6f1c1f6e-0000-4000-8000-%012d", n)
			w.from.IP = c.ip(n)
			_, err := w.verifyTOTP(p, "123456")
			var throttled *mfa.ThrottledError
			if refused := errors.As(err, &throttled); refused != (c.same && n >= 100) {
				t.Fatalf("%s: user %d: %v", c.reason, n, err)
			}
			if throttled != nil && (throttled.RetryAfter <= 0 || throttled.RetryAfter > 10*time.Minute+time.Second) {
				t.Fatalf("%s: wait %s", c.reason, throttled.RetryAfter)
			}
		}
		if c.same {
			refusals := 0
			for _, r := range w.ledger.Records("team-a") {
				if r.Outcome == audit.Throttled {
					refusals++
				}
			}
			if refusals != 1 {
				t.Errorf("%s: %d refusals were recorded within a second", c.reason, refusals)
			}
			w.clock.Move(10 * time.Minute)
			if _, err := w.verifyTOTP(w.alice, "123456"); !errors.Is(err, mfa.ErrDenied) {
				t.Errorf("%s: later: %v", c.reason, err)
			}
		}
	}
}

// Whoever is wrong is told the same, and cannot tell by waiting either.
func TestAllDenialsLookTheSame(t *testing.T) {
	type outcome struct{ answers string }
	attack := func(prepare func(w *world) mfa.Person) outcome {
		w := newWorld(t)
		p := prepare(w)
		w.clock.Move(time.Minute)
		var o outcome
		for range 14 {
			s, err := w.verifyTOTP(p, "123456")
			o.answers += fmt.Sprintf("%v %+v; ", err, s)
			w.clock.Move(5 * time.Second)
		}
		return o
	}
	enrolled := func(w *world) mfa.Person {
		w.Rand = fixed{} // a seed by which 123456 is wrong
		e, err := w.StartEnrolment(t.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.TOTP})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.ConfirmEnrolment(t.Context(), w.alice, w.rules, mfa.Confirmation{Token: e.Token, Code: device{secret: e.Secret}.at(w.clock.Now(), 0)}); err != nil {
			t.Fatal(err)
		}
		return w.alice
	}
	want := attack(enrolled)
	for reason, prepare := range map[string]func(*world) mfa.Person{
		"there is no such user": func(w *world) mfa.Person { return w.nobody },
		"there is no factor":    func(w *world) mfa.Person { return w.alice },
		"the user is suspended": func(w *world) mfa.Person {
			p := enrolled(w)
			p.Suspended = true
			return p
		},
		"the factor is gone": func(w *world) mfa.Person {
			p := enrolled(w)
			if err := w.ledger.Record("team-a", mfa.Reset(p.UID, "root", "LostDevice", nil, nil, false)); err != nil {
				t.Fatal(err)
			}
			return p
		},
	} {
		if got := attack(prepare); got != want {
			t.Errorf("%s:\n%s\na wrong code:\n%s", reason, got.answers, want.answers)
		}
	}
}

// fixed is no randomness at all.
type fixed struct{}

func (fixed) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(i)
	}
	return len(b), nil
}

func TestStrangersAreRecordedUnderAPseudonym(t *testing.T) {
	w := newWorld(t)
	for range 2 {
		if _, err := w.verifyTOTP(w.nobody, "123456"); !errors.Is(err, mfa.ErrDenied) {
			t.Fatal(err)
		}
	}
	other := w.nobody
	other.Username = "hunter2"
	if _, err := w.verifyTOTP(other, "123456"); !errors.Is(err, mfa.ErrDenied) {
		t.Fatal(err)
	}
	all := w.ledger.Records("team-a")
	if all[0].Subject != all[1].Subject || all[0].Subject == all[2].Subject || all[0].Reason != mfa.ReasonUnknownUser {
		t.Errorf("the subjects are %q, %q and %q", all[0].Subject, all[1].Subject, all[2].Subject)
	}
	w.clock.Move(25 * time.Hour)
	left, err := w.ledger.State("team-a").Pruned(w.clock.Now())
	if err != nil || len(left) != 0 {
		t.Errorf("a day later there are %d entries of strangers, %v", len(left), err)
	}
}

func TestTheSuspendedAndTheRemoved(t *testing.T) {
	w := newWorld(t)
	d, c := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
	p := w.alice
	p.Suspended = true
	_, err := w.verifyTOTP(p, d.at(w.clock.Now(), 0))
	w.want("suspended", err, mfa.ErrDenied, audit.Failed, mfa.ReasonSuspended)
	if in, err := w.Introspect(t.Context(), p, w.rules, c.Session.Token); err != nil || in.Active {
		t.Errorf("the session of somebody suspended: %v, %v", in.Active, err)
	}
	removed := audit.Record{Action: audit.UserRemoved, Outcome: audit.Succeeded, Subject: p.UID}
	if err := w.ledger.Record("team-a", removed); err != nil {
		t.Fatal(err)
	}
	_, err = w.verifyTOTP(w.alice, d.at(w.clock.Now(), 0))
	w.want("removed while a verification was under way", err, mfa.ErrDenied, audit.Failed, mfa.ReasonUserRemoved)
}
