package zitadel

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/admin"
	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"

	"github.com/neosc/mfa-operator/internal/idp"
)

const listEventsMethod = adminAPI + "ListEvents"

func poll(t *testing.T, client *Client, since idp.Cursor) idp.Batch {
	t.Helper()
	batch, err := client.Events(t.Context(), since)
	if err != nil {
		t.Fatalf("polling: %v", err)
	}
	return batch
}

func fromNow(t *testing.T, client *Client) idp.Cursor {
	t.Helper()
	cursor, err := client.EventsFromNow(t.Context())
	if err != nil {
		t.Fatalf("finding the end of the log: %v", err)
	}
	return cursor
}

// delivered counts events per key.
type delivered map[idp.EventKey]int

func (d delivered) take(batch idp.Batch) {
	for _, e := range batch.Events {
		d[e.Key()]++
	}
}

// TestNoEventIsLost has four writers at work, whose commands write up to seven
// events of one time each, against pages of seven.
func TestNoEventIsLost(t *testing.T) {
	server, client := newServer(t)
	client.pageSize = 7
	cursor := fromNow(t, client)

	const writers, rounds = 4, 25
	var writing sync.WaitGroup
	scopes := make([][]idp.Scope, writers)
	for w := range writers {
		writing.Add(1)
		go func() {
			defer writing.Done()
			for i := range rounds {
				scope := fresh(server, fmt.Sprintf("org-%d-%d", w, i))
				scopes[w] = append(scopes[w], scope)
				if _, err := client.Apply(t.Context(), scope, idp.Settings{idp.ForceMFA: idp.Bool(true)}); err != nil {
					t.Errorf("writing to %s: %v", scope, err)
				}
			}
		}()
	}
	written := make(chan struct{})
	go func() { writing.Wait(); close(written) }()

	got := delivered{}
	for over := false; !over; {
		select {
		case <-written:
			over = true
		default:
		}
		for more := true; more; {
			batch := poll(t, client, cursor)
			got.take(batch)
			cursor, more = batch.Next, batch.More
		}
	}

	lost, total := 0, 0
	for _, scope := range slices.Concat(scopes...) {
		for i := range server.EventTypes(scope.OrganizationID) {
			total++
			key := idp.EventKey{Aggregate: idp.Aggregate{Type: "org", ID: scope.OrganizationID}, Sequence: uint64(i + 1)}
			if got[key] == 0 {
				lost++
			}
		}
	}
	if lost > 0 || total < writers*rounds*5 {
		t.Errorf("lost %d of %d events", lost, total)
	}
	for key, times := range got {
		if times > 1 {
			t.Errorf("%v was delivered %d times", key, times)
		}
	}
	if naive := naivePaging(t, client); naive >= len(got) {
		t.Errorf("paging by the last time found all %d events, so this test proves nothing", naive)
	}
}

// naivePaging counts what reading on from the last time of each page finds.
func naivePaging(t *testing.T, client *Client) int {
	t.Helper()
	found := delivered{}
	for from := (time.Time{}); ; {
		page, err := client.listEvents(t.Context(), after(&admin.ListEventsRequest{AggregateTypes: []string{"org"}}, from, 7))
		if err != nil {
			t.Fatal(err)
		}
		found.take(idp.Batch{Events: page})
		if len(page) < 7 {
			return len(found)
		}
		from = page[6].At
	}
}

func TestSteadyStateCostsOneCall(t *testing.T) {
	server, client := newServer(t)
	cursor := fromNow(t, client)
	for i := range 3 {
		fresh(server, fmt.Sprintf("org-%d", i))
		before := counted(server, listEventsMethod)
		batch := poll(t, client, cursor)
		if len(batch.Events) != 4 {
			t.Errorf("creating an organization is %d events, want 4", len(batch.Events))
		}
		cursor = batch.Next
		if quiet := poll(t, client, cursor); len(quiet.Events) > 0 || len(quiet.Next.Seen) != len(cursor.Seen) || !quiet.Next.From.Equal(cursor.From) {
			t.Errorf("where nothing happened a poll found %v and moved the cursor from %v to %v", quiet.Events, cursor, quiet.Next)
		}
		if calls := counted(server, listEventsMethod) - before; calls != 2 {
			t.Errorf("two polls took %d calls", calls)
		}
	}
}

