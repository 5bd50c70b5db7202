package zitadelevents

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/neosc/mfa-operator/internal/doorbell"
)

// board is a Lease that counts its writes, and can fail them.
type board struct {
	client.Client
	writes  atomic.Int32
	failing atomic.Bool
}

func newBoard(t *testing.T) *board {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := coordinationv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	b := &board{}
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
		Namespace: "neosc-system", Name: doorbell.Name, Annotations: map[string]string{"somebody": "else"},
	}}
	b.Client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(lease).WithInterceptorFuncs(interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
			b.writes.Add(1)
			if b.failing.Load() {
				return errors.New("the API server is away")
			}
			return c.Patch(ctx, obj, patch, opts...)
		},
	}).Build()
	return b
}

func (b *board) rung(t *testing.T) map[string]string {
	t.Helper()
	lease := &coordinationv1.Lease{}
	if err := b.Get(t.Context(), client.ObjectKey{Namespace: "neosc-system", Name: doorbell.Name}, lease); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for name, value := range lease.Annotations {
		if connection, isRing := strings.CutPrefix(name, doorbell.AnnotationPrefix); isRing {
			found[connection] = value
		}
	}
	if lease.Annotations["somebody"] != "else" {
		t.Error("what else is there is gone")
	}
	return found
}

func start(t *testing.T, b *board) *Ringer {
	t.Helper()
	r := newRinger(b, "neosc-system", logr.Discard())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return r
}

// TestRingsOfAFlood: the first is written at once, a flood costs one write per
// second, and none is without a write after it.
func TestRingsOfAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		r := start(t, b)
		r.Ring("a")
		synctest.Wait()
		if got := b.writes.Load(); got != 1 {
			t.Fatalf("%d writes after the first ring", got)
		}
		first := b.rung(t)
		for range 10_000 { // over 10 seconds
			r.Ring("a")
			r.Ring("b")
			time.Sleep(time.Millisecond) //nolint:forbidigo // the clock is the bubble's
		}
		if got := b.writes.Load(); got < 10 || got > 11 {
			t.Errorf("%d writes in 10 seconds", got)
		}
		time.Sleep(2 * time.Second) //nolint:forbidigo // as above
		synctest.Wait()
		settled := b.writes.Load()
		if got := b.rung(t); len(got) != 2 || got["a"] <= first["a"] || got["b"] == "" {
			t.Errorf("written is %v, after %v", got, first)
		}
		time.Sleep(time.Hour) //nolint:forbidigo // as above
		if got := b.writes.Load(); got != settled {
			t.Errorf("%d writes without a ring", got-settled)
		}
	})
}

// TestRingsAreKeptWhileTheyCannotBeWritten, each connection once.
func TestRingsAreKeptWhileTheyCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		b.failing.Store(true)
		r := start(t, b)
		for i := range 5000 {
			r.Ring(fmt.Sprint("c", i%5))
		}
		time.Sleep(10 * time.Second) //nolint:forbidigo // the clock is the bubble's
		if got := b.writes.Load(); got < 10 || got > 11 {
			t.Errorf("%d attempts in 10 seconds", got)
		}
		b.failing.Store(false)
		time.Sleep(time.Second) //nolint:forbidigo // as above
		synctest.Wait()
		var names []string
		for name := range b.rung(t) {
			names = append(names, name)
		}
		if slices.Sort(names); !slices.Equal(names, []string{"c0", "c1", "c2", "c3", "c4"}) {
			t.Errorf("written is %v", names)
		}
	})
}
