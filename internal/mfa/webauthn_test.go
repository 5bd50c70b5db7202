package mfa_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
	"github.com/go-webauthn/webauthn/metadata"
	"github.com/google/uuid"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/mfa/mfatest"
)

// enrolKey registers a key, as the first factor or with a session.
func (w *world) enrolKey(p mfa.Person, a *mfatest.Authenticator, session string, change ...func(*mfatest.Ceremony)) (mfa.Confirmed, error) {
	w.Helper()
	e, err := w.StartEnrolment(w.Context(), p, w.rules, mfa.EnrolmentRequest{Method: mfa.WebAuthn, Session: session, From: w.from})
	if err != nil {
		return mfa.Confirmed{}, err
	}
	return w.ConfirmEnrolment(w.Context(), p, w.rules, mfa.Confirmation{Token: e.Token, Response: a.Create(e.Options, change...), Audience: "shop", From: w.from})
}

func (w *world) mustEnrolKey(p mfa.Person, algorithm int) (*mfatest.Authenticator, mfa.Confirmed) {
	w.Helper()
	a := mfatest.NewAuthenticator(rpID, origin, algorithm)
	c, err := w.enrolKey(p, a, "")
	if err != nil {
		w.Fatalf("enrolling a key: %v, recorded as %s", err, w.last().Reason)
	}
	return a, c
}

func (w *world) challenge(p mfa.Person) mfa.Challenge {
	w.Helper()
	c, err := w.StartChallenge(w.Context(), p, w.rules, mfa.ChallengeRequest{Method: mfa.WebAuthn, From: w.from})
	if err != nil {
		w.Fatal(err)
	}
	return c
}

func (w *world) answer(p mfa.Person, c mfa.Challenge, response []byte) (mfa.Session, error) {
	w.Helper()
	return w.Verify(w.Context(), p, w.rules, mfa.Proof{Method: mfa.WebAuthn, Challenge: c.Token, Response: response, Audience: "shop", From: w.from})
}

func TestAKeyEnrolsAndVerifies(t *testing.T) {
	for name, algorithm := range map[string]int{"ES256": mfatest.ES256, "EdDSA": mfatest.EdDSA, "RS256": mfatest.RS256} {
		for _, format := range []string{"none", "packed"} {
			w := newWorld(t)
			a := mfatest.NewAuthenticator(rpID, origin, algorithm)
			a.Format, a.Counter = format, 1
			c, err := w.enrolKey(w.alice, a, "")
			if err != nil {
				t.Errorf("%s %s: enrolling: %v, %s", name, format, err, w.last().Reason)
				continue
			}
			if !c.Session.Verified || c.Factor.Method != mfa.WebAuthn {
				t.Errorf("%s: %+v", name, c)
			}
			before := len(w.ledger.Records("team-a"))
			challenge := w.challenge(w.alice)
			if len(w.ledger.Records("team-a")) != before {
				t.Error("a challenge wrote something")
			}
			s, err := w.answer(w.alice, challenge, a.Get(challenge.Options))
			w.want(name, err, nil, audit.Succeeded, "")
			if !slices.Equal(s.AMR, []string{"hwk", "user", "mfa"}) || s.ACR != mfa.ACRTwo {
				t.Errorf("%s: the session says %v %s", name, s.AMR, s.ACR)
			}
		}
	}
}

// An authenticator that others wrote.
func TestVirtualWebAuthn(t *testing.T) {
	for _, kind := range []virtualwebauthn.KeyType{virtualwebauthn.KeyTypeEC2, virtualwebauthn.KeyTypeRSA} {
		w := newWorld(t)
		rp := virtualwebauthn.RelyingParty{ID: rpID, Name: "Example", Origin: origin}
		authenticator, credential := virtualwebauthn.NewAuthenticator(), virtualwebauthn.NewCredential(kind)
		for kind == virtualwebauthn.KeyTypeEC2 && len(credential.Key.AttestationData()) != 77 {
			credential = virtualwebauthn.NewCredential(kind) // it drops leading zeros of coordinates
		}
		e, err := w.StartEnrolment(t.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.WebAuthn})
		if err != nil {
			t.Fatal(err)
		}
		creation, err := virtualwebauthn.ParseAttestationOptions(string(e.Options))
		if err != nil {
			t.Fatal(err)
		}
		response := virtualwebauthn.CreateAttestationResponse(rp, authenticator, credential, *creation)
		if _, err := w.ConfirmEnrolment(t.Context(), w.alice, w.rules, mfa.Confirmation{Token: e.Token, Response: []byte(response)}); err != nil {
			t.Fatalf("%s: %v, %s", kind, err, w.last().Reason)
		}
		c := w.challenge(w.alice)
		request, err := virtualwebauthn.ParseAssertionOptions(string(c.Options))
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.answer(w.alice, c, []byte(virtualwebauthn.CreateAssertionResponse(rp, authenticator, credential, *request)))
		w.want(string(kind), err, nil, audit.Succeeded, "")
	}
}

