package mfa

import (
	"net/netip"
	"slices"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
)

// Attempt is something to be judged against the state and recorded. The kinds
// of attempts are those of this package.
type Attempt interface {
	judge(state audit.State[Entry], now time.Time) ([]audit.Record, error)
}

// Fold gives the records of a ledger their meaning for local verification.
// Every process that appends to the ledgers of a cluster has this fold, for
// checkpoints hold its state.
type Fold struct{}

var _ audit.Fold[Entry, Attempt] = Fold{}

// Check implements audit.Fold.
func (Fold) Check(state audit.State[Entry], attempt Attempt, now time.Time) ([]audit.Record, error) {
	return attempt.judge(state, now)
}

// Expired implements audit.Fold. Nothing but what reads as nothing expires.
func (Fold) Expired(_ string, value Entry, at time.Time) bool {
	switch {
	case value.User != nil:
		return !value.User.lasts() && value.User.at(at).isZero()
	case value.Source != nil:
		return value.Source.at(at) == Source{}
	default:
		return value.Owner == ""
	}
}

// Apply implements audit.Fold. What an identity provider told of its own sessions
// and factors means nothing here, nor does a reset of somebody there.
func (Fold) Apply(state audit.Entries[Entry], r audit.Record) {
	if !isOurs(r) {
		return
	}
	meaning, known := meanings[r.Action]
	if !known {
		return
	}
	u := UserAt(state, r.Subject, r.Time)
	if !u.Removed.IsZero() {
		return // nothing that was under way revives anybody
	}
	source := sourceOfRecord(r)
	switch {
	case r.Outcome == audit.Throttled:
		refuse(state, &u, r)
	case guesses(r.Action) && r.Outcome == audit.Failed:
		failed(state, &u, r, source)
	case r.Outcome == audit.Succeeded || r.Action == audit.ChallengeSent:
		meaning(state, &u, r)
	}
	key := userPrefix + r.Subject
	if u.isZero() {
		state.Delete(key)
		return
	}
	state.Set(key, Entry{User: &u})
}

// guesses are the actions by which a factor can be guessed.
func guesses(a audit.Action) bool {
	return a == audit.Verification || a == audit.RecoveryCodeUsed || a == audit.FactorEnrolled
}

// meanings say what a record that succeeded does to its subject. ChallengeSent
// means the same when there was nobody to send to.
var meanings = map[audit.Action]func(audit.Entries[Entry], *User, audit.Record){
	audit.GraceStarted:        graceStarted,
	audit.FactorEnrolled:      enrolled,
	audit.FactorRemoved:       removed,
	audit.EnrolmentLinkIssued: linkIssued,
	audit.ChallengeSent:       sent,
	audit.Verification:        verified,
	audit.RecoveryCodeUsed:    verified,
	audit.RecoveryCodesIssued: codesIssued,
	audit.SessionRevoked:      sessionRevoked,
	audit.UserLocked:          locked,
	audit.UserUnlocked:        unlocked,
	audit.UserSuspended:       suspended,
	audit.UserRemoved:         userRemoved,
	audit.MFAReset:            reset,
}

func graceStarted(_ audit.Entries[Entry], u *User, r audit.Record) {
	if u.FirstLogin.IsZero() {
		u.FirstLogin = r.Time
	}
}

func enrolled(state audit.Entries[Entry], u *User, r audit.Record) {
	u.spend(r.Detail(detailChallenge), until(r))
	if link := r.Detail(detailLink); link != "" {
		u.Live = slices.DeleteFunc(u.Live, func(l Live) bool { return l.For == forLink && l.ID == link })
	}
	f := FactorState{
		ID: r.Detail(detailFactor), Method: Method(r.Method), AddedAt: r.Time,
		Step: number(r, detailStep), Counter: uint32(number(r, detailCounter)), Credential: r.Detail(detailCredential),
	}
	if f.ID == "" || u.factor(f.ID) != nil {
		return
	}
	u.Factors = append(u.Factors, f)
	u.Enrolled = true
	u.VerifiedAt = r.Time
	u.sessionBegins(r)
	if f.Credential != "" {
		state.Set(credentialPrefix+f.Credential, Entry{Owner: r.Subject})
	}
}

func removed(state audit.Entries[Entry], u *User, r audit.Record) {
	drop(state, u, func(f FactorState) bool { return f.ID == r.Detail(detailFactor) })
}

// drop takes factors away and frees their credential ids.
func drop(state audit.Entries[Entry], u *User, which func(FactorState) bool) {
	for _, f := range u.Factors {
		if which(f) && f.Credential != "" {
			state.Delete(credentialPrefix + f.Credential)
		}
	}
	u.Factors = slices.DeleteFunc(u.Factors, which)
}

func linkIssued(_ audit.Entries[Entry], u *User, r audit.Record) {
	u.goesLive(Live{For: forLink, ID: r.Detail(detailLink), Until: until(r)})
}

// goesLive ends what was live of the same kind.
func (u *User) goesLive(l Live) {
	u.Live = slices.DeleteFunc(u.Live, func(old Live) bool { return old.For == l.For })
	if l.ID != "" {
		u.Live = append(u.Live, l)
	}
}

