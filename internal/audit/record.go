package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Record says who did what to whom, when, from where, and how it ended. What
// has no field here is left out of the ledger: no code, secret, token, key,
// hash of one of them, request or provider message ever goes into a record.
type Record struct {
	// Time is when the ledger took the record, in UTC, in whole microseconds. It
	// never runs backwards within a ledger. The ledger sets it.
	Time time.Time `json:"-"`
	// ID is <sequence>-<index>, unique within a ledger. The ledger sets it.
	ID string `json:"id,omitempty"`
	// Action and Outcome are words of the vocabulary.
	Action  Action  `json:"action"`
	Outcome Outcome `json:"outcome"`
	// Reason says why, in one CamelCase word, such as WrongCode; at most 64
	// characters. May be empty.
	Reason string `json:"reason,omitempty"`
	// Actor is who acted: a Kubernetes user, service account or the identity
	// provider's editor; at most 256 characters. Empty: the subject itself.
	Actor string `json:"actor,omitempty"`
	// Subject is whom or what it happened to: the UID or name of a user, policy
	// or connection; 1 to 256 characters.
	Subject string `json:"subject"`
	// Method is the second factor concerned, such as TOTP; at most 64 characters.
	Method string `json:"method,omitempty"`
	// Claim is what this record uses up, such as a time step or a challenge's id,
	// so that nothing else may use it; at most 256 characters. What it means is
	// the fold's business.
	Claim string `json:"claim,omitempty"`
	// Policy is the namespace/name of the policy that decided; at most 317
	// characters.
	Policy string `json:"policy,omitempty"`
	// Session is the id of the session concerned; at most 128 characters.
	Session string `json:"session,omitempty"`
	// SourceIP is where the request came from; at most 64 characters.
	SourceIP string `json:"sourceIP,omitempty"`
	// UserAgent is what the client calls itself; at most 256 characters.
	UserAgent string `json:"userAgent,omitempty"`
	// Origin is what this record tells of, if that may be told more than once: an
	// event at the identity provider, or an act of ours that outlived the process.
	// A ledger takes each once. Nil: the record itself is what happened.
	Origin *Origin `json:"origin,omitempty"`
	// Details hold what else the record says: fields that changed with their old
	// and new values, or facts a fold needs; at most 32.
	Details []Detail `json:"details,omitempty"`
}

// Origin names one event of an identity provider, or one act of ours. A ledger
// knows those of the last days again; see there how many.
type Origin struct {
	// Aggregate names a stream of events, connection included, such as
	// default/user/312909075211944042; 1 to 256 characters.
	Aggregate string `json:"aggregate"`
	// Sequence is the event's place in its stream, at least 1, rising.
	Sequence int64 `json:"sequence"`
}

// Detail is one named fact of a record.
type Detail struct {
	// Name is 1 to 128 characters, such as mfa.enforcement or counter.
	Name string `json:"name"`
	// Old is the value before, if something changed; at most 512 characters.
	Old string `json:"old,omitempty"`
	// Value is the value; at most 512 characters.
	Value string `json:"value,omitempty"`
}

// fields are those of a Record, without its methods.
type fields Record

// MarshalJSON writes the time in TimeLayout, and nothing for what is not set.
func (r Record) MarshalJSON() ([]byte, error) {
	out := struct {
		Time string `json:"time,omitempty"`
		fields
	}{fields: fields(r)}
	if !r.Time.IsZero() {
		out.Time = r.Time.UTC().Format(TimeLayout)
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes. A field that is not known is no
// error: a newer writer may have written it.
func (r *Record) UnmarshalJSON(data []byte) error {
	in := struct {
		Time string `json:"time"`
		fields
	}{}
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*r = Record(in.fields)
	if in.Time == "" {
		return nil
	}
	at, err := time.Parse(TimeLayout, in.Time)
	r.Time = at
	return err
}

// Detail returns the value of the detail of that name, or "".
func (r Record) Detail(name string) string {
	for _, d := range r.Details {
		if d.Name == name {
			return d.Value
		}
	}
	return ""
}

// The bounds of a record, in characters of UTF-8 as the API server counts
// them; MaxDetails in entries. They are those of the MFAAuditRecord kind.
const (
	MaxID          = 32
	MaxReason      = 64
	MaxActor       = 256
	MaxSubject     = 256
	MaxMethod      = 64
	MaxClaim       = 256
	MaxPolicy      = 317
	MaxSession     = 128
	MaxSourceIP    = 64
	MaxUserAgent   = 256
	MaxAggregate   = 256
	MaxDetails     = 32
	MaxDetailName  = 128
	MaxDetailValue = 512
)

// ErrInvalid is what every error of Check is.
var ErrInvalid = errors.New("invalid audit record")

// Check says what keeps the record out of a ledger. It does not look at Time
// and ID, which the ledger sets.
func (r Record) Check() error {
	var wrong []string
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if r.Action.Meaning() == "" {
		bad("%q is no action", r.Action)
	}
	if !slices.Contains(Outcomes(), r.Outcome) {
		bad("%q is no outcome", r.Outcome)
	}
	text := func(name, value string, least, most int) {
		switch n := utf8.RuneCountInString(value); {
		case n < least:
			bad("%s is empty", name)
		case n > most:
			bad("%s has %d characters, at most %d are allowed", name, n, most)
		case !utf8.ValidString(value) || strings.ContainsFunc(value, unprintable):
			bad("%s has characters that cannot be printed", name)
		}
	}
	text("reason", r.Reason, 0, MaxReason)
	text("actor", r.Actor, 0, MaxActor)
	text("subject", r.Subject, 1, MaxSubject)
	text("method", r.Method, 0, MaxMethod)
	text("claim", r.Claim, 0, MaxClaim)
	text("policy", r.Policy, 0, MaxPolicy)
	text("session", r.Session, 0, MaxSession)
	text("sourceIP", r.SourceIP, 0, MaxSourceIP)
	text("userAgent", r.UserAgent, 0, MaxUserAgent)
	if r.Origin != nil {
		text("origin.aggregate", r.Origin.Aggregate, 1, MaxAggregate)
		if r.Origin.Sequence < 1 {
			bad("origin.sequence is %d, at least 1 is needed", r.Origin.Sequence)
		}
	}
	if len(r.Details) > MaxDetails {
		bad("there are %d details, at most %d are allowed", len(r.Details), MaxDetails)
	}
	for i, d := range r.Details {
		text(fmt.Sprintf("details[%d].name", i), d.Name, 1, MaxDetailName)
		text(fmt.Sprintf("details[%d].old", i), d.Old, 0, MaxDetailValue)
		text(fmt.Sprintf("details[%d].value", i), d.Value, 0, MaxDetailValue)
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%w: %s", ErrInvalid, strings.Join(wrong, "; "))
	}
	return nil
}

// Printable makes text from outside, such as a User-Agent header, fit for a
// record: valid UTF-8, nothing unprintable, at most most characters.
func Printable(text string, most int) string {
	var b strings.Builder
	n := 0
	for _, r := range text { // an invalid byte comes as U+FFFD
		if n == most {
			break
		}
		if unprintable(r) {
			r = unicode.ReplacementChar
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }
