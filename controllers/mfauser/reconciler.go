package mfauser

import (
	"cmp"
	"context"
	"errors"
	"time"

	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/kube"
)

// +kubebuilder:rbac:groups=security.neosc.io,resources=mfausers,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfausers/status,verbs=patch
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaexemptions,verbs=get;list;watch
// +kubebuilder:rbac:groups=security.neosc.io,resources=securitypolicies,verbs=get;list;watch
// +kubebuilder:rbac:groups=security.neosc.io,resources=zitadelconnections,verbs=get;list;watch
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaledgers,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconciler shows how things stand with each MFAUser.
type Reconciler struct {
	Client    client.Client
	Providers Providers
	Policies  Policies
	Events    events.EventRecorder
	// Ledgers and Credentials have what local users did and have.
	Ledgers     Ledgers
	Credentials Credentials
	// Namespace is the operator's own.
	Namespace string
	// Resync is the pause between two complete readings of one user, of whom
	// Zitadel's events tell in between; up to a fifth is added so that users do
	// not stay in step.
	Resync time.Duration
	// Lag is how long Zitadel's reads may stay behind its events; 0 means lag.
	Lag time.Duration
	// Now is the clock; nil means the system's.
	Now func() time.Time

	settings settings
	rooms    rooms
	wakeups  chan event.GenericEvent
	crowds   chan event.GenericEvent // those who may wait
	listener *listener
}

// lag is the background pass of Zitadel's projections, 60 s, and some.
const lag = 75 * time.Second

// Reconcile looks at one user, and asks Zitadel only about what is due.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	u := &v1alpha1.MFAUser{}
	if err := r.Client.Get(ctx, req.NamespacedName, u); err != nil {
		if client.IgnoreNotFound(err) == nil {
			r.rooms.forget(req.NamespacedName)
			return ctrl.Result{}, r.listenNoMore(ctx, req.Namespace)
		}
		return ctrl.Result{}, err
	}
	if !u.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, r.leave(ctx, u)
	}
	if u.Spec.Source == v1alpha1.SourceLocal {
		if err := r.welcome(ctx, u); err != nil {
			return ctrl.Result{}, err
		}
	}
	before := u.DeepCopy()
	var again time.Time
	var err error
	if u.Spec.Source == v1alpha1.SourceLocal {
		again, err = r.lookLocally(ctx, u)
	} else {
		again, err = r.look(ctx, u)
	}
	if errors.Is(err, errConnecting) {
		return ctrl.Result{RequeueAfter: connectPause}, nil
	}
	if _, _, explained := kube.Explain(err); err != nil && !explained {
		return ctrl.Result{}, err
	}
	setReady(u, err)
	r.tell(u, before)
	if _, writeErr := kube.WriteStatus(ctx, r.Client, before, u); writeErr != nil {
		return ctrl.Result{}, errors.Join(err, writeErr)
	}
	return r.next(again, err)
}

// next ends a pass in one of three ways: retry what can get better by itself,
// look again slowly at what somebody must put right, or when something is due.
func (r *Reconciler) next(again time.Time, failure error) (ctrl.Result, error) {
	switch {
	case failure == nil && again.IsZero():
		return ctrl.Result{}, nil
	case failure == nil:
		return ctrl.Result{RequeueAfter: max(again.Sub(r.now()), time.Millisecond)}, nil
	case errors.Is(failure, idp.ErrUnreachable):
		return ctrl.Result{}, failure
	default:
		return ctrl.Result{RequeueAfter: kube.Jitter(kube.SlowRetry)}, nil
	}
}

// connectPause is how long to wait for a connection that is being made, as after
// a start of the manager.
const connectPause = 500 * time.Millisecond

func (r *Reconciler) lag() time.Duration { return cmp.Or(r.Lag, lag) }

func (r *Reconciler) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}

// earliest returns the first of some instants; the zero time is none.
func earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}
