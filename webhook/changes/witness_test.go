package changes

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
)

// trail takes records as a ledger does: of each stream nothing that is not newer.
type trail struct {
	mu      sync.Mutex
	refuse  map[string]error // by reason, once
	origins map[string]int64
	reasons []string
}

func (t *trail) Record(_ context.Context, _ string, records ...audit.Record) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range records {
		if err := t.refuse[r.Reason]; err != nil {
			delete(t.refuse, r.Reason)
			return err
		}
		if r.Origin.Sequence <= t.origins[r.Origin.Aggregate] {
			continue
		}
		t.origins[r.Origin.Aggregate] = r.Origin.Sequence
		t.reasons = append(t.reasons, r.Reason)
	}
	return nil
}

// A change whose record has to be tried again is in the ledger even if a later one
// came before it.
func TestALateRecordIsNotTakenForARepetition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger := &trail{
			refuse:  map[string]error{"Created": errors.New("the ledger is being opened")},
			origins: map[string]int64{},
		}
		w := New(ledger, logr.Discard())
		ended := make(chan error, 1)
		ctx, stop := context.WithCancel(t.Context())
		go func() { ended <- w.Start(ctx) }()

		allow := w.Watch(admission.HandlerFunc(func(context.Context, admission.Request) admission.Response { return admission.Allowed("") }))
		ask := func(operation admissionv1.Operation, was, is *v1alpha1.SecurityPolicy) {
			req := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
				Operation: operation, Resource: metav1.GroupVersionResource{Group: "security.neosc.io", Version: "v1alpha1", Resource: "securitypolicies"},
				Namespace: "team", Name: "p", OldObject: raw(t, was), Object: raw(t, is),
			}}
			if answer := allow.Handle(ctx, req); !answer.Allowed {
				t.Fatal(answer.Result)
			}
		}
		first := &v1alpha1.SecurityPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "p", UID: "1", Generation: 1}}
		second := first.DeepCopy()
		second.Generation, second.Spec.DisplayName = 2, "another"
		ask(admissionv1.Create, nil, first)
		w.OnAdd(first, false)
		ask(admissionv1.Update, first, second)
		w.OnUpdate(first, second)
		ask(admissionv1.Delete, second, nil)
		w.OnDelete(second)
		time.Sleep(time.Minute) //nolint:forbidigo // It is not real time, and what it lets happen has happened when it returns.
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}

		ledger.mu.Lock()
		defer ledger.mu.Unlock()
		slices.Sort(ledger.reasons)
		if !slices.Equal(ledger.reasons, []string{"Created", "Deleted", "Updated"}) {
			t.Errorf("%v", ledger.reasons)
		}
	})
}

func raw(t *testing.T, obj *v1alpha1.SecurityPolicy) runtime.RawExtension {
	t.Helper()
	if obj == nil {
		return runtime.RawExtension{}
	}
	text, err := json.Marshal(obj)
	if err != nil {
		t.Fatal(err)
	}
	return runtime.RawExtension{Raw: text}
}
