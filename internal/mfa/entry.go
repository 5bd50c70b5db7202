package mfa

import (
	"crypto/sha256"
	"encoding/base64"
	"net/netip"
	"slices"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
)

// Entry is what the records of a ledger have come to, under one key: of a user,
// of a source address, of a namespace's sending, or of a WebAuthn credential.
// Only one of the fields is set.
type Entry struct {
	User   *User   `json:"user,omitempty"`
	Source *Source `json:"source,omitempty"`
	// Owner is the UID of the user a WebAuthn credential belongs to.
	Owner string `json:"owner,omitempty"`
}

// The keys of entries.
const (
	userPrefix       = "user/"
	sourcePrefix     = "source/"
	credentialPrefix = "credential/"
	// sendsKey is that of what a namespace sends.
	sendsKey = "sends"
)

// credentialHash stands for a WebAuthn credential id, which may be long.
func credentialHash(id []byte) string {
	sum := sha256.Sum256(id)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// sourceOf is the part of an address that one person is taken to have: all of an
// IPv4 address, the first 64 bits of an IPv6 one. Empty for an address not told.
func sourceOf(ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	switch {
	case !ip.IsValid():
		return ""
	case ip.Is4():
		return ip.String()
	default:
		prefix, _ := ip.Prefix(64)
		return prefix.String()
	}
}

// User is what is known of a user, and of a name that is no user's. Its zero
// value is somebody new. It is never changed in place.
type User struct {
	// FirstLogin is when the time to enrol began.
	FirstLogin time.Time `json:"firstLogin,omitzero"`
	// Enrolled: there has been a factor, at least once.
	Enrolled bool `json:"enrolled,omitempty"`
	// Settled: an administrator has reset them, so what an earlier ledger may have
	// known does not matter.
	Settled bool `json:"settled,omitempty"`
	// Factors are those that live. What the vault has beside them is worth nothing.
	Factors []FactorState `json:"factors,omitempty"`
	// Spent are challenges that were used, until they expire.
	Spent []Spent `json:"spent,omitempty"`
	// Live are what only one at a time is good of: a code that was sent, a link.
	Live []Live `json:"live,omitempty"`
	// Sends are when codes were sent, within the last hour.
	Sends []time.Time `json:"sends,omitempty"`
	// Failures by source, since the last success from there.
	Failures []Failures `json:"failures,omitempty"`
	// Lock, if the user is locked.
	Lock *Lock `json:"lock,omitempty"`
	// Refused is when a refusal was last recorded.
	Refused time.Time `json:"refused,omitzero"`
	// Sessions that have neither ended nor expired, oldest first.
	Sessions []SessionState `json:"sessions,omitempty"`
	// VerifiedAt is the last success.
	VerifiedAt time.Time `json:"verifiedAt,omitzero"`
	// Removed is when the user was removed. Nothing is accepted afterwards.
	Removed time.Time `json:"removed,omitzero"`
}

// FactorState is what changes of a factor with use.
type FactorState struct {
	ID      string    `json:"id"`
	Method  Method    `json:"method"`
	AddedAt time.Time `json:"addedAt"`
	UsedAt  time.Time `json:"usedAt,omitzero"`
	// Step is the highest TOTP time step that was accepted.
	Step int64 `json:"step,omitempty"`
	// Counter is the last signature counter of an authenticator.
	Counter uint32 `json:"counter,omitempty"`
	// Used has a bit for each recovery code that was accepted, of Codes.
	Used  uint32 `json:"used,omitempty"`
	Codes int    `json:"codes,omitempty"`
	// Credential is the hash of a WebAuthn credential's id.
	Credential string `json:"credential,omitempty"`
}

// Spent is a challenge that was used, rightly or wrongly.
type Spent struct {
	ID    string    `json:"id"`
	Until time.Time `json:"until"`
}

// Live is a sent code or a link that may still be used.
type Live struct {
	// For is a method, with enrolPrefix in an enrolment, or forLink.
	For   string    `json:"for"`
	ID    string    `json:"id"`
	Until time.Time `json:"until"`
	// Tries are how often a wrong code was tried.
	Tries int `json:"tries,omitempty"`
}

const (
	enrolPrefix = "enrol/"
	forLink     = "link"
)

// Failures are those from one source.
type Failures struct {
	// Source as sourceOf tells it; otherSources stands for many.
	Source string `json:"source,omitempty"`
	// Count is how many there were; Forgiven of them a lock has punished already.
	Count    int       `json:"count"`
	Forgiven int       `json:"forgiven,omitempty"`
	Last     time.Time `json:"last"`
}

// Lock keeps a user from verifying.
type Lock struct {
	// Until is when it ends by itself. Zero: when an administrator ends it.
	Until time.Time `json:"until,omitzero"`
	// Since is when it began.
	Since time.Time `json:"since"`
}

// over tells whether it has ended by itself.
func (l *Lock) over(now time.Time) bool { return !l.Until.IsZero() && !now.Before(l.Until) }

// SessionState is a session that has been issued.
type SessionState struct {
	ID        string    `json:"id"`
	Method    Method    `json:"method"`
	AMR       []string  `json:"amr"`
	ACR       string    `json:"acr"`
	IssuedAt  time.Time `json:"issuedAt"`
	ExpiresAt time.Time `json:"expiresAt"`
	// UserVerified: the authenticator checked a PIN or a biometric.
	UserVerified bool `json:"uv,omitempty"`
	// Verified: it met the policy when it was issued.
	Verified bool `json:"verified,omitempty"`
}

// Source is what is known of a source address, or of what a namespace sends.
type Source struct {
	// Since is when the window began, in which Failures and Sends are counted.
	Since    time.Time `json:"since"`
	Failures int       `json:"failures,omitempty"`
	Sends    int       `json:"sends,omitempty"`
	// Refused is when a refusal was last recorded.
	Refused time.Time `json:"refused,omitzero"`
}

// The bounds of an entry.
const (
	// mostSessions of a user; one more ends the oldest.
	mostSessions = 32
	// mostSources of failures are told apart.
	mostSources = 16
	// otherSources has the failures of all further ones.
	otherSources = "*"
	// mostSpent challenges may be waiting to expire.
	mostSpent = 256
	// mostFactors of a user.
	mostFactors = 16
	// tombstone is how long it is known that a user was removed: longer than any
	// request takes.
	tombstone = time.Hour
	// strangerMemory is how long failures of somebody who has nothing to guess,
	// or who does not exist, are known.
	strangerMemory = 24 * time.Hour
	// sourceWindow is what failures and sends of a source are counted in.
	sourceWindow = 10 * time.Minute
)

// at returns a copy in which everything that has expired is left out: the one
// reading of an entry, for judging, applying and expiring alike.
func (u *User) at(now time.Time) User {
	if u == nil {
		return User{}
	}
	c := *u
	if !c.Removed.IsZero() {
		if now.Sub(c.Removed) >= tombstone {
			return User{}
		}
		return User{Removed: c.Removed}
	}
	c.Factors = slices.Clone(c.Factors)
	c.Spent = kept(c.Spent, func(s Spent) bool { return !now.After(s.Until) })
	c.Live = kept(c.Live, func(l Live) bool { return now.Before(l.Until) })
	c.Sends = kept(c.Sends, func(t time.Time) bool { return now.Sub(t) < time.Hour })
	c.Failures = kept(c.Failures, func(f Failures) bool {
		return len(c.Factors) > 0 || now.Sub(f.Last) < strangerMemory
	})
	c.Sessions = kept(c.Sessions, func(s SessionState) bool { return now.Before(s.ExpiresAt) })
	if now.Sub(c.Refused) >= refusalPause {
		c.Refused = time.Time{}
	}
	if c.Lock != nil && len(c.Failures) == 0 && len(c.Factors) == 0 && now.Sub(c.Lock.Since) >= strangerMemory {
		c.Lock = nil
	}
	return c
}

// lasts tells, without a copy, of what no time makes nothing: most users.
func (u *User) lasts() bool {
	return u.Removed.IsZero() && (u.Enrolled || u.Settled || len(u.Factors) > 0 || !u.FirstLogin.IsZero() || !u.VerifiedAt.IsZero())
}

func (u User) isZero() bool {
	return u.FirstLogin.IsZero() && !u.Enrolled && !u.Settled && len(u.Factors) == 0 && len(u.Spent) == 0 && len(u.Live) == 0 &&
		len(u.Sends) == 0 && len(u.Failures) == 0 && u.Lock == nil && u.Refused.IsZero() && len(u.Sessions) == 0 &&
		u.VerifiedAt.IsZero() && u.Removed.IsZero()
}

// at returns the source as it stands now: a window that is over counts nothing.
func (s *Source) at(now time.Time) Source {
	if s == nil || now.Sub(s.Since) >= sourceWindow {
		return Source{}
	}
	return *s
}

// kept returns what is to be kept, in a slice of its own; nil for nothing.
func kept[T any](all []T, keep func(T) bool) []T {
	n := 0
	for _, t := range all {
		if keep(t) {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	out := make([]T, 0, n)
	for _, t := range all {
		if keep(t) {
			out = append(out, t)
		}
	}
	return out
}

// factor returns the living factor of that id, to be changed in place if u is a
// copy.
func (u *User) factor(id string) *FactorState {
	for i := range u.Factors {
		if u.Factors[i].ID == id {
			return &u.Factors[i]
		}
	}
	return nil
}

// has tells whether there is a factor besides recovery codes.
func (u *User) has() bool {
	return slices.ContainsFunc(u.Factors, func(f FactorState) bool { return f.Method != RecoveryCodes })
}

func (u *User) session(id string) *SessionState {
	for i := range u.Sessions {
		if u.Sessions[i].ID == id {
			return &u.Sessions[i]
		}
	}
	return nil
}

// live returns what of a kind is good now.
func (u *User) live(kind string) *Live {
	for i := range u.Live {
		if u.Live[i].For == kind {
			return &u.Live[i]
		}
	}
	return nil
}

func (u *User) spent(id string) bool {
	return slices.ContainsFunc(u.Spent, func(s Spent) bool { return s.ID == id })
}

// spend marks a challenge as used, and ends what it was live for.
func (u *User) spend(id string, until time.Time) {
	if id == "" {
		return
	}
	if !u.spent(id) {
		u.Spent = append(u.Spent, Spent{ID: id, Until: until})
	}
	u.Live = slices.DeleteFunc(u.Live, func(l Live) bool { return l.ID == id })
}

// failed tells of failures: window is how many count towards the next lock, total how many there
// were since the last successes; last is when.
func (u *User) failed() (window, total int, last time.Time) {
	for _, f := range u.Failures {
		window += f.Count - f.Forgiven
		total += f.Count
		if f.Last.After(last) {
			last = f.Last
		}
	}
	return window, total, last
}

// fail counts one failure from a source.
func (u *User) fail(source string, now time.Time) {
	i := slices.IndexFunc(u.Failures, func(f Failures) bool { return f.Source == source })
	if i < 0 && len(u.Failures) >= mostSources {
		source = otherSources
		i = slices.IndexFunc(u.Failures, func(f Failures) bool { return f.Source == source })
	}
	if i < 0 {
		u.Failures = append(u.Failures, Failures{Source: source})
		i = len(u.Failures) - 1
	}
	u.Failures[i].Count++
	u.Failures[i].Last = now
}

// forgive takes the failures so far as punished by the lock that has ended.
func (u *User) forgive() {
	u.Lock = nil
	for i := range u.Failures {
		u.Failures[i].Forgiven = u.Failures[i].Count
	}
}

// UserAt returns what is known of a user at a time; the zero value for nobody.
// The caller may keep and change it.
func UserAt(state audit.State[Entry], uid string, now time.Time) User {
	return state.Get(userPrefix + uid).User.at(now)
}

// sourceAt reads the entry of a source, or of sendsKey, as it stands at a time.
func sourceAt(state audit.State[Entry], key string, now time.Time) Source {
	return state.Get(key).Source.at(now)
}

// LockedUntil tells whether the user is locked, and until when; the zero time
// means until an administrator ends it.
func (u *User) LockedUntil(now time.Time) (until time.Time, locked bool) {
	if u.Lock == nil || u.Lock.over(now) {
		return time.Time{}, false
	}
	return u.Lock.Until, true
}

// FailedAttempts are the failures since the last success from where they came,
// and since the last lock ended.
func (u *User) FailedAttempts() int {
	window, _, _ := u.failed()
	return window
}

// Grace tells whether the user, who has to enrol and has no factor, still has time
// to, and until when; the zero time: it begins with the first login.
func (u *User) Grace(r Rules, now time.Time) (ends time.Time, running bool) {
	if u.has() || !r.Enforcement.Demands() || r.GracePeriod <= 0 {
		return time.Time{}, false
	}
	if u.FirstLogin.IsZero() {
		return time.Time{}, true
	}
	ends = u.FirstLogin.Add(r.GracePeriod)
	return ends, now.Before(ends)
}

// CodesLeft is how many recovery codes were not used yet; false: there have been
// none.
func (u *User) CodesLeft() (left int, issued bool) {
	for i := range u.Factors {
		if u.Factors[i].Method == RecoveryCodes {
			left, issued = left+u.Factors[i].codesLeft(), true
		}
	}
	return left, issued
}
