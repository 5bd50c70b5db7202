package zitadeltest

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"time"

	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// totpFactor is pending once it has a secret, ready once a code was verified.
type totpFactor struct {
	secret string
	ready  bool
}

// RegisterTOTP starts over while the registration is pending.
func (s userService) RegisterTOTP(ctx context.Context, r *userpb.RegisterTOTPRequest) (*userpb.RegisterTOTPResponse, error) {
	user := s.write.users[r.GetUserId()]
	if !user.exists() || !user.isHuman {
		return nil, precondition("COMMAND-SqyJz", "Errors.User.NotFound").err()
	}
	if err := s.mayCredential(ctx, user.id); err != nil {
		return nil, err
	}
	if s.write.factors[user.id].totp.ready {
		return nil, exists("COMMAND-do9se", "Errors.User.MFA.OTP.AlreadyReady").err()
	}
	secret := newTOTPSecret()
	e := s.push(editor(ctx), user.aggregate(), totpAdded{secret})
	uri := url.URL{
		Scheme: "otpauth", Host: "totp", Path: fmt.Sprintf("/%s:%s", s.domain, user.username),
		RawQuery: url.Values{"algorithm": {"SHA1"}, "digits": {"6"}, "issuer": {s.domain}, "period": {"30"}, "secret": {secret}}.Encode(),
	}
	return &userpb.RegisterTOTPResponse{Details: writtenDetails(e), Uri: uri.String(), Secret: secret}, nil
}

func (s userService) VerifyTOTPRegistration(ctx context.Context, r *userpb.VerifyTOTPRegistrationRequest) (*userpb.VerifyTOTPRegistrationResponse, error) {
	if err := s.mayCredential(ctx, r.GetUserId()); err != nil {
		return nil, err
	}
	totp := s.write.factors[r.GetUserId()].totp
	if totp.secret == "" {
		return nil, notFound("COMMAND-3Mif9s", "Errors.User.MFA.OTP.NotExisting").err()
	}
	if totp.ready {
		return nil, precondition("COMMAND-qx4ls", "Errors.Users.MFA.OTP.AlreadyReady").err()
	}
	if !totp.accepts(r.GetCode(), s.clock()) {
		return nil, invalid("EVENT-8isk2", "Errors.User.MFA.OTP.InvalidCode").err()
	}
	e := s.push(editor(ctx), s.write.users[r.GetUserId()].aggregate(), totpVerified{})
	return &userpb.VerifyTOTPRegistrationResponse{Details: writtenDetails(e)}, nil
}

// RemoveTOTP removes a pending registration as well as a ready factor.
func (s userService) RemoveTOTP(ctx context.Context, r *userpb.RemoveTOTPRequest) (*userpb.RemoveTOTPResponse, error) {
	if s.write.factors[r.GetUserId()].totp.secret == "" {
		return nil, notFound("COMMAND-Hd9sd", "Errors.User.MFA.OTP.NotExisting").err()
	}
	if err := s.mayRemoveFactor(ctx, r.GetUserId()); err != nil {
		return nil, err
	}
	e := s.push(editor(ctx), s.write.users[r.GetUserId()].aggregate(), totpRemoved{})
	return &userpb.RemoveTOTPResponse{Details: writtenDetails(e)}, nil
}

func newTOTPSecret() string {
	raw := make([]byte, 20)
	rand.Read(raw) // never fails, by its documentation
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw)
}

// accepts takes the code of the current time step and of its neighbours, also one used before.
func (f totpFactor) accepts(code string, now time.Time) bool {
	for _, skew := range []int64{-1, 0, 1} {
		if hmac.Equal([]byte(f.code(now.Unix()/30+skew)), []byte(code)) {
			return true
		}
	}
	return false
}

// code is RFC 6238 with SHA-1 and six digits.
func (f totpFactor) code(step int64) string {
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(f.secret)
	if err != nil {
		return ""
	}
	mac := hmac.New(sha1.New, key)
	binary.Write(mac, binary.BigEndian, step) //nolint:errcheck // a hash never fails
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[offset:])&0x7fffffff)%1_000_000)
}

// totpAdded keeps the secret out of the event log, which shows something that looks encrypted.
type totpAdded struct{ secret string }

func (totpAdded) eventType(string) string { return "user.human.mfa.otp.added" }
func (c totpAdded) payload() any          { return map[string]any{"otpSecret": encrypted(c.secret)} }
func (c totpAdded) apply(st *state, e *event) {
	editFactors(st, e, func(f *userFactors) {
		f.totp = totpFactor{secret: c.secret}
		f.failedOTP = without(f.failedOTP, otpTOTP)
	})
}

type totpVerified struct{}

func (totpVerified) eventType(string) string { return "user.human.mfa.otp.verified" }
func (totpVerified) payload() any            { return nil }
func (totpVerified) apply(st *state, e *event) {
	editFactors(st, e, func(f *userFactors) { f.totp.ready = true })
}

type totpRemoved struct{}

func (totpRemoved) eventType(string) string { return "user.human.mfa.otp.removed" }
func (totpRemoved) payload() any            { return nil }
func (totpRemoved) apply(st *state, e *event) {
	editFactors(st, e, func(f *userFactors) { f.totp = totpFactor{} })
}
