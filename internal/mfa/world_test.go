package mfa_test

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/mfa/mfatest"
)

// world is one namespace with a service over it.
type world struct {
	*testing.T
	*mfa.Service
	clock   *mfatest.Clock
	ledger  *mfatest.Ledger
	vault   *mfatest.Vault
	sealer  *mfatest.Sealer
	courier *mfatest.Courier
	rules   mfa.Rules
	alice   mfa.Person
	nobody  mfa.Person
	from    mfa.From
}

const (
	rpID   = "example.com"
	origin = "https://login.example.com"
)

func newWorld(t *testing.T) *world {
	t.Helper()
	// In the middle of a time step, so that small moves stay in it.
	clock := mfatest.NewClock(time.Date(2030, 5, 17, 12, 0, 10, 0, time.UTC))
	w := &world{
		T: t, clock: clock, ledger: mfatest.NewLedger(clock.Now), vault: &mfatest.Vault{}, sealer: mfatest.NewSealer(),
		courier: &mfatest.Courier{},
		rules: mfa.Rules{
			Enforcement: mfa.RequiredOnFirstLogin,
			Methods:     []mfa.Method{mfa.WebAuthn, mfa.TOTP, mfa.RecoveryCodes, mfa.Email, mfa.SMS},
			Preferred:   mfa.WebAuthn,
			WebAuthn:    mfa.WebAuthnRules{RPID: rpID, RPName: "Example", Origins: []string{origin}},
			Policy:      "team-a/pol-mfa",
		},
		alice: mfa.Person{
			Owner:    mfa.Owner{Namespace: "team-a", Name: "alice", UID: "6f1c1f6e-0000-4000-8000-000000000001"},
			Username: "alice@example.com", Contact: mfa.Contact{Email: "alice@example.com", Phone: "+4915100000001"},
		},
		nobody: mfa.Person{Owner: mfa.Owner{Namespace: "team-a"}, Username: "nobody@example.com"},
		from:   mfa.From{Actor: "system:serviceaccount:team-a:shop", IP: netip.MustParseAddr("192.0.2.7"), UserAgent: "test"},
	}
	w.Service = w.replica()
	return w
}

// replica is one more service over the same ledger and vault.
func (w *world) replica() *mfa.Service {
	if w.Service != nil {
		s := *w.Service
		return &s
	}
	return &mfa.Service{
		Vault: w.vault, Sealer: w.sealer, Signer: mfatest.NewSigner(), Courier: w.courier, Ledger: w.ledger,
		Issuer: "https://mfa.example.com", Clock: w.clock.Now, Rand: rand.Reader,
	}
}

// device is an authenticator app.
type device struct {
	secret    string
	algorithm otp.Algorithm
	digits    otp.Digits
}

// at is the code of a step, counted from the one at a time.
func (d device) at(now time.Time, steps int64) string {
	algorithm := d.algorithm
	digits := d.digits
	if digits == 0 {
		digits = otp.DigitsSix
	}
	code, err := hotp.GenerateCodeCustom(d.secret, uint64(now.Unix()/30+steps), hotp.ValidateOpts{Digits: digits, Algorithm: algorithm})
	if err != nil {
		panic(err)
	}
	return code
}

// wrong is a code of none of the steps near.
func (d device) wrong(now time.Time) string {
	for _, code := range []string{"000000", "000001", "000002", "000003", "000004", "000005", "000006"} {
		near := false
		for i := int64(-3); i <= 3; i++ {
			near = near || d.at(now, i) == code
		}
		if !near {
			return code
		}
	}
	panic("unlucky")
}

// enrolTOTP enrols an app for a person and moves on to the next step.
func (w *world) enrolTOTP(p mfa.Person, ask mfa.EnrolmentRequest) (device, mfa.Confirmed) {
	w.Helper()
	ask.Method, ask.From = mfa.TOTP, w.from
	e, err := w.StartEnrolment(w.Context(), p, w.rules, ask)
	if err != nil {
		w.Fatalf("starting to enrol TOTP: %v", err)
	}
	d := device{secret: e.Secret}
	c, err := w.ConfirmEnrolment(w.Context(), p, w.rules, mfa.Confirmation{Token: e.Token, Code: d.at(w.clock.Now(), 0), Audience: "shop", From: w.from})
	if err != nil {
		w.Fatalf("enrolling TOTP: %v", err)
	}
	w.clock.Move(30 * time.Second)
	return d, c
}

// verifyTOTP tries a code.
func (w *world) verifyTOTP(p mfa.Person, code string) (mfa.Session, error) {
	return w.Verify(w.Context(), p, w.rules, mfa.Proof{Method: mfa.TOTP, Code: code, Audience: "shop", From: w.from})
}

// mustVerify verifies with an app.
func (w *world) mustVerify(p mfa.Person, d device) mfa.Session {
	w.Helper()
	s, err := w.verifyTOTP(p, d.at(w.clock.Now(), 0))
	if err != nil {
		w.Fatalf("verifying with a right code: %v; %s", err, w.last().Reason)
	}
	return s
}

// last is the last record about an attempt.
func (w *world) last() audit.Record {
	all := w.ledger.Records("team-a")
	for i := len(all) - 1; i >= 0; i-- {
		switch all[i].Action {
		case audit.UserLocked, audit.SessionRevoked:
		default:
			return all[i]
		}
	}
	return audit.Record{}
}

// want checks an error and what the last record says.
func (w *world) want(reason string, err, wanted error, outcome audit.Outcome, why string) {
	w.Helper()
	if !errors.Is(err, wanted) || (err == nil) != (wanted == nil) {
		w.Errorf("%s: the answer is %v, want %v", reason, err, wanted)
	}
	if r := w.last(); r.Outcome != outcome || r.Reason != why {
		w.Errorf("%s: the record says %s %s %q, want %s %q", reason, r.Action, r.Outcome, r.Reason, outcome, why)
	}
}

// rawSeed is the seed of a device.
func (d device) rawSeed() []byte {
	seed, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(d.secret))
	if err != nil {
		panic(err)
	}
	return seed
}