var start = time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)

func org(id string) idp.Aggregate  { return idp.Aggregate{Type: "org", ID: id} }
func person(i int) idp.Aggregate   { return idp.Aggregate{Type: "user", ID: fmt.Sprint(i)} }
func micro(n int) time.Duration    { return time.Duration(n) * time.Microsecond }
func keysOf(b idp.Batch) delivered { d := delivered{}; d.take(b); return d }

func TestEventThatBecomesVisibleLate(t *testing.T) {
	server, client := newLogServer(t, 7)
	server.happen(start, org("1"), 1, "org.added", nil)
	cursor := poll(t, client, idp.Cursor{}).Next

	server.happen(start.Add(2*time.Second), person(7), 1, "user.locked", nil)
	cursor = poll(t, client, cursor).Next
	server.happen(start.Add(time.Second), org("1"), 2, "org.policy.login.changed", nil)
	batch := poll(t, client, cursor)
	if len(batch.Events) != 1 || batch.Events[0].Aggregate != org("1") || batch.Events[0].Sequence != 2 {
		t.Errorf("an event recorded before the newest was not delivered: %v", batch.Events)
	}
	if again := poll(t, client, batch.Next); len(again.Events) > 0 {
		t.Errorf("delivered again: %v", again.Events)
	}
}

// TestSameIdOfAnotherTypeHidesNothing: whoever creates a user may choose its
// id, also that of an organization.
func TestSameIdOfAnotherTypeHidesNothing(t *testing.T) {
	server, client := newLogServer(t, 7)
	server.happen(start, idp.Aggregate{Type: "user", ID: "1"}, 1, "user.human.added", nil)
	cursor := poll(t, client, idp.Cursor{}).Next
	server.happen(start.Add(time.Second), org("1"), 1, "org.policy.login.added", nil)
	if batch := poll(t, client, cursor); len(batch.Events) != 1 || batch.Events[0].Kind != idp.SettingsChanged {
		t.Errorf("an organization's event with the id and the sequence of a user's was taken for it: %v", batch.Events)
	}
}

func TestCrowdedInstant(t *testing.T) {
	for _, c := range []struct {
		crowd  int
		all    bool
		reason string
	}{
		{20, true, "the page grows until it holds the instant"},
		{999, true, "one less than the largest page"},
		{1000, true, "a page that is full of one instant, and is all of it"},
		{2500, false, "more than the largest page: metadata set in bulk"},
	} {
		server, client := newLogServer(t, 7)
		server.happen(start.Add(-time.Second), org("1"), 1, "org.added", nil)
		for i := range c.crowd {
			server.happen(start, person(7), uint64(i+1), "user.metadata.set", nil)
		}
		server.happen(start, org("1"), 2, "org.policy.login.added", nil)
		server.happen(start, org("1"), 3, "org.policy.login.secondfactor.added", nil)
		server.happen(start.Add(micro(1)), org("1"), 4, "org.policy.login.changed", nil)

		var sequences []uint64
		all := delivered{}
		cursor := idp.Cursor{}
		for more := true; more; {
			batch := poll(t, client, cursor)
			for _, e := range batch.Events {
				if e.Aggregate == org("1") {
					sequences = append(sequences, e.Sequence)
				}
			}
			all.take(batch)
			cursor, more = batch.Next, batch.More
		}
		if !slices.Equal(sequences, []uint64{1, 2, 3, 4}) {
			t.Errorf("%s: delivered %v of the organization's events", c.reason, sequences)
		}
		if c.all && len(all) != c.crowd+4 {
			t.Errorf("%s: delivered %d of %d events", c.reason, len(all), c.crowd+4)
		}
		if len(cursor.Seen) > idp.MaxSeen {
			t.Errorf("%s: the cursor remembers %d events", c.reason, len(cursor.Seen))
		}
		if again := poll(t, client, cursor); len(again.Events) > 0 {
			t.Errorf("%s: %d events were delivered again", c.reason, len(again.Events))
		}
	}
}

