package zitadelconnection

import (
	"context"
	"errors"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/metrics"
	"github.com/neosc/mfa-operator/internal/tracing"
)

// Follower follows the event logs of all instances, one poll at a time, and
// tells the listeners. It keeps its place in the status: the cursor moves on
// after every listener took the events before it, so whatever ends the process,
// the next one tells them again and none is lost.
type Follower struct {
	Client client.Client
	// Live reads past the cache, which may still have the cursor from before our
	// own last write.
	Live      client.Reader
	Logs      EventLogs
	Listeners []Listener
	Events    events.EventRecorder
	// Namespace is the operator's own, where doorbells are heard.
	Namespace string
	// Now is the clock; nil means the system's.
	Now func() time.Time
}

// beforeConnected is the pause before looking for a client again that another
// reconciler is about to make.
const beforeConnected = time.Second

// followers is how many logs are polled at once, so that instances that do not
// answer do not hold up the others.
const followers = 8

// SetupWithManager makes the manager run the follower on the leader. Beside the
// pause, it is woken by a connection's spec and by its doorbell.
func (f *Follower) SetupWithManager(mgr ctrl.Manager) error {
	bells := &rung{client: f.Client, now: f.now}
	return ctrl.NewControllerManagedBy(mgr).
		Named("zitadelevents").
		For(&v1alpha1.ZitadelConnection{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.ZitadelConnection{}, hungUp).
		Watches(&coordinationv1.Lease{}, bells.handler(), builder.WithPredicates(predicate.NewPredicateFuncs(f.isDoorbell))).
		WithOptions(controller.Options{RateLimiter: kube.RetryLimiter(), MaxConcurrentReconciles: followers}).
		Complete(tracing.Reconciler("zitadelevents", "ZitadelConnection", f))
}

// Reconcile is one poll.
func (f *Follower) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	conn := &v1alpha1.ZitadelConnection{}
	if err := f.Live.Get(ctx, req.NamespacedName, conn); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !conn.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	log, connected := f.Logs.EventLog(conn.Name)
	if !connected {
		return ctrl.Result{RequeueAfter: beforeConnected}, nil
	}

	batch, err := f.poll(ctx, conn, log)
	if errors.Is(err, context.Canceled) {
		return ctrl.Result{}, err
	}
	if reportErr := f.report(ctx, conn, log.Origin(), batch.Next, err); reportErr != nil {
		return ctrl.Result{}, errors.Join(err, reportErr)
	}
	var missed *unheard
	switch {
	case errors.As(err, &missed): // whatever the listener's reason
		return ctrl.Result{}, err
	case errors.Is(err, idp.ErrDenied):
		return ctrl.Result{RequeueAfter: kube.Jitter(kube.SlowRetry)}, nil
	case err != nil:
		return ctrl.Result{}, err
	case batch.More:
		return ctrl.Result{RequeueAfter: time.Millisecond}, nil
	}
	// Without a pause it would never be looked at again.
	return ctrl.Result{RequeueAfter: time.Duration(max(conn.Spec.Events.PollSeconds, 1)) * time.Second}, nil
}

// poll reads what is new and tells the listeners. Without a cursor it only finds
// out where the log ends.
func (f *Follower) poll(ctx context.Context, conn *v1alpha1.ZitadelConnection, log EventLog) (idp.Batch, error) {
	since, begun := cursorOf(conn.Status.Events, log.Origin())
	if !begun {
		end, err := log.EventsFromNow(ctx)
		if err != nil {
			return idp.Batch{}, err
		}
		for _, l := range f.Listeners {
			if b, ok := l.(Beginner); ok {
				b.Began(conn.Name)
			}
		}
		return idp.Batch{Next: end}, nil
	}
	batch, err := log.Events(ctx, since)
	if err != nil || len(batch.Events) == 0 {
		return batch, err
	}
	var failed []error
	for _, l := range f.Listeners {
		failed = append(failed, l.Heard(ctx, conn.Name, batch.Events))
	}
	if err := errors.Join(failed...); err != nil {
		return idp.Batch{}, &unheard{err}
	}
	for i := range batch.Events {
		metrics.ZitadelEventLag.Observe(f.now().Sub(batch.Events[i].At).Seconds())
	}
	return batch, nil
}

