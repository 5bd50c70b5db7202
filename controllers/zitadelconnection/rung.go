package zitadelconnection

import (
	"context"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/doorbell"
)

// betweenRings is the shortest pause between two polls that rings cause, per
// connection and however many webhooks hear them.
const betweenRings = time.Second

// rung has a connection polled when its doorbell rang. The first ring is
// answered at once, all that follow within the pause are answered together at
// its end, so that none is without a poll after it.
type rung struct {
	client client.Reader
	now    func() time.Time

	mu sync.Mutex
	// polls has, for connections that rang within the last pause, the time of
	// their latest poll, which may be to come.
	polls map[string]time.Time
}

func (r *rung) handler() handler.EventHandler {
	return handler.Funcs{UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		was := e.ObjectOld.GetAnnotations()
		for name, value := range e.ObjectNew.GetAnnotations() {
			connection, isRing := strings.CutPrefix(name, doorbell.AnnotationPrefix)
			if !isRing || was[name] == value || !r.listensTo(ctx, connection) {
				continue
			}
			if after, needed := r.wait(connection); needed {
				q.AddAfter(reconcile.Request{NamespacedName: types.NamespacedName{Name: connection}}, after)
			}
		}
	}}
}

// listensTo tells whether the connection exists and has a doorbell.
func (r *rung) listensTo(ctx context.Context, connection string) bool {
	conn := &v1alpha1.ZitadelConnection{}
	if err := r.client.Get(ctx, types.NamespacedName{Name: connection}, conn); err != nil {
		if client.IgnoreNotFound(err) != nil {
			ctrl.LoggerFrom(ctx).Error(err, "Looking up the connection that rang", "connection", connection)
		}
		return false
	}
	return conn.Spec.Events.Webhook.Enabled
}

// wait tells after which pause to poll, and whether that is not planned already.
func (r *rung) wait(connection string) (after time.Duration, needed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	for other, at := range r.polls {
		if !now.Before(at.Add(betweenRings)) {
			delete(r.polls, other)
		}
	}
	last, recent := r.polls[connection]
	switch {
	case recent && last.After(now):
		return 0, false
	case recent:
		after = last.Add(betweenRings).Sub(now)
	}
	if r.polls == nil {
		r.polls = map[string]time.Time{}
	}
	r.polls[connection] = now.Add(after)
	return after, true
}

// isDoorbell passes the Lease with the rings.
func (f *Follower) isDoorbell(obj client.Object) bool {
	return obj.GetNamespace() == f.Namespace && obj.GetName() == doorbell.Name
}

// untilItRings is how long after it was hung up a doorbell may not ring yet: the
// server may still have the executions of before, and a webhook the keys.
const untilItRings = time.Second

// hungUp has a connection polled once when its doorbell is sure to ring from then
// on: what happened meanwhile may not have rung.
var hungUp = handler.Funcs{UpdateFunc: func(_ context.Context, e event.UpdateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	has := func(obj client.Object) bool {
		conditions := obj.(*v1alpha1.ZitadelConnection).Status.Conditions
		return meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionDoorbellReady)
	}
	if !has(e.ObjectOld) && has(e.ObjectNew) {
		q.AddAfter(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(e.ObjectNew)}, untilItRings)
	}
}}