// TestBusyLog checks that a cursor stays bounded, and a poll at one call, where
// much happens within the overlap.
func TestBusyLog(t *testing.T) {
	server, client := newLogServer(t, maxPage)
	happened := 0
	more := func(n int) {
		for range n {
			happened++
			server.happen(start.Add(time.Duration(happened)*time.Millisecond), person(happened), 1, "user.locked", nil)
		}
	}
	more(1500)
	got := delivered{}
	batch := poll(t, client, idp.Cursor{})
	got.take(batch)
	for range 5 {
		more(400)
		before := server.callsSince(0)
		batch = poll(t, client, batch.Next)
		got.take(batch)
		if calls := server.callsSince(before); calls != 1 || len(batch.Next.Seen) > idp.MaxSeen {
			t.Errorf("a poll took %d calls, the cursor remembers %d events", calls, len(batch.Next.Seen))
		}
	}
	if len(got) != happened {
		t.Errorf("delivered %d of %d events", len(got), happened)
	}
}

// TestPollStopsAndGoesOn: a poll is bounded, and the next one takes over where
// it ended, also within an instant.
func TestPollStopsAndGoesOn(t *testing.T) {
	for _, age := range []time.Duration{time.Second, time.Hour} {
		server, client := newLogServer(t, 5)
		client.now = func() time.Time { return start.Add(age) }
		const happened = 1000
		for i := range happened {
			server.happen(start.Add(micro(i/4)), person(i), 1, "user.locked", nil) // four of each time
		}
		got, polls := delivered{}, 0
		cursor := idp.Cursor{}
		for more := true; more; polls++ {
			batch := poll(t, client, cursor)
			got.take(batch)
			cursor, more = batch.Next, batch.More
		}
		if len(got) != happened || polls < 5 {
			t.Errorf("log %s old: %d polls delivered %d of %d events", age, polls, len(got), happened)
		}
		for key, times := range got {
			if times > 1 {
				t.Errorf("log %s old: %v was delivered %d times", age, key, times)
			}
		}
	}
}

func TestLargePayloads(t *testing.T) {
	server, client := newLogServer(t, maxPage)
	large := map[string]any{"value": strings.Repeat("x", 1<<20)}
	const many = maxReceived>>20 + 4 // more than one answer holds
	for i := range many {
		server.happen(start.Add(micro(i)), person(i), 1, "user.metadata.set", large)
	}
	for i := range many { // and of one time
		server.happen(start.Add(time.Second), person(7), uint64(i+2), "user.metadata.set", large)
	}
	server.happen(start.Add(time.Second), org("1"), 1, "org.policy.login.changed", nil)
	got := keysOf(poll(t, client, idp.Cursor{}))
	if got[idp.EventKey{Aggregate: org("1"), Sequence: 1}] != 1 {
		t.Error("metadata too large for one answer hid a change of settings")
	}
}

