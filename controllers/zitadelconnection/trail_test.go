package zitadelconnection

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/idp"
)

// appended is a ledger that holds its records to their bounds, and takes only so
// many batches.
type appended struct {
	room    int
	batches [][]audit.Record
}

var errFull = errors.New("there is no room")

func (a *appended) Record(_ context.Context, namespace string, records ...audit.Record) error {
	if len(records) == 0 {
		return nil
	}
	if namespace != "neosc-system" {
		return fmt.Errorf("namespace %s", namespace)
	}
	for _, r := range records {
		if err := r.Check(); err != nil {
			return err
		}
	}
	if len(a.batches) == a.room {
		return errFull
	}
	a.batches = append(a.batches, records)
	return nil
}

func (a *appended) records() (all []audit.Record) {
	for _, b := range a.batches {
		all = append(all, b...)
	}
	return all
}

var at = time.Date(2026, 11, 26, 1, 2, 3, 4000, time.UTC)

func happened(kind idp.EventKind, aggregate, id string, change func(*idp.Event)) idp.Event {
	e := idp.Event{Aggregate: idp.Aggregate{Type: aggregate, ID: id}, Sequence: 7, At: at, Kind: kind}
	if aggregate == "user" {
		e.UserID, e.OrganizationID = id, "org"
	}
	if change != nil {
		change(&e)
	}
	return e
}

func hear(t *testing.T, trail *Trail, events ...idp.Event) error {
	t.Helper()
	return trail.Heard(t.Context(), "default", events)
}

func TestEventsBecomeRecords(t *testing.T) {
	by := func(id, name string) func(*idp.Event) {
		return func(e *idp.Event) { e.Editor = idp.Editor{UserID: id, Name: name} }
	}
	factor := func(f idp.Factor) func(*idp.Event) { return func(e *idp.Event) { e.Factor = f } }
	details := []audit.Detail{{Name: "at", Value: "2026-11-26T01:02:03.000004Z"}, {Name: "organization", Value: "org"}}
	record := func(action audit.Action, change func(*audit.Record)) *audit.Record {
		r := &audit.Record{Action: action, Outcome: audit.Succeeded, Subject: "ann", Details: details, Origin: &audit.Origin{Aggregate: "default/user/ann", Sequence: 7}}
		if change != nil {
			change(r)
		}
		return r
	}
	method := func(m string) func(*audit.Record) { return func(r *audit.Record) { r.Method = m } }
	for _, c := range []struct {
		reason string
		event  idp.Event
		want   *audit.Record // nil: none
	}{
		{"a user's own doing has no other actor", happened(idp.UserLocked, "user", "ann", by("ann", "Ann")), record(audit.UserLocked, nil)},
		{"an administrator is named", happened(idp.UserUnlocked, "user", "ann", by("1", "Adam")), record(audit.UserUnlocked, func(r *audit.Record) {
			r.Actor = "1"
			r.Details = []audit.Detail{details[0], {Name: "actorName", Value: "Adam"}, details[1]}
		})},
		{"a key is named", happened(idp.FactorAdded, "user", "ann", func(e *idp.Event) { e.Factor, e.Credential = idp.U2F, "key" }), record(audit.FactorEnrolled, func(r *audit.Record) {
			r.Method = "U2F"
			r.Details = []audit.Detail{details[0], details[1], {Name: "credential", Value: "key"}}
		})},
		{"a wrong code", happened(idp.CheckFailed, "user", "ann", factor(idp.TOTP)), record(audit.SSOFactorCheck, func(r *audit.Record) {
			r.Method, r.Outcome = "TOTP", audit.Failed
		})},
		{"a password is no factor", happened(idp.CheckSucceeded, "user", "ann", factor(idp.Password)), record(audit.SSOPasswordCheck, method("Password"))},
		{"nor is another provider, which checks no password here", happened(idp.CheckSucceeded, "user", "ann", factor(idp.ExternalLogin)), nil},
		{"a phone that is gone takes its codes with it", happened(idp.PhoneRemoved, "user", "ann", nil), record(audit.UserChanged, func(r *audit.Record) { r.Reason = "PhoneRemoved" })},
		{"a profile is nobody's business", happened(idp.UserChanged, "user", "ann", nil), nil},
		{"a password in a session is in the user's own events", happened(idp.SessionFactorChecked, "session", "s", factor(idp.Password)), nil},
		{"a session that began before us", happened(idp.SessionFactorChecked, "session", "s", factor(idp.TOTP)), record(audit.SSOLogin, func(r *audit.Record) {
			r.Subject, r.Session, r.Method, r.Reason = "s", "s", "TOTP", "UserUnknown"
			r.Details, r.Origin.Aggregate = details[:1], "default/session/s"
		})},
		{"settings of an organization", happened(idp.SettingsChanged, "org", "acme", func(e *idp.Event) {
			e.Scope, e.Group, e.Change = idp.InOrganization("acme"), idp.Login, idp.PolicyCreated
		}), record(audit.ProviderPolicyEdited, func(r *audit.Record) {
			r.Subject, r.Reason = "default/acme", "Created"
			r.Details, r.Origin.Aggregate = []audit.Detail{{Name: "group", Value: string(idp.Login)}, details[0]}, "default/org/acme"
		})},
	} {
		ledger := &appended{room: 1}
		if err := hear(t, &Trail{Recorder: ledger, Namespace: "neosc-system"}, c.event); err != nil {
			t.Errorf("%s: %v", c.reason, err)
		}
		var want []audit.Record
		if c.want != nil {
			want = append(want, *c.want)
		}
		if diff := cmp.Diff(want, ledger.records()); diff != "" {
			t.Errorf("%s:\n%s", c.reason, diff)
		}
	}
}

