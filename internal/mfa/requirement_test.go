package mfa_test

import (
	"slices"
	"testing"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/mfa/mfatest"
)

func TestWhenASecondFactorIsNeeded(t *testing.T) {
	const day = 24 * time.Hour
	m := func(list ...mfa.Method) []mfa.Method { return list }
	for _, c := range []struct {
		reason     string
		enforce    mfa.Enforcement
		grace      time.Duration
		prepare    func(*world) (session string)
		needed     bool
		why        mfa.Why
		methods    []mfa.Method
		enrollable bool
	}{
		{"no policy", mfa.NotEnforced, 0, nil, false, mfa.NotInForce, nil, true},
		{"no policy, and a factor", mfa.NotEnforced, 0, func(w *world) string { w.enrolTOTP(w.alice, mfa.EnrolmentRequest{}); return "" }, false, mfa.NotInForce, m(mfa.TOTP), true},
		{"optional, without a factor", mfa.Optional, 0, nil, false, mfa.NoFactor, nil, true},
		{"optional, with a factor", mfa.Optional, 0, func(w *world) string { w.enrolTOTP(w.alice, mfa.EnrolmentRequest{}); return "" }, true, mfa.NotVerified, m(mfa.TOTP), true},
		{"required, without a factor", mfa.RequiredOnFirstLogin, 0, nil, true, mfa.MustEnrol, nil, true},
		{"in the grace period", mfa.RequiredOnFirstLogin, day, nil, false, mfa.InGrace, nil, true},
		{"after the grace period", mfa.RequiredOnFirstLogin, day, func(w *world) string {
			if _, err := w.Requirement(t.Context(), w.alice, w.rules, mfa.RequirementRequest{}); err != nil {
				t.Fatal(err)
			}
			w.clock.Move(day)
			return ""
		}, true, mfa.GraceOver, nil, false},
		{"required, with a factor", mfa.RequiredOnFirstLogin, day, func(w *world) string { w.enrolTOTP(w.alice, mfa.EnrolmentRequest{}); return "" }, true, mfa.NotVerified, m(mfa.TOTP), true},
		{"verified a moment ago", mfa.RequiredOnFirstLogin, 0, func(w *world) string {
			_, c := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
			return c.Session.Token
		}, false, mfa.VerifiedRecently, m(mfa.TOTP), true},
		{"verified too long ago", mfa.RequiredOnFirstLogin, 0, func(w *world) string {
			_, c := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
			w.clock.Move(mfa.DefaultLifetime)
			return c.Session.Token
		}, true, mfa.NotVerified, m(mfa.TOTP), true},
		{"the session was revoked", mfa.RequiredOnFirstLogin, 0, func(w *world) string {
			_, c := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
			if err := w.Revoke(t.Context(), w.alice, mfa.RevokeRequest{}); err != nil {
				t.Fatal(err)
			}
			return c.Session.Token
		}, true, mfa.NotVerified, m(mfa.TOTP), true},
		{"at every login", mfa.AlwaysRequired, 0, func(w *world) string {
			_, c := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
			return c.Session.Token
		}, true, mfa.EveryLogin, m(mfa.TOTP), true},
		{"the preferred method comes first", mfa.AlwaysRequired, 0, func(w *world) string {
			_, c := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
			w.codes(c.Session.Token)
			if _, err := w.enrolKey(w.alice, mfatest.NewAuthenticator(rpID, origin, mfatest.ES256), c.Session.Token); err != nil {
				t.Fatal(err)
			}
			return ""
		}, true, mfa.EveryLogin, m(mfa.WebAuthn, mfa.TOTP, mfa.RecoveryCodes), true},
		{"an exemption", mfa.AlwaysRequired, 0, func(w *world) string { w.alice.ExemptUntil = w.clock.Now().Add(time.Hour); return "" }, false, mfa.Exempt, nil, true},
		{"an exemption that is over", mfa.AlwaysRequired, 0, func(w *world) string { w.alice.ExemptUntil = w.clock.Now(); return "" }, true, mfa.MustEnrol, nil, true},
		{"suspended", mfa.Optional, 0, func(w *world) string { w.alice.Suspended = true; return "" }, true, mfa.Suspended, nil, false},
		{"the policy has lost the method", mfa.RequiredOnFirstLogin, day, func(w *world) string {
			w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
			w.rules.Methods = m(mfa.WebAuthn)
			return ""
		}, true, mfa.MustEnrol, m(mfa.TOTP), true},
		{"the same, where it is optional", mfa.Optional, 0, func(w *world) string {
			w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
			w.rules.Methods = m(mfa.WebAuthn)
			return ""
		}, true, mfa.MustEnrol, m(mfa.TOTP), true},
		{"the address has changed", mfa.RequiredOnFirstLogin, 0, func(w *world) string {
			w.enrolAddress(mfa.Email)
			w.alice.Contact.Email = "new@example.com"
			return ""
		}, true, mfa.GraceOver, nil, false},
		{"nobody we know", mfa.RequiredOnFirstLogin, 0, func(w *world) string { w.alice = w.nobody; return "" }, true, mfa.MustEnrol, nil, true},
	} {
		w := newWorld(t)
		w.rules.Enforcement, w.rules.GracePeriod = c.enforce, c.grace
		session := ""
		if c.prepare != nil {
			session = c.prepare(w)
		}
		q, err := w.Requirement(t.Context(), w.alice, w.rules, mfa.RequirementRequest{Session: session, From: w.from})
		if err != nil {
			t.Errorf("%s: %v", c.reason, err)
			continue
		}
		if q.Needed != c.needed || q.Why != c.why || !slices.Equal(q.Methods, c.methods) || (len(q.Enrollable) > 0) != c.enrollable {
			t.Errorf("%s: %+v", c.reason, q)
		}
	}
}

