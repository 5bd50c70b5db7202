package mfa

import (
	"crypto/subtle"
	"fmt"
	"math/big"
	"time"
)

const (
	// codeDigits of a code that is sent, and how long it lives.
	codeDigits = 6
	codeLife   = 10 * time.Minute
)

// addressSecret is what is kept of an Email or SMS factor: where codes went when
// it was enrolled. A changed address is another factor.
type addressSecret struct {
	Address string `json:"address"`
}

// newCode returns a code of codeDigits digits, all alike likely.
func (s *Service) newCode() (string, error) {
	limit := big.NewInt(1)
	for range codeDigits {
		limit.Mul(limit, big.NewInt(10))
	}
	// 128 bits modulo a million: off by less than 2^-108.
	b, err := s.random(16)
	if err != nil {
		return "", err
	}
	n := new(big.Int).Mod(new(big.Int).SetBytes(b), limit)
	return fmt.Sprintf("%0*d", codeDigits, n), nil
}

// codeText binds a code to the challenge it belongs to and to where it was sent.
func codeText(challenge, address, code string) []byte {
	return []byte(challenge + "\x00" + address + "\x00" + code)
}

// sealedCode is a code as it waits at the caller.
type sealedCode struct {
	KeyID string `json:"key"`
	MAC   []byte `json:"mac"`
}

func (s *Service) hashCode(owner Owner, challenge, address, code string) (sealedCode, error) {
	id, mac, err := s.Sealer.Hash(owner, purposeCode, codeText(challenge, address, code))
	if err != nil {
		return sealedCode{}, unavailable("hashing a code", err)
	}
	return sealedCode{KeyID: id, MAC: mac}, nil
}

// isCode tells whether it is the code that was sent in that challenge to that
// address.
func (s *Service) isCode(owner Owner, sealed sealedCode, challenge, address, code string) (bool, error) {
	mac, err := s.hashWith(sealed.KeyID, owner, purposeCode, codeText(challenge, address, code))
	return mac != nil && subtle.ConstantTimeCompare(mac, sealed.MAC) == 1, err
}

// hidden shows enough of an address for its owner to know it.
func hidden(m Method, address string) string {
	if m == SMS {
		if len(address) <= 4 {
			return "…"
		}
		return "…" + address[len(address)-2:]
	}
	for i := range len(address) {
		if address[i] == '@' {
			first := []rune(address)[:1]
			return string(first) + "…" + address[i:]
		}
	}
	return "…"
}
