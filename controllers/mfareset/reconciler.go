package mfareset

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/tracing"
)

// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaresets,verbs=get;list;watch;delete
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaresets/status,verbs=patch
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfausers,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconciler carries out resets.
type Reconciler struct {
	Client client.Client
	// Live reads past the cache: what was done must not look undone.
	Live      client.Reader
	Providers Providers
	Recorder  Recorder
	// Standings and Credentials are those of local users.
	Standings   Standings
	Credentials Credentials
	// Notifier tells local users; nil: nobody does.
	Notifier mfa.Notifier
	Events   events.EventRecorder
	// Now is the clock; nil means the system's.
	Now func() time.Time
}

// Provider is the part of an identity provider this reconciler needs. Every
// error is one of the four kinds of package idp.
type Provider interface {
	// Credentials reads what a user has.
	Credentials(ctx context.Context, userID string) (idp.Credentials, error)
	// RemoveCredential removes one of them, and returns once reads show it. One
	// that is not there is success.
	RemoveCredential(ctx context.Context, userID string, one idp.Credential) error
	// Sessions lists a user's sessions; an idp.ErrDenied if we may not see them.
	Sessions(ctx context.Context, userID, organizationID string) ([]idp.Session, error)
	// EndSession ends a session. One that is not there is success.
	EndSession(ctx context.Context, id string) error
}

// Providers finds the provider behind a ZitadelConnection. False means that
// nothing is connected.
type Providers interface {
	Provider(connection string) (Provider, bool)
}

// SetupWithManager says what wakes the reconciler: a reset.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("mfareset").
		For(&v1alpha1.MFAReset{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controller.Options{RateLimiter: kube.RetryLimiter()}).
		Complete(tracing.Reconciler("mfareset", "MFAReset", r))
}

const (
	// giveUpAfter is how long after it was made a reset may begin or go on: an act
	// that nobody expects any more does harm.
	giveUpAfter = 24 * time.Hour
	// waitForUser is the pause before looking again at a user that is not Ready.
	waitForUser = 5 * time.Second
	// settle is the pause before sessions are listed once more: one that began
	// while factors were removed may show only after the first list.
	settle = 2 * time.Second
)

// Reconcile takes a reset as far as it goes.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	reset := &v1alpha1.MFAReset{}
	if err := r.Live.Get(ctx, req.NamespacedName, reset); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !reset.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	if reset.Status.FinishTime != nil {
		return r.expire(ctx, reset)
	}
	if r.now().Sub(reset.CreationTimestamp.Time) > giveUpAfter {
		return ctrl.Result{}, r.finish(ctx, reset, v1alpha1.ResetFailed, v1alpha1.ReasonGaveUp,
			fmt.Sprintf("it could not be done within %s; make another one. Last: %s", giveUpAfter, lastMessage(reset)))
	}
	user, err := r.user(ctx, reset)
	if err != nil {
		return r.wait(ctx, reset, err)
	}
	if user.Spec.Source == v1alpha1.SourceLocal {
		return r.resetLocally(ctx, reset, user)
	}
	provider, err := r.provider(user)
	if err != nil {
		return r.wait(ctx, reset, err)
	}
	if reset.Status.Phase == "" {
		if done, err := r.begin(ctx, reset, user, provider); done || err != nil {
			return r.wait(ctx, reset, err)
		}
	}
	if err := r.removeFactors(ctx, reset, provider); err != nil {
		return r.wait(ctx, reset, err)
	}
	again, err := r.endSessions(ctx, reset, user, provider)
	switch {
	case errors.Is(err, idp.ErrDenied):
		_, message, _ := kube.Explain(err)
		return r.conclude(ctx, reset, "sessions are left: "+message)
	case err != nil:
		return r.wait(ctx, reset, err)
	case again > 0:
		return ctrl.Result{RequeueAfter: again}, nil
	}
	return r.conclude(ctx, reset)
}

// wait says in the condition what keeps the reset, and comes back.
func (r *Reconciler) wait(ctx context.Context, reset *v1alpha1.MFAReset, failure error) (ctrl.Result, error) {
	if failure == nil {
		return ctrl.Result{}, nil // it has finished
	}
	reason, message, explained := kube.Explain(failure)
	if !explained {
		return ctrl.Result{}, failure
	}
	err := r.write(ctx, reset, func(reset *v1alpha1.MFAReset) { setReady(reset, metav1.ConditionFalse, reason, message) })
	if err != nil {
		return ctrl.Result{}, errors.Join(failure, err)
	}
	if errors.Is(failure, idp.ErrUnreachable) {
		return ctrl.Result{}, failure
	}
	return ctrl.Result{RequeueAfter: kube.Jitter(waitForUser)}, nil
}

// user finds the MFAUser.
func (r *Reconciler) user(ctx context.Context, reset *v1alpha1.MFAReset) (*v1alpha1.MFAUser, error) {
	u := &v1alpha1.MFAUser{}
	err := r.Live.Get(ctx, client.ObjectKey{Namespace: reset.Namespace, Name: reset.Spec.UserRef.Name}, u)
	switch {
	case apierrors.IsNotFound(err):
		return nil, kube.Refuse(v1alpha1.ReasonUserNotReady, "there is no MFAUser %s in namespace %s; create it, or make another reset", reset.Spec.UserRef.Name, reset.Namespace)
	case err != nil:
		return nil, fmt.Errorf("reading the user of a reset: %w", err)
	// What is removed of a local user, and whose it is, the ledger says, not a status.
	case u.Spec.Source != v1alpha1.SourceLocal && (!meta.IsStatusConditionTrue(u.Status.Conditions, v1alpha1.ConditionReady) ||
		u.Status.ObservedGeneration != u.Generation || u.Status.Zitadel == nil):
		return nil, kube.Refuse(v1alpha1.ReasonUserNotReady, "MFAUser %s is not Ready; see its conditions", u.Name)
	case reset.Status.UserID != "" && reset.Status.UserID != idOf(u):
		return nil, kube.Refuse(v1alpha1.ReasonUserNotReady, "MFAUser %s is another person now than when the reset began", u.Name)
	}
	return u, nil
}

// idOf is what a person is known by, other than by name: to Zitadel, or to the
// ledger.
func idOf(u *v1alpha1.MFAUser) string {
	if u.Spec.Source == v1alpha1.SourceLocal {
		return string(u.UID)
	}
	return u.Status.Zitadel.UserID
}

// provider finds the provider that an MFAUser is known from.
func (r *Reconciler) provider(u *v1alpha1.MFAUser) (Provider, error) {
	provider, ok := r.Providers.Provider(u.Spec.Zitadel.Connection)
	if !ok {
		return nil, kube.Refuse(v1alpha1.ReasonConnectionNotReady, "ZitadelConnection %s is not ready", u.Spec.Zitadel.Connection)
	}
	return provider, nil
}

// expire deletes a finished reset when its time has come.
func (r *Reconciler) expire(ctx context.Context, reset *v1alpha1.MFAReset) (ctrl.Result, error) {
	if reset.Spec.DeleteAfterHours == nil {
		return ctrl.Result{}, nil
	}
	left := reset.Status.FinishTime.Add(time.Duration(*reset.Spec.DeleteAfterHours) * time.Hour).Sub(r.now())
	if left > 0 {
		return ctrl.Result{RequeueAfter: left}, nil
	}
	err := r.Client.Delete(ctx, reset, client.Preconditions{UID: &reset.UID})
	return ctrl.Result{}, client.IgnoreNotFound(err)
}

func (r *Reconciler) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}
