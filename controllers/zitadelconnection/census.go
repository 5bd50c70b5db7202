package zitadelconnection

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/policy"
	"github.com/neosc/mfa-operator/internal/tracing"
)

// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;create;update,namespace=neosc-system

// Census counts the users of every instance: once from the whole event log,
// after the start of the process, and from what the follower hears from then
// on. It publishes the result as a ConfigMap, for those who have no credential
// of the instance. The entries per user stay in memory.
type Census struct {
	Client client.Client
	// Live reads past the cache, which has no such ConfigMaps.
	Live client.Reader
	Logs EventLogs
	// Namespace is the operator's own.
	Namespace string
	// Pace is the pause between two pages of history; 0 means censusPace.
	Pace time.Duration
	// Interval is the shortest pause between two writes of a ConfigMap, except
	// when the census becomes complete; 0 means censusInterval.
	Interval time.Duration
	// Taken is told when a census becomes complete or says something else.
	Taken func(ctx context.Context, connection string) error
	// Now is the clock; nil means the system's.
	Now func() time.Time

	mu sync.Mutex // guards what follows, and the counts in it
	of map[string]*count
}

const (
	// censusPace leaves more than half of the default rate limit to others.
	censusPace     = 200 * time.Millisecond
	censusInterval = time.Minute
	// recount is the pause before looking whether the follower began anew, so
	// that history has to be read again. Looking costs no call.
	recount = 2 * time.Second
	// censusBytes bounds what is published; a ConfigMap holds 1 MiB.
	censusBytes = 900 << 10
	// maxPending bounds what is kept of what is heard while history is read.
	maxPending = 10000
)

// SetupWithManager makes the manager take the census on the leader.
func (c *Census) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("zitadelcensus").
		For(&v1alpha1.ZitadelConnection{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controller.Options{RateLimiter: kube.RetryLimiter(), MaxConcurrentReconciles: followers}).
		Complete(tracing.Reconciler("zitadelcensus", "ZitadelConnection", c))
}

// Heard implements Listener.
func (c *Census) Heard(_ context.Context, connection string, events []idp.Event) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.of[connection]; n != nil {
		n.hear(events)
	}
	return nil // without a count, history will have it
}

// Began implements Beginner. What happened before is in history only, so that
// is read again.
func (c *Census) Began(connection string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.of, connection)
}

