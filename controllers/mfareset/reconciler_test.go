package mfareset

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/idp"
)

var errCrash = errors.New("the process ends here")

// zitadel behaves like a provider: it holds what one user has. step is called
// before and after everything that a process can end around.
type zitadel struct {
	credentials []idp.Credential
	sessions    []string
	// late shows up as a session only after the first list.
	late    string
	removed []string
	ended   []string
	denied  map[idp.Factor]bool
	step    func() error
}

func (z *zitadel) Provider(string) (Provider, bool) { return z, true }

func (z *zitadel) Credentials(context.Context, string) (idp.Credentials, error) {
	return idp.Credentials{List: slices.Clone(z.credentials), MethodsKnown: true}, z.step()
}

func (z *zitadel) RemoveCredential(_ context.Context, _ string, one idp.Credential) error {
	if err := z.step(); err != nil {
		return err
	}
	if z.denied[one.Factor] {
		return &idp.Error{Cause: idp.MissingPermission, Doing: "removing"}
	}
	z.credentials = slices.DeleteFunc(z.credentials, func(c idp.Credential) bool {
		if c.Factor == one.Factor && c.ID == one.ID {
			z.removed = append(z.removed, string(c.Factor)+c.ID)
			return true
		}
		return false
	})
	return z.step()
}

func (z *zitadel) Sessions(context.Context, string, string) ([]idp.Session, error) {
	var shown []idp.Session
	for _, id := range z.sessions {
		shown = append(shown, idp.Session{ID: id})
	}
	if len(shown) == 0 && z.late != "" {
		z.sessions, z.late = append(z.sessions, z.late), ""
	}
	return shown, z.step()
}

func (z *zitadel) EndSession(_ context.Context, id string) error {
	if err := z.step(); err != nil {
		return err
	}
	if i := slices.Index(z.sessions, id); i >= 0 {
		z.sessions = slices.Delete(z.sessions, i, i+1)
		z.ended = append(z.ended, id)
	}
	return z.step()
}

func newZitadel() *zitadel {
	return &zitadel{
		credentials: []idp.Credential{
			{Factor: idp.TOTP, Ready: true}, {Factor: idp.U2F, ID: "1", Ready: true}, {Factor: idp.U2F, ID: "2"},
			{Factor: idp.Passkey, ID: "3", Ready: true}, {Factor: idp.OTPEmail, Ready: true}, {Factor: idp.RecoveryCodes, Ready: true},
		},
		sessions: []string{"a", "b"}, late: "c", step: func() error { return nil },
	}
}

// room is a control plane with one user and one reset, and a ledger.
type room struct {
	t       *testing.T
	client  client.Client
	clock   time.Time
	records []audit.Record
	step    func() error
}

// RecordNew is not for users of Zitadel.
func (r *room) RecordNew(context.Context, string, ...audit.Record) ([]audit.Record, error) {
	r.t.Error("a reset at Zitadel is recorded as one of a local user")
	return nil, nil
}

// Record takes each origin once, as a ledger does.
func (r *room) Record(_ context.Context, namespace string, records ...audit.Record) error {
	if err := r.step(); errors.Is(err, errCrash) {
		return err
	}
	for _, one := range records {
		if err := one.Check(); err != nil || namespace != "n" {
			r.t.Errorf("in the ledger of %s: %v", namespace, err)
		}
		if !slices.ContainsFunc(r.records, func(known audit.Record) bool { return *known.Origin == *one.Origin }) {
			r.records = append(r.records, one)
		}
	}
	if err := r.step(); errors.Is(err, errCrash) {
		return err
	}
	return nil
}

func newRoom(t *testing.T, resets ...*v1alpha1.MFAReset) *room {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	ann := &v1alpha1.MFAUser{
		ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "ann", Generation: 1},
		Spec:       v1alpha1.MFAUserSpec{Source: v1alpha1.SourceZitadel, Zitadel: &v1alpha1.ZitadelUserRef{Connection: "c", UserID: "7"}},
		Status: v1alpha1.MFAUserStatus{
			ObservedGeneration: 1, Zitadel: &v1alpha1.ZitadelUserStatus{UserID: "7", OrganizationID: "o"},
			Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonObserved}},
		},
	}
	objects := []client.Object{ann}
	for _, one := range resets {
		objects = append(objects, one)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(ann, &v1alpha1.MFAReset{}).Build()
	return &room{t: t, client: c, clock: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)}
}

