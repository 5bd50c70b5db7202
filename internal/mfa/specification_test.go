package mfa_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/google/uuid"

	"github.com/neosc/mfa-operator/internal/mfa"
)

// hexBytes is written in hexadecimal.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

func (h hexBytes) url() string { return base64.RawURLEncoding.EncodeToString(h) }

// chosen is randomness that contains a challenge of somebody else's choice.
type chosen struct{ challenge []byte }

func (c *chosen) Read(b []byte) (int, error) {
	if len(b) == 32 {
		return copy(b, c.challenge), nil
	}
	return io.ReadFull(rand.Reader, b)
}

// anyMake takes the root of the specification for every make.
type anyMake struct {
	roots
	root *x509.Certificate
}

func (m anyMake) GetEntry(context.Context, uuid.UUID) (*metadata.Entry, error) {
	return &metadata.Entry{
		StatusReports: []metadata.StatusReport{{Status: metadata.FidoCertified}},
		MetadataStatement: metadata.Statement{
			AttestationTypes:            metadata.AuthenticatorAttestationTypes{metadata.BasicFull},
			AttestationRootCertificates: []*x509.Certificate{m.root},
		},
	}, nil
}

// The registrations and assertions of the specification itself, through the whole
// service.
func TestTheVectorsOfWebAuthnLevel3(t *testing.T) {
	text, err := os.ReadFile("testdata/webauthn-level3.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		AttestationRoot hexBytes
		Vectors         []struct {
			Section, Name  string
			CredentialID   hexBytes
			Registration   struct{ Challenge, ClientDataJSON, AttestationObject hexBytes }
			Authentication struct{ Challenge, ClientDataJSON, AuthenticatorData, Signature hexBytes }
		}
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(all.AttestationRoot)
	if err != nil {
		t.Fatal(err)
	}
	// What is not accepted, and why that is right.
	refused := map[string]string{
		"§16.4":  "it comes from a frame of another site",
		"§16.5":  "it comes from a frame of another site",
		"§16.8":  "ES384 is not offered",
		"§16.9":  "ES512 is not offered",
		"§16.13": "its root is that of the specification, and of no maker of TPMs",
		"§16.14": "its root is that of the specification, not Google's",
		"§16.15": "its root is that of the specification, not Apple's",
	}
	direct := map[string]bool{"§16.7": true, "§16.10": true, "§16.11": true}
	accepted := 0
	for _, v := range all.Vectors {
		w := newWorld(t)
		w.rules.WebAuthn = mfa.WebAuthnRules{RPID: "example.org", Origins: []string{"https://example.org"}}
		if direct[v.Section] {
			w.rules.WebAuthn.Attestation = mfa.AttestationDirect
			w.Metadata = anyMake{root: root}
		}
		credential := func(response map[string]any) []byte {
			text, err := json.Marshal(map[string]any{
				"type": "public-key", "id": v.CredentialID.url(), "rawId": v.CredentialID.url(), "response": response,
			})
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		w.Rand = &chosen{v.Registration.Challenge}
		e, err := w.StartEnrolment(t.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.WebAuthn})
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.ConfirmEnrolment(t.Context(), w.alice, w.rules, mfa.Confirmation{Token: e.Token, Response: credential(map[string]any{
			"clientDataJSON": v.Registration.ClientDataJSON.url(), "attestationObject": v.Registration.AttestationObject.url(),
		})})
		if why := refused[v.Section]; why != "" {
			if !errors.Is(err, mfa.ErrDenied) || w.last().Reason != mfa.ReasonWrongAttestation {
				t.Errorf("%s %s: %v, though %s", v.Section, v.Name, err, why)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %s: the registration: %v, %s", v.Section, v.Name, err, w.last().Reason)
			continue
		}
		w.Rand = &chosen{v.Authentication.Challenge}
		c := w.challenge(w.alice)
		_, err = w.answer(w.alice, c, credential(map[string]any{
			"clientDataJSON": v.Authentication.ClientDataJSON.url(), "authenticatorData": v.Authentication.AuthenticatorData.url(),
			"signature": v.Authentication.Signature.url(),
		}))
		if err != nil {
			t.Errorf("%s %s: the assertion: %v, %s", v.Section, v.Name, err, w.last().Reason)
			continue
		}
		accepted++
	}
	if accepted < 7 {
		t.Errorf("only %d vectors were accepted", accepted)
	}
}