func TestHistoryIsAllOfATopic(t *testing.T) {
	server, client := newServer(t)
	client.pageSize = 7
	want := map[idp.Topic]int{}
	for i := range 20 {
		scope := fresh(server, fmt.Sprintf("org-%d", i))
		id := server.AddHuman(scope.OrganizationID, fmt.Sprintf("ann-%d", i), "ann@example.com")
		server.AddTOTP(id)
		server.AddU2F(id, "key")
		server.SetUserState(id, user.UserState_USER_STATE_LOCKED)
		apply(t, client, scope, idp.Settings{idp.ForceMFA: idp.Bool(true)})
		want[idp.UserHistory] += 4 // added, both factors ready, locked
		want[idp.OrganizationHistory]++
	}
	for topic, n := range want {
		got := delivered{}
		cursor, pages := idp.Cursor{}, 0
		for more := true; more; pages++ {
			batch, err := client.History(t.Context(), topic, cursor)
			if err != nil {
				t.Fatal(err)
			}
			got.take(batch)
			cursor, more = batch.Next, batch.More
		}
		if len(got) != n || pages > n {
			t.Errorf("%s: %d pages with %d events, want %d events", topic, pages, len(got), n)
		}
	}
	if _, err := client.History(t.Context(), "weather", idp.Cursor{}); !errors.Is(err, idp.ErrRejected) {
		t.Errorf("an unknown topic: %v", err)
	}
}

func TestNamesFitIntoOneCall(t *testing.T) {
	for topic, names := range topics {
		if len(names) > maxNames {
			t.Errorf("topic %s has %d names", topic, len(names))
		}
	}
	for _, g := range idp.AllGroups() {
		for _, level := range []string{instanceAggregate, orgAggregate} {
			if names := editNames(level, g); len(names) > maxNames || len(names) < 3 {
				t.Errorf("%s has %d names at the %s: %v", g, len(names), level, names)
			}
		}
	}
}

func TestLastEdit(t *testing.T) {
	server, client := newServer(t)
	acme := fresh(server, "acme")
	machine, token := server.AddMachine(acme.OrganizationID, "eve", "ORG_OWNER")
	eve := dial(t, configFor(t, server.Addr(), token))
	apply(t, client, acme, idp.Settings{idp.ForceMFA: idp.Bool(true)})
	apply(t, eve, acme, idp.Settings{idp.SecondFactorU2F: idp.Bool(false)})
	apply(t, client, idp.Instance, idp.Settings{idp.ForceMFA: idp.Bool(true)})

	for _, c := range []struct {
		scope  idp.Scope
		group  idp.Group
		editor string
		reason string
	}{
		{acme, idp.Login, machine, "the organization's administrator took a factor away"},
		{idp.Instance, idp.Login, server.OwnerID(), "the instance's policy is another one"},
	} {
		before := counted(server, listEventsMethod)
		edit, err := client.LastEdit(t.Context(), c.scope, c.group)
		if err != nil || edit.Editor.UserID != c.editor || edit.Editor.Name == "" || edit.At.IsZero() {
			t.Errorf("%s: %+v, %v; want editor %s", c.reason, edit, err, c.editor)
		}
		if calls := counted(server, listEventsMethod) - before; calls != 1 {
			t.Errorf("%s: %d calls", c.reason, calls)
		}
	}
	if _, err := client.LastEdit(t.Context(), acme, idp.Lockout); idp.CauseOf(err) != idp.NoSuchObject {
		t.Errorf("a policy nobody ever changed: %v", err)
	}
	if _, err := client.LastEdit(t.Context(), acme, "weather"); !errors.Is(err, idp.ErrRejected) {
		t.Errorf("an unknown group: %v", err)
	}
}

func TestEventsNeedAPermission(t *testing.T) {
	server, _ := newServer(t)
	acme := server.AddOrganization("acme")
	for _, roles := range [][]string{{"ORG_OWNER"}, {"IAM_USER_MANAGER"}, nil} {
		_, token := server.AddMachine(acme, fmt.Sprint("machine", roles), roles...)
		client := dial(t, configFor(t, server.Addr(), token))
		_, polled := client.Events(t.Context(), idp.Cursor{})
		_, began := client.EventsFromNow(t.Context())
		_, edited := client.LastEdit(t.Context(), idp.Instance, idp.Login)
		_, replayed := client.History(t.Context(), idp.UserHistory, idp.Cursor{})
		for what, err := range map[string]error{"events": polled, "end": began, "last edit": edited, "history": replayed} {
			if !errors.Is(err, idp.ErrDenied) || idp.CauseOf(err) != idp.MissingPermission {
				t.Errorf("%s with the roles %v: %v", what, roles, err)
			}
		}
	}
	_, token := server.AddMachine(acme, "viewer", "IAM_OWNER_VIEWER")
	if batch := poll(t, dial(t, configFor(t, server.Addr(), token)), idp.Cursor{}); len(batch.Events) == 0 {
		t.Error("a viewer of the instance sees no event")
	}
}

