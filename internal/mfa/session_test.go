package mfa_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/mfa/mfatest"
)

func (w *world) active(token string) bool {
	w.Helper()
	in, err := w.Introspect(w.Context(), w.alice, w.rules, token)
	if err != nil {
		w.Fatal(err)
	}
	return in.Active
}

func TestASessionSaysWhatWasVerified(t *testing.T) {
	w := newWorld(t)
	w.rules.SecondFactor = time.Hour
	d, _ := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
	s := w.mustVerify(w.alice, d)
	now := w.clock.Now().Unix()
	got, want := s.Claims, mfa.Claims{
		Issuer: "https://mfa.example.com", Audience: "shop", Subject: w.alice.UID, Namespace: "team-a", User: "alice",
		SessionID: s.SessionID, AMR: []string{"otp", "mfa"}, ACR: "aal2", AuthTime: now, IssuedAt: now,
		ExpiresAt: now + 3600, Verified: true,
	}
	if jsonOf(t, got) != jsonOf(t, want) || len(s.SessionID) != 32 {
		t.Errorf("the claims are\n%+v, want\n%+v", got, want)
	}
	in, err := w.Introspect(t.Context(), w.alice, w.rules, s.Token)
	if err != nil || !in.Active || jsonOf(t, in.Claims) != jsonOf(t, want) {
		t.Errorf("introspection says %+v, %v", in, err)
	}
	w.clock.Move(time.Hour)
	if w.active(s.Token) {
		t.Error("it is active after it has expired")
	}
}

func TestWhatEndsASession(t *testing.T) {
	for _, c := range []struct {
		reason string
		end    func(*world, mfa.Session)
		active bool
	}{
		{"nothing", func(*world, mfa.Session) {}, true},
		{"it is revoked", func(w *world, s mfa.Session) {
			if err := w.Revoke(t.Context(), w.alice, mfa.RevokeRequest{ID: s.SessionID, From: w.from}); err != nil {
				t.Error(err)
			}
		}, false},
		{"all are revoked", func(w *world, _ mfa.Session) {
			if err := w.Revoke(t.Context(), w.alice, mfa.RevokeRequest{From: w.from}); err != nil {
				t.Error(err)
			}
		}, false},
		{"another one is revoked", func(w *world, _ mfa.Session) {
			if err := w.Revoke(t.Context(), w.alice, mfa.RevokeRequest{ID: "other", From: w.from}); !errors.Is(err, mfa.ErrNotFound) {
				t.Error(err)
			}
		}, true},
		{"a recovery code was used: what was lost may be signed in", func(w *world, s mfa.Session) {
			if _, err := w.recover(w.codes(s.Token)[0]); err != nil {
				t.Error(err)
			}
		}, false},
		{"the user is suspended", func(w *world, _ mfa.Session) { w.alice.Suspended = true }, false},
		{"the user was suspended, and is not any more", func(w *world, _ mfa.Session) { w.record(mfa.Suspension(w.alice.UID, 2)) }, false},
		{"the method is not allowed any more", func(w *world, _ mfa.Session) { w.rules.Methods = []mfa.Method{mfa.WebAuthn} }, false},
		{"its lifetime was shortened, and is over", func(w *world, _ mfa.Session) {
			w.rules.SecondFactor = time.Minute
			w.clock.Move(2 * time.Minute)
		}, false},
		{"its lifetime was shortened, and is not over", func(w *world, _ mfa.Session) { w.rules.SecondFactor = time.Minute }, true},
		{"the policy was loosened", func(w *world, _ mfa.Session) { w.rules.Enforcement = mfa.Optional }, true},
		{"the user was deleted and made again", func(w *world, _ mfa.Session) { w.alice.UID = "6f1c1f6e-0000-4000-8000-00000000ffff" }, false},
		{"the issuer was renamed", func(w *world, _ mfa.Session) { w.Issuer = "https://other.example.com" }, false},
		{"somebody else asks for it", func(w *world, _ mfa.Session) {
			w.alice.Owner = mfa.Owner{Namespace: "team-a", Name: "bob", UID: "6f1c1f6e-0000-4000-8000-000000000002"}
		}, false},
		{"another namespace asks for it", func(w *world, _ mfa.Session) { w.alice.Namespace = "team-b" }, false},
	} {
		w := newWorld(t)
		d, _ := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
		s := w.mustVerify(w.alice, d)
		if !w.active(s.Token) {
			t.Fatal("it never was active")
		}
		c.end(w, s)
		if got := w.active(s.Token); got != c.active {
			t.Errorf("%s: active is %v", c.reason, got)
		}
		list, err := w.Sessions(t.Context(), w.alice, w.rules)
		if err != nil || c.active && len(list) != 2 && c.reason != "another one is revoked" {
			t.Errorf("%s: the sessions are %v, %v", c.reason, list, err)
		}
	}
}

