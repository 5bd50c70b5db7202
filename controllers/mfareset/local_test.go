package mfareset

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/mfa"
)

// uid is that of the local user of these tests.
const uid = "0b9d1c62"

// values are a fold's state.
type values map[string]mfa.Entry

func (v values) Get(key string) mfa.Entry        { return v[key] }
func (v values) Set(key string, value mfa.Entry) { v[key] = value }
func (v values) Delete(key string)               { delete(v, key) }

// home is a ledger with its fold, and a vault, of one local user with a session, a
// TOTP app, two keys and recovery codes.
type home struct {
	*room
	state values
	kept  map[string]bool
	// forbidden: the Secret may not be touched.
	forbidden bool
	// removals counts what was removed from the vault.
	removals int
	// told is what the user was.
	told []mfa.Notice
	step func() error
}

func newHome(t *testing.T, reset *v1alpha1.MFAReset) *home {
	t.Helper()
	h := &home{room: newRoom(t, reset), state: values{}, kept: map[string]bool{}, step: func() error { return nil }}
	ann := &v1alpha1.MFAUser{}
	if err := h.client.Get(t.Context(), client.ObjectKey{Namespace: "n", Name: "ann"}, ann); err != nil {
		t.Fatal(err)
	}
	if err := h.client.Delete(t.Context(), ann); err != nil {
		t.Fatal(err)
	}
	local := &v1alpha1.MFAUser{Spec: v1alpha1.MFAUserSpec{
		Source: v1alpha1.SourceLocal, Username: "ann", Contact: &v1alpha1.Contact{Email: "ann@example.com"},
	}}
	local.Namespace, local.Name, local.UID = "n", "ann", uid
	if err := h.client.Create(t.Context(), local); err != nil {
		t.Fatal(err)
	}
	h.enrol("totp-1", mfa.TOTP)
	h.enrol("key-1", mfa.WebAuthn)
	h.enrol("key-2", mfa.WebAuthn)
	h.apply(audit.Record{Action: audit.RecoveryCodesIssued, Details: []audit.Detail{{Name: "factor", Value: "codes-1"}, {Name: "codes", Value: "10"}}})
	h.kept["codes-1"] = true
	h.apply(audit.Record{Action: audit.Verification, Session: "s", Details: []audit.Detail{{Name: "sessionUntil", Value: "2026-11-27T12:00:00Z"}}})
	h.apply(audit.Record{Action: audit.UserLocked, Details: []audit.Detail{{Name: "until", Value: "2026-11-27T12:00:00Z"}}})
	return h
}

func (h *home) apply(r audit.Record) {
	r.Outcome, r.Time = audit.Succeeded, h.clock
	if r.Subject == "" {
		r.Subject = uid
	}
	mfa.Fold{}.Apply(h.state, r)
}

func (h *home) enrol(id string, m mfa.Method) {
	h.kept[id] = true
	h.apply(audit.Record{Action: audit.FactorEnrolled, Method: string(m), Details: []audit.Detail{{Name: "factor", Value: id}}})
}

// RecordNew takes each origin once, and folds what it takes.
func (h *home) RecordNew(_ context.Context, namespace string, records ...audit.Record) (taken []audit.Record, err error) {
	if err := h.step(); err != nil {
		return nil, err
	}
	for _, one := range records {
		if err := one.Check(); err != nil || namespace != "n" {
			h.t.Errorf("in the ledger of %s: %v", namespace, err)
		}
		if !slices.ContainsFunc(h.records, func(known audit.Record) bool { return *known.Origin == *one.Origin }) {
			h.records = append(h.records, one)
			one.Time = h.clock
			mfa.Fold{}.Apply(h.state, one)
			taken = append(taken, one)
		}
	}
	return taken, h.step()
}

func (h *home) Read(_ context.Context, _ string, look func(audit.State[mfa.Entry])) error {
	if err := h.step(); err != nil {
		return err
	}
	look(h.state)
	return nil
}

func (h *home) RemoveFactors(_ context.Context, owner mfa.Owner, ids ...string) ([]mfa.Credential, error) {
	if err := h.step(); err != nil {
		return nil, err
	}
	if owner != (mfa.Owner{Namespace: "n", Name: "ann", UID: uid}) {
		h.t.Errorf("removes what is kept of %+v", owner)
	}
	if h.forbidden {
		cause := apierrors.NewForbidden(corev1.Resource("secrets"), "mfa-credentials-ann", errors.New("no rule"))
		return nil, fmt.Errorf("reading: %w: %w", mfa.ErrUnavailable, cause)
	}
	for _, id := range ids {
		if h.kept[id] {
			delete(h.kept, id)
			h.removals++
		}
	}
	return nil, h.step()
}

func (h *home) Notify(n mfa.Notice) { h.told = append(h.told, n) }

func (h *home) standing() mfa.User { return mfa.UserAt(h.state, uid, h.clock) }

