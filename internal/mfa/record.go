package mfa

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
)

// The reasons in records, and of a NotAllowedError.
const (
	// Of a second factor that was tried. Each counts as a failure of the user.
	ReasonWrongCode        = "WrongCode"
	ReasonWrongAssertion   = "WrongAssertion"
	ReasonWrongAttestation = "WrongAttestation"
	ReasonNoFactor         = "NoFactor"
	ReasonUnknownUser      = "UnknownUser"
	ReasonFactorGone       = "FactorGone"
	ReasonMethodNotAllowed = "MethodNotAllowed"
	ReasonBadToken         = "BadToken"
	ReasonExpired          = "Expired"
	ReasonNotLatest        = "NotLatest"
	ReasonTooManyTries     = "TooManyTries"
	ReasonCloneSuspected   = "CloneSuspected"
	ReasonAddressChanged   = "AddressChanged"
	ReasonSuspended        = "Suspended"

	// These do not.
	ReasonUsed        = "Used"
	ReasonLocked      = "Locked"
	ReasonUserRemoved = "UserRemoved"
	ReasonTooSoon     = "TooSoon"
	ReasonSource      = "TooManyFromSource"
	ReasonChallenges  = "TooManyChallenges"
	ReasonSends       = "TooManySends"

	// Of enrolling and removing.
	ReasonVerificationNeeded = "VerificationNeeded"
	ReasonLinkSpent          = "LinkSpent"
	ReasonGraceOver          = "GraceOver"
	ReasonLedgerLost         = "LedgerLost"
	ReasonTaken              = "CredentialTaken"
	ReasonFull               = "TooManyFactors"
	ReasonLastFactor         = "LastFactor"
	ReasonAttestation        = "AttestationNotVerified"
	ReasonAAGUID             = "AAGUIDNotAllowed"
	ReasonNotOffered         = "MethodNotOffered"

	// Of locks and sessions.
	ReasonTooManyFailures = "TooManyFailures"
	ReasonLockOver        = "LockOver"
	ReasonAdministrator   = "Administrator"
	ReasonTooManySessions = "TooManySessions"
	ReasonNotDelivered    = "NotDelivered"
)

// harmless are the reasons of failures that do not count against the user. A
// reason that a newer replica wrote counts.
var harmless = []string{
	ReasonUsed, ReasonLocked, ReasonUserRemoved, ReasonTooSoon, ReasonSource, ReasonChallenges,
	ReasonSends, ReasonVerificationNeeded, ReasonLinkSpent, ReasonGraceOver, ReasonLedgerLost, ReasonTaken, ReasonFull,
	ReasonAttestation, ReasonAAGUID, ReasonNotOffered,
}

// The names of details that the fold reads.
const (
	detailFactor       = "factor"
	detailMethod       = "method"
	detailStep         = "step"
	detailCounter      = "counter"
	detailCode         = "code"
	detailCodes        = "codes"
	detailChallenge    = "challenge"
	detailLink         = "link"
	detailFor          = "for"
	detailUntil        = "until"
	detailCredential   = "credential"
	detailRetryAfter   = "retryAfterSeconds"
	detailAMR          = "amr"
	detailACR          = "acr"
	detailSessionUntil = "sessionUntil"
	detailUV           = "userVerified"
	detailVerified     = "mfaVerified"
	detailAudience     = "audience"
	detailRevoke       = "revokeSessions"
	detailName         = "name"
	detailUser         = "user"
	detailAAGUID       = "aaguid"
	detailAttested     = "attestation"
	detailBackup       = "backedUp"
)

// yes is the value of a detail that is left out where it would be no.
const yes = "true"

// revokeNone is the value of detailRevoke by which a reset keeps the sessions.
const revokeNone = "None"

func detail(name, value string) audit.Detail { return audit.Detail{Name: name, Value: value} }

func numberDetail(name string, n int64) audit.Detail { return detail(name, strconv.FormatInt(n, 10)) }

func timeDetail(name string, t time.Time) audit.Detail {
	return detail(name, t.UTC().Format(time.RFC3339Nano))
}

func untilDetail(t time.Time) audit.Detail { return timeDetail(detailUntil, t) }

