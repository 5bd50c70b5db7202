package mfa_test

import (
	"testing"
	"time"

	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/mfa/mfatest"
)

// What a verification costs without the API server.
func BenchmarkVerify(b *testing.B) {
	for _, method := range []mfa.Method{mfa.TOTP, mfa.WebAuthn} {
		b.Run(string(method), func(b *testing.B) {
			w := newWorld(&testing.T{})
			ctx := b.Context()
			e, err := w.StartEnrolment(ctx, w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.WebAuthn})
			if err != nil {
				b.Fatal(err)
			}
			key := mfatest.NewAuthenticator(rpID, origin, mfatest.ES256)
			c, err := w.ConfirmEnrolment(ctx, w.alice, w.rules, mfa.Confirmation{Token: e.Token, Response: key.Create(e.Options)})
			if err != nil {
				b.Fatal(err)
			}
			if e, err = w.StartEnrolment(ctx, w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.TOTP, Session: c.Session.Token}); err != nil {
				b.Fatal(err)
			}
			app := device{secret: e.Secret}
			if _, err := w.ConfirmEnrolment(ctx, w.alice, w.rules, mfa.Confirmation{Token: e.Token, Code: app.at(w.clock.Now(), 0)}); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				b.StopTimer()
				w.clock.Move(time.Minute)
				proof := mfa.Proof{Method: method, Code: app.at(w.clock.Now(), 0)}
				if method == mfa.WebAuthn {
					challenge, err := w.StartChallenge(ctx, w.alice, w.rules, mfa.ChallengeRequest{Method: method})
					if err != nil {
						b.Fatal(err)
					}
					proof.Challenge, proof.Response = challenge.Token, key.Get(challenge.Options)
				}
				b.StartTimer()
				if _, err := w.Verify(ctx, w.alice, w.rules, proof); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
