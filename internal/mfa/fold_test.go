package mfa_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/mfa/mfatest"
)

// life is some hours of some users, at random.
func life(t *testing.T, seed uint64) *world {
	t.Helper()
	w := newWorld(t)
	chance := rand.New(rand.NewPCG(seed, 1))
	w.rules.MaxAttempts = 4
	type user struct {
		person   mfa.Person
		devices  []device
		sessions []string
		codes    []string
		factors  []string
	}
	users := make([]*user, 4)
	for i := range users {
		p := w.alice
		p.UID = fmt.Sprintf("6f1c1f6e-0000-4000-8000-%012d", i)
		p.Name = fmt.Sprint("user-", i)
		users[i] = &user{person: p}
	}
	last := func(list []string) string {
		if len(list) == 0 {
			return ""
		}
		return list[len(list)-1]
	}
	ctx := t.Context()
	for range 150 {
		u := users[chance.IntN(len(users))]
		w.from.IP = netip.AddrFrom4([4]byte{192, 0, 2, byte(chance.IntN(3))})
		w.clock.Move(time.Duration(chance.IntN(40)) * time.Second)
		keep := func(s mfa.Session, err error) {
			if err == nil {
				u.sessions = append(u.sessions, s.Token)
			}
		}
		switch n := chance.IntN(16); {
		case n < 2:
			e, err := w.StartEnrolment(ctx, u.person, w.rules, mfa.EnrolmentRequest{Method: mfa.TOTP, Session: last(u.sessions), From: w.from})
			if err != nil {
				continue
			}
			d := device{secret: e.Secret}
			c, err := w.ConfirmEnrolment(ctx, u.person, w.rules, mfa.Confirmation{Token: e.Token, Code: d.at(w.clock.Now(), 0), From: w.from})
			if keep(c.Session, err); err == nil {
				u.devices, u.factors = append(u.devices, d), append(u.factors, c.Factor.ID)
			}
		case n < 6 && len(u.devices) > 0:
			keep(w.verifyTOTP(u.person, u.devices[chance.IntN(len(u.devices))].at(w.clock.Now(), int64(chance.IntN(3)-1))))
		case n < 8:
			keep(w.verifyTOTP(u.person, "123456"))
		case n == 8:
			if codes, err := w.IssueRecoveryCodes(ctx, u.person, w.rules, mfa.RecoveryCodesRequest{Session: last(u.sessions), From: w.from}); err == nil {
				u.codes = codes
			}
		case n == 9 && len(u.codes) > 0:
			keep(w.Verify(ctx, u.person, w.rules, mfa.Proof{Method: mfa.RecoveryCodes, Code: u.codes[chance.IntN(10)], From: w.from}))
		case n == 10 && len(u.factors) > 0:
			_ = w.Remove(ctx, u.person, w.rules, mfa.RemoveRequest{ID: u.factors[chance.IntN(len(u.factors))], Session: last(u.sessions), From: w.from})
		case n == 11:
			_, _ = w.StartLink(ctx, u.person, w.rules, mfa.LinkRequest{From: w.from})
		case n == 12:
			_ = w.Revoke(ctx, u.person, mfa.RevokeRequest{From: w.from})
		case n == 13:
			_, _ = w.Requirement(ctx, u.person, w.rules, mfa.RequirementRequest{From: w.from})
		case n == 14 && chance.IntN(4) == 0:
			if err := w.ledger.Record("team-a", mfa.Reset(u.person.UID, "root", "LostDevice", nil, nil, chance.IntN(2) == 0)); err != nil {
				t.Fatal(err)
			}
		case n == 15:
			_, _ = w.StartEnrolment(ctx, u.person, w.rules, mfa.EnrolmentRequest{Method: mfa.Email, From: w.from})
		}
	}
	return w
}

// pruned is what matters of a state, as comparable text.
func pruned(t *testing.T, s mfatest.State, at time.Time) map[string]string {
	t.Helper()
	p, err := s.Pruned(at)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for key, value := range p {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		out[key] = string(text)
	}
	return out
}

