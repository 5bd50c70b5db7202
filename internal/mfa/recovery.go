package mfa

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
)

const (
	// recoveryCodes are made at once, of recoveryLength characters with five bits
	// each: 125 bits, for which a keyed hash is enough.
	recoveryCodes  = 10
	recoveryLength = 25
	// crockford is Crockford's base32: no I, L, O and U.
	crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
)

// recoverySecret is what is kept of recovery codes.
type recoverySecret struct {
	KeyID string   `json:"key"`
	MACs  [][]byte `json:"macs"`
}

// RecoveryCodesRequest makes recovery codes; earlier ones are void.
type RecoveryCodesRequest struct {
	// Session is the token of a verification at most five minutes old, which was
	// not by recovery code.
	Session string
	From    From
}

// IssueRecoveryCodes returns ten codes of 25 characters in groups of five. They
// are shown this once; what is kept is a keyed hash of each.
func (s *Service) IssueRecoveryCodes(ctx context.Context, p Person, r Rules, ask RecoveryCodesRequest) ([]string, error) {
	if !r.allows(RecoveryCodes) {
		return nil, &NotAllowedError{ReasonMethodNotAllowed}
	}
	w, err := s.who(p)
	if err != nil {
		return nil, err
	}
	sid, err := s.sessionID(w, ask.Session)
	if err != nil {
		return nil, err
	}
	codes, credential, err := s.newRecoveryCodes(w)
	if err != nil {
		return nil, err
	}
	attempt := codesAttempt{
		act: s.newAct(s.record(audit.RecoveryCodesIssued, w, r, RecoveryCodes, ask.From), p, r), session: sid, id: credential.ID,
	}
	// Asked first, so that who may not leaves nothing behind in the vault.
	var old []string
	err = s.mayNow(ctx, w, func(u *User, now time.Time) string {
		for _, f := range u.Factors {
			if f.Method == RecoveryCodes {
				old = append(old, f.ID)
			}
		}
		return attempt.why(u, now)
	})
	if err != nil {
		return nil, err
	}
	ledger, err := s.ledgerOf(ctx, w)
	if err != nil {
		return nil, err
	}
	if err := s.add(ctx, w, ledger, credential); err != nil {
		return nil, err
	}
	if err := s.permitted(ctx, w, attempt); err != nil {
		return nil, err
	}
	if err := s.forget(ctx, w, old...); err != nil {
		return nil, err
	}
	return codes, nil
}

// newRecoveryCodes makes a set: the codes to show, and what is kept of them.
func (s *Service) newRecoveryCodes(w who) ([]string, Credential, error) {
	credential := Credential{Method: RecoveryCodes, AddedAt: s.Clock().UTC()}
	var err error
	if credential.ID, err = s.newID(); err != nil {
		return nil, credential, err
	}
	codes := make([]string, recoveryCodes)
	secret := recoverySecret{MACs: make([][]byte, recoveryCodes)}
	for i := range codes {
		if codes[i], err = s.newRecoveryCode(); err != nil {
			return nil, credential, err
		}
		if secret.KeyID, secret.MACs[i], err = s.Sealer.Hash(w.Owner, purposeRecovery, []byte(plainRecovery(codes[i]))); err != nil {
			return nil, credential, unavailable("hashing recovery codes", err)
		}
	}
	if credential.Secret, err = json.Marshal(secret); err != nil {
		return nil, credential, unavailable("keeping recovery codes", err)
	}
	return codes, credential, nil
}

// codesAttempt wants new recovery codes to take the place of the old.
type codesAttempt struct {
	act
	session, id string
}

func (a codesAttempt) judge(state audit.State[Entry], now time.Time) ([]audit.Record, error) {
	u := UserAt(state, a.record.Subject, now)
	if reason := a.why(&u, now); reason != "" {
		return []audit.Record{with(a.record, audit.Failed, reason)}, nil
	}
	return []audit.Record{with(a.record, audit.Succeeded, "",
		detail(detailFactor, a.id), numberDetail(detailCodes, recoveryCodes))}, nil
}

// why says what is against it; empty: nothing.
func (a codesAttempt) why(u *User, now time.Time) string {
	if a.suspended {
		return ReasonSuspended
	}
	if !u.fresh(a.session, a.rules, now) || !u.has() {
		return ReasonVerificationNeeded
	}
	return ""
}

// newRecoveryCode returns one code, in groups of five characters.
func (s *Service) newRecoveryCode() (string, error) {
	random, err := s.random(recoveryLength)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for i, r := range random {
		if i > 0 && i%5 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(crockford[r%32]) // 256 is a multiple of 32
	}
	return b.String(), nil
}

// plainRecovery undoes what people do to codes when they write them down: case,
// hyphens, spaces, and the letters that Crockford's alphabet leaves out. Empty: it
// is no recovery code.
func plainRecovery(code string) string {
	if len(code) > 64 {
		return ""
	}
	var b strings.Builder
	for _, r := range strings.ToUpper(code) {
		switch r {
		case '-', ' ':
			continue
		case 'O':
			r = '0'
		case 'I', 'L':
			r = '1'
		}
		if !strings.ContainsRune(crockford, r) {
			return ""
		}
		b.WriteRune(r)
	}
	if b.Len() != recoveryLength {
		return ""
	}
	return b.String()
}

// matchRecovery returns the place of a code in a set; -1 if it is not there. Every
// code is compared.
func (s *Service) matchRecovery(owner Owner, secret []byte, plain string) (int, error) {
	var kept recoverySecret
	if err := json.Unmarshal(secret, &kept); err != nil {
		return -1, fmt.Errorf("%w: recovery codes cannot be read", ErrUnsealable)
	}
	mac, err := s.hashWith(kept.KeyID, owner, purposeRecovery, []byte(plain))
	if err != nil {
		return -1, err
	}
	found := -1
	for i, want := range kept.MACs {
		equal := mac != nil && subtle.ConstantTimeCompare(mac, want) == 1
		if equal {
			found = i
		}
	}
	return found, nil
}

// hashWith returns nil if the key is gone: what was hashed with it is void.
func (s *Service) hashWith(keyID string, owner Owner, purpose string, plain []byte) ([]byte, error) {
	mac, err := s.Sealer.HashWith(keyID, owner, purpose, plain)
	if errors.Is(err, ErrUnsealable) || err == nil && len(mac) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, unavailable("hashing", err)
	}
	return mac, nil
}