func sent(state audit.Entries[Entry], u *User, r audit.Record) {
	if r.Reason == ReasonNotDelivered { // told of a send that was counted
		u.Live = slices.DeleteFunc(u.Live, func(l Live) bool { return l.ID == r.Detail(detailChallenge) })
		return
	}
	if u.Sends = append(u.Sends, r.Time); len(u.Sends) > mostUserSends {
		u.Sends = u.Sends[1:]
	}
	count(state, sendsKey, r.Time, func(s *Source) { s.Sends++ })
	if source := sourceOfRecord(r); source != "" {
		count(state, sourcePrefix+source, r.Time, func(s *Source) { s.Sends++ })
	}
	if r.Outcome == audit.Succeeded {
		u.goesLive(Live{For: r.Detail(detailFor), ID: r.Detail(detailChallenge), Until: until(r)})
	}
}

func verified(_ audit.Entries[Entry], u *User, r audit.Record) {
	u.spend(r.Detail(detailChallenge), until(r))
	source := sourceOfRecord(r)
	u.Failures = slices.DeleteFunc(u.Failures, func(f Failures) bool { return f.Source == source })
	u.VerifiedAt = r.Time
	if r.Action == audit.RecoveryCodeUsed { // what was lost may still be signed in somewhere
		u.Sessions = nil
	}
	u.sessionBegins(r)
	f := u.factor(r.Detail(detailFactor))
	if f == nil {
		return
	}
	f.UsedAt = r.Time
	f.Step = max(f.Step, number(r, detailStep))
	f.Counter = max(f.Counter, uint32(number(r, detailCounter)))
	if r.Action == audit.RecoveryCodeUsed {
		f.Used |= 1 << uint(number(r, detailCode))
	}
}

func codesIssued(state audit.Entries[Entry], u *User, r audit.Record) {
	drop(state, u, func(f FactorState) bool { return f.Method == RecoveryCodes })
	u.Factors = append(u.Factors, FactorState{
		ID: r.Detail(detailFactor), Method: RecoveryCodes, AddedAt: r.Time, Codes: int(number(r, detailCodes)),
	})
}

// sessionBegins notes the session that came of a factor, if one did.
func (u *User) sessionBegins(r audit.Record) {
	if r.Session != "" {
		u.Sessions = append(u.Sessions, sessionOf(r))
	}
}

// sessionRevoked ends one session, or all if none is named.
func sessionRevoked(_ audit.Entries[Entry], u *User, r audit.Record) {
	u.Sessions = slices.DeleteFunc(u.Sessions, func(s SessionState) bool { return r.Session == "" || s.ID == r.Session })
}

func locked(_ audit.Entries[Entry], u *User, r audit.Record) {
	u.Lock = &Lock{Until: until(r), Since: r.Time}
}

func unlocked(_ audit.Entries[Entry], u *User, r audit.Record) {
	if r.Reason == ReasonLockOver {
		u.forgive()
		return
	}
	u.Lock, u.Failures = nil, nil
}

// suspended ends what would otherwise come back with the end of the suspension.
func suspended(_ audit.Entries[Entry], u *User, _ audit.Record) { u.Sessions, u.Live = nil, nil }

func userRemoved(state audit.Entries[Entry], u *User, r audit.Record) {
	drop(state, u, func(FactorState) bool { return true })
	*u = User{Removed: r.Time}
}

// reset ends what an administrator's reset ends. The time to enrol goes on.
func reset(state audit.Entries[Entry], u *User, r audit.Record) {
	methods, factors := values(r, detailMethod), values(r, detailFactor)
	drop(state, u, func(f FactorState) bool {
		return len(methods) == 0 && len(factors) == 0 ||
			slices.Contains(methods, string(f.Method)) || slices.Contains(factors, f.ID)
	})
	u.Lock, u.Failures, u.Live, u.Settled = nil, nil, nil, true
	if r.Detail(detailRevoke) != revokeNone {
		u.Sessions = nil
	}
}

// failed counts a failure, and uses up the challenge.
func failed(state audit.Entries[Entry], u *User, r audit.Record, source string) {
	if source != "" {
		count(state, sourcePrefix+source, r.Time, func(s *Source) { s.Failures++ })
	}
	id := r.Detail(detailChallenge)
	if Method(r.Method) == WebAuthn && r.Reason != ReasonLocked { // else it was not looked at
		u.spend(id, until(r))
	}
	if isHarmless(r.Reason) {
		return
	}
	u.fail(source, r.Time)
	for i := range u.Live {
		if u.Live[i].ID == id { // a code may be mistyped some times
			u.Live[i].Tries++
		}
	}
}

// refuse notes that a refusal was recorded.
func refuse(state audit.Entries[Entry], u *User, r audit.Record) {
	u.Refused = r.Time
	if source := sourceOfRecord(r); source != "" && r.Reason == ReasonSource {
		count(state, sourcePrefix+source, r.Time, func(s *Source) { s.Refused = r.Time })
	}
}

// count changes the window of a source, beginning one if need be.
func count(state audit.Entries[Entry], key string, now time.Time, change func(*Source)) {
	s := sourceAt(state, key, now)
	if s.Since.IsZero() {
		s.Since = now
	}
	change(&s)
	state.Set(key, Entry{Source: &s})
}

func sourceOfRecord(r audit.Record) string {
	ip, err := netip.ParseAddr(r.SourceIP)
	if err != nil {
		return ""
	}
	return sourceOf(ip)
}