// number reads a detail; 0 if it is not there or no number.
func number(r audit.Record, name string) int64 {
	n, err := strconv.ParseInt(r.Detail(name), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// until reads the end of what a record begins; the zero time if it has none.
func until(r audit.Record) time.Time { return moment(r, detailUntil) }

// moment reads a detail; the zero time if it is not there or no time.
func moment(r audit.Record, name string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, r.Detail(name))
	if err != nil {
		return time.Time{}
	}
	return t
}

// with returns the record with an outcome, a reason and more details.
func with(r audit.Record, outcome audit.Outcome, reason string, details ...audit.Detail) audit.Record {
	r.Outcome, r.Reason = outcome, reason
	r.Details = append(slices.Clone(r.Details), details...)
	return r
}

// as returns the record for another action, without what only the first has.
func as(r audit.Record, action audit.Action, reason string, details ...audit.Detail) audit.Record {
	r.Action, r.Outcome, r.Reason, r.Claim, r.Session = action, audit.Succeeded, reason, "", ""
	r.Details = details
	return r
}

// Reset is the record of an administrator's reset of a user, by which the fold
// forgets factors, sessions and a lock. Methods and factors, by their ids, are
// those that were removed; none of both: all. The time to enrol does not begin
// again. Give it an origin by Once if it may be told more than once.
func Reset(uid, actor, reason string, methods []Method, factors []string, keepSessions bool) audit.Record {
	r := audit.Record{
		Action: audit.MFAReset, Outcome: audit.Succeeded, Reason: reason,
		Actor: audit.Printable(actor, audit.MaxActor), Subject: uid,
	}
	for _, m := range methods {
		r.Details = append(r.Details, detail(detailMethod, string(m)))
	}
	for _, id := range factors {
		r.Details = append(r.Details, detail(detailFactor, id))
	}
	if keepSessions {
		r.Details = append(r.Details, detail(detailRevoke, revokeNone))
	}
	return r
}

// Registered is the record that a user came under our care. It is taken once,
// however often it is told.
func Registered(uid, name string) audit.Record {
	return audit.Record{
		Action: audit.UserRegistered, Outcome: audit.Succeeded, Subject: uid, Origin: Once(uid, "registered"),
		Details: []audit.Detail{detail(detailUser, name)},
	}
}

// Gone is the record that a user left our care, by which the fold forgets them.
// It is taken once, however often it is told.
func Gone(uid, name string) audit.Record {
	return audit.Record{
		Action: audit.UserRemoved, Outcome: audit.Succeeded, Subject: uid, Origin: Once(uid, "removed"),
		Details: []audit.Detail{detail(detailUser, name)},
	}
}

// Suspension is the record that an administrator suspended a user, by which the fold
// ends what would come back with the end of the suspension: sessions, links and
// codes that were sent. It is taken once for each generation of the MFAUser.
func Suspension(uid string, generation int64) audit.Record {
	origin := Once(uid, "suspended")
	origin.Sequence = generation
	return audit.Record{Action: audit.UserSuspended, Outcome: audit.Succeeded, Reason: ReasonAdministrator, Subject: uid, Origin: origin}
}

// oursPrefix is that of the origins of what we did to a user ourselves.
const oursPrefix = "mfauser/"

// Once is the origin of an act of ours upon a local user, so that a ledger takes
// it once, also from a process that does not know any more whether it told.
func Once(uid, act string) *audit.Origin {
	return &audit.Origin{Aggregate: oursPrefix + uid + "/" + act, Sequence: 1}
}

// isOurs tells a record of ours from one of what happened at an identity provider.
func isOurs(r audit.Record) bool {
	return r.Origin == nil || strings.HasPrefix(r.Origin.Aggregate, oursPrefix+r.Subject+"/")
}

// values are those of all details of a name.
func values(r audit.Record, name string) []string {
	var out []string
	for _, d := range r.Details {
		if d.Name == name {
			out = append(out, d.Value)
		}
	}
	return out
}

// record is the template of everything one request records.
func (s *Service) record(action audit.Action, w who, r Rules, m Method, from From) audit.Record {
	ip := ""
	if from.IP.IsValid() {
		ip = from.IP.Unmap().WithZone("").String()
	}
	return audit.Record{
		Action: action, Subject: w.subject(), Method: string(m), Policy: audit.Printable(r.Policy, audit.MaxPolicy),
		Actor: audit.Printable(from.Actor, audit.MaxActor), SourceIP: ip,
		UserAgent: audit.Printable(from.UserAgent, audit.MaxUserAgent),
	}
}

// find returns the first record of one of the actions.
func find(records []audit.Record, actions ...audit.Action) audit.Record {
	for _, r := range records {
		if slices.Contains(actions, r.Action) {
			return r
		}
	}
	return audit.Record{}
}

func words(list []string) string { return strings.Join(list, " ") }

func isHarmless(reason string) bool { return slices.Contains(harmless, reason) }