// TestASessionIsSomebodys, of this connection: ids are unique within an instance
// only.
func TestASessionIsSomebodys(t *testing.T) {
	ledger := &appended{room: 9}
	trail := &Trail{Recorder: ledger, Namespace: "neosc-system"}
	begins := happened(idp.SessionUserChecked, "session", "s", func(e *idp.Event) { e.UserID = "ann" })
	checked := happened(idp.SessionFactorChecked, "session", "s", func(e *idp.Event) { e.Factor = idp.WebAuthn })
	if err := errors.Join(hear(t, trail, begins), hear(t, trail, checked), trail.Heard(t.Context(), "other", []idp.Event{checked})); err != nil {
		t.Fatal(err)
	}
	for i := range maxSessions { // the oldest generation but one is kept
		trail.remember("default", fmt.Sprint(i), "bob")
	}
	if err := hear(t, trail, checked); err != nil {
		t.Fatal(err)
	}
	for i := range 2 * maxSessions {
		trail.remember("default", fmt.Sprint(i), "bob")
	}
	if err := hear(t, trail, checked); err != nil {
		t.Fatal(err)
	}
	var subjects []string
	for _, r := range ledger.records() {
		subjects = append(subjects, r.Subject+" "+r.Reason)
	}
	if diff := cmp.Diff([]string{"ann ", "s UserUnknown", "ann ", "s UserUnknown"}, subjects); diff != "" {
		t.Error(diff)
	}
	if n := len(trail.sessions.newer) + len(trail.sessions.older); n > 2*maxSessions {
		t.Errorf("%d sessions are remembered", n)
	}
}

// TestHostileIds: ids and names are chosen by whoever creates a user, and must
// not keep an event out of the ledger, nor make two events one.
func TestHostileIds(t *testing.T) {
	ledger := &appended{room: 9}
	long := strings.Repeat("€", 300)
	for _, id := range []string{long + "1", long + "2", "a\nb", "a\x00b", "a\xffb", "a\xfeb"} {
		e := happened(idp.UserLocked, "user", id, func(e *idp.Event) { e.Editor = idp.Editor{UserID: long, Name: long + "\n" + long} })
		if err := hear(t, &Trail{Recorder: ledger, Namespace: "neosc-system"}, e); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	origins := map[string]bool{}
	for _, r := range ledger.records() {
		origins[r.Origin.Aggregate] = true
	}
	if len(origins) != 6 {
		t.Errorf("6 users have %d origins", len(origins))
	}
}

// TestManyEvents: a poll is one append, unless that would be too large; what a
// ledger does not take is an error, for the follower to come again.
func TestManyEvents(t *testing.T) {
	events := make([]idp.Event, 5000)
	for i := range events {
		events[i] = happened(idp.CheckFailed, "user", fmt.Sprint(i), func(e *idp.Event) { e.Factor = idp.TOTP })
	}
	ledger := &appended{room: 1}
	trail := &Trail{Recorder: ledger, Namespace: "neosc-system"}
	if err := hear(t, trail, events[:300]...); err != nil || len(ledger.batches) != 1 {
		t.Errorf("%d appends for 300 checks, %v", len(ledger.batches), err)
	}
	if err := hear(t, trail, events...); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
	ledger.room, ledger.batches = 100, nil
	if err := hear(t, trail, events...); err != nil || len(ledger.records()) != len(events) {
		t.Errorf("%d records, %v", len(ledger.records()), err)
	}
	for i, b := range ledger.batches {
		text, err := json.Marshal(b)
		if err != nil || len(text) > maxAppended+len(b)+2 || len(ledger.batches) > 20 {
			t.Errorf("append %d of %d has %d bytes, %v", i, len(ledger.batches), len(text), err)
		}
	}
}
