package zitadeltest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

// What the real server answers when a WebAuthn ceremony goes wrong. They are Internal there, too.
var (
	badAttestation = refusal{codes.Internal, "WEBAU-sEr8c", "Errors.User.WebAuthN.ErrorOnParseCredential"}
	badCredential  = refusal{codes.Internal, "WEBAU-3Vb9s", "Errors.User.WebAuthN.CreateCredentialFailed"}
	noCredential   = refusal{codes.Internal, "WEBAU-4G8sw", "Errors.User.WebAuthN.BeginLoginFailed"}
	badAssertion   = refusal{codes.Internal, "WEBAU-ADgv4", "Errors.User.WebAuthN.ValidateLoginFailed"}
	wrongAssertion = refusal{codes.Internal, "WEBAU-3M9si", "Errors.User.WebAuthN.ValidateLoginFailed"}
)

// webAuthnUser is a user as the WebAuthn library wants one.
type webAuthnUser struct {
	row         userRow
	credentials []webauthn.Credential
}

func (u webAuthnUser) WebAuthnID() []byte                         { return []byte(u.row.id) }
func (u webAuthnUser) WebAuthnName() string                       { return u.row.username }
func (u webAuthnUser) WebAuthnDisplayName() string                { return u.row.displayName() }
func (u webAuthnUser) WebAuthnCredentials() []webauthn.Credential { return u.credentials }

// relyingParty verifies ceremonies of a domain as seen from an origin.
func relyingParty(domain, origin string) (*webauthn.WebAuthn, error) {
	return webauthn.New(&webauthn.Config{
		RPID: domain, RPDisplayName: "ZITADEL", RPOrigins: []string{origin},
		AttestationPreference: protocol.PreferNoAttestation,
	})
}

// originFor returns the origin a client claims, if it belongs to the relying party: its host is the
// domain or below it. Scheme and port are not looked at, since nobody knows where this server is
// reached.
func originFor(domain, claimed string) (string, error) {
	origin, err := url.Parse(claimed)
	if err != nil {
		return "", fmt.Errorf("reading the origin: %w", err)
	}
	if host := origin.Hostname(); host != domain && !strings.HasSuffix(host, "."+domain) {
		return "", fmt.Errorf("the origin %q does not belong to %q", claimed, domain)
	}
	return claimed, nil
}

func creationOptions(user userRow, kind keyKind, domain string) (*structpb.Struct, *webauthn.SessionData, error) {
	rp, err := relyingParty(domain, "https://"+domain)
	if err != nil {
		return nil, nil, fmt.Errorf("preparing a registration: %w", err)
	}
	selection := protocol.AuthenticatorSelection{
		UserVerification: protocol.VerificationDiscouraged, ResidentKey: protocol.ResidentKeyRequirementDiscouraged,
	}
	if kind == passkeyKey {
		selection.UserVerification = protocol.VerificationRequired
		selection.ResidentKey = protocol.ResidentKeyRequirementRequired
	}
	creation, session, err := rp.BeginRegistration(webAuthnUser{row: user}, webauthn.WithAuthenticatorSelection(selection))
	if err != nil {
		return nil, nil, fmt.Errorf("preparing a registration: %w", err)
	}
	options, err := structOf(creation)
	return options, session, err
}

// finishRegistration verifies an authenticator's answer to creation options.
func finishRegistration(user userRow, session webauthn.SessionData, answer *structpb.Struct) (*webauthn.Credential, error) {
	text, err := protojson.Marshal(answer)
	if err != nil {
		return nil, badAttestation.err()
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(text)
	if err != nil {
		return nil, badAttestation.err()
	}
	origin, err := originFor(session.RelyingPartyID, parsed.Response.CollectedClientData.Origin)
	if err != nil {
		return nil, badCredential.err()
	}
	rp, err := relyingParty(session.RelyingPartyID, origin)
	if err != nil {
		return nil, badCredential.err()
	}
	credential, err := rp.CreateCredential(webAuthnUser{row: user}, session, parsed)
	if err != nil {
		return nil, badCredential.err()
	}
	return credential, nil
}

func requestOptions(user webAuthnUser, verification protocol.UserVerificationRequirement, domain string) (*structpb.Struct, *webauthn.SessionData, error) {
	rp, err := relyingParty(domain, "https://"+domain)
	if err != nil {
		return nil, nil, noCredential.err()
	}
	assertion, session, err := rp.BeginLogin(user, webauthn.WithUserVerification(verification))
	if err != nil {
		return nil, nil, noCredential.err()
	}
	options, err := structOf(assertion)
	return options, session, err
}

// finishLogin verifies an authenticator's answer to request options.
func finishLogin(user webAuthnUser, session webauthn.SessionData, answer *structpb.Struct) (credential *webauthn.Credential, userVerified bool, err error) {
	text, err := protojson.Marshal(answer)
	if err != nil {
		return nil, false, badAssertion.err()
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(text)
	if err != nil {
		return nil, false, badAssertion.err()
	}
	origin, err := originFor(session.RelyingPartyID, parsed.Response.CollectedClientData.Origin)
	if err != nil {
		return nil, false, wrongAssertion.err()
	}
	rp, err := relyingParty(session.RelyingPartyID, origin)
	if err != nil {
		return nil, false, wrongAssertion.err()
	}
	credential, err = rp.ValidateLogin(user, session, parsed)
	if err != nil {
		return nil, false, wrongAssertion.err()
	}
	return credential, parsed.Response.AuthenticatorData.Flags.HasUserVerified(), nil
}

func structOf(value any) (*structpb.Struct, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("rendering WebAuthn options: %w", err)
	}
	pb := &structpb.Struct{}
	if err := protojson.Unmarshal(text, pb); err != nil {
		return nil, fmt.Errorf("rendering WebAuthn options: %w", err)
	}
	return pb, nil
}
