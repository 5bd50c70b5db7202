package zitadeltest

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"slices"
	"time"

	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// otpLifetime is how long a sent code counts.
const otpLifetime = 5 * time.Minute

// checkTOTP accepts the same code again within its window: the real server has no replay protection.
func (u *sessionUpdate) checkTOTP(code string) error {
	if u.row.userID == "" {
		return invalid("COMMAND-8N9ds", "Errors.User.UserIDMissing").err()
	}
	user, totp := u.write.users[u.row.userID], u.write.factors[u.row.userID].totp
	switch {
	case !totp.ready:
		return precondition("COMMAND-3Mif9s", "Errors.User.MFA.OTP.NotReady").err()
	case user.state == userpb.UserState_USER_STATE_LOCKED:
		return precondition("COMMAND-SF3fg", "Errors.User.Locked").err()
	case !totp.accepts(code, u.clock()):
		return u.failOTP(user, otpTOTP, wrongTOTP)
	}
	u.succeedOTP(user, otpTOTP, factorTOTP)
	return nil
}

var (
	wrongTOTP = invalid("EVENT-8isk2", "Errors.User.MFA.OTP.InvalidCode")
	wrongCode = invalid("CODE-woT0xc", "Errors.User.Code.Invalid")
	lateCode  = precondition("CODE-QvUQ4P", "Errors.User.Code.Expired")
)

// challengeOTP makes a code. It is handed out if asked for; otherwise it would be sent, and nobody
// here sends anything.
func (u *sessionUpdate) challengeOTP(channel otpChannel, returnCode bool) (*string, error) {
	if u.row.userID == "" {
		return nil, channel.challengeNobody.err()
	}
	factors := u.write.factors[u.row.userID]
	if !*channel.on(&factors) {
		return nil, channel.notReady.err()
	}
	code, err := newDigits(8)
	if err != nil {
		return nil, err
	}
	u.add(sessionOTPChallenged{factor: channel.factor, code: code, lifetime: otpLifetime, returned: returnCode})
	if !returnCode {
		return nil, nil
	}
	return &code, nil
}

// checkOTP takes a code once. A wrong try does not void it.
func (u *sessionUpdate) checkOTP(channel otpChannel, code string) error {
	switch {
	case u.row.userID == "":
		return invalid("COMMAND-S453v", "Errors.User.UserIDMissing").err()
	case code == "":
		return invalid("COMMAND-SJl2g", "Errors.User.Code.Empty").err()
	}
	user, factors := u.write.users[u.row.userID], u.write.factors[u.row.userID]
	challenge := *channel.challenge(&u.row.challenges)
	switch {
	case !*channel.on(&factors):
		return precondition("COMMAND-d2r52", "Errors.User.MFA.OTP.NotReady").err()
	case challenge == nil:
		return precondition("COMMAND-S34gh", "Errors.User.Code.NotFound").err()
	case user.state == userpb.UserState_USER_STATE_LOCKED:
		return precondition("COMMAND-S6h4R", "Errors.User.Locked").err()
	case u.clock().After(challenge.expires):
		return u.failOTP(user, channel.kind, lateCode)
	case challenge.code != code:
		return u.failOTP(user, channel.kind, wrongCode)
	}
	u.succeedOTP(user, channel.kind, channel.factor)
	return nil
}

// checkRecoveryCode takes a code once, and for good.
func (u *sessionUpdate) checkRecoveryCode(code string) error {
	if u.row.userID == "" {
		return invalid("COMMAND-4m9s2", "Errors.User.UserIDMissing").err()
	}
	user, recovery := u.write.users[u.row.userID], u.write.factors[u.row.userID].recovery
	switch {
	case user.state == userpb.UserState_USER_STATE_LOCKED:
		return precondition("COMMAND-2w6oa", "Errors.User.Locked").err()
	case len(recovery.codes) == 0 && !recovery.usedUp:
		return precondition("COMMAND-84rgg", "Errors.User.MFA.RecoveryCodes.NotReady").err()
	case !slices.Contains(recovery.codes, code):
		return u.failOTP(user, otpRecovery, invalid("DOMAIN-6uvh0", "Errors.User.MFA.RecoveryCodes.InvalidCode"))
	}
	u.drafts = append(u.drafts, draft{user.aggregate(), otpChecked{kind: otpRecovery, succeeded: true, code: code}})
	u.add(sessionFactorChecked{factor: factorRecoveryCode, checked: u.clock()})
	return nil
}

func (u *sessionUpdate) succeedOTP(user userRow, kind otpKind, factor string) {
	u.drafts = append(u.drafts, draft{user.aggregate(), otpChecked{kind: kind, succeeded: true}})
	u.add(sessionFactorChecked{factor: factor, checked: u.clock()})
}

// failOTP counts the failure, per kind of factor, and locks the user once the policy of its
// organization says so. Even the failure that locks is only a wrong code to the caller.
func (u *sessionUpdate) failOTP(user userRow, kind otpKind, wrong refusal) error {
	changes := []change{otpChecked{kind: kind}}
	policy, _ := effectivePolicy(u.write, lockoutKind, user.owner)
	attempts := u.write.factors[user.id].failedOTP[kind] + 1
	if limit := policy.value.MaxOTPAttempts; limit > 0 && uint64(attempts) >= limit {
		changes = append(changes, locking.change)
	}
	u.push(editor(u.ctx), user.aggregate(), changes...)
	return wrong.err()
}

func newDigits(n int64) (string, error) {
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(n), nil)
	code, err := rand.Int(rand.Reader, limit)
	if err != nil {
		return "", fmt.Errorf("making a code: %w", err)
	}
	return fmt.Sprintf("%0*d", n, code), nil
}
