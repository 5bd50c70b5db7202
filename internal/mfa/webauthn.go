package mfa

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/google/uuid"
)

const (
	// longestResponse bounds what is parsed: an attestation with its certificates.
	longestResponse = 64 << 10
	// longestCredentialID is that of WebAuthn Level 3, 7.1.
	longestCredentialID = 1023
	challengeBytes      = 32
)

// keyAlgorithms are those offered, and no other is accepted: ES256, EdDSA, RS256.
var keyAlgorithms = []protocol.CredentialParameter{
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgES256},
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgEdDSA},
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgRS256},
}

// keySecret is what is kept of a WebAuthn factor.
type keySecret struct {
	ID         []byte                            `json:"id"`
	PublicKey  []byte                            `json:"publicKey"`
	RPID       string                            `json:"rpId"`
	Flags      byte                              `json:"flags"`
	AAGUID     []byte                            `json:"aaguid,omitempty"`
	Format     string                            `json:"format,omitempty"`
	Type       string                            `json:"attestation,omitempty"`
	Transports []protocol.AuthenticatorTransport `json:"transports,omitempty"`
}

func (k keySecret) credential() webauthn.Credential {
	return webauthn.Credential{
		ID: k.ID, PublicKey: k.PublicKey, AttestationFormat: k.Format, AttestationType: k.Type, Transport: k.Transports,
		Flags:         webauthn.NewCredentialFlags(protocol.AuthenticatorFlags(k.Flags)),
		Authenticator: webauthn.Authenticator{AAGUID: k.AAGUID},
	}
}

// key is a key of a user.
type key struct {
	factor string
	keySecret
}

