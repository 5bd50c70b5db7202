package zitadeltest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
)

// concealing is the key of this process for what encrypted shows.
var concealing = []byte(rand.Text())

// encrypted has the shape in which the real server's events carry a secret: the same secret looks
// the same every time an event is read, and nothing leads back to it.
func encrypted(secret string) map[string]any {
	mac := hmac.New(sha256.New, concealing)
	mac.Write([]byte(secret))
	return map[string]any{"CryptoType": 0, "Algorithm": "aes", "KeyID": "userKey", "Crypted": mac.Sum(nil)}
}
