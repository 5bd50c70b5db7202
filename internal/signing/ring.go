package signing

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// key is one key pair on P-256.
type key struct {
	made, signsFrom time.Time
	id              string // the thumbprint of RFC 7638, SHA-256
	private         *ecdsa.PrivateKey
	signer          jose.Signer
}

// storedKey is a key as the Secret has it.
type storedKey struct {
	Made      time.Time       `json:"made"`
	SignsFrom time.Time       `json:"signsFrom"`
	Key       jose.JSONWebKey `json:"key"`
}

// ring is the keys in the order in which they sign; at least one. It does not
// change.
type ring []key

// ages says how long keys are used.
type ages struct {
	rotateAfter, publishAhead, keepFor time.Duration
}

func makeKey(made, signsFrom time.Time) (key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return key{}, fmt.Errorf("making a signing key: %w", err)
	}
	return newKey(made, signsFrom, private)
}

func newKey(made, signsFrom time.Time, private *ecdsa.PrivateKey) (key, error) {
	public := jose.JSONWebKey{Key: &private.PublicKey}
	print, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return key{}, fmt.Errorf("naming a signing key: %w", err)
	}
	k := key{made: made.UTC(), signsFrom: signsFrom.UTC(), id: base64.RawURLEncoding.EncodeToString(print), private: private}
	with := jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: private, KeyID: k.id}}
	if k.signer, err = jose.NewSigner(with, (&jose.SignerOptions{}).WithType("JWT")); err != nil {
		return key{}, fmt.Errorf("using a signing key: %w", err)
	}
	return k, nil
}

// first is the ring with the first key, which signs at once.
func first(now time.Time) (ring, error) {
	k, err := makeKey(now, now)
	return ring{k}, err
}

// decode reads what encode wrote. Its errors hold nothing of the keys.
func decode(data []byte) (ring, error) {
	var stored []storedKey
	if err := json.Unmarshal(data, &stored); err != nil {
		return nil, errors.New("it is no list of keys") // the cause may quote it
	}
	if len(stored) == 0 {
		return nil, errors.New("it has no key")
	}
	var r ring
	for i, s := range stored {
		private, ok := s.Key.Key.(*ecdsa.PrivateKey)
		if !ok || private.Curve != elliptic.P256() {
			return nil, fmt.Errorf("key %d is no private key on P-256", i)
		}
		k, err := newKey(s.Made, s.SignsFrom, private)
		if err != nil {
			return nil, err
		}
		if i > 0 && k.signsFrom.Before(r[i-1].signsFrom) {
			return nil, fmt.Errorf("key %d signs before the one that precedes it", i)
		}
		r = append(r, k)
	}
	return r, nil
}

func (r ring) encode() ([]byte, error) {
	var stored []storedKey
	for _, k := range r {
		stored = append(stored, storedKey{k.made, k.signsFrom, jose.JSONWebKey{
			Key: k.private, KeyID: k.id, Algorithm: string(jose.ES256), Use: "sig",
		}})
	}
	return json.Marshal(stored)
}

// signing is the key that signs now: the last whose time has come.
func (r ring) signing(now time.Time) key {
	for i := len(r) - 1; i > 0; i-- {
		if !r[i].signsFrom.After(now) {
			return r[i]
		}
	}
	return r[0]
}

// find returns the key of that id.
func (r ring) find(id string) (key, bool) {
	for _, k := range r {
		if k.id == id {
			return k, true
		}
	}
	return key{}, false
}

// public is what may be published: without private keys.
func (r ring) public() jose.JSONWebKeySet {
	var set jose.JSONWebKeySet
	for _, k := range r {
		set.Keys = append(set.Keys, jose.JSONWebKey{
			Key: &k.private.PublicKey, KeyID: k.id, Algorithm: string(jose.ES256), Use: "sig",
		})
	}
	return set
}

// maintained is the ring as it should be at that time: with a new key, published
// ahead, when the last one is about to be too old, and without keys whose last
// sessions have ended.
func (r ring) maintained(now time.Time, a ages) (after ring, changed bool, err error) {
	after = r
	if last := r[len(r)-1]; !now.Add(a.publishAhead).Before(last.signsFrom.Add(a.rotateAfter)) {
		k, err := makeKey(now, now.Add(a.publishAhead))
		if err != nil {
			return nil, false, err
		}
		after = append(slices.Clone(r), k)
	}
	// A key signs until its successor does, and what it signed last ends after
	// keepFor.
	for len(after) > 1 && !now.Before(after[1].signsFrom.Add(a.keepFor)) {
		after = after[1:]
	}
	return after, len(after) != len(r) || after[0].id != r[0].id, nil
}