func TestTheGracePeriodBeginsOnce(t *testing.T) {
	w := newWorld(t)
	w.rules.GracePeriod = 7 * 24 * time.Hour
	began := w.clock.Now()
	for range 3 {
		q, err := w.Requirement(t.Context(), w.alice, w.rules, mfa.RequirementRequest{From: w.from})
		if err != nil || !q.GraceEndsAt.Equal(began.Add(w.rules.GracePeriod)) {
			t.Errorf("it ends at %s, %v", q.GraceEndsAt, err)
		}
		w.clock.Move(time.Hour)
	}
	if all := w.ledger.Records("team-a"); len(all) != 1 || all[0].Action != audit.GraceStarted {
		t.Errorf("the records are %v", all)
	}
	if _, err := w.Requirement(t.Context(), w.nobody, w.rules, mfa.RequirementRequest{}); err != nil || len(w.ledger.Records("team-a")) != 1 {
		t.Errorf("of nobody something was recorded: %v", err)
	}
}

// A factor that the policy no longer allows proves who somebody is, for enrolling
// another one and for nothing else.
func TestAFactorBelowThePolicy(t *testing.T) {
	w := newWorld(t)
	d, c := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
	w.rules.Methods = []mfa.Method{mfa.WebAuthn}
	s := w.mustVerify(w.alice, d)
	if s.Verified || s.ACR != mfa.ACROne || !s.Enrol {
		t.Errorf("it is worth %+v", s.Claims)
	}
	if err := w.Remove(t.Context(), w.alice, w.rules, mfa.RemoveRequest{ID: c.Factor.ID, Session: s.Token}); err == nil {
		t.Error("a factor was removed with it")
	}
	n, err := w.enrolKey(w.alice, mfatest.NewAuthenticator(rpID, origin, mfatest.ES256), s.Token)
	if err != nil || !n.Session.Verified {
		t.Fatalf("enrolling what the policy wants: %v", err)
	}
	if err := w.Remove(t.Context(), w.alice, w.rules, mfa.RemoveRequest{ID: c.Factor.ID, Session: n.Session.Token}); err != nil {
		t.Error(err)
	}
}
