package mfa_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/mfa/mfatest"
)

// Nothing secret is in what lasts, or in what is logged: the records, the state
// and the errors.
func TestNoSecretLeavesItsPlace(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	var secrets []string
	secret := func(text ...string) { secrets = append(secrets, text...) }
	var said strings.Builder
	say := func(err error) { fmt.Fprintf(&said, "%v %+v %#v\n", err, err, err) }
	tell := func(err error) {
		t.Helper()
		if err == nil {
			t.Error("it was to fail")
		}
		say(err)
	}

	e, err := w.StartEnrolment(ctx, w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.TOTP, From: w.from})
	if err != nil {
		t.Fatal(err)
	}
	d := device{secret: e.Secret}
	seed := d.rawSeed()
	secret(e.Secret, hex.EncodeToString(seed), base64.StdEncoding.EncodeToString(seed), base64.RawURLEncoding.EncodeToString(seed), string(seed), e.Token)
	code := d.at(w.clock.Now(), 0)
	_, err = w.ConfirmEnrolment(ctx, w.alice, w.rules, mfa.Confirmation{Token: e.Token, Code: "99999999", From: w.from})
	tell(err)
	c, err := w.ConfirmEnrolment(ctx, w.alice, w.rules, mfa.Confirmation{Token: e.Token, Code: code, From: w.from})
	if err != nil {
		t.Fatal(err)
	}
	secret(code, c.Session.Token)
	_, err = w.verifyTOTP(w.alice, code)
	tell(err)
	for _, r := range w.codes(c.Session.Token) {
		secret(r, strings.ReplaceAll(r, "-", ""))
	}
	recovered, err := w.recover(secrets[len(secrets)-1])
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.recover(secrets[len(secrets)-2])
	tell(err)
	secret(recovered.Token)
	a := mfatest.NewAuthenticator(rpID, origin, mfatest.ES256)
	if _, err := w.enrolKey(w.alice, a, recovered.Token); err != nil {
		t.Fatal(err)
	}
	challenge := w.challenge(w.alice)
	secret(challenge.Token)
	var options struct {
		PublicKey struct{ Challenge string }
	}
	if err := json.Unmarshal(challenge.Options, &options); err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(options.PublicKey.Challenge)
	if err != nil {
		t.Fatal(err)
	}
	secret(options.PublicKey.Challenge, hex.EncodeToString(raw))
	_, err = w.answer(w.alice, challenge, a.Get(challenge.Options, func(c *mfatest.Ceremony) { c.ClientData["challenge"] = "AAAA" }))
	tell(err)
	link, err := w.StartLink(ctx, w.alice, w.rules, mfa.LinkRequest{From: w.from})
	if err != nil {
		t.Fatal(err)
	}
	secret(link.Token)
	w.clock.Move(time.Hour)
	w.sealer.Rotate()
	_, err = w.StartEnrolment(ctx, w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.Email, Link: link.Token, From: w.from})
	tell(err) // it had expired
	bob := w.alice
	bob.UID = "6f1c1f6e-0000-4000-8000-000000000002"
	m, err := w.StartEnrolment(ctx, bob, w.rules, mfa.EnrolmentRequest{Method: mfa.Email, From: w.from})
	if err != nil {
		t.Fatal(err)
	}
	secret(w.sent(), m.Token, bob.Contact.Email)
	w.courier.Fail(errors.New("550"))
	w.clock.Move(time.Minute)
	_, err = w.StartEnrolment(ctx, bob, w.rules, mfa.EnrolmentRequest{Method: mfa.Email, From: w.from})
	tell(err)
	_, err = w.verifyTOTP(w.nobody, "123456")
	tell(err)
	secret(w.nobody.Username)

	text := jsonOf(t, w.ledger.Records("team-a")) + jsonOf(t, w.ledger.State("team-a")) + said.String()
	if len(text) < 5000 {
		t.Fatalf("only %d characters were looked at", len(text))
	}
	words := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for n, s := range secrets {
		if len(s) > 8 && strings.Contains(text, s) || slices.Contains(words, s) { // six digits may be in an id by chance
			t.Errorf("secret %d of %d is in it", n, len(secrets))
		}
	}
}
