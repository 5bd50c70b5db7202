package mfa_test

import (
	"context"
	"errors"
	"testing"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/mfa/mfatest"
)

// counted counts what is asked of the world.
type counted struct {
	mfa.Vault
	mfa.Ledger
	loads, appends, reads int
}

func (c *counted) Load(ctx context.Context, owner mfa.Owner) (mfa.Kept, error) {
	c.loads++
	return c.Vault.Load(ctx, owner)
}

func (c *counted) Append(ctx context.Context, namespace string, a mfa.Attempt) ([]audit.Record, error) {
	c.appends++
	return c.Ledger.Append(ctx, namespace, a)
}

func (c *counted) Read(ctx context.Context, namespace string, look func(audit.State[mfa.Entry])) error {
	c.reads++
	return c.Ledger.Read(ctx, namespace, look)
}

// A denial costs one look into the vault and one record, whoever it is about:
// what takes long takes equally long.
func TestEveryDenialCostsTheSame(t *testing.T) {
	people := map[string]func(*world) mfa.Person{
		"a wrong proof": func(w *world) mfa.Person {
			_, c := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
			w.codes(c.Session.Token)
			if _, err := w.enrolKey(w.alice, mfatest.NewAuthenticator(rpID, origin, mfatest.ES256), c.Session.Token); err != nil {
				t.Fatal(err)
			}
			return w.alice
		},
		"no factor": func(w *world) mfa.Person { return w.alice },
		"no user":   func(w *world) mfa.Person { return w.nobody },
		"locked": func(w *world) mfa.Person {
			d, _ := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
			w.rules.MaxAttempts = 1
			w.guess(w.alice, d.wrong(w.clock.Now()))
			return w.alice
		},
		"suspended": func(w *world) mfa.Person { w.alice.Suspended = true; return w.alice },
	}
	for reason, prepare := range people {
		for _, m := range []mfa.Method{mfa.TOTP, mfa.RecoveryCodes, mfa.WebAuthn, mfa.Email} {
			w := newWorld(t)
			p := prepare(w)
			proof := mfa.Proof{Method: m, Code: "123456", From: w.from}
			switch m {
			case mfa.RecoveryCodes:
				proof.Code = "00000-00000-00000-00000-00000"
			case mfa.WebAuthn:
				c := w.challenge(p)
				a := mfatest.NewAuthenticator(rpID, origin, mfatest.ES256)
				a.Create(c.Options)
				proof.Challenge, proof.Response = c.Token, a.Get(c.Options)
			case mfa.Email:
				c, err := w.StartChallenge(t.Context(), p, w.rules, mfa.ChallengeRequest{Method: m, From: w.from})
				if err != nil {
					t.Fatal(err)
				}
				proof.Challenge = c.Token
			default:
			}
			count := &counted{Vault: w.vault, Ledger: w.ledger}
			w.Vault, w.Ledger = count, count
			before := len(w.ledger.Records("team-a"))
			_, err := w.Verify(t.Context(), p, w.rules, proof)
			if !errors.Is(err, mfa.ErrDenied) {
				t.Errorf("%s, %s: %v", reason, m, err)
			}
			if n := len(w.ledger.Records("team-a")) - before; count.loads != 1 || count.appends != 1 || count.reads != 0 || n != 1 {
				t.Errorf("%s, %s: %d loads, %d appends, %d reads, %d records", reason, m, count.loads, count.appends, count.reads, n)
			}
		}
	}
}