func newReset(factors ...v1alpha1.ResetFactor) *v1alpha1.MFAReset {
	return &v1alpha1.MFAReset{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "n", Name: "r", UID: "u1", Generation: 1, CreationTimestamp: metav1.NewTime(time.Date(2026, 11, 26, 11, 59, 0, 0, time.UTC)),
		},
		Spec: v1alpha1.MFAResetSpec{
			UserRef: v1alpha1.LocalRef{Name: "ann"}, Factors: factors, RevokeSessions: v1alpha1.RevokeAll, Reason: "lost", RequestedBy: "carol",
		},
	}
}

// pass is one Reconcile of a process that has just begun.
func (r *room) pass(z *zitadel, c client.Client) (ctrl.Result, error) {
	r.step = z.step
	reconciler := &Reconciler{
		Client: c, Live: c, Providers: z, Recorder: r, Events: events.NewFakeRecorder(1000), Now: func() time.Time { return r.clock },
	}
	return reconciler.Reconcile(r.t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Namespace: "n", Name: "r"}})
}

func (r *room) stored() *v1alpha1.MFAReset {
	r.t.Helper()
	stored := &v1alpha1.MFAReset{}
	if err := r.client.Get(r.t.Context(), client.ObjectKey{Namespace: "n", Name: "r"}, stored); err != nil {
		r.t.Fatal(err)
	}
	return stored
}

// run goes on until the reset has finished.
func (r *room) run(z *zitadel) *v1alpha1.MFAReset {
	r.t.Helper()
	for range 100 {
		result, err := r.pass(z, r.client)
		if err != nil && !errors.Is(err, errCrash) {
			r.t.Fatal(err)
		}
		r.clock = r.clock.Add(max(result.RequeueAfter, time.Millisecond))
		if stored := r.stored(); stored.Status.FinishTime != nil {
			return stored
		}
	}
	r.t.Fatalf("it never finished: %+v", r.stored().Status)
	return nil
}

func TestResetRemovesWhatItNames(t *testing.T) {
	for _, test := range []struct {
		factors []v1alpha1.ResetFactor
		left    []string
		reason  string
	}{
		{[]v1alpha1.ResetFactor{"All"}, nil, "all of them, pending ones too"},
		{[]v1alpha1.ResetFactor{"WebAuthn"}, []string{"TOTP", "OTPEmail", "RecoveryCodes"}, "security keys and passkeys"},
		{[]v1alpha1.ResetFactor{"TOTP", "Email"}, []string{"U2F1", "U2F2", "Passkey3", "RecoveryCodes"}, "two of them"},
		{[]v1alpha1.ResetFactor{"SMS"}, []string{"TOTP", "U2F1", "U2F2", "Passkey3", "OTPEmail", "RecoveryCodes"}, "one the user does not have"},
	} {
		z := newZitadel()
		done := newRoom(t, newReset(test.factors...)).run(z)
		var left []string
		for _, c := range z.credentials {
			left = append(left, string(c.Factor)+c.ID)
		}
		if done.Status.Phase != v1alpha1.ResetCompleted || !slices.Equal(left, test.left) || len(z.sessions) > 0 || z.late != "" {
			t.Errorf("%s: %s, factors left %v, sessions left %v", test.reason, done.Status.Phase, left, z.sessions)
		}
		if done.Status.SessionsEnded != 3 {
			t.Errorf("%s: %d sessions ended, want the late one, too", test.reason, done.Status.SessionsEnded)
		}
	}
}

// TestResetSurvivesEveryCrash ends the process at each step in turn, before and
// after it had its effect, be it at Zitadel or at the API server.
func TestResetSurvivesEveryCrash(t *testing.T) {
	steps := 0
	clean := newZitadel()
	clean.step = func() error { steps++; return nil }
	newRoom(t, newReset("All")).run(clean)
	for crash := 1; crash <= steps; crash++ {
		z, n := newZitadel(), 0
		z.step = func() error {
			if n++; n == crash {
				return errCrash
			}
			return nil
		}
		r := newRoom(t, newReset("All"))
		done := r.run(z)
		if len(r.records) != 1 || r.records[0].Outcome != audit.Succeeded || r.records[0].Subject != "7" || r.records[0].Actor != "carol" {
			t.Errorf("crash at step %d: recorded %+v, want it once", crash, r.records)
		}
		if done.Status.Phase != v1alpha1.ResetCompleted || len(z.credentials)+len(z.sessions) > 0 {
			t.Errorf("crash at step %d of %d: %s, left %v %v", crash, steps, done.Status.Phase, z.credentials, z.sessions)
		}
		if len(z.removed) != 6 || len(z.ended) != 3 {
			t.Errorf("crash at step %d: removed %v, ended %v: each once", crash, z.removed, z.ended)
		}
	}
	if steps < 20 {
		t.Errorf("only %d steps to end at; has the way they are counted changed?", steps)
	}
}

