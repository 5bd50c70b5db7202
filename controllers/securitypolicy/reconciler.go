package securitypolicy

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/kube"
)

// +kubebuilder:rbac:groups=security.neosc.io,resources=securitypolicies,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=security.neosc.io,resources=securitypolicies/status,verbs=patch
// +kubebuilder:rbac:groups=security.neosc.io,resources=securitypolicies/finalizers,verbs=update
// +kubebuilder:rbac:groups=security.neosc.io,resources=zitadelconnections,verbs=get;list;watch
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfausers,verbs=get;list;watch
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaexemptions,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch;create;update;delete,namespace=neosc-system
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconciler puts SecurityPolicies in force.
type Reconciler struct {
	Client client.Client
	// Live reads past the cache.
	Live      client.Reader
	Providers Providers
	Census    Census
	Recorder  Recorder
	Events    events.EventRecorder
	// Namespace is the operator's own; claims are kept there.
	Namespace string
	// Resync is the pause between two full comparisons of a target whose
	// changes Zitadel's events tell; up to a fifth is added so that policies do
	// not stay in step. Where events are not followed it is at most
	// resyncUnfollowed.
	Resync time.Duration
	// Now is the clock; nil means the system's.
	Now func() time.Time

	memory    memory
	directory directory
	wakeups   chan event.GenericEvent
}

// resyncUnfollowed is the longest pause between two full comparisons where
// nothing else tells of changes.
const resyncUnfollowed = 5 * time.Minute

func (r *Reconciler) resync(conn *v1alpha1.ZitadelConnection) time.Duration {
	if meta.IsStatusConditionTrue(conn.Status.Conditions, v1alpha1.ConditionEventsFollowed) {
		return r.Resync
	}
	return min(r.Resync, resyncUnfollowed)
}

// Reconcile brings one policy's targets to what its spec wants.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	p := &v1alpha1.SecurityPolicy{}
	if err := r.Client.Get(ctx, req.NamespacedName, p); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !p.DeletionTimestamp.IsZero() {
		return r.finalize(ctx, p)
	}
	if _, err := kube.EnsureFinalizer(ctx, r.Client, p, v1alpha1.Finalizer); err != nil {
		return ctrl.Result{}, err
	}

	seen, err := r.sync(ctx, p)
	if err != nil {
		return ctrl.Result{}, err
	}
	if seen.waiting {
		return ctrl.Result{RequeueAfter: connectPause}, nil
	}
	if err := r.report(ctx, p, seen); err != nil {
		return ctrl.Result{}, errors.Join(seen.retryable(), err)
	}
	r.wakeOthers(ctx, p, seen)
	result, err := r.next(seen)
	if err != nil {
		return ctrl.Result{}, err
	}
	return r.beforeExpiry(ctx, p, result)
}

// connectPause is how long to wait for a connection that is being made, as
// after a start of the manager.
const connectPause = 500 * time.Millisecond

// next ends a pass in one of three ways: retry what can get better by itself,
// look again slowly at what somebody must put right, or resync.
func (r *Reconciler) next(seen pass) (ctrl.Result, error) {
	switch {
	case seen.retryable() != nil:
		return ctrl.Result{}, seen.retryable()
	case seen.failed():
		return ctrl.Result{RequeueAfter: kube.Jitter(kube.SlowRetry)}, nil
	default:
		pause := r.Resync
		for _, one := range seen.results {
			pause = min(pause, r.resync(one.target.connection))
		}
		return ctrl.Result{RequeueAfter: kube.Jitter(pause)}, nil
	}
}

// finalize lets go of every target as spec.deletionPolicy says, and only then
// lets the object go.
func (r *Reconciler) finalize(ctx context.Context, p *v1alpha1.SecurityPolicy) (ctrl.Result, error) {
	seen, err := r.leave(ctx, p, nil)
	if err != nil {
		return ctrl.Result{}, err
	}
	if seen.waiting {
		return ctrl.Result{RequeueAfter: connectPause}, nil
	}
	if !seen.failed() {
		r.tellChanges(p, seen)
		return ctrl.Result{}, kube.RemoveFinalizer(ctx, r.Client, p, v1alpha1.Finalizer)
	}
	if err := r.report(ctx, p, seen); err != nil {
		return ctrl.Result{}, errors.Join(seen.retryable(), err)
	}
	return r.next(seen)
}

func (r *Reconciler) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}