func TestEventWords(t *testing.T) {
	const owner = "9"
	for _, c := range []struct {
		name    string
		about   idp.Aggregate
		payload map[string]any
		want    idp.Event
	}{
		{"instance.policy.login.changed", idp.Aggregate{Type: "instance", ID: "1"}, map[string]any{"forceMFA": false},
			idp.Event{Kind: idp.SettingsChanged, Group: idp.Login, Change: idp.PolicyEdited}},
		{"instance.policy.login.secondfactor.removed", idp.Aggregate{Type: "instance", ID: "1"}, nil,
			idp.Event{Kind: idp.SettingsChanged, Group: idp.Login, Change: idp.PolicyEdited}},
		{"org.policy.login.added", org("3"), nil,
			idp.Event{Kind: idp.SettingsChanged, Scope: idp.InOrganization("3"), Group: idp.Login, Change: idp.PolicyCreated, OrganizationID: "3"}},
		{"org.policy.password.complexity.removed", org("3"), nil,
			idp.Event{Kind: idp.SettingsChanged, Scope: idp.InOrganization("3"), Group: idp.PasswordComplexity, Change: idp.PolicyRemoved, OrganizationID: "3"}},
		{"org.policy.password.age.changed", org("3"), nil,
			idp.Event{Kind: idp.SettingsChanged, Scope: idp.InOrganization("3"), Group: idp.PasswordAge, Change: idp.PolicyEdited, OrganizationID: "3"}},
		{"org.policy.label.changed", org("3"), nil,
			idp.Event{Kind: idp.OtherEvent, Scope: idp.InOrganization("3"), OrganizationID: "3"}},
		{"org.changed", org("3"), map[string]any{"name": "acme"},
			idp.Event{Kind: idp.OrganizationChanged, Scope: idp.InOrganization("3"), OrganizationID: "3", OrganizationName: "acme"}},
		{"org.domain.primary.set", org("3"), map[string]any{"domain": "acme.example.com"},
			idp.Event{Kind: idp.OrganizationChanged, Scope: idp.InOrganization("3"), OrganizationID: "3", PrimaryDomain: "acme.example.com"}},
		{"org.removed", org("3"), nil,
			idp.Event{Kind: idp.OrganizationRemoved, Scope: idp.InOrganization("3"), OrganizationID: "3"}},
		{"user.human.added", person(5), map[string]any{"encodedHash": "$2a$14$secret", "email": "ann@example.com"},
			idp.Event{Kind: idp.UserAdded, UserID: "5", OrganizationID: owner, HasPassword: true}},
		{"user.human.selfregistered", person(5), map[string]any{"userName": "ann"},
			idp.Event{Kind: idp.UserAdded, UserID: "5", OrganizationID: owner}},
		{"user.human.mfa.otp.added", person(5), map[string]any{"otpSecret": map[string]any{"crypted": "secret"}},
			idp.Event{Kind: idp.OtherEvent, UserID: "5", OrganizationID: owner}},
		{"user.human.mfa.otp.verified", person(5), nil,
			idp.Event{Kind: idp.FactorAdded, Factor: idp.TOTP, UserID: "5", OrganizationID: owner}},
		{"user.mfa.otp.verified", person(5), nil,
			idp.Event{Kind: idp.FactorAdded, Factor: idp.TOTP, UserID: "5", OrganizationID: owner}},
		{"user.human.mfa.otp.sms.added", person(5), nil,
			idp.Event{Kind: idp.FactorAdded, Factor: idp.OTPSMS, UserID: "5", OrganizationID: owner}},
		{"user.human.mfa.otp.email.removed", person(5), nil,
			idp.Event{Kind: idp.FactorRemoved, Factor: idp.OTPEmail, UserID: "5", OrganizationID: owner}},
		{"user.human.mfa.u2f.token.added", person(5), map[string]any{"webAuthNTokenId": "8", "challenge": "secret"},
			idp.Event{Kind: idp.OtherEvent, UserID: "5", OrganizationID: owner}},
		{"user.human.mfa.u2f.token.verified", person(5), map[string]any{"webAuthNTokenId": "8", "publicKey": "secret"},
			idp.Event{Kind: idp.FactorAdded, Factor: idp.U2F, Credential: "8", UserID: "5", OrganizationID: owner}},
		{"user.human.passwordless.token.removed", person(5), map[string]any{"webAuthNTokenId": "8"},
			idp.Event{Kind: idp.FactorRemoved, Factor: idp.Passkey, Credential: "8", UserID: "5", OrganizationID: owner}},
		{"user.human.mfa.recoverycode.added", person(5), map[string]any{"codes": []any{"secret"}},
			idp.Event{Kind: idp.FactorAdded, Factor: idp.RecoveryCodes, UserID: "5", OrganizationID: owner}},
		{"user.human.mfa.recoverycode.check.succeeded", person(5), map[string]any{"codeChecked": "secret"},
			idp.Event{Kind: idp.CheckSucceeded, Factor: idp.RecoveryCodes, UserID: "5", OrganizationID: owner}},
		{"user.human.password.check.failed", person(5), nil,
			idp.Event{Kind: idp.CheckFailed, Factor: idp.Password, UserID: "5", OrganizationID: owner}},
		{"user.human.externalidp.added", person(5), map[string]any{"idpConfigId": "4", "userId": "ext", "displayName": "Ann"},
			idp.Event{Kind: idp.IDPLinked, IDPID: "4", ExternalUserID: "ext", UserID: "5", OrganizationID: owner}},
		{"instance.idp.removed", idp.Aggregate{Type: "instance", ID: "1"}, map[string]any{"id": "4"},
			idp.Event{Kind: idp.IDPRemoved, IDPID: "4"}},
		{"org.idp.config.removed", org("3"), map[string]any{"idpConfigId": "4"},
			idp.Event{Kind: idp.IDPRemoved, IDPID: "4", Scope: idp.InOrganization("3"), OrganizationID: "3"}},
		{"session.user.checked", idp.Aggregate{Type: "session", ID: "6"}, map[string]any{"userID": "5", "userResourceOwner": "3"},
			idp.Event{Kind: idp.SessionUserChecked, UserID: "5", OrganizationID: "3"}},
		{"session.otp.email.challenged", idp.Aggregate{Type: "session", ID: "6"}, map[string]any{"code": "secret"},
			idp.Event{Kind: idp.OtherEvent}},
		{"session.webAuthN.checked", idp.Aggregate{Type: "session", ID: "6"}, nil,
			idp.Event{Kind: idp.SessionFactorChecked, Factor: idp.WebAuthn}},
		{"session.terminated", idp.Aggregate{Type: "session", ID: "6"}, nil,
			idp.Event{Kind: idp.SessionEnded}},
		{"user.some.day", person(5), map[string]any{"secret": "secret"},
			idp.Event{Kind: idp.OtherEvent, UserID: "5", OrganizationID: owner}},
	} {
		server, client := newLogServer(t, maxPage)
		server.happen(start, c.about, 12, c.name, c.payload)
		c.want.Aggregate, c.want.Sequence, c.want.At, c.want.Name = c.about, 12, start, c.name
		c.want.Editor = idp.Editor{UserID: "1", Name: "Eve"}
		batch := poll(t, client, idp.Cursor{})
		if len(batch.Events) != 1 || batch.Events[0] != c.want {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, batch.Events, c.want)
		}
		if strings.Contains(fmt.Sprintf("%+v", batch), "secret") && !strings.Contains(c.name, "secret") {
			t.Errorf("%s: something of the payload passed: %+v", c.name, batch)
		}
	}
}