// Whoever folds the same records has the same state: from the first one on, from
// a checkpoint taken anywhere, and a replica that judged them.
func TestEveryReplicaHasTheSameState(t *testing.T) {
	for seed := range uint64(12) {
		w := life(t, seed)
		records := w.ledger.Records("team-a")
		now := w.clock.Now()
		want := pruned(t, w.ledger.State("team-a"), now)
		if len(records) < 40 {
			t.Fatalf("seed %d: only %d records", seed, len(records))
		}
		for cut := 0; cut < len(records); cut += 7 {
			state := mfatest.State{}
			for i, r := range records {
				if i == cut { // a checkpoint, at the last record's time
					var err error
					if state, err = state.Pruned(records[max(0, i-1)].Time); err != nil {
						t.Fatal(err)
					}
				}
				(mfa.Fold{}).Apply(state, r)
			}
			if got := pruned(t, state, now); !maps.Equal(got, want) {
				t.Fatalf("seed %d, checkpoint after %d of %d records:\n%v\nwant\n%v", seed, cut, len(records), got, want)
			}
		}
	}
}

// In whatever life, nothing that was claimed is accepted again.
func TestNoClaimIsAcceptedTwice(t *testing.T) {
	for seed := range uint64(30) {
		w := life(t, seed+1000)
		seen := map[string]string{}
		for _, r := range w.ledger.Records("team-a") {
			if r.Outcome != audit.Succeeded || r.Claim == "" {
				continue
			}
			if before, twice := seen[r.Subject+" "+r.Claim]; twice {
				t.Fatalf("seed %d: %s was accepted in %s and in %s", seed, r.Claim, before, r.ID)
			}
			seen[r.Subject+" "+r.Claim] = r.ID
		}
	}
}

// A value that somebody has got is never changed under them.
func TestEntriesAreNotChangedInPlace(t *testing.T) {
	w := life(t, 7)
	state := mfatest.State{}
	for _, r := range w.ledger.Records("team-a") {
		before := maps.Clone(state)
		texts := map[string]string{}
		for key, value := range before {
			text, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			texts[key] = string(text)
		}
		(mfa.Fold{}).Apply(state, r)
		for key, value := range before {
			text, err := json.Marshal(value)
			if err != nil || string(text) != texts[key] {
				t.Fatalf("%s changed the old value of %s from\n%s to\n%s", r.Action, key, texts[key], text)
			}
		}
	}
}

func TestWhatTheFoldPassesOver(t *testing.T) {
	w := newWorld(t)
	d, c := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
	before := pruned(t, w.ledger.State("team-a"), w.clock.Now())
	uid := w.alice.UID
	for reason, r := range map[string]audit.Record{
		"what the identity provider tells of its own sessions": {Action: audit.SessionRevoked, Subject: uid, Origin: &audit.Origin{Aggregate: "default/user/1", Sequence: 1}},
		"and of its own factors":                               {Action: audit.FactorRemoved, Subject: uid, Origin: &audit.Origin{Aggregate: "default/user/1", Sequence: 2}, Details: []audit.Detail{{Name: "factor", Value: c.Factor.ID}}},
		"a policy":                                             {Action: audit.PolicyChanged, Subject: "default/instance"},
		"an action of a newer release":                         {Action: "FactorTeleported", Subject: uid},
	} {
		r.Outcome, r.Time = audit.Succeeded, w.clock.Now()
		state := w.ledger.State("team-a")
		(mfa.Fold{}).Apply(state, r)
		if got := pruned(t, state, w.clock.Now()); !maps.Equal(got, before) {
			t.Errorf("%s: the state is\n%v, was\n%v", reason, got, before)
		}
	}
	w.mustVerify(w.alice, d)
}

