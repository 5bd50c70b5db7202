package mfatest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
)

// The algorithms of COSE that an Authenticator knows.
const (
	ES256 = -7
	EdDSA = -8
	RS256 = -257
)

// The flags of authenticator data.
const (
	UserPresent    = 1 << 0
	UserVerified   = 1 << 2
	BackupEligible = 1 << 3
	BackedUp       = 1 << 4
	attested       = 1 << 6
)

// Authenticator is a browser with a security key in it.
type Authenticator struct {
	RPID, Origin string
	Algorithm    int
	AAGUID       [16]byte
	Flags        byte
	// Format is none, packed (self attestation), or packed-x5c, which signs with
	// Attester.
	Format   string
	Attester crypto.Signer
	Chain    []*x509.Certificate
	// Transports are how browsers say that it is reached.
	Transports []string
	// The key that Create made last.
	ID         []byte
	Key        crypto.Signer
	Counter    uint32
	UserHandle []byte
}

// NewAuthenticator verifies users, and counts.
func NewAuthenticator(rpID, origin string, algorithm int) *Authenticator {
	return &Authenticator{RPID: rpID, Origin: origin, Algorithm: algorithm, Flags: UserPresent | UserVerified, Format: "none", Transports: []string{"hybrid", "internal"}}
}

// Ceremony is what an Authenticator is about to answer; a test may change it.
type Ceremony struct {
	// ClientData is the JSON that is hashed and sent.
	ClientData map[string]any
	RPID       string
	Flags      byte
	Counter    uint32
	ID         []byte
	Algorithm  int // as the key says
	UserHandle []byte
	// Sign makes the signature. A test may break it afterwards.
	Sign func(message []byte) []byte
	// AuthData may change the authenticator data after it was signed.
	AuthData func([]byte) []byte
	// Statement may change the attestation before it is sent.
	Statement func(map[string]any)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newKey(algorithm int) crypto.Signer {
	switch algorithm {
	case EdDSA:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return must(key, err)
	case RS256:
		return must(rsa.GenerateKey(rand.Reader, 2048))
	default:
		return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	}
}

func sign(key crypto.Signer, message []byte) []byte {
	if _, ok := key.(ed25519.PrivateKey); ok {
		return must(key.Sign(rand.Reader, message, crypto.Hash(0)))
	}
	digest := sha256.Sum256(message)
	return must(key.Sign(rand.Reader, digest[:], crypto.SHA256))
}

func coseKey(key crypto.Signer, algorithm int) []byte {
	var cose map[int]any
	switch public := key.Public().(type) {
	case ed25519.PublicKey:
		cose = map[int]any{1: 1, 3: algorithm, -1: 6, -2: []byte(public)}
	case *rsa.PublicKey:
		cose = map[int]any{1: 3, 3: algorithm, -1: public.N.Bytes(), -2: []byte{1, 0, 1}}
	case *ecdsa.PublicKey:
		point := must(public.Bytes()) // 4, x, y
		cose = map[int]any{1: 2, 3: algorithm, -1: 1, -2: point[1:33], -3: point[33:]}
	}
	return must(webauthncbor.Marshal(cose))
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

type options struct {
	PublicKey struct {
		Challenge string `json:"challenge"`
		User      struct {
			ID string `json:"id"`
		} `json:"user"`
		Exclude []struct {
			ID string `json:"id"`
		} `json:"excludeCredentials"`
		Allow []struct {
			ID string `json:"id"`
		} `json:"allowCredentials"`
	} `json:"publicKey"`
}

func parse(raw json.RawMessage) options {
	var o options
	if err := json.Unmarshal(raw, &o); err != nil {
		panic(err)
	}
	return o
}

// Allowed returns the credential ids that options name.
func Allowed(raw json.RawMessage) []string {
	var ids []string
	for _, c := range parse(raw).PublicKey.Allow {
		ids = append(ids, c.ID)
	}
	return ids
}

// Excluded returns the credential ids that options exclude.
func Excluded(raw json.RawMessage) []string {
	var ids []string
	for _, c := range parse(raw).PublicKey.Exclude {
		ids = append(ids, c.ID)
	}
	return ids
}

func (a *Authenticator) ceremony(kind, challenge string, change []func(*Ceremony)) *Ceremony {
	c := &Ceremony{
		ClientData: map[string]any{"type": kind, "challenge": challenge, "origin": a.Origin, "crossOrigin": false},
		RPID:       a.RPID, Flags: a.Flags, Counter: a.Counter, ID: a.ID, Algorithm: a.Algorithm, UserHandle: a.UserHandle,
		Sign:     func(message []byte) []byte { return sign(a.Key, message) },
		AuthData: func(b []byte) []byte { return b }, Statement: func(map[string]any) {},
	}
	for _, f := range change {
		f(c)
	}
	return c
}

func (c *Ceremony) authData(more ...[]byte) []byte {
	hash := sha256.Sum256([]byte(c.RPID))
	head := append(hash[:], c.Flags)
	head = binary.BigEndian.AppendUint32(head, c.Counter)
	return append(head, bytes.Join(more, nil)...)
}

// Create answers navigator.credentials.create with a new key.
func (a *Authenticator) Create(raw json.RawMessage, change ...func(*Ceremony)) []byte {
	o := parse(raw)
	a.Key, a.ID = newKey(a.Algorithm), make([]byte, 32)
	rand.Read(a.ID)
	a.UserHandle = must(base64.RawURLEncoding.DecodeString(o.PublicKey.User.ID))
	c := a.ceremony("webauthn.create", o.PublicKey.Challenge, change)
	c.Flags |= attested
	a.ID = c.ID
	length := binary.BigEndian.AppendUint16(nil, uint16(len(c.ID)))
	authData := c.authData(a.AAGUID[:], length, c.ID, coseKey(a.Key, c.Algorithm))
	clientData := must(json.Marshal(c.ClientData))
	hash := sha256.Sum256(clientData)
	signed := append(bytes.Clone(authData), hash[:]...)
	format, statement := a.Format, map[string]any{}
	switch a.Format {
	case "packed":
		statement["alg"], statement["sig"] = c.Algorithm, c.Sign(signed)
	case "packed-x5c":
		format = "packed"
		var chain [][]byte
		for _, certificate := range a.Chain {
			chain = append(chain, certificate.Raw)
		}
		statement["alg"], statement["sig"], statement["x5c"] = ES256, sign(a.Attester, signed), chain
	}
	c.Statement(statement)
	object := must(webauthncbor.Marshal(map[string]any{"fmt": format, "attStmt": statement, "authData": c.AuthData(authData)}))
	return must(json.Marshal(map[string]any{
		"type": "public-key", "id": encode(c.ID), "rawId": encode(c.ID),
		"response": map[string]any{"clientDataJSON": encode(clientData), "attestationObject": encode(object), "transports": a.Transports},
	}))
}

// Get answers navigator.credentials.get with the key, and counts on.
func (a *Authenticator) Get(raw json.RawMessage, change ...func(*Ceremony)) []byte {
	if a.Counter > 0 {
		a.Counter++
	}
	c := a.ceremony("webauthn.get", parse(raw).PublicKey.Challenge, change)
	authData := c.authData()
	clientData := must(json.Marshal(c.ClientData))
	hash := sha256.Sum256(clientData)
	signature := c.Sign(append(bytes.Clone(authData), hash[:]...))
	response := map[string]any{
		"clientDataJSON": encode(clientData), "authenticatorData": encode(c.AuthData(authData)), "signature": encode(signature),
	}
	if len(c.UserHandle) > 0 {
		response["userHandle"] = encode(c.UserHandle)
	}
	return must(json.Marshal(map[string]any{
		"type": "public-key", "id": encode(c.ID), "rawId": encode(c.ID), "response": response,
	}))
}