// TestSimulatorSpeaksTheseNames holds the table to what the recorded exchanges
// pin: names that are misspelt here would be taken for other events.
func TestSimulatorSpeaksTheseNames(t *testing.T) {
	server, client := newServer(t)
	acme := owning(t, server, client, "acme")
	ann := server.AddHuman(acme.OrganizationID, "ann", "ann@example.com")
	server.AddTOTP(ann)
	server.AddU2F(ann, "key")
	server.AddPasskey(ann, "phone")
	server.SetUserState(ann, user.UserState_USER_STATE_LOCKED)
	server.RemoveOrganization(server.AddOrganization("gone"))

	kinds := map[idp.EventKind]int{}
	groups, factors := map[idp.Group]bool{}, map[idp.Factor]bool{}
	for _, e := range poll(t, client, idp.Cursor{}).Events {
		kinds[e.Kind]++
		if e.Change == idp.PolicyCreated && e.OrganizationID == acme.OrganizationID {
			groups[e.Group] = true
		}
		if e.Kind == idp.FactorAdded {
			factors[e.Factor] = true
		}
	}
	if len(groups) != 4 || len(factors) != 3 || kinds[idp.UserAdded] != 1 || kinds[idp.UserLocked] != 1 ||
		kinds[idp.OrganizationAdded] != 3 || kinds[idp.OrganizationRemoved] != 1 {
		t.Errorf("kinds %v, groups %v, factors %v", kinds, slices.Collect(maps.Keys(groups)), slices.Collect(maps.Keys(factors)))
	}
}

