package replay

import (
	"encoding/json"
	"fmt"

	"github.com/descope/virtualwebauthn"
)

// authenticators are the software authenticators of a scenario, by the name a step gives them. Each
// holds the keys it was asked to create.
type authenticators map[string]*virtualwebauthn.Authenticator

// create answers creation options, as the browser's credentials.create would.
func (a authenticators) create(name string, options any) (any, error) {
	text, err := json.Marshal(options)
	if err != nil {
		return nil, fmt.Errorf("rendering creation options: %w", err)
	}
	parsed, err := virtualwebauthn.ParseAttestationOptions(string(text))
	if err != nil {
		return nil, fmt.Errorf("reading creation options %s: %w", text, err)
	}
	key := newKey()
	authenticator := a.named(name)
	authenticator.Options.UserHandle = []byte(parsed.UserID)
	authenticator.AddCredential(key)
	return answerOf(virtualwebauthn.CreateAttestationResponse(party(parsed.RelyingPartyID), *authenticator, key, *parsed))
}

// wholeKey is the length of a P-256 key in COSE form with both coordinates at their full 32 bytes
// (RFC 9053 section 7.1.1).
const wholeKey = 77

// newKey makes a key pair. virtualwebauthn drops leading zeros of a coordinate, one key in 128, and
// a server rightly refuses such a key.
func newKey() virtualwebauthn.Credential {
	for {
		key := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
		if len(key.Key.AttestationData()) == wholeKey {
			return key
		}
	}
}

// get answers request options, as the browser's credentials.get would.
func (a authenticators) get(name string, options any) (any, error) {
	text, err := json.Marshal(options)
	if err != nil {
		return nil, fmt.Errorf("rendering request options: %w", err)
	}
	parsed, err := virtualwebauthn.ParseAssertionOptions(string(text))
	if err != nil {
		return nil, fmt.Errorf("reading request options %s: %w", text, err)
	}
	authenticator := a.named(name)
	key := authenticator.FindAllowedCredential(*parsed)
	if key == nil {
		return nil, fmt.Errorf("the authenticator %q holds none of the allowed keys: %s", name, text)
	}
	key.Counter++
	return answerOf(virtualwebauthn.CreateAssertionResponse(party(parsed.RelyingPartyID), *authenticator, *key, *parsed))
}

func (a authenticators) named(name string) *virtualwebauthn.Authenticator {
	if a[name] == nil {
		authenticator := virtualwebauthn.NewAuthenticator()
		a[name] = &authenticator
	}
	return a[name]
}

func party(domain string) virtualwebauthn.RelyingParty {
	return virtualwebauthn.RelyingParty{ID: domain, Name: "ZITADEL", Origin: "https://" + domain}
}

func answerOf(text string) (any, error) {
	var answer any
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return nil, fmt.Errorf("reading the authenticator's answer: %w", err)
	}
	return answer, nil
}