func TestWhatAnAdministratorRecords(t *testing.T) {
	start := func(t *testing.T) (*world, device, string, mfa.Session) {
		w := newWorld(t)
		d, c := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
		w.codes(c.Session.Token)
		return w, d, c.Factor.ID, c.Session
	}
	for _, c := range []struct {
		reason           string
		record           func(uid, factor string) audit.Record
		totp, codes, ses bool // what is left
	}{
		{"a reset of everything", func(uid, _ string) audit.Record { return mfa.Reset(uid, "root", "", nil, nil, false) }, false, false, false},
		{"of one method", func(uid, _ string) audit.Record {
			return mfa.Reset(uid, "root", "", []mfa.Method{mfa.TOTP}, nil, false)
		}, false, true, false},
		{"of one factor, sessions kept", func(uid, factor string) audit.Record {
			return mfa.Reset(uid, "root", "", nil, []string{factor}, true)
		}, false, true, true},
		{"one that is told of more than once", func(uid, _ string) audit.Record {
			r := mfa.Reset(uid, "root", "", []mfa.Method{mfa.TOTP}, nil, false)
			r.Origin = mfa.Once(uid, "reset/0f")
			r.Details = append(r.Details, audit.Detail{Name: "factors", Value: "TOTP"}, audit.Detail{Name: "user", Value: "alice"})
			return r
		}, false, true, false},
		{"one of somebody at an identity provider, whose id is the same", func(uid, _ string) audit.Record {
			return audit.Record{Action: audit.MFAReset, Subject: uid, Actor: "root", Origin: &audit.Origin{Aggregate: "mfareset/0f", Sequence: 1}}
		}, true, true, true},
		{"of what happened to another user", func(uid, _ string) audit.Record {
			r := mfa.Reset(uid, "root", "", nil, nil, false)
			r.Origin = mfa.Once("another", "reset/0f")
			return r
		}, true, true, true},
		{"a registration", func(uid, _ string) audit.Record { return mfa.Registered(uid, "alice") }, true, true, true},
		{"a removal that is told of more than once", func(uid, _ string) audit.Record { return mfa.Gone(uid, "alice") }, false, false, false},
		{"of codes", func(uid, _ string) audit.Record {
			return mfa.Reset(uid, "root", "", []mfa.Method{mfa.RecoveryCodes}, nil, true)
		}, true, false, true},
		{"of a method that is not there", func(uid, _ string) audit.Record {
			return mfa.Reset(uid, "root", "", []mfa.Method{mfa.SMS}, nil, true)
		}, true, true, true},
		{"a suspension", func(uid, _ string) audit.Record { return audit.Record{Action: audit.UserSuspended, Subject: uid} }, true, true, false},
		{"a removal", func(uid, _ string) audit.Record { return audit.Record{Action: audit.UserRemoved, Subject: uid} }, false, false, false},
	} {
		w, _, factor, session := start(t)
		r := c.record(w.alice.UID, factor)
		r.Outcome = audit.Succeeded
		if err := w.ledger.Record("team-a", r); err != nil {
			t.Fatal(err)
		}
		list, err := w.Factors(t.Context(), w.alice)
		if err != nil {
			t.Fatal(err)
		}
		has := func(m mfa.Method) bool {
			return slices.ContainsFunc(list, func(f mfa.Factor) bool { return f.Method == m })
		}
		in, err := w.Introspect(t.Context(), w.alice, w.rules, session.Token)
		if err != nil || has(mfa.TOTP) != c.totp || has(mfa.RecoveryCodes) != c.codes || in.Active != c.ses {
			t.Errorf("%s: left are %v, session %v, %v", c.reason, list, in.Active, err)
		}
	}
}

// A ledger that is lost has forgotten which codes were used: nothing is accepted.
func TestWithoutItsLedgerAFactorIsWorthNothing(t *testing.T) {
	w := newWorld(t)
	d, c := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
	w.ledger.Lose("team-a")
	_, err := w.verifyTOTP(w.alice, d.at(w.clock.Now(), 0))
	w.want("a right code", err, mfa.ErrDenied, audit.Failed, mfa.ReasonFactorGone)
	if in, err := w.Introspect(t.Context(), w.alice, w.rules, c.Session.Token); err != nil || in.Active {
		t.Errorf("a session: %v", err)
	}
}

// A checkpoint's reader and a replica that never pruned judge alike: what has
// expired reads as if it had never been.
func TestWhatHasExpiredReadsAsNothing(t *testing.T) {
	for seed := range uint64(10) {
		w := life(t, seed+500)
		for _, later := range []time.Duration{0, time.Minute, 10 * time.Minute, time.Hour, 25 * time.Hour, 1000 * time.Hour} {
			at := w.clock.Now().Add(later)
			state := w.ledger.State("team-a")
			kept, err := state.Pruned(at)
			if err != nil {
				t.Fatal(err)
			}
			for key := range state {
				uid, isUser := key, false
				if len(key) > 5 && key[:5] == "user/" {
					uid, isUser = key[5:], true
				}
				if !isUser {
					continue
				}
				a, b := mfa.UserAt(state, uid, at), mfa.UserAt(kept, uid, at)
				if !reflect.DeepEqual(jsonOf(t, a), jsonOf(t, b)) {
					t.Errorf("seed %d, %s later, %s:\n%s\n%s", seed, later, key, jsonOf(t, a), jsonOf(t, b))
				}
			}
		}
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
