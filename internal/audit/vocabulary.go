package audit

import (
	"maps"
	"slices"
)

// Action says what was done or tried.
type Action string

// The actions. The list is closed: a ledger takes no other.
const (
	UserRegistered       Action = "UserRegistered"
	UserLocked           Action = "UserLocked"
	UserUnlocked         Action = "UserUnlocked"
	UserSuspended        Action = "UserSuspended"
	UserRestored         Action = "UserRestored"
	UserRemoved          Action = "UserRemoved"
	FactorEnrolled       Action = "FactorEnrolled"
	FactorRemoved        Action = "FactorRemoved"
	EnrolmentLinkIssued  Action = "EnrolmentLinkIssued"
	GraceStarted         Action = "GraceStarted"
	ChallengeSent        Action = "ChallengeSent"
	Verification         Action = "Verification"
	RecoveryCodesIssued  Action = "RecoveryCodesIssued"
	RecoveryCodeUsed     Action = "RecoveryCodeUsed"
	SessionRevoked       Action = "SessionRevoked"
	MFAReset             Action = "MFAReset"
	ExemptionGranted     Action = "ExemptionGranted"
	ExemptionExpired     Action = "ExemptionExpired"
	ExemptionRevoked     Action = "ExemptionRevoked"
	PolicyApplied        Action = "PolicyApplied"
	PolicyChanged        Action = "PolicyChanged"
	PolicyDrifted        Action = "PolicyDrifted"
	PolicyRestored       Action = "PolicyRestored"
	UserChanged          Action = "UserChanged"
	SSOPasswordCheck     Action = "SSOPasswordCheck"
	SSOFactorCheck       Action = "SSOFactorCheck"
	SSOLogin             Action = "SSOLogin"
	RetentionRemoved     Action = "RetentionRemoved"
	ProviderPolicyEdited Action = "ProviderPolicyEdited"
)

// meanings say each action in a sentence, for the reference and for people.
var meanings = map[Action]string{
	UserRegistered:       "a user came under the operator's care",
	UserLocked:           "a user may not verify for a while, or until unlocked",
	UserUnlocked:         "a lock ended, by time or by an administrator",
	UserSuspended:        "a user was deactivated",
	UserRestored:         "a deactivated user was activated again",
	UserRemoved:          "a user left the operator's care",
	FactorEnrolled:       "a second factor was added",
	FactorRemoved:        "a second factor was taken away",
	EnrolmentLinkIssued:  "a one-time link to enrol a factor was made; an earlier one is void",
	GraceStarted:         "somebody without a second factor logged in first; the time to enrol began",
	ChallengeSent:        "a code was sent by e-mail or SMS",
	Verification:         "a second factor was tried",
	RecoveryCodesIssued:  "recovery codes were made; earlier ones are void",
	RecoveryCodeUsed:     "a recovery code was tried; a right one ends the user's other sessions",
	SessionRevoked:       "a session was ended before its time",
	MFAReset:             "an administrator removed factors and ended sessions",
	ExemptionGranted:     "a user was exempted from a policy until a date",
	ExemptionExpired:     "an exemption reached its end",
	ExemptionRevoked:     "an exemption was withdrawn before its end",
	PolicyApplied:        "a policy was put in force",
	PolicyChanged:        "somebody changed a policy; the details name the fields",
	PolicyDrifted:        "settings at the identity provider were found changed",
	PolicyRestored:       "what stood before a policy was put back",
	UserChanged:          "somebody changed a user; the details name the fields",
	SSOPasswordCheck:     "a password was checked at the identity provider",
	SSOFactorCheck:       "a second factor was checked at the identity provider",
	SSOLogin:             "a login at the identity provider had its second factor verified",
	RetentionRemoved:     "old batches were removed; the details name the last one",
	ProviderPolicyEdited: "somebody edited sign-in settings at the identity provider",
}

// Meaning says the action in a sentence; empty for a word that is no action.
func (a Action) Meaning() string { return meanings[a] }

// Actions returns every action, in alphabetical order.
func Actions() []Action { return slices.Sorted(maps.Keys(meanings)) }

// Outcome says how an action ended.
type Outcome string

// The outcomes. Everything but Succeeded counts as a failure.
const (
	// Succeeded: it was done, or was right.
	Succeeded Outcome = "Succeeded"
	// Failed: it was tried and was wrong, or could not be done.
	Failed Outcome = "Failed"
	// Throttled: it came too soon after earlier failures and was not looked at.
	Throttled Outcome = "Throttled"
	// Replayed: it would have been right, but had been used before.
	Replayed Outcome = "Replayed"
)

// Outcomes returns every outcome.
func Outcomes() []Outcome { return []Outcome{Succeeded, Failed, Throttled, Replayed} }