// keysOf reads the keys that belong to a relying party.
func keysOf(all []Credential, rpID string) ([]key, error) {
	var keys []key
	for _, c := range all {
		if c.Method != WebAuthn {
			continue
		}
		k := key{factor: c.ID}
		if err := json.Unmarshal(c.Secret, &k.keySecret); err != nil || len(k.ID) == 0 || len(k.PublicKey) == 0 {
			return nil, unavailable("reading a factor", fmt.Errorf("%w: a public key is missing or malformed", ErrUnsealable))
		}
		if k.RPID == rpID {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// keyUser is a user as the library wants one. Its handle is the UID, which says
// nothing about the person.
type keyUser struct {
	uid, name, display string
	keys               []key
}

func (u keyUser) WebAuthnID() []byte          { return []byte(u.uid) }
func (u keyUser) WebAuthnName() string        { return u.name }
func (u keyUser) WebAuthnDisplayName() string { return u.display }

func (u keyUser) WebAuthnCredentials() []webauthn.Credential {
	list := make([]webauthn.Credential, len(u.keys))
	for i, k := range u.keys {
		list[i] = k.credential()
	}
	return list
}

// direct tells whether an attestation is needed that leads to a known root.
func (r WebAuthnRules) direct() bool {
	return r.Attestation == AttestationDirect || r.AllowedAAGUIDs != nil
}

func (r WebAuthnRules) verification() protocol.UserVerificationRequirement {
	switch r.UserVerification {
	case UserVerificationRequired:
		return protocol.VerificationRequired
	case UserVerificationDiscouraged:
		return protocol.VerificationDiscouraged
	case UserVerificationPreferred:
	}
	return protocol.VerificationPreferred
}

// relyingParty is made of the configuration alone. trust are the roots of
// attestations; nil: they are not looked at.
func relyingParty(r WebAuthnRules, trust metadata.Provider) (*webauthn.WebAuthn, error) {
	if r.RPID == "" || len(r.Origins) == 0 {
		return nil, &NotAllowedError{ReasonNotOffered}
	}
	name := r.RPName
	if name == "" {
		name = r.RPID
	}
	rp, err := webauthn.New(&webauthn.Config{
		RPID: r.RPID, RPDisplayName: name, RPOrigins: slices.Clone(r.Origins), MDS: trust,
	})
	if err != nil {
		return nil, &NotAllowedError{ReasonNotOffered}
	}
	return rp, nil
}

// safely runs the library on what came from outside: what makes it panic is
// as wrong as anything else.
func safely(do func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("what was sent cannot be parsed")
		}
	}()
	return do()
}

// challengeKey makes the options of an assertion. discoverable names no key.
func (s *Service) challengeKey(w who, r Rules, all []Credential, discoverable bool) (Challenge, error) {
	rp, err := relyingParty(r.WebAuthn, nil)
	if err != nil {
		return Challenge{}, err
	}
	user := keyUser{uid: w.UID}
	if user.keys, err = keysOf(all, r.WebAuthn.RPID); err != nil {
		return Challenge{}, err
	}
	if len(user.keys) == 0 && !discoverable {
		decoy, err := s.decoy(w)
		if err != nil {
			return Challenge{}, err
		}
		user.keys = []key{decoy}
	}
	challenge, err := s.random(challengeBytes)
	if err != nil {
		return Challenge{}, err
	}
	options := func(o *protocol.PublicKeyCredentialRequestOptions) error {
		o.Challenge, o.Timeout, o.UserVerification = challenge, int(challengeLife.Milliseconds()), r.WebAuthn.verification()
		return nil
	}
	var assertion *protocol.CredentialAssertion
	var data *webauthn.SessionData
	if discoverable {
		assertion, data, err = rp.BeginDiscoverableLogin(options)
	} else {
		assertion, data, err = rp.BeginLogin(user, options)
	}
	if err != nil {
		return Challenge{}, unavailable("making a challenge", err)
	}
	t := challengeToken{Method: WebAuthn, Until: s.after(challengeLife)}
	if t.ID, err = s.newID(); err != nil {
		return Challenge{}, err
	}
	if t.WebAuthn, err = json.Marshal(data); err != nil {
		return Challenge{}, unavailable("making a challenge", err)
	}
	c := Challenge{ExpiresAt: t.Until}
	if c.Options, err = json.Marshal(assertion); err != nil {
		return Challenge{}, unavailable("making a challenge", err)
	}
	c.Token, err = s.seal(w.Owner, purposeChallenge, t)
	return c, err
}

// decoy is a key of somebody who has none: the same every time, as a real one
// would be. Nobody has its private half.
func (s *Service) decoy(w who) (key, error) {
	_, mac, err := s.Sealer.Hash(w.Owner, purposeDecoy, []byte(w.UID))
	if err != nil {
		return key{}, unavailable("making up a credential", err)
	}
	id := sha512.Sum512(mac)
	like := decoys[int(id[len(id)-1])%len(decoys)]
	return key{keySecret: keySecret{ID: id[:like.length], PublicKey: nobodysKey, Flags: byte(protocol.FlagUserPresent), Transports: like.transports}}, nil
}

// decoys are what keys look like in the options of a challenge: how long their ids are,
// in bytes, and how they are reached.
var decoys = []struct {
	length     int
	transports []protocol.AuthenticatorTransport
}{
	{20, []protocol.AuthenticatorTransport{protocol.Hybrid, protocol.Internal}},
	{32, []protocol.AuthenticatorTransport{protocol.Hybrid, protocol.Internal}},
	{32, []protocol.AuthenticatorTransport{protocol.Internal}},
	{48, []protocol.AuthenticatorTransport{protocol.NFC, protocol.USB}},
}

// nobodysKey is a P-256 point that was not made from a private key, as a COSE key:
// its x is the SHA-256 of "nobody", plus as little as puts it on the curve.
var nobodysKey = mustHex("a5010203262001215820" + "6382b3cc881412b77bfcaeed026001c00d9e3025e66c20f6e7e92f079851462a" +
	"225820" + "ce3b22dd22e181acc31c8454054b368a0bdbdf08753fc4f4c797ec4113666657")

func mustHex(text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return b
}

// examineAssertion checks an assertion. The library's errors are not passed on:
// they tell the challenge that was expected.
func (s *Service) examineAssertion(w who, r Rules, mine []Credential, proof Proof) (evidence, error) {
	rp, err := relyingParty(r.WebAuthn, nil)
	if err != nil {
		return evidence{}, err
	}
	t, discoverable, err := s.openChallenge(w, proof.Challenge)
	if errors.Is(err, errBadToken) {
		return wrong(ReasonBadToken), nil
	}
	if err != nil {
		return evidence{}, err
	}
	e := evidence{reason: ReasonWrongAssertion, challenge: t.ID, until: t.Until}
	var data webauthn.SessionData
	if err := json.Unmarshal(t.WebAuthn, &data); err != nil || t.Method != WebAuthn || data.RelyingPartyID != r.WebAuthn.RPID {
		return wrong(ReasonBadToken), nil //nolint:nilerr // the record says that it was bad
	}
	if r.WebAuthn.UserVerification == UserVerificationRequired {
		data.UserVerification = protocol.VerificationRequired // also if the policy was tightened meanwhile
	}
	user := keyUser{uid: w.UID}
	if user.keys, err = keysOf(mine, r.WebAuthn.RPID); err != nil {
		return e, err
	}
	if discoverable {
		data.UserID = []byte(w.UID)
	}
	var used *webauthn.Credential
	var parsed *protocol.ParsedCredentialAssertionData
	err = safely(func() error {
		var err error
		if parsed, err = protocol.ParseCredentialRequestResponseBytes(proof.Response); err != nil {
			return err
		}
		if discoverable && len(parsed.Response.UserHandle) == 0 {
			return errBadToken
		}
		if !slices.ContainsFunc(user.keys, func(k key) bool { return bytes.Equal(k.ID, parsed.RawID) }) {
			// As long as for a key that is known, and never right.
			user.keys = []key{{keySecret: keySecret{ID: parsed.RawID, PublicKey: nobodysKey}}}
			data.AllowedCredentialIDs = nil
			e.reason = ReasonNoFactor
			if len(mine) > 0 {
				e.reason = ReasonFactorGone
			}
		} else {
			// A key that was removed since the challenge was made must not make the others
			// unusable, nor one that was added be usable.
			data.AllowedCredentialIDs = slices.DeleteFunc(data.AllowedCredentialIDs, func(id []byte) bool {
				return !slices.ContainsFunc(user.keys, func(k key) bool { return bytes.Equal(k.ID, id) })
			})
			if !discoverable && len(data.AllowedCredentialIDs) == 0 {
				return errBadToken
			}
		}
		used, err = rp.ValidateLogin(user, data, parsed)
		return err
	})
	if err != nil || e.reason != ReasonWrongAssertion {
		return e, nil //nolint:nilerr // the record says that it was wrong
	}
	i := slices.IndexFunc(user.keys, func(k key) bool { return bytes.Equal(k.ID, used.ID) })
	flags := parsed.Response.AuthenticatorData.Flags
	e.uv = flags.HasUserVerified()
	e.amr = amrOfKey(flags)
	e.candidates = []candidate{{factor: user.keys[i].factor, counter: parsed.Response.AuthenticatorData.Counter}}
	return e, nil
}

// openChallenge opens a challenge of this user, or a discoverable one.
func (s *Service) openChallenge(w who, token string) (t challengeToken, discoverable bool, err error) {
	err = s.open(w.Owner, purposeChallenge, token, &t)
	if !errors.Is(err, errBadToken) {
		return t, false, err
	}
	err = s.open(Owner{Namespace: w.Namespace, UID: anyone}, purposeChallenge, token, &t)
	return t, true, err
}

// amrOfKey tells a key that stays in its device from one that is synchronised.
func amrOfKey(flags protocol.AuthenticatorFlags) []string {
	if flags.HasBackupEligible() {
		return []string{"swk", "user"}
	}
	return []string{"hwk", "user"}
}

// startKey makes the options of a registration, and what has to wait for it.
func (s *Service) startKey(p Person, w who, r Rules, all []Credential) (options, data json.RawMessage, err error) {
	rp, err := relyingParty(r.WebAuthn, nil)
	if err != nil {
		return nil, nil, err
	}
	if reason := s.whyNoKey(r.WebAuthn); reason != "" {
		return nil, nil, &NotAllowedError{reason}
	}
	user := keyUser{uid: w.UID, name: p.Username, display: p.DisplayName}
	if user.display == "" {
		user.display = p.Username
	}
	if user.keys, err = keysOf(all, r.WebAuthn.RPID); err != nil {
		return nil, nil, err
	}
	challenge, err := s.random(challengeBytes)
	if err != nil {
		return nil, nil, err
	}
	creation, session, err := rp.BeginRegistration(user, func(o *protocol.PublicKeyCredentialCreationOptions) error {
		o.Challenge, o.Timeout, o.Parameters = challenge, int(challengeLife.Milliseconds()), keyAlgorithms
		o.CredentialExcludeList = webauthn.Credentials(user.WebAuthnCredentials()).CredentialDescriptors()
		o.AuthenticatorSelection.UserVerification = r.WebAuthn.verification()
		o.AuthenticatorSelection.ResidentKey = protocol.ResidentKeyRequirementPreferred
		o.Attestation = protocol.PreferNoAttestation
		if r.WebAuthn.direct() {
			o.Attestation = protocol.PreferDirectAttestation
		}
		return nil
	})
	if err != nil {
		return nil, nil, unavailable("making a challenge", err)
	}
	if options, err = json.Marshal(creation); err == nil {
		data, err = json.Marshal(session)
	}
	if err != nil {
		return nil, nil, unavailable("making a challenge", err)
	}
	return options, data, nil
}

// sound tells whether a public key is one of its algorithm: the library compares
// the algorithm's name with those offered, and not with the key.
func sound(cose []byte) bool {
	var parsed any
	err := safely(func() (err error) {
		parsed, err = webauthncose.ParsePublicKey(cose)
		return err
	})
	if err != nil {
		return false
	}
	switch k := parsed.(type) {
	case webauthncose.EC2PublicKeyData:
		if len(k.XCoord) != 32 || len(k.YCoord) != 32 {
			return false
		}
		_, err := ecdh.P256().NewPublicKey(slices.Concat([]byte{4}, k.XCoord, k.YCoord))
		return err == nil && k.Algorithm == int64(webauthncose.AlgES256) && k.Curve == int64(webauthncose.P256)
	case webauthncose.OKPPublicKeyData:
		return k.Algorithm == int64(webauthncose.AlgEdDSA) && k.Curve == int64(webauthncose.Ed25519) && len(k.XCoord) == 32
	case webauthncose.RSAPublicKeyData:
		return k.Algorithm == int64(webauthncose.AlgRS256) && len(k.Modulus) >= 256 && len(k.Modulus) <= 1024
	default:
		return false
	}
}

// whyNoKey says why no key at all can be enrolled; empty: some can.
func (s *Service) whyNoKey(r WebAuthnRules) string {
	switch {
	case r.RPID == "" || len(r.Origins) == 0:
		return ReasonNotOffered
	case r.AllowedAAGUIDs != nil && len(r.AllowedAAGUIDs) == 0:
		return ReasonAAGUID
	case r.direct() && !s.trusts():
		return ReasonAttestation
	}
	return ""
}

// trusts tells whether there are roots to which attestations are led.
func (s *Service) trusts() bool {
	return s.Metadata != nil && s.Metadata.GetValidateTrustAnchor(context.Background())
}

// keyFactor is the id of the factor that a key becomes in an enrolment. Another
// answer to the same challenge is another factor: whichever the ledger takes, what is
// kept under its id is that key.
func keyFactor(enrolment string, id []byte) string {
	sum := sha256.Sum256(append([]byte(enrolment), id...))
	return hex.EncodeToString(sum[:16])
}

// registered is a key whose registration was checked.
type registered struct {
	keySecret
	aaguid   string // as a UUID; empty: not told
	counter  uint32
	uv       bool
	amr      []string
	backedUp bool
}

// finishKey checks a registration. reason says what is wrong with it.
func (s *Service) finishKey(ctx context.Context, w who, r Rules, waiting json.RawMessage, response []byte) (k registered, reason string, err error) {
	direct := r.WebAuthn.direct()
	var trust metadata.Provider
	if direct {
		if !s.trusts() {
			return k, ReasonAttestation, nil
		}
		trust = s.Metadata
	}
	rp, err := relyingParty(r.WebAuthn, trust)
	if err != nil {
		return k, "", err
	}
	var data webauthn.SessionData
	if err := json.Unmarshal(waiting, &data); err != nil || data.RelyingPartyID != r.WebAuthn.RPID {
		return k, ReasonBadToken, nil //nolint:nilerr // the record says that it was bad
	}
	if r.WebAuthn.UserVerification == UserVerificationRequired {
		data.UserVerification = protocol.VerificationRequired
	}
	data.CredParams = keyAlgorithms
	var c *webauthn.Credential
	err = safely(func() error {
		parsed, err := protocol.ParseCredentialCreationResponseBytes(response)
		if err != nil {
			return err
		}
		c, err = rp.CreateCredential(keyUser{uid: w.UID}, data, parsed)
		return err
	})
	if err != nil || len(c.ID) == 0 || len(c.ID) > longestCredentialID || !sound(c.PublicKey) {
		return k, ReasonWrongAttestation, nil //nolint:nilerr // the record says that it was wrong
	}
	flags := c.Flags.ProtocolValue()
	k = registered{
		keySecret: keySecret{
			ID: c.ID, PublicKey: c.PublicKey, RPID: data.RelyingPartyID, Flags: byte(flags), AAGUID: c.Authenticator.AAGUID,
			Format: c.AttestationFormat, Type: c.AttestationType, Transports: c.Transport,
		},
		counter: c.Authenticator.SignCount, uv: flags.HasUserVerified(), amr: amrOfKey(flags), backedUp: flags.HasBackupState(),
	}
	id, err := uuid.FromBytes(c.Authenticator.AAGUID)
	if err != nil {
		return k, ReasonWrongAttestation, nil //nolint:nilerr // it is 16 bytes, or the registration is malformed
	}
	if id != uuid.Nil {
		k.aaguid = id.String()
	}
	if direct && !s.attested(ctx, id, c.AttestationType) {
		return k, ReasonAttestation, nil
	}
	if !r.WebAuthn.admits(k.aaguid) {
		return k, ReasonAAGUID, nil
	}
	return k, "", nil
}

// attested tells whether an attestation that the library has led to a root was
// one: it takes "none" and self attestation for right too, and makes that are
// not in the metadata, if the provider says so.
func (s *Service) attested(ctx context.Context, aaguid uuid.UUID, kind string) bool {
	switch metadata.AuthenticatorAttestationType(kind) {
	case metadata.BasicFull, metadata.AttCA, metadata.AnonCA:
	default:
		return false
	}
	entry, err := s.Metadata.GetEntry(ctx, aaguid)
	return err == nil && entry != nil
}

// admits tells whether a make may be enrolled. With allowed ones only
// attested AAGUIDs come here; a denied one is refused also on its own word.
func (r WebAuthnRules) admits(aaguid string) bool {
	is := func(other string) bool { return strings.EqualFold(strings.TrimSpace(other), aaguid) }
	if r.AllowedAAGUIDs != nil && (aaguid == "" || !slices.ContainsFunc(r.AllowedAAGUIDs, is)) {
		return false
	}
	return aaguid == "" || !slices.ContainsFunc(r.DeniedAAGUIDs, is)
}