func TestEditorsChooseTheirNames(t *testing.T) {
	for name, want := range map[string]string{
		"Ann Example":              "Ann Example",
		"Ann\nReady=True\x1b[2J":   "AnnReady=True[2J",
		"\u202eevE":                "evE",
		strings.Repeat("ä", 10000): strings.Repeat("ä", 200),
	} {
		if got := presentable(name); got != want {
			t.Errorf("%.20q became %.40q", name, got)
		}
	}
}

// TestKindsAreDocumented holds the reference to the table.
func TestKindsAreDocumented(t *testing.T) {
	reference, err := os.ReadFile("../../docs/reference/zitadel-events.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range namings {
		if !strings.Contains(string(reference), "`"+string(n.kind)+"`") {
			t.Errorf("%s: the reference does not have %s", name, n.kind)
		}
	}
}

// TestTimesOutOfOrder: the server sorts by when a write took its place in the
// log, and filters by when it began; where writes run side by side the two
// differ a little.
func TestTimesOutOfOrder(t *testing.T) {
	for _, age := range []time.Duration{time.Second, time.Hour} {
		server, client := newLogServer(t, 10)
		client.now = func() time.Time { return start.Add(age) }
		const happened = 1000
		for i := range happened {
			at := start.Add(time.Duration(i) * 300 * time.Millisecond)
			if i%3 == 0 {
				at = at.Add(500 * time.Millisecond)
			}
			server.write(at, person(i), 1, "user.locked", nil)
		}
		for what, read := range map[string]func(idp.Cursor) (idp.Batch, error){
			"following": func(c idp.Cursor) (idp.Batch, error) { return client.Events(t.Context(), c) },
			"history":   func(c idp.Cursor) (idp.Batch, error) { return client.History(t.Context(), idp.UserHistory, c) },
		} {
			got, cursor := delivered{}, idp.Cursor{}
			for more := true; more; {
				batch, err := read(cursor)
				if err != nil {
					t.Fatal(err)
				}
				got.take(batch)
				cursor, more = batch.Next, batch.More
			}
			if len(got) != happened {
				t.Errorf("%s, log %s old: delivered %d of %d events", what, age, len(got), happened)
			}
		}
	}
}
