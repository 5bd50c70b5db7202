package doorbell

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"
	"time"
)

// SignatureHeader is the HTTP header of Zitadel's signature:
//
//	t=<seconds since 1970>,v1=<hex of HMAC-SHA256 over "<t>.<body>">[,v1=…]
//
// The key is the text of the signing key.
const SignatureHeader = "ZITADEL-Signature"

// Tolerance is how far the time of a signature may be off, either way. Within
// it, who has seen a call can repeat it.
const Tolerance = 300 * time.Second

// maxSignatures bounds what is read of a header.
const maxSignatures = 8

// The ways a call is refused. A caller is not told which.
var (
	ErrNotSigned = errors.New("the call has no signature that can be read")
	ErrOutOfTime = errors.New("the signature is too old, or from the future")
	ErrWrongKey  = errors.New("the signature is not of any valid key")
)

// Signature is what the header says.
type Signature struct {
	// text is the time as it was signed.
	text string
	at   time.Time
	macs [][]byte
}

// ParseSignature reads the header. What it does not know in there it skips, as
// Zitadel asks for. The error is ErrNotSigned.
func ParseSignature(header string) (Signature, error) {
	var s Signature
	for part := range strings.SplitSeq(header, ",") {
		name, value, found := strings.Cut(strings.TrimSpace(part), "=")
		if !found {
			return Signature{}, ErrNotSigned
		}
		switch name {
		case "t":
			seconds, err := strconv.ParseInt(value, 10, 64)
			if err != nil || s.text != "" {
				return Signature{}, ErrNotSigned
			}
			s.text, s.at = value, time.Unix(seconds, 0)
		case "v1":
			if mac, err := hex.DecodeString(value); err == nil && len(mac) == sha256.Size && len(s.macs) < maxSignatures {
				s.macs = append(s.macs, mac)
			}
		}
	}
	if s.text == "" || len(s.macs) == 0 {
		return Signature{}, ErrNotSigned
	}
	return s, nil
}

// Verify reads the body to its end, keeping none of it, and returns nil if one
// of the keys signed it within the tolerance around now. A signature that is out
// of time is refused without a look at the body. Errors are ErrOutOfTime,
// ErrWrongKey, or what reading the body failed with.
func (s Signature) Verify(body io.Reader, keys Keys, now time.Time) error {
	if s.at.Before(now.Add(-Tolerance)) || s.at.After(now.Add(Tolerance)) {
		return ErrOutOfTime
	}
	var macs []hash.Hash
	var all []io.Writer
	for _, key := range keys.valid(now) {
		mac := hmac.New(sha256.New, []byte(key))
		macs, all = append(macs, mac), append(all, mac)
	}
	signed := io.MultiReader(strings.NewReader(s.text+"."), body)
	if _, err := io.Copy(io.MultiWriter(all...), signed); err != nil {
		return fmt.Errorf("reading the call: %w", err)
	}
	right := false
	for _, mac := range macs {
		wanted := mac.Sum(nil)
		for _, given := range s.macs {
			right = hmac.Equal(wanted, given) || right
		}
	}
	if !right {
		return ErrWrongKey
	}
	return nil
}