func (h *home) lives() []string {
	var ids []string
	for _, f := range h.standing().Factors {
		ids = append(ids, f.ID)
	}
	return ids
}

// pass is one Reconcile of a process that has just begun.
func (h *home) pass() (ctrl.Result, error) {
	stepping := interceptor.NewClient(h.client.(client.WithWatch), interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
			return h.around(func() error { return c.Patch(ctx, obj, patch, opts...) })
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			return h.around(func() error { return c.SubResource(sub).Patch(ctx, obj, patch, opts...) })
		},
	})
	reconciler := &Reconciler{
		Client: stepping, Live: stepping, Recorder: h, Standings: h, Credentials: h, Notifier: h, Events: events.NewFakeRecorder(1000),
		Now: func() time.Time { return h.clock },
	}
	return reconciler.Reconcile(h.t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Namespace: "n", Name: "r"}})
}

// around is a step before and after an effect.
func (h *home) around(do func() error) error {
	if err := h.step(); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return h.step()
}

func (h *home) run() *v1alpha1.MFAReset {
	h.t.Helper()
	for range 20 {
		if _, err := h.pass(); err != nil && !errors.Is(err, errCrash) {
			h.t.Fatal(err)
		}
		if stored := h.stored(); stored.Status.FinishTime != nil {
			return stored
		}
	}
	h.t.Fatalf("it never finished: %+v", h.stored().Status)
	return nil
}

func TestLocalResetRemovesWhatItNames(t *testing.T) {
	for _, test := range []struct {
		factors []v1alpha1.ResetFactor
		keep    bool
		left    []string
		reason  string
	}{
		{[]v1alpha1.ResetFactor{"All"}, false, nil, "all of them"},
		{[]v1alpha1.ResetFactor{"WebAuthn"}, false, []string{"codes-1", "totp-1"}, "both keys"},
		{[]v1alpha1.ResetFactor{"TOTP", "RecoveryCodes"}, true, []string{"key-1", "key-2"}, "two kinds, and sessions go on"},
		{[]v1alpha1.ResetFactor{"SMS"}, false, []string{"codes-1", "key-1", "key-2", "totp-1"}, "one the user does not have"},
	} {
		reset := newReset(test.factors...)
		sessions := 0
		if test.keep {
			reset.Spec.RevokeSessions, sessions = v1alpha1.RevokeNone, 1
		}
		h := newHome(t, reset)
		done := h.run()
		lives := slices.Sorted(slices.Values(h.lives()))
		if kept := slices.Sorted(maps.Keys(h.kept)); !slices.Equal(lives, test.left) || !slices.Equal(kept, test.left) {
			t.Errorf("%s: living %v, kept %v, want both %v", test.reason, lives, kept, test.left)
		}
		u := h.standing()
		if _, locked := u.LockedUntil(h.clock); locked || len(u.Sessions) != sessions || int(done.Status.SessionsEnded) != 1-sessions {
			t.Errorf("%s: locked %v, %d sessions are left and %d said to have ended", test.reason, locked, len(u.Sessions), done.Status.SessionsEnded)
		}
		if done.Status.Phase != v1alpha1.ResetCompleted || done.Status.UserID != uid || len(done.Status.Factors) != 4-len(test.left) {
			t.Errorf("%s: %+v", test.reason, done.Status)
		}
	}
}

// TestLocalResetSurvivesEveryCrash ends the process at each step in turn, before
// and after it had its effect.
func TestLocalResetSurvivesEveryCrash(t *testing.T) {
	steps := 0
	clean := newHome(t, newReset("All"))
	clean.step = func() error { steps++; return nil }
	clean.run()
	untold := 0
	for crash := 1; crash <= steps; crash++ {
		h, n := newHome(t, newReset("All")), 0
		h.step = func() error {
			if n++; n == crash {
				return errCrash
			}
			return nil
		}
		done := h.run()
		if len(h.records) != 1 || h.records[0].Outcome != audit.Succeeded || h.records[0].Subject != uid || h.records[0].Actor != "carol" {
			t.Errorf("crash at step %d of %d: recorded %+v, want it once", crash, steps, h.records)
		}
		if done.Status.Phase != v1alpha1.ResetCompleted || len(h.lives())+len(h.kept) > 0 || h.removals != 4 {
			t.Errorf("crash at step %d of %d: %s, living %v, kept %v", crash, steps, done.Status.Phase, h.lives(), h.kept)
		}
		if done.Status.SessionsEnded != 1 {
			t.Errorf("crash at step %d of %d: %d sessions ended", crash, steps, done.Status.SessionsEnded)
		}
		if len(h.told) > 1 {
			t.Errorf("crash at step %d of %d: told %d times", crash, steps, len(h.told))
		}
		if len(h.told) == 0 {
			untold++
		}
	}
	if untold != 1 { // between the record and the notice
		t.Errorf("%d crashes left the user untold, want the one", untold)
	}
	if steps < 13 {
		t.Errorf("only %d steps to end at; has the way they are counted changed?", steps)
	}
}

