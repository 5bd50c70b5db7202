package mfa_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/mfa/mfatest"
)

// denial is somebody who is denied, again and again. next makes what they show;
// only what comes after it is timed.
type denial struct {
	*world
	person mfa.Person
	next   func() mfa.Proof
}

// totpDenials are of everybody who may be denied a code of an app.
func totpDenials(t *testing.T) map[string]denial {
	with := func(suspend bool, steps int64, right bool) denial {
		w := newWorld(t)
		d, _ := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
		w.alice.Suspended = suspend
		return denial{w, w.alice, func() mfa.Proof {
			code := d.wrong(w.clock.Now())
			if right {
				code = d.at(w.clock.Now(), steps)
			}
			return mfa.Proof{Method: mfa.TOTP, Code: code, From: w.from}
		}}
	}
	without := func(known bool) denial {
		w := newWorld(t)
		p := w.alice
		if !known {
			p = w.nobody
		}
		return denial{w, p, func() mfa.Proof { return mfa.Proof{Method: mfa.TOTP, Code: "123456", From: w.from} }}
	}
	replayed := with(false, 0, true)
	again := replayed.next
	replayed.next = func() mfa.Proof {
		proof := again()
		if _, err := replayed.Verify(t.Context(), replayed.person, replayed.rules, proof); err != nil {
			t.Fatal(err)
		}
		return proof
	}
	locked := with(false, 0, true)
	locked.rules.MaxAttempts = 1
	right := locked.next
	locked.next = func() mfa.Proof {
		locked.guess(locked.person, "00000000") // no code of six digits has eight
		return right()
	}
	return map[string]denial{
		"wrong": with(false, 0, false), "late": with(false, -3, true), "replayed": replayed, "suspended": with(true, 0, true),
		"locked": locked, "no factor": without(true), "no user": without(false),
	}
}

// keyDenials are of everybody who may be denied an assertion.
func keyDenials(t *testing.T) map[string]denial {
	with := func(known, enrolled, suspended bool) denial {
		w := newWorld(t)
		a := mfatest.NewAuthenticator(rpID, origin, mfatest.ES256)
		if enrolled {
			if _, err := w.enrolKey(w.alice, a, ""); err != nil {
				t.Fatal(err)
			}
		}
		p := w.alice
		if !known {
			p = w.nobody
		}
		p.Suspended = suspended
		return denial{w, p, func() mfa.Proof {
			c := w.challenge(p)
			stranger := mfatest.NewAuthenticator(rpID, origin, mfatest.ES256)
			stranger.Create(c.Options)
			return mfa.Proof{Method: mfa.WebAuthn, Challenge: c.Token, Response: stranger.Get(c.Options), From: w.from}
		}}
	}
	return map[string]denial{
		"wrong": with(true, true, false), "suspended": with(true, true, true), "no factor": with(true, false, false), "no user": with(false, false, false),
	}
}

// Nobody can tell by the clock why they were denied. All classes are timed in turn,
// in random order, so that what else the machine does hits all alike, and their
// medians compared. A third may differ, and a little: to skip the signature of those
// who have no key is a half, and found. What stays of the difference, some ten
// microseconds, drowns in the write that is made for each of them and takes
// milliseconds. A machine may stumble; it does not the same way three times.
func TestDenialsTakeTheSameTime(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 60
	}
	for method, classes := range map[string]func(*testing.T) map[string]denial{"TOTP": totpDenials, "WebAuthn": keyDenials} {
		t.Run(method, func(t *testing.T) {
			var apart string
			for range 3 {
				if apart = furthest(t, classes(t), rounds); apart == "" {
					return
				}
			}
			t.Error(apart)
		})
	}
}

// furthest times every class, and says which takes longer or shorter than a wrong
// proof by too much; empty: none.
func furthest(t *testing.T, classes map[string]denial, rounds int) string {
	t.Helper()
	took, order := map[string][]time.Duration{}, make([]string, 0, len(classes))
	for name := range classes {
		order = append(order, name)
	}
	for range rounds {
		rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, name := range order {
			d := classes[name]
			d.clock.Move(time.Minute)
			proof := d.next()
			began := time.Now()
			_, err := d.Verify(t.Context(), d.person, d.rules, proof)
			took[name] = append(took[name], time.Since(began))
			if !errors.Is(err, mfa.ErrDenied) {
				t.Fatalf("%s: %v", name, err)
			}
			if err := d.Unlock(t.Context(), d.person, d.from); err != nil && !errors.Is(err, mfa.ErrNotFound) {
				t.Fatal(err)
			}
		}
	}
	median := func(name string) time.Duration { return slices.Sorted(slices.Values(took[name]))[rounds/2] }
	allowed := median("wrong")/3 + 15*time.Microsecond
	for name := range classes {
		t.Logf("%s: %s", name, median(name))
		if apart := (median(name) - median("wrong")).Abs(); apart > allowed {
			return name + " is " + apart.String() + " apart from wrong; allowed are " + allowed.String()
		}
	}
	return ""
}
