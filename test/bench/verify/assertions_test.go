package verify

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/neosc/mfa-operator/internal/mfa/mfatest"
)

// holder is somebody with one key, as the library sees them.
type holder struct{ keys []webauthn.Credential }

func (holder) WebAuthnID() []byte                           { return []byte("holder") }
func (holder) WebAuthnName() string                         { return "holder" }
func (holder) WebAuthnDisplayName() string                  { return "holder" }
func (h holder) WebAuthnCredentials() []webauthn.Credential { return h.keys }

// assertions checks one assertion again and again, with the library alone: what this
// machine could verify if nothing had to be found, recorded or answered.
func assertions(b *testing.B, callers int) result {
	party, err := webauthn.New(&webauthn.Config{RPID: "example.com", RPDisplayName: "example", RPOrigins: []string{origin}})
	ok(b, err)
	key, who := mfatest.NewAuthenticator("example.com", origin, mfatest.ES256), holder{}
	creation, session, err := party.BeginRegistration(who)
	ok(b, err)
	options, err := json.Marshal(creation)
	ok(b, err)
	made, err := protocol.ParseCredentialCreationResponseBytes(key.Create(options))
	ok(b, err)
	credential, err := party.CreateCredential(who, *session, made)
	ok(b, err)
	who.keys = []webauthn.Credential{*credential}
	request, session, err := party.BeginLogin(who)
	ok(b, err)
	options, err = json.Marshal(request)
	ok(b, err)
	response := key.Get(options)
	return measure(b, keyCheck, callers, func(context.Context, int, int) error {
		parsed, err := protocol.ParseCredentialRequestResponseBytes(response)
		if err != nil {
			return err
		}
		_, err = party.ValidateLogin(who, *session, parsed)
		return err
	})
}