func TestAnAssertionThatIsWrong(t *testing.T) {
	clientData := func(key string, value any) func(*mfatest.Ceremony) {
		return func(c *mfatest.Ceremony) { c.ClientData[key] = value }
	}
	flags := func(change func(byte) byte) func(*mfatest.Ceremony) {
		return func(c *mfatest.Ceremony) { c.Flags = change(c.Flags) }
	}
	signature := func(change func([]byte) []byte) func(*mfatest.Ceremony) {
		return func(c *mfatest.Ceremony) {
			sign := c.Sign
			c.Sign = func(m []byte) []byte { return change(sign(m)) }
		}
	}
	ecdsaSignature := func(r, s *big.Int) []byte {
		b, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		if err != nil {
			panic(err)
		}
		return b
	}
	n := elliptic.P256().Params().N
	for _, c := range []struct {
		reason string
		change func(*mfatest.Ceremony)
		why    string
	}{
		{"the type of a registration", clientData("type", "webauthn.create"), ""},
		{"no type", clientData("type", ""), ""},
		{"another challenge", clientData("challenge", base64.RawURLEncoding.EncodeToString(make([]byte, 32))), ""},
		{"no challenge", clientData("challenge", ""), ""},
		{"the challenge cut off", func(c *mfatest.Ceremony) { c.ClientData["challenge"] = c.ClientData["challenge"].(string)[:20] }, ""},
		{"the challenge with padding", func(c *mfatest.Ceremony) { c.ClientData["challenge"] = c.ClientData["challenge"].(string) + "=" }, ""},
		{"an origin with a suffix", clientData("origin", origin+".evil.test"), ""},
		{"an origin with a prefix", clientData("origin", "https://evil-login.example.com"), ""},
		{"another subdomain", clientData("origin", "https://other.example.com"), ""},
		{"the parent domain", clientData("origin", "https://example.com"), ""},
		{"another port", clientData("origin", origin+":8443"), ""},
		{"without TLS", clientData("origin", "http://login.example.com"), ""},
		{"no origin", clientData("origin", "null"), ""},
		{"an origin that looks alike", clientData("origin", "https://login.xn--exmple-cua.com"), ""},
		{"an app", clientData("origin", "android:apk-key-hash:AAAA"), ""},
		{"from a frame of another site", clientData("crossOrigin", true), ""},
		{"in a page of another site", func(c *mfatest.Ceremony) {
			c.ClientData["crossOrigin"], c.ClientData["topOrigin"] = true, "https://evil.test"
		}, ""},
		{"of another relying party", func(c *mfatest.Ceremony) { c.RPID = "login.example.com" }, ""},
		{"of the parent domain", func(c *mfatest.Ceremony) { c.RPID = "com" }, ""},
		{"nobody was present", flags(func(f byte) byte { return f &^ mfatest.UserPresent }), ""},
		{"the user was not verified", flags(func(f byte) byte { return f &^ mfatest.UserVerified }), ""},
		{"it has become one that can be copied", flags(func(f byte) byte { return f | mfatest.BackupEligible }), ""},
		{"copied, though it cannot be", flags(func(f byte) byte { return f | mfatest.BackedUp }), ""},
		{"a signature with a bit flipped", signature(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }), ""},
		{"a signature with more behind it", signature(func(b []byte) []byte { return append(b, 0) }), ""},
		{"a signature cut off", signature(func(b []byte) []byte { return b[:len(b)-1] }), ""},
		{"no signature", signature(func([]byte) []byte { return nil }), ""},
		{"r and s are zero", signature(func([]byte) []byte { return ecdsaSignature(new(big.Int), new(big.Int)) }), ""},
		{"r and s are the order", signature(func([]byte) []byte { return ecdsaSignature(n, n) }), ""},
		{"s is negative", signature(func([]byte) []byte { return ecdsaSignature(big.NewInt(1), big.NewInt(-1)) }), ""},
		{"not DER", signature(func([]byte) []byte { return make([]byte, 64) }), ""},
		{"authenticator data changed after it was signed", func(c *mfatest.Ceremony) {
			c.AuthData = func(b []byte) []byte { b[len(b)-1]++; return b }
		}, ""},
		{"authenticator data cut off", func(c *mfatest.Ceremony) { c.AuthData = func(b []byte) []byte { return b[:36] } }, ""},
		{"authenticator data with more behind it", func(c *mfatest.Ceremony) {
			c.AuthData = func(b []byte) []byte { return append(b, 1, 2, 3) }
		}, ""},
		{"an id nobody has", func(c *mfatest.Ceremony) { c.ID = make([]byte, 32) }, mfa.ReasonFactorGone},
		{"an id that is too long", func(c *mfatest.Ceremony) { c.ID = make([]byte, 1024) }, "any"},
		{"no id", func(c *mfatest.Ceremony) { c.ID = nil }, "any"},
		{"another user's handle", func(c *mfatest.Ceremony) { c.UserHandle = []byte("somebody else") }, ""},
		{"signed by another key", func(c *mfatest.Ceremony) {
			other := mfatest.NewAuthenticator(rpID, origin, mfatest.ES256)
			other.Create(json.RawMessage(`{"publicKey":{}}`))
			c.Sign = func(m []byte) []byte {
				var signed []byte
				other.Get(json.RawMessage(`{"publicKey":{}}`), func(o *mfatest.Ceremony) { signed = o.Sign(m) })
				return signed
			}
		}, ""},
	} {
		w := newWorld(t)
		w.rules.WebAuthn.UserVerification = mfa.UserVerificationRequired
		a, _ := w.mustEnrolKey(w.alice, mfatest.ES256)
		challenge := w.challenge(w.alice)
		_, err := w.answer(w.alice, challenge, a.Get(challenge.Options, c.change))
		why := c.why
		switch why {
		case "":
			why = mfa.ReasonWrongAssertion
		case "any":
			why = w.last().Reason
		}
		w.want(c.reason, err, mfa.ErrDenied, audit.Failed, why)
		if strings.Contains(fmt.Sprint(err), "challenge") {
			t.Errorf("%s: the error tells of the challenge: %v", c.reason, err)
		}
		// What failed is used up, also for what would have been right.
		_, err = w.answer(w.alice, challenge, a.Get(challenge.Options))
		w.want(c.reason+", and then right", err, mfa.ErrDenied, audit.Replayed, mfa.ReasonUsed)
		challenge = w.challenge(w.alice)
		if _, err = w.answer(w.alice, challenge, a.Get(challenge.Options)); err != nil {
			t.Errorf("%s: the key does not work afterwards: %v, %s", c.reason, err, w.last().Reason)
		}
	}
}