// TestLocalResetSparesWhatComesAfter: between the record and the removal the person
// may have enrolled anew, and that must not be taken away from under them.
func TestLocalResetSparesWhatComesAfter(t *testing.T) {
	h := newHome(t, newReset("TOTP"))
	h.step = func() error {
		if len(h.records) == 1 && h.stored().Status.RecordedTime != nil {
			return errCrash
		}
		return nil
	}
	if _, err := h.pass(); !errors.Is(err, errCrash) {
		t.Fatalf("%v, want the process to end after the record", err)
	}
	h.step = func() error { return nil }
	h.enrol("totp-2", mfa.TOTP)
	h.run()
	if !slices.Contains(h.lives(), "totp-2") || !h.kept["totp-2"] || h.kept["totp-1"] {
		t.Errorf("living %v, kept %v, want the new one in both, and the old one in none", h.lives(), h.kept)
	}
}

// TestLocalResetNeedsNoSecret: without a right to the Secret the factors are dead
// all the same, and the status says what is left.
func TestLocalResetNeedsNoSecret(t *testing.T) {
	h := newHome(t, newReset("All"))
	h.forbidden = true
	done := h.run()
	if done.Status.Phase != v1alpha1.ResetCompleted || len(h.lives()) > 0 || len(h.kept) != 4 {
		t.Fatalf("%s, living %v, kept %v", done.Status.Phase, h.lives(), h.kept)
	}
	for _, f := range done.Status.Factors {
		if f.State != v1alpha1.ResetFactorRemoved || f.Message == "" {
			t.Errorf("%+v, want it to say what is left", f)
		}
	}
}

// TestLocalResetIsOfOnePerson: a name that somebody else has by now is not reset.
func TestLocalResetIsOfOnePerson(t *testing.T) {
	reset := newReset("All")
	reset.Status.Phase, reset.Status.UserID = v1alpha1.ResetRunning, "somebody-before"
	h := newHome(t, reset)
	if _, err := h.pass(); err != nil {
		t.Fatal(err)
	}
	if stored := h.stored(); len(h.lives()) != 4 || stored.Status.Conditions[0].Reason != v1alpha1.ReasonUserNotReady {
		t.Errorf("living %v: %+v", h.lives(), stored.Status.Conditions)
	}
}

// TestLocalResetIsTold: to whom, of what, and once, also when two managers believe that
// they lead.
func TestLocalResetIsTold(t *testing.T) {
	h := newHome(t, newReset("TOTP"))
	h.run()
	want := []mfa.Notice{{
		Owner: mfa.Owner{Namespace: "n", Name: "ann", UID: uid}, To: "ann@example.com", Event: audit.MFAReset, At: h.clock,
	}}
	if !slices.Equal(h.told, want) {
		t.Fatalf("told %+v, want %+v", h.told, want)
	}
	if _, err := h.pass(); err != nil || len(h.told) != 1 {
		t.Errorf("%v, told %d times: a finished reset is not told again", err, len(h.told))
	}

	for reason, contact := range map[string]*v1alpha1.Contact{"no contact": nil, "a telephone only": {Phone: "+4930123456"}} {
		h := newHome(t, newReset("All"))
		ann := &v1alpha1.MFAUser{}
		if err := h.client.Get(t.Context(), client.ObjectKey{Namespace: "n", Name: "ann"}, ann); err != nil {
			t.Fatal(err)
		}
		ann.Spec.Contact = contact
		if err := h.client.Update(t.Context(), ann); err != nil {
			t.Fatal(err)
		}
		if done := h.run(); done.Status.Phase != v1alpha1.ResetCompleted || len(h.told) > 0 {
			t.Errorf("%s: %s, told %+v", reason, done.Status.Phase, h.told)
		}
	}

	for reason, test := range map[string]struct {
		meanwhile func(*home) error
		is        func(error) bool
	}{
		"another manager goes on": {func(h *home) error { _, err := h.pass(); return err }, apierrors.IsConflict},
		"somebody deletes it":     {func(h *home) error { return h.client.Delete(t.Context(), h.stored()) }, apierrors.IsNotFound},
	} {
		h := newHome(t, newReset("All"))
		done := false
		h.step = func() error {
			if len(h.records) == 0 || done {
				return nil
			}
			done = true
			return test.meanwhile(h)
		}
		if _, err := h.pass(); !test.is(err) {
			t.Errorf("%s: %v, want the status not to be written", reason, err)
		}
		if _, err := h.pass(); err != nil || len(h.records) != 1 || len(h.told) != 1 {
			t.Errorf("%s: %v, recorded %d times, told %d times, want once each", reason, err, len(h.records), len(h.told))
		}
	}
}