// TestResetRunsOnce: whatever is enrolled after it has finished stays, however
// often it is looked at or the same manifest is applied again.
func TestResetRunsOnce(t *testing.T) {
	r, z := newRoom(t, newReset("All")), newZitadel()
	first := r.run(z)
	z.credentials = []idp.Credential{{Factor: idp.TOTP, Ready: true}}
	for range 3 {
		if _, err := r.pass(z, r.client); err != nil {
			t.Fatal(err)
		}
	}
	if len(z.credentials) != 1 {
		t.Fatal("a finished reset fired again")
	}

	if err := r.client.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	again := newReset("All")
	again.UID = "u2"
	if err := r.client.Create(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	done := r.run(z)
	if len(r.records) != 1 {
		t.Errorf("recorded %d times, want once: the second manifest did nothing", len(r.records))
	}
	if len(z.credentials) != 1 || done.Status.Conditions[0].Reason != v1alpha1.ReasonAlreadyDone {
		t.Errorf("the same manifest after a deletion: %+v, left %v: want nothing done", done.Status.Conditions, z.credentials)
	}

	if err := r.client.Delete(t.Context(), done); err != nil {
		t.Fatal(err)
	}
	other := newReset("All")
	other.UID, other.Spec.Reason = "u3", "lost again"
	if err := r.client.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if done := r.run(z); len(z.credentials) != 0 || done.Status.Phase != v1alpha1.ResetCompleted {
		t.Errorf("another manifest: %+v, left %v: want it done", done.Status.Conditions, z.credentials)
	}
}

func TestResetSaysWhatIsLeft(t *testing.T) {
	z := newZitadel()
	z.denied = map[idp.Factor]bool{idp.RecoveryCodes: true}
	r := newRoom(t, newReset("All"))
	done := r.run(z)
	if len(r.records) != 1 || r.records[0].Outcome != audit.Failed || !strings.Contains(r.records[0].Detail("factors"), "RecoveryCodes: Failed") {
		t.Errorf("recorded %+v, want what is left", r.records)
	}
	if done.Status.Phase != v1alpha1.ResetFailed || len(z.credentials) != 1 {
		t.Fatalf("%s, left %v: want all but the one that may not be removed gone", done.Status.Phase, z.credentials)
	}
	if message := done.Status.Conditions[0].Message; !strings.Contains(message, "RecoveryCodes is left") {
		t.Errorf("it does not say what is left: %s", message)
	}
	for _, f := range done.Status.Factors {
		if want := map[bool]string{true: v1alpha1.ResetFactorFailed, false: v1alpha1.ResetFactorRemoved}[f.Type == "RecoveryCodes"]; f.State != want {
			t.Errorf("%s is %s, want %s", f.Type, f.State, want)
		}
	}
}

func TestResetGivesUp(t *testing.T) {
	z := newZitadel()
	z.step = func() error { return &idp.Error{Cause: idp.Down, Doing: "reading"} }
	r := newRoom(t, newReset("All"))
	if _, err := r.pass(z, r.client); !errors.Is(err, idp.ErrUnreachable) {
		t.Fatalf("%v, want to be retried", err)
	}
	r.clock = r.clock.Add(giveUpAfter)
	if _, err := r.pass(z, r.client); err != nil {
		t.Fatal(err)
	}
	z.step = func() error { return nil }
	if _, err := r.pass(z, r.client); err != nil {
		t.Fatal(err)
	}
	if stored := r.stored(); stored.Status.Phase != v1alpha1.ResetFailed || len(z.removed) > 0 {
		t.Errorf("%+v, removed %v: an act that nobody expects any more does harm", stored.Status, z.removed)
	}
}

func TestFinishedResetsAreDeleted(t *testing.T) {
	reset := newReset("All")
	reset.Spec.DeleteAfterHours = ptr.To(int32(2))
	r, z := newRoom(t, reset), newZitadel()
	finished := r.run(z).Status.FinishTime.Time
	r.clock = finished.Add(2*time.Hour - time.Second)
	if result, err := r.pass(z, r.client); err != nil || result.RequeueAfter != time.Second {
		t.Fatalf("%v, %v, want to wait for its time", result, err)
	}
	r.clock = finished.Add(2 * time.Hour)
	if _, err := r.pass(z, r.client); err != nil {
		t.Fatal(err)
	}
	if err := r.client.Get(t.Context(), client.ObjectKeyFromObject(reset), &v1alpha1.MFAReset{}); client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("%v, want it gone", err)
	}
}