func TestAChallengeOfSomethingElse(t *testing.T) {
	w := newWorld(t)
	a, _ := w.mustEnrolKey(w.alice, mfatest.ES256)
	bob := w.alice
	bob.Owner = mfa.Owner{Namespace: "team-a", Name: "bob", UID: "6f1c1f6e-0000-4000-8000-000000000002"}
	w.mustEnrolKey(bob, mfatest.ES256)
	good := w.challenge(w.alice)
	flipped := []byte(good.Token)
	flipped[len(flipped)/2] ^= 1
	enrolment, err := w.StartEnrolment(t.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.TOTP, Session: w.assert(a).Token})
	if err != nil {
		t.Fatal(err)
	}
	for reason, token := range map[string]string{
		"of another user": w.challenge(bob).Token, "of an enrolment": enrolment.Token, "none": "", "altered": string(flipped),
		"cut off": good.Token[:len(good.Token)-8], "no base64": "%%%", "very long": strings.Repeat("A", 1<<20),
	} {
		w.clock.Move(time.Hour)
		if err := w.Unlock(t.Context(), w.alice, w.from); err != nil && !errors.Is(err, mfa.ErrNotFound) {
			t.Fatal(err)
		}
		_, err := w.answer(w.alice, mfa.Challenge{Token: token}, a.Get(good.Options))
		w.want(reason, err, mfa.ErrDenied, audit.Failed, mfa.ReasonBadToken)
	}
	w.clock.Move(time.Hour)
	late := w.challenge(w.alice)
	w.clock.Move(5*time.Minute + time.Second)
	_, err = w.answer(w.alice, late, a.Get(late.Options))
	w.want("too late", err, mfa.ErrDenied, audit.Failed, mfa.ReasonExpired)
}

// assert verifies with a key.
func (w *world) assert(a *mfatest.Authenticator) mfa.Session {
	w.Helper()
	c := w.challenge(w.alice)
	s, err := w.answer(w.alice, c, a.Get(c.Options))
	if err != nil {
		w.Fatalf("a right assertion: %v, %s", err, w.last().Reason)
	}
	return s
}

