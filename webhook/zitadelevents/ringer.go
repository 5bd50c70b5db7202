package zitadelevents

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/internal/doorbell"
)

// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,resourceNames=zitadel-doorbell,verbs=patch,namespace=neosc-system

// betweenWrites is the shortest pause between two writes, for all connections
// together.
const betweenWrites = time.Second

// Ringer writes down that bells rang, where the manager on the leader sees it.
// Whatever comes within the pause after a write is one more write at its end. It
// is a manager.Runnable that needs no leader.
type Ringer struct {
	client    client.Client
	namespace string
	now       func() time.Time
	log       logr.Logger
	pause     time.Duration

	mu sync.Mutex
	// rung has no more than there are connections with a key.
	rung map[string]bool
	wake chan struct{} // holds one
}

func newRinger(c client.Client, namespace string, log logr.Logger) *Ringer {
	return &Ringer{
		client: c, namespace: namespace, now: time.Now, log: log, pause: betweenWrites,
		rung: map[string]bool{}, wake: make(chan struct{}, 1),
	}
}

// Ring notes that a bell rang, and returns at once.
func (r *Ringer) Ring(connection string) {
	r.mu.Lock()
	r.rung[connection] = true
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (r *Ringer) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable. What rings when ctx ends is not written: the
// next look at the event log finds it.
func (r *Ringer) Start(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		}
		rung := r.take()
		if err := r.write(ctx, rung); err != nil && ctx.Err() == nil {
			r.log.Error(err, "Passing on rings", "connections", rung)
			for _, connection := range rung {
				r.Ring(connection)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(r.pause):
		}
	}
}

func (r *Ringer) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	rung := slices.Sorted(maps.Keys(r.rung))
	clear(r.rung)
	return rung
}

func (r *Ringer) write(ctx context.Context, rung []string) error {
	at := r.now().UTC().Format(time.RFC3339Nano)
	annotations := map[string]string{}
	for _, connection := range rung {
		annotations[doorbell.AnnotationPrefix+connection] = at
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
	if err != nil {
		return fmt.Errorf("writing rings: %w", err)
	}
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: doorbell.Name}}
	if err := r.client.Patch(ctx, lease, client.RawPatch("application/merge-patch+json", patch)); err != nil {
		return fmt.Errorf("writing rings: %w", err)
	}
	return nil
}
