package zitadeltest

import (
	"maps"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	sessionpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/session/v2"
)

type sessionAdded struct {
	creator   string
	userAgent *sessionpb.UserAgent
}

func (sessionAdded) eventType(string) string { return "session.added" }
func (c sessionAdded) payload() any {
	if c.userAgent == nil {
		return nil
	}
	return map[string]any{"user_agent": map[string]any{
		"fingerprint_id": c.userAgent.FingerprintId, "ip": c.userAgent.Ip, "description": c.userAgent.Description,
	}}
}
func (c sessionAdded) apply(st *state, e *event) {
	st.sessions[e.id] = sessionRow{rowDetails: detailsOf(e), id: e.id, creator: c.creator, userAgent: c.userAgent, added: true}
}

type sessionUserChecked struct {
	userID, orgID, language string
	checked                 time.Time
}

func (sessionUserChecked) eventType(string) string { return "session.user.checked" }
func (c sessionUserChecked) payload() any {
	fields := map[string]any{"userID": c.userID, "userResourceOwner": c.orgID, "checkedAt": c.checked}
	if c.language != "" && c.language != "und" {
		fields["preferredLanguage"] = c.language
	}
	return fields
}
func (c sessionUserChecked) apply(st *state, e *event) {
	editSession(st, e, func(row *sessionRow) {
		row.userID, row.userOrg, row.stamps.user = c.userID, c.orgID, e.created
	})
	st.userSessions.add(c.userID, e.id)
}

// sessionFactorChecked is a check that succeeded, other than of the user.
type sessionFactorChecked struct {
	factor       string // in the event type, such as "otp.email"
	userVerified bool   // for WebAuthn
	checked      time.Time
}

func (c sessionFactorChecked) eventType(string) string { return "session." + c.factor + ".checked" }
func (c sessionFactorChecked) payload() any {
	fields := map[string]any{"checkedAt": c.checked}
	if c.factor == factorWebAuthN {
		fields["userVerified"] = c.userVerified
	}
	return fields
}
func (c sessionFactorChecked) apply(st *state, e *event) {
	editSession(st, e, func(row *sessionRow) {
		switch c.factor {
		case factorPassword:
			row.stamps.password = e.created
		case factorTOTP:
			row.stamps.totp = e.created
		case factorSMS:
			row.stamps.otpSMS, row.challenges.sms = e.created, nil
		case factorEmail:
			row.stamps.otpEmail, row.challenges.email = e.created, nil
		case factorRecoveryCode:
			row.stamps.recoveryCode = e.created
		case factorWebAuthN:
			row.stamps.webAuthN, row.stamps.userVerified = e.created, c.userVerified
			row.challenges.webAuthN = nil
		}
	})
}

// The factors of a session, as they stand in the event types.
const (
	factorPassword     = "password"
	factorWebAuthN     = "webAuthN"
	factorTOTP         = "totp"
	factorSMS          = "otp.sms"
	factorEmail        = "otp.email"
	factorRecoveryCode = "recoveryCode"
)

// sessionChallenges are the questions a session waits for an answer to. A row never edits what they
// point to.
type sessionChallenges struct {
	sms, email *otpChallenge
	webAuthN   *webAuthnChallenge
}

type otpChallenge struct {
	code    string
	expires time.Time
}

type webAuthnChallenge struct {
	kind     keyKind
	ceremony webauthn.SessionData
}

// sessionOTPChallenged keeps the code out of the log; the real server shows it encrypted.
type sessionOTPChallenged struct {
	factor   string
	code     string
	lifetime time.Duration
	returned bool
}

func (c sessionOTPChallenged) eventType(string) string {
	return "session." + c.factor + ".challenged"
}
func (c sessionOTPChallenged) payload() any {
	return map[string]any{"code": encrypted(c.code), "expiry": c.lifetime, "codeReturned": c.returned}
}
func (c sessionOTPChallenged) apply(st *state, e *event) {
	challenge := &otpChallenge{c.code, e.created.Add(c.lifetime)}
	editSession(st, e, func(row *sessionRow) {
		if c.factor == factorSMS {
			row.challenges.sms = challenge
		} else {
			row.challenges.email = challenge
		}
	})
}

