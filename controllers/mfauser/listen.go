package mfauser

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
)

// listener follows the ledgers of the namespaces that have local users, one watch
// for each, and wakes whom a record names. It runs on the leader.
type listener struct {
	of      *Reconciler
	wakeups chan event.TypedGenericEvent[wakeup]

	mu      sync.Mutex
	running context.Context // nil before Start
	ears    map[string]context.CancelFunc
	group   sync.WaitGroup
}

// wakeup says when to look at a user.
type wakeup struct {
	key client.ObjectKey
	at  time.Time
}

func newListener(r *Reconciler) *listener {
	return &listener{of: r, wakeups: make(chan event.TypedGenericEvent[wakeup]), ears: map[string]context.CancelFunc{}}
}

// Start listens until ctx ends. It implements manager.Runnable.
func (l *listener) Start(ctx context.Context) error {
	l.mu.Lock()
	l.running = ctx
	for namespace := range l.ears {
		l.begin(namespace)
	}
	l.mu.Unlock()
	<-ctx.Done()
	l.mu.Lock() // nobody begins any more
	defer l.mu.Unlock()
	l.group.Wait()
	return nil
}

// listen follows the ledger of a namespace, if that is not done already. What was
// recorded before that, the caller has yet to read.
func (l *listener) listen(namespace string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.ears[namespace]; known {
		return
	}
	l.ears[namespace] = func() {}
	if l.running != nil {
		l.begin(namespace)
	}
}

// begin starts to follow. The caller holds the lock.
func (l *listener) begin(namespace string) {
	if l.running.Err() != nil {
		return
	}
	ctx, stop := context.WithCancel(l.running)
	l.ears[namespace] = stop
	l.group.Go(func() { l.follow(ctx, namespace) })
}

// leave ends following.
func (l *listener) leave(namespace string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if stop, known := l.ears[namespace]; known {
		stop()
		delete(l.ears, namespace)
	}
}

// follow follows one ledger until ctx ends. Whenever it has to begin anew, as when
// retention was faster, it wakes all local users of the namespace.
func (l *listener) follow(ctx context.Context, namespace string) {
	log := ctrl.Log.WithName("mfauser").WithValues("namespace", namespace)
	pauses := wait.Backoff{Duration: time.Second, Factor: 2, Steps: 6, Cap: 30 * time.Second, Jitter: 0.2}
	err := pauses.DelayFunc().Until(ctx, true, false, func(ctx context.Context) (bool, error) {
		err := l.followOnce(ctx, namespace)
		if ctx.Err() == nil {
			log.Info("Following the ledger was interrupted, trying again", "error", err.Error())
		}
		return false, nil
	})
	if ctx.Err() == nil {
		log.Error(err, "Following the ledger has ended")
	}
}

// followOnce returns an error always.
func (l *listener) followOnce(ctx context.Context, namespace string) error {
	var head audit.Head
	if err := l.of.Ledgers.Head(ctx, namespace, func(h audit.Head) { head = h }); err != nil {
		return fmt.Errorf("finding the end: %w", err)
	}
	users, err := l.of.users(ctx, client.InNamespace(namespace))
	if err != nil {
		return err
	}
	for i := range users {
		if users[i].Spec.Source == v1alpha1.SourceLocal {
			key := client.ObjectKeyFromObject(&users[i])
			l.of.rooms.namesChanged(key) // nobody would have told
			if err := l.wake(ctx, key, l.of.now()); err != nil {
				return err
			}
		}
	}
	return l.of.Ledgers.Follow(ctx, namespace, head, func(b audit.Batch) error { return l.heard(ctx, namespace, b) })
}

// heard wakes whom a batch names, and raises Events.
func (l *listener) heard(ctx context.Context, namespace string, b audit.Batch) error {
	urgent := map[string]bool{}
	for _, record := range b.Records {
		urgent[record.Subject] = urgent[record.Subject] || !isRoutine(record.Action)
	}
	known := map[string]*v1alpha1.MFAUser{}
	for subject, now := range urgent {
		// There is none of a stranger, and of a policy.
		users, err := l.of.users(ctx, client.InNamespace(namespace), client.MatchingFields{indexUID: subject})
		if err != nil {
			return err
		}
		for i := range users {
			known[subject] = &users[i]
			key := client.ObjectKeyFromObject(&users[i])
			if err := l.wake(ctx, key, l.of.rooms.nextLook(key, now, l.of.now())); err != nil {
				return err
			}
		}
	}
	for _, record := range b.Records {
		if u := known[record.Subject]; u != nil {
			l.of.tellRecord(u, record)
		}
	}
	return nil
}

// isRoutine tells whether an action belongs to every login: a look at what it
// changed may wait.
func isRoutine(a audit.Action) bool {
	return a == audit.Verification || a == audit.ChallengeSent
}

// wake puts a user into the queue. It fails only when ctx ends.
func (l *listener) wake(ctx context.Context, key client.ObjectKey, at time.Time) error {
	select {
	case l.wakeups <- event.TypedGenericEvent[wakeup]{Object: wakeup{key, at}}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// source is what the reconciler is woken by.
func (l *listener) source() source.Source {
	return source.TypedChannel(l.wakeups, handler.TypedFuncs[wakeup, reconcile.Request]{
		GenericFunc: func(_ context.Context, e event.TypedGenericEvent[wakeup], queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			queue.AddAfter(reconcile.Request{NamespacedName: e.Object.key}, e.Object.at.Sub(l.of.now()))
		},
	})
}

// listenNoMore ends following the ledger of a namespace that has no local users
// any more.
func (r *Reconciler) listenNoMore(ctx context.Context, namespace string) error {
	users, err := r.users(ctx, client.InNamespace(namespace))
	if err != nil {
		return err
	}
	for i := range users {
		if users[i].Spec.Source == v1alpha1.SourceLocal {
			return nil
		}
	}
	r.listener.leave(namespace)
	return nil
}
