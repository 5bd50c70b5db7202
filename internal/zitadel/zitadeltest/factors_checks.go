package zitadeltest

import (
	"maps"
	"slices"
)

// otpKind is a kind of code whose failures are counted together. It is the middle of the event types.
type otpKind string

const (
	otpTOTP     otpKind = "otp"
	otpSMS      otpKind = "otp.sms"
	otpEmail    otpKind = "otp.email"
	otpRecovery otpKind = "recoverycode"
)

// otpChecked is the outcome of a check of a code.
type otpChecked struct {
	kind      otpKind
	succeeded bool
	code      string // the recovery code that is used up now
}

func (c otpChecked) eventType(string) string {
	return "user.human.mfa." + string(c.kind) + ".check." + outcome(c.succeeded)
}
func (otpChecked) payload() any { return nil }
func (c otpChecked) apply(st *state, e *event) {
	editFactors(st, e, func(f *userFactors) {
		failed := maps.Clone(f.failedOTP)
		if failed == nil {
			failed = map[otpKind]int{}
		}
		if c.succeeded {
			delete(failed, c.kind)
		} else {
			failed[c.kind]++
		}
		f.failedOTP = failed
		if c.code != "" {
			f.recovery.codes = slices.DeleteFunc(slices.Clone(f.recovery.codes), func(code string) bool { return code == c.code })
			f.recovery.usedUp = len(f.recovery.codes) == 0
			f.recovery.last = detailsOf(e)
		}
	})
}

// passwordChecked is the outcome of a check of a password.
type passwordChecked struct{ succeeded bool }

func (c passwordChecked) eventType(string) string {
	return "user.human.password.check." + outcome(c.succeeded)
}
func (passwordChecked) payload() any { return nil }
func (c passwordChecked) apply(st *state, e *event) {
	editUserQuietly(st, e, func(u *userRow) {
		u.human.failedPasswords++
		if c.succeeded {
			u.human.failedPasswords = 0
		}
	})
}

// keySignCountChanged comes with every use of a key. The real server writes it to the session, not to
// the user, so it changes nothing about the key.
type keySignCountChanged struct {
	id        string
	kind      keyKind
	signCount uint32
}

func (c keySignCountChanged) eventType(string) string {
	return "user.human." + string(c.kind) + ".token.signcount.changed"
}
func (c keySignCountChanged) payload() any {
	return map[string]any{"webAuthNTokenId": c.id, "signCount": c.signCount}
}
func (keySignCountChanged) apply(st *state, e *event) { editSession(st, e, func(*sessionRow) {}) }

// without forgets the failures of one kind of code.
func without(failed map[otpKind]int, kind otpKind) map[otpKind]int {
	rest := maps.Clone(failed)
	delete(rest, kind)
	return rest
}

func outcome(succeeded bool) string {
	if succeeded {
		return "succeeded"
	}
	return "failed"
}

// resetFailures forgets the failed tries of a user, as an unlock does.
func resetFailures(st *state, userID string) {
	user := st.users[userID]
	user.human.failedPasswords = 0
	st.users[userID] = user
	factors := st.factors[userID]
	factors.failedOTP = nil
	st.factors[userID] = factors
}
