package policy

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/neosc/mfa-operator/internal/idp"
)

// log makes the events of a story, one user or organization after the other.
type log struct {
	sequences map[idp.Aggregate]uint64
	events    []idp.Event
}

func (l *log) happen(aggregate idp.Aggregate, e idp.Event) {
	if l.sequences == nil {
		l.sequences = map[idp.Aggregate]uint64{}
	}
	l.sequences[aggregate]++
	e.Aggregate, e.Sequence = aggregate, l.sequences[aggregate]
	e.At = time.Date(2026, 11, 23, 0, 0, len(l.events), 0, time.UTC)
	l.events = append(l.events, e)
}

func (l *log) user(id, org string, events ...idp.Event) {
	for _, e := range events {
		e.UserID, e.OrganizationID = id, org
		l.happen(idp.Aggregate{Type: "user", ID: id}, e)
	}
}

func (l *log) org(id string, events ...idp.Event) {
	for _, e := range events {
		e.OrganizationID, e.Scope = id, idp.InOrganization(id)
		l.happen(idp.Aggregate{Type: "org", ID: id}, e)
	}
}

func of(kind idp.EventKind) idp.Event { return idp.Event{Kind: kind} }
func gained(f idp.Factor, key string) idp.Event {
	return idp.Event{Kind: idp.FactorAdded, Factor: f, Credential: key}
}
func lost(f idp.Factor, key string) idp.Event {
	return idp.Event{Kind: idp.FactorRemoved, Factor: f, Credential: key}
}
func linked(idpID, external string) idp.Event {
	return idp.Event{Kind: idp.IDPLinked, IDPID: idpID, ExternalUserID: external}
}
func unlinked(idpID, external string) idp.Event {
	return idp.Event{Kind: idp.IDPUnlinked, IDPID: idpID, ExternalUserID: external}
}
func policyOf(g idp.Group, c idp.Change) idp.Event {
	return idp.Event{Kind: idp.SettingsChanged, Group: g, Change: c}
}

var added = of(idp.UserAdded)

func fold(events ...idp.Event) Census {
	r := &Register{}
	r.Fold(events...)
	return r.Census()
}

func TestTraitsOfAUser(t *testing.T) {
	for _, c := range []struct {
		events []idp.Event
		want   Traits
		reason string
	}{
		{[]idp.Event{added}, 0, "nothing yet"},
		{[]idp.Event{{Kind: idp.UserAdded, HasPassword: true}}, HasPassword, "added with a password"},
		{[]idp.Event{added, of(idp.PasswordChanged)}, HasPassword, "a first password"},
		{[]idp.Event{added, gained(idp.TOTP, ""), gained(idp.OTPEmail, ""), gained(idp.OTPSMS, ""), gained(idp.RecoveryCodes, "")},
			HasTOTP | HasOTPEmail | HasOTPSMS | HasRecoveryCodes, "factors of which a user has one"},
		{[]idp.Event{added, gained(idp.TOTP, ""), lost(idp.TOTP, "")}, 0, "removed"},
		{[]idp.Event{added, gained(idp.OTPSMS, ""), of(idp.PhoneRemoved)}, 0, "codes by SMS end with the phone"},
		{[]idp.Event{added, gained(idp.U2F, "1"), gained(idp.U2F, "2"), lost(idp.U2F, "1")}, HasU2F, "one of two keys is left"},
		{[]idp.Event{added, gained(idp.U2F, "1"), gained(idp.U2F, "2"), lost(idp.U2F, "1"), lost(idp.U2F, "2")}, 0, "no key is left"},
		{[]idp.Event{added, gained(idp.U2F, "1"), lost(idp.U2F, "2")}, HasU2F, "a key that was never verified is removed"},
		{[]idp.Event{added, gained(idp.Passkey, "1"), lost(idp.U2F, "1")}, HasPasskey, "Zitadel keeps a passkey that is removed as if it were a U2F key"},
		{[]idp.Event{added, gained(idp.Passkey, "1"), gained(idp.U2F, "2"), lost(idp.Passkey, "1")}, HasU2F, "a passkey is no U2F key"},
		{[]idp.Event{added, of(idp.UserLocked)}, Locked, "locked"},
		{[]idp.Event{added, of(idp.UserLocked), of(idp.UserUnlocked)}, 0, "unlocked"},
		{[]idp.Event{added, of(idp.UserLocked), of(idp.UserDeactivated)}, Inactive, "deactivating replaces the lock"},
		{[]idp.Event{added, of(idp.UserDeactivated), of(idp.UserReactivated)}, 0, "reactivated"},
		{[]idp.Event{added, linked("g", "ann"), linked("g", "bob"), unlinked("g", "ann")}, Linked, "one of two links is left"},
		{[]idp.Event{added, linked("g", "ann"), linked("m", "ann"), unlinked("g", "ann"), unlinked("m", "ann")}, 0, "no link is left"},
		{[]idp.Event{added, {Kind: idp.CheckFailed, Factor: idp.TOTP}, {Kind: idp.SessionEnded}}, 0, "what a census does not count"},
	} {
		l := &log{}
		l.user("1", "acme", c.events...)
		want := map[string]Tenant{"acme": {Users: Histogram{c.want: 1}}}
		if diff := cmp.Diff(want, fold(l.events...).Organizations); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
	}
}

