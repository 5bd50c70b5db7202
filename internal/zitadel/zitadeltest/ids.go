package zitadeltest

import (
	"crypto/rand"
	"encoding/base64"
	mathrand "math/rand/v2"
	"strconv"
	"strings"
)

// ids hands out identifiers that look like Zitadel's: eighteen digits, rising with time, so sorting
// by id is sorting by age.
type ids struct{ last uint64 }

func newIDs() ids {
	// A random start keeps the ids of two servers apart, so a test that mixes them up fails.
	return ids{last: 400_000_000_000_000_000 + mathrand.Uint64N(1_000_000_000_000_000)}
}

func (i *ids) next() string {
	i.last += 1 + mathrand.Uint64N(65_536)
	return strconv.FormatUint(i.last, 10)
}

// newToken returns an opaque token with the outward shape of a Zitadel token: 277 characters, five
// parts, dots between them. Nobody may rely on more than that.
func newToken() string {
	var parts []string
	for _, bytes := range []int{40, 40, 40, 41, 42} {
		parts = append(parts, randomText(bytes))
	}
	return strings.Join(parts, ".")
}

func randomText(bytes int) string {
	raw := make([]byte, bytes)
	rand.Read(raw) // never fails, by its documentation
	return base64.RawURLEncoding.EncodeToString(raw)
}
