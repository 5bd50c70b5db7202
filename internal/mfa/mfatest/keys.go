package mfatest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/go-jose/go-jose/v4"

	"github.com/neosc/mfa-operator/internal/mfa"
)

// Sealer seals with AES-GCM under keys of its own.
type Sealer struct {
	mu      sync.Mutex
	primary string
	keys    map[string][]byte
}

// NewSealer has one key.
func NewSealer() *Sealer {
	s := &Sealer{keys: map[string][]byte{}}
	s.Rotate()
	return s
}

// Rotate makes a new primary key; the old ones stay.
func (s *Sealer) Rotate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.primary = fmt.Sprintf("key-%d", len(s.keys)+1)
	s.keys[s.primary] = make([]byte, 32)
	rand.Read(s.keys[s.primary])
}

// Lose forgets a key, such as key-1.
func (s *Sealer) Lose(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, id)
}

func (s *Sealer) key(id string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, ok := s.keys[id]
	return key, ok
}

func place(owner mfa.Owner, purpose string) []byte {
	text, err := json.Marshal([]string{owner.Namespace, owner.UID, purpose})
	if err != nil {
		panic(err)
	}
	return text
}

func gcm(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return aead
}

// Seal implements mfa.Sealer.
func (s *Sealer) Seal(owner mfa.Owner, purpose string, plain []byte) ([]byte, error) {
	s.mu.Lock()
	id := s.primary
	s.mu.Unlock()
	key, _ := s.key(id)
	sealed := gcm(key).Seal(nil, nil, plain, place(owner, purpose))
	return slices.Concat([]byte{byte(len(id))}, []byte(id), sealed), nil
}

// Open implements mfa.Sealer.
func (s *Sealer) Open(owner mfa.Owner, purpose string, sealed []byte) ([]byte, error) {
	if len(sealed) < 1 || len(sealed) < 1+int(sealed[0]) {
		return nil, mfa.ErrUnsealable
	}
	n := 1 + int(sealed[0])
	key, ok := s.key(string(sealed[1:n]))
	if !ok {
		return nil, mfa.ErrUnsealable
	}
	plain, err := gcm(key).Open(nil, nil, sealed[n:], place(owner, purpose))
	if err != nil {
		return nil, mfa.ErrUnsealable
	}
	return plain, nil
}

// Hash implements mfa.Sealer.
func (s *Sealer) Hash(owner mfa.Owner, purpose string, plain []byte) (string, []byte, error) {
	s.mu.Lock()
	id := s.primary
	s.mu.Unlock()
	mac, err := s.HashWith(id, owner, purpose, plain)
	return id, mac, err
}

// HashWith implements mfa.Sealer.
func (s *Sealer) HashWith(id string, owner mfa.Owner, purpose string, plain []byte) ([]byte, error) {
	key, ok := s.key(id)
	if !ok {
		return nil, mfa.ErrUnsealable
	}
	h := hmac.New(sha256.New, key)
	h.Write(place(owner, purpose))
	h.Write(plain)
	return h.Sum(nil), nil
}

// Signer signs with an ES256 key of its own.
type Signer struct{ key *ecdsa.PrivateKey }

// NewSigner has a new key.
func NewSigner() *Signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return &Signer{key}
}

// Sign implements mfa.Signer.
func (s *Signer) Sign(claims any) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: s.key}, nil)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(text)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// Verify implements mfa.Signer.
func (s *Signer) Verify(token string, claims any) error {
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return mfa.ErrUnsealable
	}
	text, err := signed.Verify(&s.key.PublicKey)
	if err != nil || json.Unmarshal(text, claims) != nil {
		return mfa.ErrUnsealable
	}
	return nil
}
