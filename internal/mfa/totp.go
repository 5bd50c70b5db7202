package mfa

import (
	"crypto/subtle"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

const (
	// totpPeriod is how long a time step takes, in seconds.
	totpPeriod = 30
	// totpSkew is how many steps before and after the current one are accepted.
	totpSkew = 1
	// shortestSeed is 128 bits, the least that RFC 4226 allows.
	shortestSeed = 16
)

// totpCode is the form of a code. It is looked at before any library, which
// would take white space in any alphabet for nothing.
var totpCode = regexp.MustCompile(`\A[0-9]{6,8}\z`)

// totpSecret is what is kept of a TOTP factor.
type totpSecret struct {
	Seed      []byte `json:"seed"`
	Algorithm string `json:"algorithm"`
	Digits    int    `json:"digits"`
}

// algorithms are those of RFC 6238. A seed is as long as the hash.
var algorithms = map[string]struct {
	otp  otp.Algorithm
	size int
}{
	"SHA1":   {otp.AlgorithmSHA1, 20},
	"SHA256": {otp.AlgorithmSHA256, 32},
	"SHA512": {otp.AlgorithmSHA512, 64},
}

// sound tells whether the secret can be used. An empty seed the library would
// take, and so would anybody.
func (t totpSecret) sound() bool {
	_, known := algorithms[t.Algorithm]
	return known && len(t.Seed) >= shortestSeed && (t.Digits == 6 || t.Digits == 8)
}

func parseTOTP(secret []byte) (totpSecret, error) {
	var t totpSecret
	if err := json.Unmarshal(secret, &t); err != nil || !t.sound() {
		return t, fmt.Errorf("%w: a TOTP seed is missing or malformed", ErrUnsealable)
	}
	return t, nil
}

func (t totpSecret) base32() string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(t.Seed)
}

// code is that of a time step.
func (t totpSecret) code(step int64) (string, error) {
	return hotp.GenerateCodeCustom(t.base32(), uint64(step), hotp.ValidateOpts{
		Digits: otp.Digits(t.Digits), Algorithm: algorithms[t.Algorithm].otp,
	})
}

// match returns the time steps around now that have that code. All of them are
// looked at, whichever it is, in the same time.
func (t totpSecret) match(code string, now time.Time) ([]int64, error) {
	var steps []int64
	current := now.Unix() / totpPeriod
	for step := current - totpSkew; step <= current+totpSkew; step++ {
		want, err := t.code(step)
		if err != nil {
			return nil, fmt.Errorf("%w: making a code", ErrUnsealable)
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			steps = append(steps, step)
		}
	}
	return steps, nil
}

// uri is what an authenticator app reads from a QR code.
func (t totpSecret) uri(issuer, account string) string {
	q := url.Values{}
	q.Set("secret", t.base32())
	q.Set("issuer", issuer)
	q.Set("algorithm", t.Algorithm)
	q.Set("digits", fmt.Sprint(t.Digits))
	q.Set("period", fmt.Sprint(totpPeriod))
	u := url.URL{Scheme: "otpauth", Host: "totp", Path: "/" + issuer + ":" + account, RawQuery: q.Encode()}
	return u.String()
}

// nobodysTOTP is matched for those who have no TOTP factor, so that it takes as
// long. What it matches is worth nothing.
var nobodysTOTP = totpSecret{Seed: make([]byte, 20), Algorithm: "SHA1", Digits: 6}