func TestOneAssertionManyTimesAtOnce(t *testing.T) {
	w := newWorld(t)
	a, _ := w.mustEnrolKey(w.alice, mfatest.ES256)
	for range 20 {
		c := w.challenge(w.alice)
		response := a.Get(c.Options)
		var right atomic.Int64
		var all sync.WaitGroup
		for range 16 {
			s := w.replica()
			all.Go(func() {
				_, err := s.Verify(t.Context(), w.alice, w.rules, mfa.Proof{Method: mfa.WebAuthn, Challenge: c.Token, Response: response, From: w.from})
				if err == nil {
					right.Add(1)
				} else if !errors.Is(err, mfa.ErrDenied) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if right.Load() != 1 {
			t.Fatalf("one assertion was accepted %d times", right.Load())
		}
	}
}

func TestTheSignatureCounterOnlyGoesUp(t *testing.T) {
	for _, c := range []struct {
		counters []uint32
		last     string
		reason   string
	}{
		{[]uint32{0, 0, 0}, "", "a key that does not count"},
		{[]uint32{0, 1}, "", "one that begins to"},
		{[]uint32{5, 6}, "", "one that counts"},
		{[]uint32{5, 5}, mfa.ReasonCloneSuspected, "twice the same"},
		{[]uint32{5, 4}, mfa.ReasonCloneSuspected, "backwards"},
		{[]uint32{5, 0}, mfa.ReasonCloneSuspected, "back to zero"},
		{[]uint32{5, 6, 7}, "", "in order"},
		{[]uint32{5, 7, 6}, mfa.ReasonCloneSuspected, "out of order"},
		{[]uint32{1<<32 - 2, 1<<32 - 1}, "", "the largest there is"},
	} {
		w := newWorld(t)
		a := mfatest.NewAuthenticator(rpID, origin, mfatest.ES256)
		a.Counter = c.counters[0]
		if _, err := w.enrolKey(w.alice, a, ""); err != nil {
			t.Fatal(err)
		}
		for i, counter := range c.counters[1:] {
			challenge := w.challenge(w.alice)
			_, err := w.answer(w.alice, challenge, a.Get(challenge.Options, func(o *mfatest.Ceremony) { o.Counter = counter }))
			if i < len(c.counters)-2 || c.last == "" {
				w.want(c.reason, err, nil, audit.Succeeded, "")
			} else {
				w.want(c.reason, err, mfa.ErrDenied, audit.Failed, c.last)
			}
		}
	}
}

func TestUserVerificationIsWhatThePolicySays(t *testing.T) {
	w := newWorld(t)
	a, _ := w.mustEnrolKey(w.alice, mfatest.ES256)
	without := func(c *mfatest.Ceremony) { c.Flags &^= mfatest.UserVerified }
	c := w.challenge(w.alice)
	s, err := w.answer(w.alice, c, a.Get(c.Options, without))
	w.want("preferred", err, nil, audit.Succeeded, "")
	c = w.challenge(w.alice)
	// Tightened between the challenge and the answer.
	w.rules.WebAuthn.UserVerification = mfa.UserVerificationRequired
	_, err = w.answer(w.alice, c, a.Get(c.Options, without))
	w.want("required", err, mfa.ErrDenied, audit.Failed, mfa.ReasonWrongAssertion)
	if in, err := w.Introspect(t.Context(), w.alice, w.rules, s.Token); err != nil || in.Active {
		t.Errorf("a session without user verification still counts: %v", err)
	}
	fresh := mfa.Person{Owner: mfa.Owner{Namespace: "team-a", Name: "carol", UID: "6f1c1f6e-0000-4000-8000-000000000003"}, Username: "carol"}
	_, err = w.enrolKey(fresh, mfatest.NewAuthenticator(rpID, origin, mfatest.ES256), "", without)
	w.want("at enrolment", err, mfa.ErrDenied, audit.Failed, mfa.ReasonWrongAttestation)
}

func TestARegistrationThatIsWrong(t *testing.T) {
	for _, c := range []struct {
		reason string
		format string
		change func(*mfatest.Ceremony)
	}{
		{"the type of an assertion", "none", func(c *mfatest.Ceremony) { c.ClientData["type"] = "webauthn.get" }},
		{"another challenge", "none", func(c *mfatest.Ceremony) { c.ClientData["challenge"] = "AAAA" }},
		{"another origin", "none", func(c *mfatest.Ceremony) { c.ClientData["origin"] = "https://evil.test" }},
		{"another relying party", "none", func(c *mfatest.Ceremony) { c.RPID = "evil.test" }},
		{"nobody was present", "none", func(c *mfatest.Ceremony) { c.Flags = 0 }},
		{"copied, though it cannot be", "none", func(c *mfatest.Ceremony) { c.Flags |= mfatest.BackedUp }},
		{"no id", "none", func(c *mfatest.Ceremony) { c.ID = nil }},
		{"an id of 1024 bytes", "none", func(c *mfatest.Ceremony) { c.ID = make([]byte, 1024) }},
		{"an algorithm that was not offered", "none", func(c *mfatest.Ceremony) { c.Algorithm = -35 }},
		{"an RSA algorithm for an elliptic key", "none", func(c *mfatest.Ceremony) { c.Algorithm = mfatest.RS256 }},
		{"a statement where there is none", "none", func(c *mfatest.Ceremony) { c.Statement = func(s map[string]any) { s["x"] = 1 } }},
		{"self attestation with another algorithm", "packed", func(c *mfatest.Ceremony) {
			c.Statement = func(s map[string]any) { s["alg"] = mfatest.EdDSA }
		}},
		{"self attestation with a wrong signature", "packed", func(c *mfatest.Ceremony) {
			c.Sign = func([]byte) []byte { return []byte{1, 2, 3} }
		}},
		{"a format nobody knows", "unheard-of", func(*mfatest.Ceremony) {}},
		{"safetynet", "android-safetynet", func(*mfatest.Ceremony) {}},
	} {
		w := newWorld(t)
		a := mfatest.NewAuthenticator(rpID, origin, mfatest.ES256)
		a.Format = c.format
		_, err := w.enrolKey(w.alice, a, "", c.change)
		w.want(c.reason, err, mfa.ErrDenied, audit.Failed, mfa.ReasonWrongAttestation)
		if list, err := w.Factors(t.Context(), w.alice); err != nil || len(list) != 0 {
			t.Errorf("%s: there are factors: %v, %v", c.reason, list, err)
		}
	}
}

func TestACredentialBelongsToOneUser(t *testing.T) {
	w := newWorld(t)
	id := bytes.Repeat([]byte{7}, 32)
	same := func(c *mfatest.Ceremony) { c.ID = id }
	var all sync.WaitGroup
	var right atomic.Int64
	for n := range 8 {
		p := w.alice
		p.UID = fmt.Sprintf("6f1c1f6e-0000-4000-8000-%012d", n)
		all.Go(func() {
			_, err := w.enrolKey(p, mfatest.NewAuthenticator(rpID, origin, mfatest.ES256), "", same)
			var no *mfa.NotAllowedError
			switch {
			case err == nil:
				right.Add(1)
			case !errors.As(err, &no) || no.Reason != mfa.ReasonTaken:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if right.Load() != 1 {
		t.Errorf("%d users have the same credential", right.Load())
	}
}

// A browser makes another key when it is asked again, and a device may forget the one
// of before. The one that the ledger takes is the one that counts.
func TestAnotherKeyAfterAnAnswerThatWasLost(t *testing.T) {
	w := newWorld(t)
	e, err := w.StartEnrolment(t.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.WebAuthn, From: w.from})
	if err != nil {
		t.Fatal(err)
	}
	confirm := func(a *mfatest.Authenticator) (mfa.Confirmed, error) {
		return w.ConfirmEnrolment(t.Context(), w.alice, w.rules, mfa.Confirmation{Token: e.Token, Response: a.Create(e.Options), From: w.from})
	}
	first, second := mfatest.NewAuthenticator(rpID, origin, mfatest.ES256), mfatest.NewAuthenticator(rpID, origin, mfatest.ES256)
	w.ledger.FailAppend(errors.New("away"))
	if _, err := confirm(first); !errors.Is(err, mfa.ErrUnavailable) {
		t.Fatal(err)
	}
	w.ledger.FailAppend(nil)
	got, err := confirm(second)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := w.Factors(t.Context(), w.alice); err != nil || len(list) != 1 || list[0].ID != got.Factor.ID {
		t.Errorf("the factors are %v, %v, want %s", list, err, got.Factor.ID)
	}
	c := w.challenge(w.alice)
	if _, err := w.answer(w.alice, c, second.Get(c.Options)); err != nil {
		t.Errorf("the key that was enrolled: %v, recorded as %s", err, w.last().Reason)
	}
	c = w.challenge(w.alice)
	if _, err := w.answer(w.alice, c, first.Get(c.Options)); !errors.Is(err, mfa.ErrDenied) {
		t.Errorf("the other one: %v", err)
	}
}

// A challenge is good for one answer, also where that is right and the rules are
// against it.
func TestARegistrationIsLookedAtOnce(t *testing.T) {
	w := newWorld(t)
	id := bytes.Repeat([]byte{7}, 32)
	bob := w.alice
	bob.Owner = mfa.Owner{Namespace: "team-a", Name: "bob", UID: "6f1c1f6e-0000-4000-8000-000000000002"}
	if _, err := w.enrolKey(bob, mfatest.NewAuthenticator(rpID, origin, mfatest.ES256), "", func(c *mfatest.Ceremony) { c.ID = id }); err != nil {
		t.Fatal(err)
	}
	e, err := w.StartEnrolment(t.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.WebAuthn, From: w.from})
	if err != nil {
		t.Fatal(err)
	}
	confirm := func(change ...func(*mfatest.Ceremony)) error {
		response := mfatest.NewAuthenticator(rpID, origin, mfatest.ES256).Create(e.Options, change...)
		_, err := w.ConfirmEnrolment(t.Context(), w.alice, w.rules, mfa.Confirmation{Token: e.Token, Response: response, From: w.from})
		return err
	}
	w.want("somebody else's", confirm(func(c *mfatest.Ceremony) { c.ID = id }), mfa.ErrNotAllowed, audit.Failed, mfa.ReasonTaken)
	w.want("another one to the same challenge", confirm(), mfa.ErrDenied, audit.Replayed, mfa.ReasonUsed)
}

func TestSeveralKeysAndNoneTwice(t *testing.T) {
	w := newWorld(t)
	first, c := w.mustEnrolKey(w.alice, mfatest.ES256)
	e, err := w.StartEnrolment(t.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.WebAuthn, Session: c.Session.Token})
	if err != nil {
		t.Fatal(err)
	}
	if ids := mfatest.Excluded(e.Options); len(ids) != 1 || ids[0] != base64.RawURLEncoding.EncodeToString(first.ID) {
		t.Errorf("excluded are %v", ids)
	}
	second := mfatest.NewAuthenticator(rpID, origin, mfatest.EdDSA)
	if _, err := w.enrolKey(w.alice, second, c.Session.Token); err != nil {
		t.Fatal(err)
	}
	if ids := mfatest.Allowed(w.challenge(w.alice).Options); len(ids) != 2 {
		t.Errorf("allowed are %v", ids)
	}
	w.assert(first)
	s := w.assert(second)
	pending := w.challenge(w.alice)
	if err := w.Remove(t.Context(), w.alice, w.rules, mfa.RemoveRequest{ID: c.Factor.ID, Session: s.Token, From: w.from}); err != nil {
		t.Fatal(err)
	}
	_, err = w.answer(w.alice, pending, first.Get(pending.Options))
	w.want("a key that was removed since the challenge", err, mfa.ErrDenied, audit.Failed, mfa.ReasonFactorGone)
	pending = w.challenge(w.alice)
	_, err = w.answer(w.alice, pending, second.Get(pending.Options))
	w.want("the one that is left", err, nil, audit.Succeeded, "")
}

func TestSomebodyWithoutAKeyHasOneThatIsMadeUp(t *testing.T) {
	w := newWorld(t)
	w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
	for _, p := range []mfa.Person{w.alice, w.nobody} {
		first, second := w.challenge(p), w.challenge(p)
		ids := mfatest.Allowed(first.Options)
		if len(ids) != 1 || !slices.Equal(ids, mfatest.Allowed(second.Options)) {
			t.Errorf("%q: allowed are %v and then %v", p.Username, ids, mfatest.Allowed(second.Options))
		}
		a := mfatest.NewAuthenticator(rpID, origin, mfatest.ES256)
		a.Create(json.RawMessage(`{"publicKey":{}}`))
		id, err := base64.RawURLEncoding.DecodeString(ids[0])
		if err != nil {
			t.Fatal(err)
		}
		s, err := w.answer(p, first, a.Get(first.Options, func(c *mfatest.Ceremony) { c.ID = id }))
		if !errors.Is(err, mfa.ErrDenied) || s.Token != "" {
			t.Errorf("%q: %v", p.Username, err)
		}
	}
	if slices.Equal(mfatest.Allowed(w.challenge(w.alice).Options), mfatest.Allowed(w.challenge(w.nobody).Options)) {
		t.Error("both have the same")
	}
}

// What a browser is told of a key that is made up has all that it is told of a real one.
func TestAMadeUpKeyLooksLikeOne(t *testing.T) {
	w := newWorld(t)
	w.mustEnrolKey(w.alice, mfatest.ES256)
	told := func(p mfa.Person) map[string]any {
		var o struct {
			PublicKey struct {
				Allow []map[string]any `json:"allowCredentials"`
			} `json:"publicKey"`
		}
		if err := json.Unmarshal(w.challenge(p).Options, &o); err != nil || len(o.PublicKey.Allow) != 1 {
			t.Fatalf("%q: %v, %v", p.Username, o, err)
		}
		return o.PublicKey.Allow[0]
	}
	members := func(p mfa.Person) []string { return slices.Sorted(maps.Keys(told(p))) }
	looks := map[string]bool{}
	for n := range 64 {
		nobody := w.nobody
		nobody.Username = fmt.Sprintf("nobody-%d", n)
		if got, want := members(nobody), members(w.alice); !slices.Equal(got, want) {
			t.Fatalf("of nobody a browser is told %v, of a user %v", got, want)
		}
		one := told(nobody)
		looks[fmt.Sprint(len(one["id"].(string)), one["transports"])] = true
	}
	if len(looks) < 3 {
		t.Errorf("keys that are made up look all alike: %v", looks)
	}
}

func TestADiscoverableKeyNamesItsUser(t *testing.T) {
	w := newWorld(t)
	a, _ := w.mustEnrolKey(w.alice, mfatest.ES256)
	start := func() mfa.Challenge {
		c, err := w.StartChallenge(t.Context(), mfa.Person{Owner: mfa.Owner{Namespace: "team-a"}}, w.rules, mfa.ChallengeRequest{Method: mfa.WebAuthn, Discoverable: true})
		if err != nil {
			t.Fatal(err)
		}
		if ids := mfatest.Allowed(c.Options); len(ids) != 0 {
			t.Errorf("it names %v", ids)
		}
		return c
	}
	c := start()
	response := a.Get(c.Options)
	if string(a.UserHandle) != w.alice.UID {
		t.Fatalf("the handle is %q", a.UserHandle)
	}
	_, err := w.answer(w.alice, c, response)
	w.want("discoverable", err, nil, audit.Succeeded, "")
	_, err = w.answer(w.alice, c, response)
	w.want("again", err, mfa.ErrDenied, audit.Replayed, mfa.ReasonUsed)
	c = start()
	_, err = w.answer(w.alice, c, a.Get(c.Options, func(c *mfatest.Ceremony) { c.UserHandle = nil }))
	w.want("without a handle", err, mfa.ErrDenied, audit.Failed, mfa.ReasonWrongAssertion)
}

// roots is metadata with one make and its root.
type roots struct {
	metadata.Provider
	entries map[uuid.UUID]*metadata.Entry
}

func (r roots) GetEntry(_ context.Context, id uuid.UUID) (*metadata.Entry, error) {
	return r.entries[id], nil
}
func (roots) GetValidateEntry(context.Context) bool                 { return true }
func (roots) GetValidateEntryPermitZeroAAGUID(context.Context) bool { return false }
func (roots) GetValidateTrustAnchor(context.Context) bool           { return true }
func (roots) GetValidateStatus(context.Context) bool                { return true }
func (roots) GetValidateAttestationTypes(context.Context) bool      { return true }
func (roots) ValidateStatusReports(_ context.Context, reports []metadata.StatusReport) error {
	return metadata.ValidateStatusReports(reports, nil, []metadata.AuthenticatorStatus{metadata.Revoked})
}

// maker makes authenticators that can prove it.
type maker struct {
	root    *x509.Certificate
	rootKey *ecdsa.PrivateKey
}

func newMaker(t *testing.T) maker {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Root"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	return maker{sign(t, template, template, key, key), key}
}

func sign(t *testing.T, template, parent *x509.Certificate, public, signer *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &public.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// authenticator has an attestation certificate that names a make.
func (m maker) authenticator(t *testing.T, says, is uuid.UUID) *mfatest.Authenticator {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	extension, err := asn1.Marshal(is[:])
	if err != nil {
		t.Fatal(err)
	}
	leaf := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), BasicConstraintsValid: true,
		Subject:   pkix.Name{Country: []string{"SE"}, Organization: []string{"Maker"}, OrganizationalUnit: []string{"Authenticator Attestation"}, CommonName: "Key"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}, Value: extension}},
	}, m.root, key, m.rootKey)
	a := mfatest.NewAuthenticator(rpID, origin, mfatest.ES256)
	a.Format, a.Attester, a.Chain, a.AAGUID = "packed-x5c", key, []*x509.Certificate{leaf}, says
	return a
}