func TestWhoIsCounted(t *testing.T) {
	l := &log{}
	l.user("ann", "acme", added)
	l.user("bob", "acme", added, gained(idp.TOTP, ""), of(idp.UserRemoved))
	l.user("robot", "acme", of(idp.MachineAdded), of(idp.UserLocked))
	l.user("eve", "gone", added, gained(idp.TOTP, ""))
	l.user("sso", "acme", added, linked("google", "1"), linked("google", "2"))
	l.user("both", "acme", added, linked("google", "3"), linked("azure", "3"))
	l.org("gone", policyOf(idp.Login, idp.PolicyCreated), of(idp.OrganizationRemoved))
	l.org("acme", idp.Event{Kind: idp.IDPRemoved, IDPID: "google"})
	l.org("empty", policyOf(idp.Login, idp.PolicyEdited))
	l.org("owner", policyOf(idp.Login, idp.PolicyCreated), policyOf(idp.Lockout, idp.PolicyCreated), policyOf(idp.Lockout, idp.PolicyRemoved))

	census := fold(l.events...)
	want := map[string]Tenant{
		"acme":  {Users: Histogram{0: 2, Linked: 1}}, // ann, sso; both
		"owner": {Own: []idp.Group{idp.Login}},
	}
	if diff := cmp.Diff(want, census.Organizations, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestHumans: those discovery asks for, and no longer than they are there.
func TestHumans(t *testing.T) {
	l := &log{}
	l.user("ann", "acme", added)
	l.user("bob", "acme", added, of(idp.UserRemoved))
	l.user("robot", "acme", of(idp.MachineAdded))
	l.user("eve", "gone", added)
	l.user("zoe", "other", added)
	l.org("gone", of(idp.OrganizationRemoved))
	var r Register
	r.Fold(l.events...)
	if diff := cmp.Diff(map[string]string{"ann": "acme"}, r.Humans("acme", "gone", "never")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestOrderAndRepetition: the same census comes out whatever the order between
// users and organizations, and however often a batch is told again.
func TestOrderAndRepetition(t *testing.T) {
	source := rand.New(rand.NewPCG(3, 4))
	for round := range 200 {
		l := randomStory(source)
		want := fold(l.events...)

		r := &Register{}
		for at := 0; at < len(l.events); { // batches, each told again from an earlier point
			end := min(at+1+source.IntN(10), len(l.events))
			r.Fold(l.events[max(0, at-source.IntN(20)):end]...)
			at = end
		}
		if diff := cmp.Diff(want.Organizations, r.Census().Organizations); diff != "" {
			t.Fatalf("round %d: told again (-want +got):\n%s", round, diff)
		}

		organizationsFirst := slices.Clone(l.events)
		slices.SortStableFunc(organizationsFirst, func(a, b idp.Event) int {
			rank := map[string]int{"org": 0, "user": 1}
			return rank[a.Aggregate.Type] - rank[b.Aggregate.Type]
		})
		if diff := cmp.Diff(want.Organizations, fold(organizationsFirst...).Organizations); diff != "" {
			t.Fatalf("round %d: organizations first (-want +got):\n%s", round, diff)
		}
		slices.Reverse(organizationsFirst)
		slices.SortStableFunc(organizationsFirst, func(a, b idp.Event) int { return int(a.Sequence) - int(b.Sequence) })
		if diff := cmp.Diff(want.Organizations, fold(organizationsFirst...).Organizations); diff != "" {
			t.Fatalf("round %d: by sequence (-want +got):\n%s", round, diff)
		}
	}
}

// randomStory has a few users of three organizations, as Zitadel would write
// it: nothing happens to who is gone.
func randomStory(source *rand.Rand) *log {
	l := &log{}
	orgs := []string{"a", "b", "c"}
	type user struct{ id, org string }
	var users []user
	next := 0
	for range 120 {
		if len(orgs) == 0 {
			break
		}
		org := orgs[source.IntN(len(orgs))]
		switch dice := source.IntN(30); {
		case dice < 6 || len(users) == 0:
			users = append(users, user{fmt.Sprint(next), org})
			l.user(fmt.Sprint(next), org, idp.Event{Kind: idp.UserAdded, HasPassword: dice%2 == 0})
			next++
		case dice == 6:
			l.org(org, of(idp.OrganizationRemoved))
			orgs = slices.DeleteFunc(orgs, func(o string) bool { return o == org })
			users = slices.DeleteFunc(users, func(u user) bool { return u.org == org })
		case dice < 10:
			changes := []idp.Change{idp.PolicyCreated, idp.PolicyEdited, idp.PolicyRemoved}
			l.org(org, policyOf(idp.AllGroups()[source.IntN(4)], changes[source.IntN(3)]))
		default:
			u := users[source.IntN(len(users))]
			key := fmt.Sprint(source.IntN(3))
			factor := idp.AllFactors()[source.IntN(6)]
			if factor != idp.U2F && factor != idp.Passkey {
				key = ""
			}
			happening := []idp.Event{
				gained(factor, key), gained(factor, key), lost(factor, key), of(idp.UserLocked), of(idp.UserUnlocked), of(idp.UserDeactivated),
				of(idp.UserReactivated), of(idp.PhoneRemoved), of(idp.PasswordChanged), linked("x", key), unlinked("x", key), of(idp.UserRemoved),
			}
			e := happening[source.IntN(len(happening))]
			l.user(u.id, u.org, e)
			if e.Kind == idp.UserRemoved {
				users = slices.DeleteFunc(users, func(other user) bool { return other == u })
			}
		}
	}
	return l
}

// BenchmarkRegister measures what a user takes in memory, and an event in time:
// 100,000 users in 100 organizations, each with a password and TOTP, every
// second one with a key, every fourth one with a link.
func BenchmarkRegister(b *testing.B) {
	const users = 100_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		r := &Register{}
		events := 0
		for i := range users {
			l := &log{}
			id := fmt.Sprint(400_895_334_047_288_358 + i)
			l.user(id, fmt.Sprint(400_895_333_946_625_062+i%100), idp.Event{Kind: idp.UserAdded, HasPassword: true}, gained(idp.TOTP, ""))
			if i%2 == 0 {
				l.user(id, fmt.Sprint(400_895_333_946_625_062+i%100), gained(idp.U2F, id+"1"))
			}
			if i%4 == 0 {
				l.user(id, fmt.Sprint(400_895_333_946_625_062+i%100), linked("google", id))
			}
			events += len(l.events)
			r.Fold(l.events...)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/users, "bytes/user")
		b.ReportMetric(float64(events), "events")
		runtime.KeepAlive(r)
	}
}

func TestCensusIsStoredWithinBounds(t *testing.T) {
	c := Census{Instance: "https://zitadel.example.com", Complete: true, Events: 7, Organizations: map[string]Tenant{}}
	for i := range 3000 {
		t := Tenant{Users: Histogram{HasTOTP: i + 1, HasPassword | HasU2F: 2}}
		if i%3 == 0 {
			t.Own = []idp.Group{idp.Login}
		}
		c.Organizations[fmt.Sprint(400_895_333_946_625_062+i)] = t
	}
	for _, most := range []int{1 << 20, 64 << 10, 1 << 10} {
		data, err := c.Encode(most)
		if err != nil || len(data) > most {
			t.Fatalf("%d bytes for at most %d, %v", len(data), most, err)
		}
		stored, err := ReadCensus(data)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range []idp.Group{idp.Login, idp.Lockout} {
			want, _ := c.Reached(idp.Instance, g)
			got, known := stored.Reached(idp.Instance, g)
			if !known || !maps.Equal(want, got) {
				t.Errorf("at most %d bytes: %s of the instance reaches %v, want %v", most, g, got, want)
			}
		}
		largest := idp.InOrganization(fmt.Sprint(400_895_333_946_625_062 + 2999))
		if got, known := stored.Reached(largest, idp.Login); known && got.Users() != 3002 || !known && most > 1<<10 {
			t.Errorf("at most %d bytes: the largest organization has %v, %v", most, got, known)
		}
		smallest := idp.InOrganization(fmt.Sprint(400_895_333_946_625_062))
		if got, known := stored.Reached(smallest, idp.Login); known != (most == 1<<20) || known && got.Users() != 3 {
			t.Errorf("at most %d bytes: the smallest organization has %v, %v", most, got, known)
		}
	}
	if got, known := c.Reached(idp.InOrganization("new"), idp.Login); !known || got.Users() != 0 {
		t.Errorf("an organization without users has %v, %v", got, known)
	}
	if _, err := ReadCensus([]byte("{")); err == nil {
		t.Error("half a census was read")
	}
}

func TestEveryFactorHasATrait(t *testing.T) {
	seen := Traits(0)
	for _, f := range idp.AllFactors() {
		if trait := TraitOf(f); trait == 0 || seen.HasAny(trait) {
			t.Errorf("%s has the trait %b", f, trait)
		}
		seen |= TraitOf(f)
	}
	if TraitOf(idp.Password) != 0 {
		t.Error("a password is no factor")
	}
}
