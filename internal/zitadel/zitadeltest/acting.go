package zitadeltest

import (
	"fmt"
	"slices"
	"time"

	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// Actor does things behind the back of whoever is tested: an administrator in the console, or a
// person at a login. What it does is in the event log under its name and visible at once, whatever
// the lag. Nothing asks whether it may. Like the seeding methods it panics where a test got its own
// scene wrong.
type Actor struct {
	s  *Server
	id string
}

// As returns an actor for a user, by id. Its display name is what ListEvents shows as the editor.
func (s *Server) As(userID string) Actor { return Actor{s, userID} }

// Owner returns the actor for the owner of the instance.
func (s *Server) Owner() Actor { return s.As(s.ownerID) }

// do writes events about one aggregate.
func (a Actor) do(agg aggregate, changes ...change) {
	a.s.pushAll(a.id, draftsFor(agg, changes...)...)
	a.s.settle()
}

// onUser writes events about a user that exists.
func (a Actor) onUser(userID string, changes ...change) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.do(a.s.seededUser(userID).aggregate(), changes...)
}

// AddTOTP gives a human a ready TOTP factor and returns its secret.
func (a Actor) AddTOTP(userID string) (secret string) {
	secret = newTOTPSecret()
	a.onUser(userID, totpAdded{secret}, totpVerified{})
	return secret
}

// BeginTOTP starts a TOTP registration without finishing it and returns its secret.
func (a Actor) BeginTOTP(userID string) (secret string) {
	secret = newTOTPSecret()
	a.onUser(userID, totpAdded{secret})
	return secret
}

// RemoveTOTP takes a TOTP factor away.
func (a Actor) RemoveTOTP(userID string) { a.onUser(userID, totpRemoved{}) }

// AddOTPEmail turns on codes by e-mail.
func (a Actor) AddOTPEmail(userID string) { a.onUser(userID, otpSwitched{byEmail, true}) }

// RemoveOTPEmail turns them off.
func (a Actor) RemoveOTPEmail(userID string) { a.onUser(userID, otpSwitched{byEmail, false}) }

// AddOTPSMS turns on codes by SMS, also without a phone.
func (a Actor) AddOTPSMS(userID string) { a.onUser(userID, otpSwitched{bySMS, true}) }

// RemoveOTPSMS turns them off.
func (a Actor) RemoveOTPSMS(userID string) { a.onUser(userID, otpSwitched{bySMS, false}) }

// AddU2F gives a human a ready U2F key that no authenticator holds.
func (a Actor) AddU2F(userID, name string) (id string) { return a.addKey(userID, name, u2fKey) }

// RemoveU2F takes a U2F key away.
func (a Actor) RemoveU2F(userID, id string) {
	a.onUser(userID, webAuthnKeyRemoved{id: id, as: u2fKey})
}

// AddPasskey gives a human a ready passkey that no authenticator holds.
func (a Actor) AddPasskey(userID, name string) (id string) {
	return a.addKey(userID, name, passkeyKey)
}

// RemovePasskey takes a passkey away.
func (a Actor) RemovePasskey(userID, id string) {
	a.onUser(userID, webAuthnKeyRemoved{id: id, as: passkeyKey})
}

func (a Actor) addKey(userID, name string, kind keyKind) string {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	id := a.s.ids.next()
	a.do(a.s.seededUser(userID).aggregate(), keyRegistered{id: id, kind: kind}, keyVerified{id: id, name: name, kind: kind})
	return id
}

// AddRecoveryCodes gives a human n recovery codes and returns them.
func (a Actor) AddRecoveryCodes(userID string, n int) (codes []string) {
	for range n {
		codes = append(codes, randomText(9))
	}
	a.onUser(userID, recoveryCodesAdded{slices.Clone(codes)})
	return codes
}

// RemoveRecoveryCodes takes all of them away.
func (a Actor) RemoveRecoveryCodes(userID string) { a.onUser(userID, recoveryCodesRemoved{}) }

// SkipMFASetUp notes that a human declined to set up a second factor.
func (a Actor) SkipMFASetUp(userID string) { a.onUser(userID, mfaInitSkipped{}) }

// SetPassword gives a human a password, whatever the policy. It costs nothing: this server does not
// hash.
func (a Actor) SetPassword(userID, password string) {
	a.onUser(userID, passwordChanged{password: password})
}

// FailPassword is a wrong password. It does not lock.
func (a Actor) FailPassword(userID string) { a.onUser(userID, passwordChecked{}) }

// FailTOTP is a wrong TOTP code. It does not lock.
func (a Actor) FailTOTP(userID string) { a.onUser(userID, otpChecked{kind: otpTOTP}) }

// Lock locks a user, Unlock, Deactivate and Reactivate move it on, whatever its state was.
func (a Actor) Lock(userID string) { a.onUser(userID, locking.change) }

// Unlock is described at Lock.
func (a Actor) Unlock(userID string) { a.onUser(userID, unlocking.change) }

// Deactivate is described at Lock.
func (a Actor) Deactivate(userID string) { a.onUser(userID, deactivating.change) }

// Reactivate is described at Lock.
func (a Actor) Reactivate(userID string) { a.onUser(userID, reactivating.change) }

// Rename gives a user another user name, which is their login name.
func (a Actor) Rename(userID, username string) { a.onUser(userID, usernameChanged{username}) }

// RemoveUser removes a user with its factors; its sessions are not shown any more.
func (a Actor) RemoveUser(userID string) { a.onUser(userID, userRemoved{}) }

// Stamp is a factor a session is made with.
type Stamp string

// The factors a session can be made with, besides the user.
const (
	StampPassword     Stamp = factorPassword
	StampTOTP         Stamp = factorTOTP
	StampOTPEmail     Stamp = factorEmail
	StampOTPSMS       Stamp = factorSMS
	StampRecoveryCode Stamp = factorRecoveryCode
	StampU2F          Stamp = factorWebAuthN
	StampPasskey      Stamp = "passkey" // WebAuthn with the user verified
)

// CreateSession makes a session of a user with the given factors checked, and returns its id and
// token. lifetime 0 means it does not expire.
func (a Actor) CreateSession(userID string, lifetime time.Duration, stamps ...Stamp) (id, token string) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	user := a.s.seededUser(userID)
	id, token = a.s.ids.next(), newToken()
	changes := []change{sessionAdded{creator: a.id}, sessionUserChecked{userID: user.id, orgID: user.owner, checked: a.s.clock()}}
	for _, stamp := range stamps {
		checked := sessionFactorChecked{factor: string(stamp), checked: a.s.clock()}
		if stamp == StampPasskey {
			checked.factor, checked.userVerified = factorWebAuthN, true
		}
		changes = append(changes, checked)
	}
	if lifetime > 0 {
		changes = append(changes, sessionLifetimeSet{lifetime})
	}
	set := sessionTokenSet{a.s.ids.next()}
	a.s.tokens[token] = sessionToken(id, set.id)
	a.do(a.s.sessionAggregate(id), append(changes, set)...)
	return id, token
}

// DeleteSession ends a session.
func (a Actor) DeleteSession(id string) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if !a.s.write.sessions[id].added {
		panic(fmt.Sprintf("zitadeltest: there is no session %q", id))
	}
	a.do(a.s.sessionAggregate(id), sessionTerminated{})
}

// userStates are the names of the moves to a state.
var userStates = map[userpb.UserState]userStateChanged{
	userpb.UserState_USER_STATE_ACTIVE:   reactivating.change,
	userpb.UserState_USER_STATE_INACTIVE: deactivating.change,
	userpb.UserState_USER_STATE_LOCKED:   locking.change,
}