type sessionWebAuthnChallenged struct{ challenge *webAuthnChallenge }

func (sessionWebAuthnChallenged) eventType(string) string { return "session.webAuthN.challenged" }
func (c sessionWebAuthnChallenged) payload() any {
	return map[string]any{
		"challenge": c.challenge.ceremony.Challenge, "rpid": c.challenge.ceremony.RelyingPartyID,
		"allowedCrentialIDs": c.challenge.ceremony.AllowedCredentialIDs,
	}
}
func (c sessionWebAuthnChallenged) apply(st *state, e *event) {
	editSession(st, e, func(row *sessionRow) { row.challenges.webAuthN = c.challenge })
}

type sessionTokenSet struct{ id string }

func (sessionTokenSet) eventType(string) string { return "session.token.set" }
func (c sessionTokenSet) payload() any          { return map[string]any{"tokenID": c.id} }
func (c sessionTokenSet) apply(st *state, e *event) {
	editSession(st, e, func(row *sessionRow) { row.tokenID = c.id })
}

type sessionMetadataSet struct{ metadata map[string][]byte }

func (sessionMetadataSet) eventType(string) string { return "session.metadata.set" }
func (c sessionMetadataSet) payload() any          { return map[string]any{"metadata": c.metadata} }
func (c sessionMetadataSet) apply(st *state, e *event) {
	editSession(st, e, func(row *sessionRow) { row.metadata = c.metadata })
}

// changedMetadata merges metadata; an empty value removes its key.
func changedMetadata(before, asked map[string][]byte) (after map[string][]byte, changed bool) {
	after = maps.Clone(before)
	if after == nil {
		after = map[string][]byte{}
	}
	for key, value := range asked {
		old, present := after[key]
		switch {
		case len(value) == 0 && present:
			delete(after, key)
			changed = true
		case len(value) > 0 && string(old) != string(value):
			after[key] = value
			changed = true
		}
	}
	return after, changed
}

type sessionLifetimeSet struct{ lifetime time.Duration }

func (sessionLifetimeSet) eventType(string) string { return "session.lifetime.set" }
func (c sessionLifetimeSet) payload() any          { return map[string]any{"lifetime": c.lifetime} }
func (c sessionLifetimeSet) apply(st *state, e *event) {
	editSession(st, e, func(row *sessionRow) { row.expires = e.created.Add(c.lifetime) })
}

type sessionTerminated struct{}

func (sessionTerminated) eventType(string) string { return "session.terminated" }
func (sessionTerminated) payload() any            { return nil }
func (sessionTerminated) apply(st *state, e *event) {
	editSession(st, e, func(row *sessionRow) { row.terminated = true })
}

// editSession changes a session, also one that was never added.
func editSession(st *state, e *event, edit func(*sessionRow)) {
	row := st.sessions[e.id]
	row.id = e.id
	edit(&row)
	row.touch(e)
	st.sessions[e.id] = row
}

// editSessionsOf changes all sessions of a user, because of something that happened to the user: it
// leaves their sequence alone.
func editSessionsOf(st *state, userID string, edit func(*sessionRow)) {
	for id := range st.userSessions[userID] {
		row := st.sessions[id]
		edit(&row)
		st.sessions[id] = row
	}
}

// dropSessions takes a user's sessions out of every read, for good.
func dropSessions(st *state, userID string) {
	editSessionsOf(st, userID, func(row *sessionRow) { row.dropped = true })
}

// clearPasswordStamps is what a new password does to the user's sessions: it keeps them.
func clearPasswordStamps(st *state, userID string) {
	editSessionsOf(st, userID, func(row *sessionRow) { row.stamps.password = time.Time{} })
}
