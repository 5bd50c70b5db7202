package kube_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/kube"
)

const finalizer = "example.com/finalizer"

// store is an API server in memory that counts the writes, and can fail them.
type store struct {
	client.Client
	writes int
	fail   error
}

func newStore(t *testing.T, objects ...client.Object) *store {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	s := &store{}
	s.Client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(objects...).
		WithInterceptorFuncs(interceptor.Funcs{
			Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
				if s.writes++; s.fail != nil {
					return s.fail
				}
				return c.Patch(ctx, obj, patch, opts...)
			},
			SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
				if s.writes++; s.fail != nil {
					return s.fail
				}
				return c.SubResource(sub).Patch(ctx, obj, patch, opts...)
			},
		}).Build()
	return s
}

func (s *store) get(t *testing.T) *v1alpha1.SecurityPolicy {
	t.Helper()
	p := &v1alpha1.SecurityPolicy{}
	if err := s.Get(t.Context(), types.NamespacedName{Namespace: "default", Name: "mfa"}, p); err != nil {
		t.Fatal(err)
	}
	return p
}

func mfa(finalizers ...string) *v1alpha1.SecurityPolicy {
	return &v1alpha1.SecurityPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "mfa", Finalizers: finalizers}}
}

func TestFinalizer(t *testing.T) {
	s := newStore(t, mfa("example.com/other"))
	for i, want := range []bool{true, false} {
		added, err := kube.EnsureFinalizer(t.Context(), s, s.get(t), finalizer)
		if err != nil || added != want || s.writes != 1 {
			t.Errorf("time %d: added %v, %v after %d writes; want %v after one", i+1, added, err, s.writes, want)
		}
	}
	if got := s.get(t).Finalizers; !slices.Equal(got, []string{"example.com/other", finalizer}) {
		t.Errorf("the finalizers are %v", got)
	}
	for range 2 { // the second time it is gone already
		if err := kube.RemoveFinalizer(t.Context(), s, s.get(t), finalizer); err != nil || s.writes != 2 {
			t.Errorf("%v after %d writes, want one more", err, s.writes)
		}
	}
	if got := s.get(t).Finalizers; !slices.Equal(got, []string{"example.com/other"}) {
		t.Errorf("the finalizers are %v", got)
	}
}

// TestFinalizersOfOthersAreNotLost: whoever was faster wins, and we try again.
func TestFinalizersOfOthersAreNotLost(t *testing.T) {
	s := newStore(t, mfa())
	stale := s.get(t)
	other := s.get(t)
	other.Finalizers = []string{"example.com/other"}
	if err := s.Update(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if _, err := kube.EnsureFinalizer(t.Context(), s, stale, finalizer); !apierrors.IsConflict(err) {
		t.Errorf("got %v, want a conflict", err)
	}
	if got := s.get(t).Finalizers; !slices.Equal(got, []string{"example.com/other"}) {
		t.Errorf("the finalizers are %v", got)
	}
}

func TestFinalizerErrors(t *testing.T) {
	s := newStore(t, mfa(finalizer))
	s.fail = apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("securitypolicies").GroupResource(), "mfa")
	if err := kube.RemoveFinalizer(t.Context(), s, mfa(finalizer), finalizer); err != nil {
		t.Errorf("an object that is gone: %v", err)
	}
	s.fail = errors.New("down")
	if err := kube.RemoveFinalizer(t.Context(), s, mfa(finalizer), finalizer); !errors.Is(err, s.fail) {
		t.Errorf("got %v, want it wrapped", err)
	}
	if added, err := kube.EnsureFinalizer(t.Context(), s, mfa(), finalizer); added || !errors.Is(err, s.fail) {
		t.Errorf("got %v, %v, want nothing added and the error wrapped", added, err)
	}
}

func TestStatusIsWrittenOnChangeOnly(t *testing.T) {
	s := newStore(t, mfa())
	for i, want := range []bool{true, false} {
		p := s.get(t)
		before := p.DeepCopy()
		p.Status.ObservedGeneration = 3
		p.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue, Reason: "InForce", LastTransitionTime: metav1.Unix(1, 0)}}
		written, err := kube.WriteStatus(t.Context(), s, before, p)
		if err != nil || written != want || s.writes != 1 {
			t.Errorf("time %d: written %v, %v after %d writes; want %v after one", i+1, written, err, s.writes, want)
		}
	}
	if got := s.get(t).Status.ObservedGeneration; got != 3 {
		t.Errorf("the status holds %d", got)
	}

	p := s.get(t)
	before := p.DeepCopy()
	p.Status.Targets = []v1alpha1.TargetStatus{} // empty or none is the same to readers
	if written, err := kube.WriteStatus(t.Context(), s, before, p); written || err != nil {
		t.Errorf("written %v, %v for nothing", written, err)
	}
	s.fail = errors.New("down")
	p.Status.ObservedGeneration = 4
	if written, err := kube.WriteStatus(t.Context(), s, before, p); written || !errors.Is(err, s.fail) {
		t.Errorf("written %v, %v, want the error wrapped", written, err)
	}
}

func TestPresentWhileTrue(t *testing.T) {
	var conditions []metav1.Condition
	kube.SetPresentWhileTrue(&conditions, false, metav1.Condition{Type: "Stalled", Reason: "Denied"})
	if len(conditions) != 0 {
		t.Errorf("absent it is %v", conditions)
	}
	kube.SetPresentWhileTrue(&conditions, true, metav1.Condition{Type: "Stalled", Reason: "Denied"})
	if c := meta.FindStatusCondition(conditions, "Stalled"); c == nil || c.Status != metav1.ConditionTrue || c.Reason != "Denied" {
		t.Errorf("present it is %v", conditions)
	}
	kube.SetPresentWhileTrue(&conditions, false, metav1.Condition{Type: "Stalled"})
	if len(conditions) != 0 {
		t.Errorf("absent again it is %v", conditions)
	}
}

// TestPace: retries start after a second, double up to two minutes, and no two
// are in step.
func TestPace(t *testing.T) {
	limiter := kube.RetryLimiter()
	item := reconcile.Request{NamespacedName: types.NamespacedName{Name: "a"}}
	least := time.Second
	for i := range 12 {
		if got := limiter.When(item); got < least || got > least*6/5 {
			t.Errorf("retry %d comes after %s, want %s and up to a fifth more", i+1, got, least)
		}
		least = min(2*least, 2*time.Minute)
	}
	if got := limiter.When(reconcile.Request{}); got > 2*time.Second {
		t.Errorf("another object waits for %s because of this one", got)
	}
	limiter.Forget(item)
	if got := limiter.When(item); got > 2*time.Second {
		t.Errorf("after a success the first retry comes after %s", got)
	}
	pauses := map[time.Duration]bool{}
	for range 20 {
		pauses[kube.Jitter(time.Hour)] = true
	}
	if len(pauses) < 2 {
		t.Error("everything stays in step")
	}
}