// Reconcile reads a page of history, or publishes what has changed.
func (c *Census) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	conn := &v1alpha1.ZitadelConnection{}
	if err := c.Client.Get(ctx, req.NamespacedName, conn); err != nil {
		if apierrors.IsNotFound(err) {
			c.Began(req.Name)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	log, connected := c.Logs.EventLog(conn.Name)
	if !connected || !conn.DeletionTimestamp.IsZero() {
		return ctrl.Result{RequeueAfter: beforeConnected}, nil
	}

	n := c.countOf(conn.Name, log.Origin())
	read, err := c.readHistory(ctx, log, n)
	census := c.result(n)
	census.Stale = meta.IsStatusConditionFalse(conn.Status.Conditions, v1alpha1.ConditionEventsFollowed)
	if read && census.Complete || !c.now().Before(n.published.Add(c.interval())) {
		changed, unpublished := c.publish(ctx, conn, census)
		if unpublished != nil {
			return ctrl.Result{}, unpublished
		}
		n.published = c.now()
		if census.Complete && (read || changed) && c.Taken != nil {
			if err := c.Taken(ctx, conn.Name); err != nil {
				return ctrl.Result{}, err
			}
		}
	}
	switch {
	case errors.Is(err, idp.ErrDenied): // the follower's condition says so
		return ctrl.Result{RequeueAfter: kube.Jitter(kube.SlowRetry)}, nil
	case err != nil:
		return ctrl.Result{}, err
	case census.Complete:
		return ctrl.Result{RequeueAfter: min(c.interval(), recount)}, nil
	}
	return ctrl.Result{RequeueAfter: c.pace()}, nil
}

// readHistory reads one page, unless all is read, and tells whether it did.
func (c *Census) readHistory(ctx context.Context, log EventLog, n *count) (bool, error) {
	c.mu.Lock()
	topic, since, unread := n.nextPage()
	c.mu.Unlock()
	if !unread {
		return false, nil
	}
	batch, err := log.History(ctx, topic, since)
	if err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n.take(topic, batch)
	return true, nil
}

// countOf returns the count of a connection, a new one if it is of another
// instance.
func (c *Census) countOf(connection, instance string) *count {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.of[connection]; n != nil && n.instance == instance {
		return n
	}
	if c.of == nil {
		c.of = map[string]*count{}
	}
	n := &count{instance: instance, cursors: map[idp.Topic]idp.Cursor{}}
	c.of[connection] = n
	return n
}

func (c *Census) result(n *count) policy.Census {
	c.mu.Lock()
	defer c.mu.Unlock()
	census := n.register.Census()
	census.Instance, census.Complete = n.instance, n.complete
	return census
}

// Of returns the census of a connection as it stands now; false as long as its
// history is being read, or may not be.
func (c *Census) Of(connection string) (policy.Census, bool) {
	c.mu.Lock()
	n := c.of[connection]
	c.mu.Unlock()
	if n == nil {
		return policy.Census{}, false
	}
	census := c.result(n)
	return census, census.Complete
}

// Humans lists the users of these organizations and the organization of each, by
// their ids; false as long as it is not known.
func (c *Census) Humans(connection string, organizations ...string) (map[string]string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.of[connection]
	if n == nil || !n.complete {
		return nil, false
	}
	return n.register.Humans(organizations...), true
}

// publish writes the ConfigMap if it says something else, and tells whether it
// did. A complete census of the same instance, of the process before, stands until there is a new one.
func (c *Census) publish(ctx context.Context, conn *v1alpha1.ZitadelConnection, census policy.Census) (bool, error) {
	stored := &corev1.ConfigMap{}
	err := c.Live.Get(ctx, client.ObjectKey{Namespace: c.Namespace, Name: policy.CensusName(conn.Name)}, stored)
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return false, fmt.Errorf("reading the census published before: %w", err)
	}
	if before, err := policy.ReadCensus([]byte(stored.Data[policy.CensusKey])); err == nil &&
		before.Complete && before.Instance == census.Instance && !census.Complete {
		before.Stale = census.Stale
		census = before
	}
	data, err := census.Encode(censusBytes)
	if err != nil {
		return false, err
	}
	wanted := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: c.Namespace, Name: policy.CensusName(conn.Name), Labels: policy.CensusLabels,
			// It goes with the connection.
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "ZitadelConnection", Name: conn.Name, UID: conn.UID,
			}},
		},
		Data: map[string]string{policy.CensusKey: string(data)},
	}
	switch {
	case missing:
		err = c.Client.Create(ctx, wanted)
	case maps.Equal(stored.Data, wanted.Data):
		return false, nil
	default:
		stored.Labels, stored.OwnerReferences, stored.Data = wanted.Labels, wanted.OwnerReferences, wanted.Data
		err = c.Client.Update(ctx, stored)
	}
	if err != nil {
		return false, fmt.Errorf("publishing the census: %w", err)
	}
	return true, nil
}

func (c *Census) pace() time.Duration     { return cmp.Or(c.Pace, censusPace) }
func (c *Census) interval() time.Duration { return cmp.Or(c.Interval, censusInterval) }

func (c *Census) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

// count is the census of one connection.
type count struct {
	instance string
	register policy.Register
	// cursors say how far each topic has been read; pass is the number of topics
	// read to their end in this pass over them.
	cursors map[idp.Topic]idp.Cursor
	pass    int
	// begun: the pass has begun, and what is heard is pending; missed: it was too
	// much.
	begun   bool
	pending []idp.Event
	missed  bool
	// complete: history has been read to its end, and what is heard counts.
	complete bool
	// published is when the ConfigMap was last looked after.
	published time.Time
}

// order is that of a pass. What was removed comes first, so that it takes no
// room later.
var order = []idp.Topic{idp.OrganizationHistory, idp.UserHistory}

// hear takes what happened. While history is read it waits: a page that was
// asked for before may have it, or may not.
func (n *count) hear(events []idp.Event) {
	switch {
	case n.complete:
		n.register.Fold(events...)
	case !n.begun || n.missed:
	case len(n.pending)+len(events) > maxPending:
		n.pending, n.missed = nil, true
	default:
		n.pending = append(n.pending, events...)
	}
}

// nextPage says what to read, false if there is nothing more to read.
func (n *count) nextPage() (topic idp.Topic, since idp.Cursor, unread bool) {
	if n.complete {
		return "", idp.Cursor{}, false
	}
	n.begun = true
	return order[n.pass], n.cursors[order[n.pass]], true
}

// take folds a page. Where it was the last of a pass, history has been read up
// to when the pass began, and what was heard since is pending: either that is
// folded, or, where it was too much, another pass will have it.
func (n *count) take(topic idp.Topic, page idp.Batch) {
	n.register.Fold(page.Events...)
	n.cursors[topic] = page.Next
	if page.More {
		return
	}
	if n.pass++; n.pass < len(order) {
		return
	}
	if n.missed {
		n.pass, n.begun, n.missed = 0, false, false
		return
	}
	n.register.Fold(n.pending...)
	n.pending, n.complete = nil, true
}
