package mfaledger

import (
	"context"
	"errors"
	"time"

	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/tracing"
)

// Keeper looks after one ledger: it takes checkpoints, raises the floor, and
// removes what lies below. It returns the MFALedger as it now is; with an error,
// the MFALedger may be nil.
type Keeper interface {
	Keep(ctx context.Context, namespace string) (*v1alpha1.MFALedger, error)
}

// Reconciler keeps MFALedgers.
type Reconciler struct {
	Client client.Client
	Keeper Keeper
	Events events.EventRecorder
	// Pause is how long to wait between two looks at a ledger. Unset: a minute.
	Pause time.Duration
}

// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaauditrecords,verbs=get;list;watch;create;delete
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaledgers,verbs=get;list;watch;create
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaledgers/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaledgersnapshots,verbs=get;list;create;delete

// SetupWithManager registers the reconciler. A ledger grows without an event,
// so it is looked at again after a pause, and at once only when its spec changes.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.MFALedger{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: 4, RateLimiter: kube.RetryLimiter()}).
		Complete(tracing.Reconciler("mfaledger", "MFALedger", r))
}

// Reconcile looks after one ledger.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	before := &v1alpha1.MFALedger{}
	if err := r.Client.Get(ctx, req.NamespacedName, before); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !before.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil // with its namespace: there is nothing to undo
	}

	kept, keepErr := r.Keeper.Keep(ctx, req.Namespace)
	if ctx.Err() != nil {
		return ctrl.Result{}, ctx.Err()
	}
	if kept == nil {
		kept = before
	}
	obj := kept.DeepCopy()
	condition := readyFrom(kept, keepErr)
	r.announce(before, condition)
	setReady(obj, condition)
	if _, err := kube.WriteStatus(ctx, r.Client, kept, obj); err != nil {
		return ctrl.Result{}, errors.Join(client.IgnoreNotFound(err), keepErr)
	}
	if retryable(keepErr) {
		return ctrl.Result{}, keepErr
	}
	pause := r.Pause
	if pause == 0 {
		pause = time.Minute
	}
	return ctrl.Result{RequeueAfter: kube.Jitter(pause)}, nil
}
