package mfauser

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
)

// TestMissed: who is read again because the log was followed anew at noon and half
// a minute. Reads may be 75 seconds behind, and CheckedTime is known to the minute.
func TestMissed(t *testing.T) {
	since := noon.Add(30 * time.Second)
	for _, test := range []struct {
		checked time.Duration // after noon
		want    time.Duration // after noon; 0 is never
		reason  string
	}{
		{-time.Hour, 30 * time.Second, "read before: at once"},
		{-time.Minute, 30 * time.Second, "read in the minute before: at once"},
		{0, 2 * time.Minute, "read in the same minute, before or after: once reads show it"},
		{time.Minute, 2 * time.Minute, "read when reads may not have shown it: once more"},
		{2 * time.Minute, 0, "read when they did"},
	} {
		u := &v1alpha1.MFAUser{}
		u.Status.Zitadel = &v1alpha1.ZitadelUserStatus{CheckedTime: &metav1.Time{Time: noon.Add(test.checked)}}
		conn := &v1alpha1.ZitadelConnection{}
		r := &Reconciler{}
		if got := r.missed(u, conn); !got.IsZero() {
			t.Errorf("%s: without a beginning to read again at %v", test.reason, got)
		}
		conn.Status.Events = &v1alpha1.EventsStatus{FollowedSince: &metav1.Time{Time: since}}
		want := time.Time{}
		if test.want > 0 {
			want = noon.Add(test.want)
		}
		if got := r.missed(u, conn); !got.Equal(want) {
			t.Errorf("%s: to read again at %v, want %v", test.reason, got, want)
		}
	}
}

// settingsOf is a Zitadel of which only the login settings are asked.
type settingsOf struct {
	Provider
	now idp.Settings
}

func (s *settingsOf) Observe(context.Context, idp.Scope, ...idp.Group) (idp.State, error) {
	return idp.State{Settings: s.now}, nil
}

// TestSettingsAreReadAgainAfterAGap: what was remembered of an organization may
// have changed unheard.
func TestSettingsAreReadAgainAfterAGap(t *testing.T) {
	now := noon
	r := &Reconciler{Now: func() time.Time { return now }}
	was := idp.Settings{idp.ForceMFA: idp.Bool(false)}
	is := idp.Settings{idp.ForceMFA: idp.Bool(true)}
	zitadel := &settingsOf{now: was}
	holding := func() bool {
		t.Helper()
		found, _, err := r.settings.at(t.Context(), tenant{"default", "acme"}, zitadel, now, 12*time.Hour, lag)
		if err != nil {
			t.Fatal(err)
		}
		return found[idp.ForceMFA].Bool()
	}
	holding()
	zitadel.now = is
	now = now.Add(time.Minute)
	if holding() {
		t.Error("nothing was heard, yet they were read again")
	}
	r.Began("other")
	if holding() {
		t.Error("another connection began anew, yet they were read again")
	}
	now = now.Add(time.Minute)
	r.Began("default")
	if !holding() {
		t.Error("the log was followed anew, and they were not read again")
	}
}

// TestACrowdWaits: whoever is woken alone comes before everybody whom a connection
// concerns.
func TestACrowdWaits(t *testing.T) {
	queue := priorityqueue.New[reconcile.Request]("test")
	defer queue.ShutDown()
	named := func(name string) reconcile.Request {
		return reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}
	}
	everybody := crowd(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{named("ann"), named("bob")}
	})
	conn := &v1alpha1.ZitadelConnection{}
	everybody.Update(t.Context(), event.UpdateEvent{ObjectOld: conn, ObjectNew: conn}, queue)
	queue.Add(named("carl"))
	queue.Add(named("bob"))
	first, _ := queue.Get()
	second, _ := queue.Get()
	third, _ := queue.Get()
	if third != named("ann") {
		t.Errorf("the order is %v, %v, %v; of the crowd only bob was heard of", first, second, third)
	}
}
