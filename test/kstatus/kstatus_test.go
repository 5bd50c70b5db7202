// Package kstatus asks the library by which Flux's and kpt's health checks read
// objects, and the script by which Argo CD's shall, what they make of ours.
package kstatus

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

// withoutStatus are records of what was: there is nothing to wait for.
var withoutStatus = []string{"MFAAuditRecord", "MFALedgerSnapshot"}

// Every kind, in every state that its conditions tell of.
func TestEveryKindInEveryState(t *testing.T) {
	const now = 3 // generation
	condition := func(kind string, is metav1.ConditionStatus) map[string]any {
		return map[string]any{"type": kind, "status": string(is), "reason": "Reason", "message": "message", "observedGeneration": int64(now)}
	}
	for _, kind := range kinds(t) {
		for _, c := range []struct {
			why        string
			conditions []any
			observed   int64
			deleted    bool
			want       status.Status
		}{
			{"it was reconciled and is as its spec says", []any{condition(v1alpha1.ConditionReady, metav1.ConditionTrue)}, now, false, status.CurrentStatus},
			{"its spec was changed since", []any{condition(v1alpha1.ConditionReady, metav1.ConditionTrue)}, now - 1, false, status.InProgressStatus},
			{"it is not as its spec says yet", []any{condition(v1alpha1.ConditionReady, metav1.ConditionFalse)}, now, false, status.InProgressStatus},
			{"whether it is cannot be told", []any{condition(v1alpha1.ConditionReady, metav1.ConditionUnknown)}, now, false, status.InProgressStatus},
			{
				"only a change by somebody helps",
				[]any{condition(v1alpha1.ConditionReady, metav1.ConditionFalse), condition(v1alpha1.ConditionStalled, metav1.ConditionTrue)},
				now, false, status.FailedStatus,
			},
			{
				"what helped somebody has just changed",
				[]any{condition(v1alpha1.ConditionReady, metav1.ConditionFalse), condition(v1alpha1.ConditionStalled, metav1.ConditionTrue)},
				now - 1, false, status.InProgressStatus,
			},
			{"it waits for its finalizer", []any{condition(v1alpha1.ConditionReady, metav1.ConditionTrue)}, now, true, status.TerminatingStatus},
			{
				"a warning is no failure",
				[]any{
					condition(v1alpha1.ConditionReady, metav1.ConditionTrue), condition(v1alpha1.ConditionEnforcementLimited, metav1.ConditionTrue),
					condition(v1alpha1.ConditionDriftDetected, metav1.ConditionTrue), condition(v1alpha1.ConditionCredentialExpiring, metav1.ConditionTrue),
				},
				now, false, status.CurrentStatus,
			},
		} {
			t.Run(kind+"/"+c.why, func(t *testing.T) {
				obj := &unstructured.Unstructured{Object: map[string]any{
					"status": map[string]any{"observedGeneration": c.observed, "conditions": c.conditions},
				}}
				obj.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
				obj.SetName("any")
				obj.SetGeneration(now)
				if c.deleted {
					obj.SetDeletionTimestamp(&metav1.Time{Time: time.Unix(1, 0)})
					obj.SetFinalizers([]string{v1alpha1.Finalizer})
				}
				got, err := status.Compute(obj)
				if err != nil {
					t.Fatal(err)
				}
				if got.Status != c.want {
					t.Errorf("is %s, not %s: %s", got.Status, c.want, got.Message)
				}
				if health, message := argoCD(t, obj); health != healthOf[c.want] || message == "" {
					t.Errorf("Argo CD makes %s of it, not %s: %q", health, healthOf[c.want], message)
				}
			})
		}
	}
}

// kinds are ours that have a status, which must have what the library looks at.
func kinds(t *testing.T) []string {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	var found []string
	for kind, form := range scheme.KnownTypes(v1alpha1.GroupVersion) {
		if form.PkgPath() != reflect.TypeFor[v1alpha1.SecurityPolicy]().PkgPath() || slices.Contains(withoutStatus, kind) {
			continue
		}
		if _, list := form.FieldByName("Items"); list {
			continue
		}
		state, ok := form.FieldByName("Status")
		if !ok {
			t.Errorf("%s has no status", kind)
			continue
		}
		for name, want := range map[string]reflect.Type{"ObservedGeneration": reflect.TypeFor[int64](), "Conditions": reflect.TypeFor[[]metav1.Condition]()} {
			if field, ok := state.Type.FieldByName(name); !ok || field.Type != want {
				t.Errorf("%s: status has no %s", kind, name)
			}
		}
		found = append(found, kind)
	}
	slices.Sort(found)
	if len(found) < 6 {
		t.Fatalf("only %v", found)
	}
	return found
}