// unheard is a batch that a listener could not act on.
type unheard struct{ cause error }

// Error implements error.
func (e *unheard) Error() string { return fmt.Sprintf("acting on events: %v", e.cause) }

// Unwrap returns what the listeners said.
func (e *unheard) Unwrap() error { return e.cause }

// report moves the cursor on if the poll went well, and says in a condition
// whether it did.
func (f *Follower) report(ctx context.Context, conn *v1alpha1.ZitadelConnection, instance string, next idp.Cursor, failure error) error {
	c, explained := followed(conn, failure)
	if !explained {
		return nil // of the API server, or the like: no state of the connection
	}
	began := conn.Status.Events
	before, err := writeStatus(ctx, f.Client, f.Live, conn, func(conn *v1alpha1.ZitadelConnection) error {
		if !equality.Semantic.DeepEqual(cursorIn(conn.Status.Events), cursorIn(began)) {
			return errors.New("another follower was faster")
		}
		meta.SetStatusCondition(&conn.Status.Conditions, c)
		if failure == nil {
			status := &v1alpha1.EventsStatus{
				FollowedSince: &metav1.Time{Time: f.now().UTC().Truncate(time.Second)},
				LastPollTime:  &metav1.Time{Time: f.now().UTC().Truncate(time.Minute)},
			}
			if _, begun := cursorOf(conn.Status.Events, instance); begun {
				status.FollowedSince = conn.Status.Events.FollowedSince
			}
			storeCursor(status, instance, next)
			conn.Status.Events = status
		}
		return nil
	})
	if err != nil {
		return err
	}
	was := meta.FindStatusCondition(before.Status.Conditions, c.Type)
	if c.Status == metav1.ConditionFalse && (was == nil || was.Reason != c.Reason) {
		f.Events.Eventf(conn, nil, corev1.EventTypeWarning, c.Reason, "Follow", "%s", c.Message)
	}
	return nil
}

// cursorIn is the part of the status that only a follower moves on.
func cursorIn(status *v1alpha1.EventsStatus) v1alpha1.EventsStatus {
	if status == nil {
		return v1alpha1.EventsStatus{}
	}
	return v1alpha1.EventsStatus{Instance: status.Instance, From: status.From, Seen: status.Seen}
}

// followed is the condition after a poll. It reports false for a failure that
// says nothing about the connection.
func followed(conn *v1alpha1.ZitadelConnection, failure error) (metav1.Condition, bool) {
	c := metav1.Condition{
		Type: v1alpha1.ConditionEventsFollowed, Status: metav1.ConditionFalse, ObservedGeneration: conn.Generation,
	}
	var missed *unheard
	switch {
	case failure == nil:
		c.Status, c.Reason = metav1.ConditionTrue, v1alpha1.ReasonFollowing
		c.Message = "changes made at the instance are noticed from its event log"
		return c, true
	case errors.As(failure, &missed):
		c.Reason = v1alpha1.ReasonEventsNotHandled
		c.Message = "events were read, but not all could be acted on; retrying"
		return c, true
	case idp.CauseOf(failure) == idp.MissingPermission:
		c.Reason = v1alpha1.ReasonEventsPermissionMissing
		c.Message = "the account may not read the event log, so changes made by others are noticed late, and impact is not known; " +
			"grant it IAM_OWNER_VIEWER or IAM_OWNER on the instance (" + failure.Error() + ")"
		return c, true
	}
	var explained bool
	c.Reason, c.Message, explained = kube.Explain(failure)
	return c, explained
}

func (f *Follower) now() time.Time {
	if f.Now != nil {
		return f.Now()
	}
	return time.Now()
}
