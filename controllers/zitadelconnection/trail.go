package zitadelconnection

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/idp"
)

// What internal/ledger needs to append on our behalf.
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaauditrecords,verbs=get;list;watch;create;delete
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaledgers,verbs=get;create
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaledgersnapshots,verbs=get

// Recorder appends records to the audit ledger of a namespace, all or none of
// them. A record whose Origin is in the ledger already is left out.
type Recorder interface {
	Record(ctx context.Context, namespace string, records ...audit.Record) error
}

// Trail is a Listener that records what happens at the instances in the ledger
// of the operator's namespace. A ledger that takes nothing holds the follower
// back: the events come again, and none is lost.
type Trail struct {
	Recorder Recorder
	// Namespace is the operator's own.
	Namespace string

	mu       sync.Mutex
	sessions recentSessions
}

// maxAppended bounds what is appended at once, in bytes of JSON. A ledger takes
// about twice that.
const maxAppended = 128 << 10

// Heard implements Listener.
func (t *Trail) Heard(ctx context.Context, connection string, events []idp.Event) error {
	var records []audit.Record
	size := 0
	for i := range events {
		record, told := t.recordOf(connection, &events[i])
		if !told {
			continue
		}
		text, err := json.Marshal(record)
		if err != nil {
			return fmt.Errorf("rendering event %s: %w", record.Origin.Aggregate, err)
		}
		if size+len(text) > maxAppended {
			if err := t.append(ctx, records); err != nil {
				return err
			}
			records, size = nil, 0
		}
		records, size = append(records, record), size+len(text)
	}
	return t.append(ctx, records)
}

func (t *Trail) append(ctx context.Context, records []audit.Record) error {
	if err := t.Recorder.Record(ctx, t.Namespace, records...); err != nil {
		return fmt.Errorf("recording what happened at Zitadel: %w", err)
	}
	return nil
}

// userActions are the events of users that become a record as they are.
var userActions = map[idp.EventKind]audit.Action{
	idp.FactorAdded:     audit.FactorEnrolled,
	idp.FactorRemoved:   audit.FactorRemoved,
	idp.UserLocked:      audit.UserLocked,
	idp.UserUnlocked:    audit.UserUnlocked,
	idp.UserDeactivated: audit.UserSuspended,
	idp.UserReactivated: audit.UserRestored,
	idp.UserRemoved:     audit.UserRemoved,
	idp.PasswordChanged: audit.UserChanged,
	idp.PhoneRemoved:    audit.UserChanged,
}

// recordOf says an event as a record; false: it is none of the audit's business.
func (t *Trail) recordOf(connection string, e *idp.Event) (audit.Record, bool) {
	r := audit.Record{Outcome: audit.Succeeded, Subject: e.UserID, Method: string(e.Factor), Origin: originOf(connection, e.Key())}
	switch e.Kind {
	case idp.SessionUserChecked:
		t.remember(connection, e.Aggregate.ID, e.UserID)
		return audit.Record{}, false
	case idp.SessionFactorChecked:
		if e.Factor == idp.Password || e.Factor == idp.ExternalLogin {
			return audit.Record{}, false // no second factor
		}
		r.Action, r.Session = audit.SSOLogin, audit.Printable(e.Aggregate.ID, audit.MaxSession)
		if r.Subject = t.userOf(connection, e.Aggregate.ID); r.Subject == "" {
			r.Subject, r.Reason = e.Aggregate.ID, "UserUnknown"
		}
	case idp.CheckSucceeded, idp.CheckFailed:
		switch e.Factor {
		case idp.ExternalLogin:
			return audit.Record{}, false // no second factor, and no password of ours
		case idp.Password:
			r.Action = audit.SSOPasswordCheck
		default:
			r.Action = audit.SSOFactorCheck
		}
		if e.Kind == idp.CheckFailed {
			r.Outcome = audit.Failed
		}
	case idp.SettingsChanged:
		r.Action, r.Reason, r.Subject = audit.ProviderPolicyEdited, string(e.Change), connection+"/instance"
		if !e.Scope.IsInstance() {
			r.Subject = connection + "/" + e.Scope.OrganizationID
		}
		r.Details = append(r.Details, audit.Detail{Name: "group", Value: string(e.Group)})
	default:
		action, told := userActions[e.Kind]
		if !told {
			return audit.Record{}, false
		}
		if r.Action = action; action == audit.UserChanged {
			r.Reason = string(e.Kind)
		}
	}
	r.Subject = audit.Printable(r.Subject, audit.MaxSubject)
	if e.Editor.UserID != "" && e.Editor.UserID != e.UserID {
		r.Actor = audit.Printable(e.Editor.UserID, audit.MaxActor)
	}
	// The ledger's time is when it heard of it.
	r.Details = append(r.Details, audit.Detail{Name: "at", Value: e.At.UTC().Format(time.RFC3339Nano)})
	detail := func(name, value string) {
		if value != "" {
			r.Details = append(r.Details, audit.Detail{Name: name, Value: audit.Printable(value, audit.MaxDetailValue)})
		}
	}
	if r.Actor != "" && e.Editor.Name != e.Editor.UserID {
		detail("actorName", e.Editor.Name)
	}
	detail("organization", e.OrganizationID)
	detail("credential", e.Credential)
	return r, true
}

// originOf names an event within all connections. Ids may be chosen by whoever
// creates a user: one that a record could not hold is replaced by its hash.
func originOf(connection string, key idp.EventKey) *audit.Origin {
	name := connection + "/" + key.Aggregate.Type + "/" + key.Aggregate.ID
	if utf8.RuneCountInString(name) > audit.MaxAggregate || strings.ContainsFunc(name, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }) {
		sum := sha256.Sum256([]byte(key.Aggregate.ID))
		name = connection + "/" + key.Aggregate.Type + "/sha256:" + hex.EncodeToString(sum[:])
	}
	return &audit.Origin{Aggregate: name, Sequence: int64(key.Sequence)}
}

// recentSessions remember whose a session is: of what happens in a session, only
// its beginning tells. They are two generations of at most maxSessions each; when
// the newer is full, the older is forgotten.
type recentSessions struct {
	newer, older map[sessionKey]string
}

type sessionKey struct{ connection, id string }

const maxSessions = 10000

func (t *Trail) remember(connection, id, user string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.sessions
	if s.newer == nil || len(s.newer) >= maxSessions {
		s.newer, s.older = map[sessionKey]string{}, s.newer
	}
	s.newer[sessionKey{connection, id}] = user
}

// userOf is empty for a session that began before this process, or too many
// others ago.
func (t *Trail) userOf(connection, id string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := sessionKey{connection, id}
	if user, known := t.sessions.newer[key]; known {
		return user
	}
	return t.sessions.older[key]
}