func TestAttestation(t *testing.T) {
	good, other := uuid.MustParse("ee882879-721c-4913-9775-3dfcce97072a"), uuid.MustParse("fa2b99dc-9e39-4257-8f92-4a30d23c4118")
	honest, forger := newMaker(t), newMaker(t)
	with := func(status metadata.AuthenticatorStatus) roots {
		return roots{entries: map[uuid.UUID]*metadata.Entry{good: {
			AaGUID: good, StatusReports: []metadata.StatusReport{{Status: status}},
			MetadataStatement: metadata.Statement{
				AaGUID: good, AttestationTypes: metadata.AuthenticatorAttestationTypes{metadata.BasicFull},
				AttestationRootCertificates: []*x509.Certificate{honest.root},
			},
		}}}
	}
	trusted := with(metadata.FidoCertified)
	plain := func(id uuid.UUID, format string) *mfatest.Authenticator {
		a := mfatest.NewAuthenticator(rpID, origin, mfatest.ES256)
		a.AAGUID, a.Format = id, format
		return a
	}
	direct := mfa.WebAuthnRules{Attestation: mfa.AttestationDirect}
	allowed := mfa.WebAuthnRules{AllowedAAGUIDs: []string{strings.ToUpper(good.String())}}
	for _, c := range []struct {
		reason  string
		rules   mfa.WebAuthnRules
		trust   metadata.Provider
		key     *mfatest.Authenticator
		because string // empty: it is accepted
	}{
		{"attested by a known maker", direct, trusted, honest.authenticator(t, good, good), ""},
		{"the same, by an allow-list", allowed, trusted, honest.authenticator(t, good, good), ""},
		{"attested by a root of its own", direct, trusted, forger.authenticator(t, good, good), "denied"},
		{"another make than its certificate says", direct, trusted, honest.authenticator(t, good, other), "denied"},
		{"a make nobody knows", direct, trusted, honest.authenticator(t, other, other), "denied"},
		{"a make that was revoked", direct, with(metadata.Revoked), honest.authenticator(t, good, good), "denied"},
		{"no attestation", direct, trusted, plain(good, "none"), "any"},
		{"its own word", direct, trusted, plain(good, "packed"), "any"},
		{"an allowed make by its own word", allowed, trusted, plain(good, "packed"), "any"},
		{"an allowed make without attestation", allowed, trusted, plain(good, "none"), "any"},
		{"no make at all", allowed, trusted, plain(uuid.Nil, "none"), "any"},
		{"no roots to lead it to", direct, nil, honest.authenticator(t, good, good), mfa.ReasonAttestation},
		{"an allow-list without roots", allowed, nil, honest.authenticator(t, good, good), mfa.ReasonAttestation},
		{"attested, but not on the list", mfa.WebAuthnRules{AllowedAAGUIDs: []string{other.String()}}, trusted, honest.authenticator(t, good, good), mfa.ReasonAAGUID},
		{"policies that have no make in common", mfa.WebAuthnRules{AllowedAAGUIDs: []string{}}, trusted, honest.authenticator(t, good, good), mfa.ReasonAAGUID},
		{"denied by name", mfa.WebAuthnRules{DeniedAAGUIDs: []string{good.String()}}, nil, plain(good, "none"), mfa.ReasonAAGUID},
		{"denied, though attested", mfa.WebAuthnRules{Attestation: mfa.AttestationDirect, DeniedAAGUIDs: []string{good.String()}}, trusted, honest.authenticator(t, good, good), mfa.ReasonAAGUID},
		{"another make is denied", mfa.WebAuthnRules{DeniedAAGUIDs: []string{other.String()}}, nil, plain(good, "none"), ""},
		{"attestation that nobody asked for", mfa.WebAuthnRules{}, nil, honest.authenticator(t, good, good), ""},
	} {
		w := newWorld(t)
		w.Metadata = c.trust
		c.rules.RPID, c.rules.Origins = rpID, []string{origin}
		w.rules.WebAuthn = c.rules
		_, err := w.enrolKey(w.alice, c.key, "")
		var no *mfa.NotAllowedError
		switch {
		case c.because == "":
			if err != nil {
				t.Errorf("%s: %v, %s", c.reason, err, w.last().Reason)
			}
		case c.because == "denied":
			w.want(c.reason, err, mfa.ErrDenied, audit.Failed, mfa.ReasonWrongAttestation)
		case c.because == "any":
			if !errors.Is(err, mfa.ErrDenied) && !errors.Is(err, mfa.ErrNotAllowed) {
				t.Errorf("%s: %v", c.reason, err)
			}
		case !errors.As(err, &no) || no.Reason != c.because:
			t.Errorf("%s: %v", c.reason, err)
		}
	}
}

// What comes from outside neither panics nor gets in.
func FuzzAssertion(f *testing.F) {
	w := newWorld(&testing.T{})
	a := mfatest.NewAuthenticator(rpID, origin, mfatest.ES256)
	f.Add([]byte(`{}`))
	f.Add([]byte(`null`))
	f.Add(a.Create(json.RawMessage(`{"publicKey":{"challenge":"AAAA"}}`)))
	f.Add(a.Get(json.RawMessage(`{"publicKey":{"challenge":"AAAA"}}`)))
	f.Fuzz(func(t *testing.T, response []byte) {
		w.clock.Move(time.Hour)
		c, err := w.StartChallenge(t.Context(), w.alice, w.rules, mfa.ChallengeRequest{Method: mfa.WebAuthn})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Verify(t.Context(), w.alice, w.rules, mfa.Proof{Method: mfa.WebAuthn, Challenge: c.Token, Response: response}); err == nil {
			t.Error("it got in")
		}
	})
}
