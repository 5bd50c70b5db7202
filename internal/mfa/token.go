package mfa

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"time"
)

// What a sealed value is for. One sealed for one purpose does not open for
// another.
const (
	purposeChallenge = "challenge"
	purposeEnrolment = "enrolment"
	purposeLink      = "link"
	purposeCode      = "code"
	purposeRecovery  = "recovery-code"
	purposeStranger  = "stranger"
	purposeDecoy     = "decoy-credential"
)

// anyone is the UID of an owner that stands for a whole namespace: of a value
// that is sealed before it is known for whom.
const anyone = "any"

// longestToken bounds what is decoded, in characters.
const longestToken = 16 << 10

// errBadToken: a token was altered, is not ours, or belongs to somebody else.
var errBadToken = errors.New("bad token")

// who is the person as everything is done and recorded for: a stranger has a
// pseudonym for a UID.
type who struct {
	Owner
	known bool
}

func (w who) subject() string { return w.UID }

// who gives a stranger a pseudonym that stays the same as long as the key does,
// so that guesses about one name are throttled together, and no name that might
// be a password typed into the wrong field is recorded.
func (s *Service) who(p Person) (who, error) {
	if p.UID != "" {
		return who{Owner: p.Owner, known: true}, nil
	}
	name := p.Username
	if name == "" {
		name = p.Name
	}
	_, mac, err := s.Sealer.Hash(Owner{Namespace: p.Namespace, UID: anyone}, purposeStranger, []byte(name))
	if err != nil {
		return who{}, unavailable("naming a stranger", err)
	}
	w := who{Owner: p.Owner}
	w.UID = "unknown-" + hex.EncodeToString(mac[:min(16, len(mac))])
	return w, nil
}

// seal makes a token of a value.
func (s *Service) seal(owner Owner, purpose string, value any) (string, error) {
	plain, err := json.Marshal(value)
	if err != nil {
		return "", unavailable("sealing", err)
	}
	sealed, err := s.Sealer.Seal(owner, purpose, plain)
	if err != nil {
		return "", unavailable("sealing", err)
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// open reads a token; errBadToken for any that is not ours for this.
func (s *Service) open(owner Owner, purpose, token string, value any) error {
	if token == "" || len(token) > longestToken {
		return errBadToken
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return errBadToken
	}
	plain, err := s.Sealer.Open(owner, purpose, sealed)
	if errors.Is(err, ErrUnsealable) {
		return errBadToken
	}
	if err != nil {
		return unavailable("opening a token", err)
	}
	if json.Unmarshal(plain, value) != nil {
		return errBadToken
	}
	return nil
}

// random returns n random bytes.
func (s *Service) random(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(s.Rand, b); err != nil {
		return nil, unavailable("reading randomness", err)
	}
	return b, nil
}

// newID returns an id of 128 random bits, as hexadecimal digits.
func (s *Service) newID() (string, error) {
	b, err := s.random(16)
	return hex.EncodeToString(b), err
}

// after is the end of something that lives for d from now on, in whole seconds.
func (s *Service) after(d time.Duration) time.Time {
	return s.Clock().UTC().Add(d).Truncate(time.Second)
}