// What introspection calls inactive is no right to change factors either, however
// fresh it is.
func TestASessionThatAPolicyEndedChangesNoFactors(t *testing.T) {
	for why, tighten := range map[string]func(*world){
		"the method is not allowed any more": func(w *world) { w.rules.Methods = []mfa.Method{mfa.WebAuthn, mfa.TOTP, mfa.RecoveryCodes} },
		"its lifetime was shortened":         func(w *world) { w.rules.SecondFactor = time.Minute; w.clock.Move(time.Minute) },
	} {
		w := newWorld(t)
		_, c := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{Session: w.enrolAddress(mfa.Email).Session.Token})
		sent := w.send(mfa.Email)
		s, err := w.code(mfa.Email, sent, w.sent())
		if err != nil {
			t.Fatal(err)
		}
		e, err := w.StartEnrolment(t.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.TOTP, Session: s.Token, From: w.from})
		if err != nil {
			t.Fatal(err)
		}
		tighten(w)
		if w.active(s.Token) {
			t.Fatalf("%s: it is active", why)
		}
		_, err = w.StartEnrolment(t.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.TOTP, Session: s.Token, From: w.from})
		_, confirmed := w.ConfirmEnrolment(t.Context(), w.alice, w.rules, mfa.Confirmation{
			Token: e.Token, Code: device{secret: e.Secret}.at(w.clock.Now(), 0), From: w.from,
		})
		_, codes := w.IssueRecoveryCodes(t.Context(), w.alice, w.rules, mfa.RecoveryCodesRequest{Session: s.Token, From: w.from})
		for what, err := range map[string]error{
			"begins to enrol": err, "ends an enrolment": confirmed, "makes recovery codes": codes,
			"removes a factor": w.Remove(t.Context(), w.alice, w.rules, mfa.RemoveRequest{ID: c.Factor.ID, Session: s.Token, From: w.from}),
		} {
			var no *mfa.NotAllowedError
			if !errors.As(err, &no) || no.Reason != mfa.ReasonVerificationNeeded {
				t.Errorf("%s: it %s: %v", why, what, err)
			}
		}
	}
}

func TestATokenThatIsNone(t *testing.T) {
	w := newWorld(t)
	d, _ := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
	s := w.mustVerify(w.alice, d)
	parts := strings.Split(s.Token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	forged, err := mfatest.NewSigner().Sign(s.Claims)
	if err != nil {
		t.Fatal(err)
	}
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload) + "."
	expired := s.Claims
	expired.ExpiresAt = 0
	noExpiry, err := w.Signer.Sign(expired)
	if err != nil {
		t.Fatal(err)
	}
	for reason, token := range map[string]string{
		"empty": "", "no algorithm": none, "another key": forged, "cut off": s.Token[:len(s.Token)-4], "no signature": parts[0] + "." + parts[1] + ".",
		"junk": "a.b.c", "very long": strings.Repeat("a", 1<<20), "without an end": noExpiry,
	} {
		if w.active(token) {
			t.Errorf("%s: it is active", reason)
		}
		if err := w.Remove(t.Context(), w.alice, w.rules, mfa.RemoveRequest{ID: "x", Session: token}); !errors.Is(err, mfa.ErrNotAllowed) {
			t.Errorf("%s: removing a factor with it: %v", reason, err)
		}
	}
}

func TestAUserHasABoundedNumberOfSessions(t *testing.T) {
	w := newWorld(t)
	d, c := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
	for range 32 {
		w.mustVerify(w.alice, d)
		w.clock.Move(30 * time.Second)
	}
	if w.active(c.Session.Token) {
		t.Error("the oldest is still active")
	}
	list, err := w.Sessions(t.Context(), w.alice, w.rules)
	if err != nil || len(list) != 32 {
		t.Errorf("there are %d, %v", len(list), err)
	}
	ended := 0
	for _, r := range w.ledger.Records("team-a") {
		if r.Action == audit.SessionRevoked && r.Reason == mfa.ReasonTooManySessions && r.Session == c.Session.SessionID {
			ended++
		}
	}
	if ended != 1 {
		t.Errorf("its end was recorded %d times", ended)
	}
}
