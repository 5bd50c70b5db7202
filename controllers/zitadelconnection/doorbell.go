package zitadelconnection

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/doorbell"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/tracing"
)

// +kubebuilder:rbac:groups="",resources=secrets,resourceNames=zitadel-doorbell,verbs=patch,namespace=neosc-system
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,resourceNames=zitadel-doorbell,verbs=get;list;watch,namespace=neosc-system

// Doorbell keeps the doorbells at the instances: what calls us there, and the
// key that the webhook verifies the calls with.
//
// A finalizer of its own is there before anything is made and goes after it is
// removed. So what may be left at an instance is known whenever the process
// ends, and the client of a connection that is being deleted is kept as long.
type Doorbell struct {
	Client client.Client
	// Live reads past the cache, which has no Secrets.
	Live   client.Reader
	Bells  Bells
	Events events.EventRecorder
	// Namespace is the operator's own.
	Namespace string
	// Probe is the pause between two looks at a doorbell in place.
	Probe time.Duration
	// Now is the clock; nil means the system's.
	Now func() time.Time
}

// farewell is how long the deletion of a connection waits for the doorbell to be
// removed. A doorbell that is left does no harm: Zitadel calls somebody who no
// longer listens, and waits for nobody. A deletion that never ends does.
const farewell = 30 * time.Second

// SetupWithManager makes the manager keep doorbells on the leader.
func (d *Doorbell) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("zitadeldoorbell").
		For(&v1alpha1.ZitadelConnection{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controller.Options{RateLimiter: kube.RetryLimiter(), MaxConcurrentReconciles: followers}).
		Complete(tracing.Reconciler("zitadeldoorbell", "ZitadelConnection", d))
}

// Reconcile hangs one doorbell up, or takes it down.
func (d *Doorbell) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	conn := &v1alpha1.ZitadelConnection{}
	if err := d.Live.Get(ctx, req.NamespacedName, conn); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	made := controllerutil.ContainsFinalizer(conn, v1alpha1.FinalizerDoorbell)
	leaving := !conn.DeletionTimestamp.IsZero()
	wanted := conn.Spec.Events.Webhook.Enabled && !leaving
	if !wanted && !made {
		return ctrl.Result{}, nil
	}
	if wanted && !made {
		if _, err := kube.EnsureFinalizer(ctx, d.Client, conn, v1alpha1.FinalizerDoorbell); err != nil {
			return ctrl.Result{}, err
		}
		if err := d.report(ctx, conn, pending()); err != nil {
			return ctrl.Result{}, err
		}
	}

	bell, connected := d.Bells.Bell(conn.Name)
	var state idp.DoorbellState
	var err error
	switch {
	case !connected && leaving:
		err = &idp.Error{Cause: idp.Down, Doing: "removing the doorbell", Detail: "nothing is connected"}
	case !connected:
		return ctrl.Result{RequeueAfter: beforeConnected}, nil
	case wanted:
		state, err = d.hang(ctx, conn, bell)
	default:
		err = d.takeDown(ctx, conn, bell)
	}
	if errors.Is(err, context.Canceled) {
		return ctrl.Result{}, err
	}
	if leaving && err != nil {
		return d.leave(ctx, conn, err)
	}
	if !wanted && err == nil {
		return ctrl.Result{}, d.release(ctx, conn)
	}
	c, explained := rings(conn, state, err)
	if !explained {
		return ctrl.Result{}, err
	}
	if reportErr := d.report(ctx, conn, c); reportErr != nil {
		return ctrl.Result{}, errors.Join(err, reportErr)
	}
	switch {
	case errors.Is(err, idp.ErrUnreachable):
		return ctrl.Result{}, err
	case c.Status != metav1.ConditionTrue:
		return ctrl.Result{RequeueAfter: kube.Jitter(kube.SlowRetry)}, nil
	}
	return ctrl.Result{RequeueAfter: kube.Jitter(d.Probe)}, nil
}

// hang makes the instance call, and gives the webhook the key.
func (d *Doorbell) hang(ctx context.Context, conn *v1alpha1.ZitadelConnection, bell Bell) (idp.DoorbellState, error) {
	secret, err := d.installed(ctx)
	if err != nil {
		return idp.DoorbellState{}, err
	}
	want, err := d.wanted(ctx, conn)
	if err != nil {
		return idp.DoorbellState{}, err
	}
	state, err := bell.HangDoorbell(ctx, want)
	if err != nil {
		return idp.DoorbellState{}, err
	}
	return state, d.keep(ctx, secret, conn.Name, state.Key)
}

// installed finds what the installation brings. It is asked first: a bell
// that nobody can hear is not hung up.
func (d *Doorbell) installed(ctx context.Context) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: d.Namespace, Name: doorbell.Name}
	for kind, obj := range map[string]client.Object{"Secret": secret, "Lease": &coordinationv1.Lease{}} {
		err := d.Live.Get(ctx, key, obj)
		switch {
		case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
			return nil, kube.Refuse(v1alpha1.ReasonDoorbellNotInstalled,
				"there is no %s %s in namespace %s, or the operator may not read it; both come with what lets the webhook hear doorbells: the chart's value webhook.doorbell.enabled, or config/doorbell", kind, key.Name, key.Namespace)
		case err != nil:
			return nil, fmt.Errorf("reading %s %s: %w", kind, key.Name, err)
		}
	}
	return secret, nil
}

// wanted is the doorbell of a connection. Several clusters may have a connection
// of that name to the same instance, so the name says which: by the UID of
// kube-system, which is what tells clusters apart and outlives an installation.
func (d *Doorbell) wanted(ctx context.Context, conn *v1alpha1.ZitadelConnection) (idp.Doorbell, error) {
	cluster := &corev1.Namespace{}
	if err := d.Client.Get(ctx, client.ObjectKey{Name: metav1.NamespaceSystem}, cluster); err != nil {
		return idp.Doorbell{}, fmt.Errorf("finding out which cluster this is: %w", err)
	}
	return idp.Doorbell{
		Name:     "mfa-operator/" + conn.Name + "@" + string(cluster.UID),
		Endpoint: doorbell.Endpoint(conn.Spec.Events.Webhook.URL, conn.Name),
	}, nil
}

// keep stores the key; the one before goes on for the roll-over.
func (d *Doorbell) keep(ctx context.Context, secret *corev1.Secret, connection, key string) error {
	had, err := doorbell.ParseKeys(secret.Data[connection])
	if err != nil {
		had = nil // whatever stands there opens nothing
	}
	entry, err := had.With(key, d.now()).Entry()
	if err != nil {
		return err
	}
	if string(entry) == string(secret.Data[connection]) {
		return nil
	}
	return d.patchKeys(ctx, fmt.Sprintf(`{"data":{%q:%q}}`, connection, base64.StdEncoding.EncodeToString(entry)))
}

func (d *Doorbell) patchKeys(ctx context.Context, patch string) error {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: doorbell.Name}}
	if err := d.Client.Patch(ctx, secret, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		return fmt.Errorf("keeping the key of the doorbell: %w", err)
	}
	return nil
}

func (d *Doorbell) takeDown(ctx context.Context, conn *v1alpha1.ZitadelConnection, bell Bell) error {
	want, err := d.wanted(ctx, conn)
	if err != nil {
		return err
	}
	return bell.TakeDownDoorbell(ctx, want.Name)
}

// leave lets a deletion wait for the doorbell, but not for long.
func (d *Doorbell) leave(ctx context.Context, conn *v1alpha1.ZitadelConnection, failure error) (ctrl.Result, error) {
	end := conn.DeletionTimestamp.Add(farewell)
	if now := d.now(); now.Before(end) {
		return ctrl.Result{RequeueAfter: min(beforeConnected, end.Sub(now))}, nil
	}
	reason, message, explained := kube.Explain(failure)
	if !explained {
		return ctrl.Result{}, failure // of the API server
	}
	d.Events.Eventf(conn, nil, corev1.EventTypeWarning, reason, "Leave",
		"the doorbell is left at the instance; remove the target there whose name begins with mfa-operator/%s@ (%s)", conn.Name, message)
	return ctrl.Result{}, d.release(ctx, conn)
}

// release forgets the key, and that there ever was a doorbell.
func (d *Doorbell) release(ctx context.Context, conn *v1alpha1.ZitadelConnection) error {
	if err := d.patchKeys(ctx, fmt.Sprintf(`{"data":{%q:null}}`, conn.Name)); client.IgnoreNotFound(err) != nil {
		return err
	}
	_, err := writeStatus(ctx, d.Client, d.Live, conn, func(conn *v1alpha1.ZitadelConnection) error {
		meta.RemoveStatusCondition(&conn.Status.Conditions, v1alpha1.ConditionDoorbellReady)
		return nil
	})
	if err != nil {
		return err
	}
	return kube.RemoveFinalizer(ctx, d.Client, conn, v1alpha1.FinalizerDoorbell)
}

// report writes the condition, and raises an Event when something is newly
// wrong.
func (d *Doorbell) report(ctx context.Context, conn *v1alpha1.ZitadelConnection, c metav1.Condition) error {
	before, err := writeStatus(ctx, d.Client, d.Live, conn, func(conn *v1alpha1.ZitadelConnection) error {
		c.ObservedGeneration = conn.Generation
		meta.SetStatusCondition(&conn.Status.Conditions, c)
		return nil
	})
	if err != nil {
		return err
	}
	was := meta.FindStatusCondition(before.Status.Conditions, c.Type)
	if c.Status == metav1.ConditionFalse && (was == nil || was.Reason != c.Reason) {
		d.Events.Eventf(conn, nil, corev1.EventTypeWarning, c.Reason, "Ring", "%s", c.Message)
	}
	return nil
}

func pending() metav1.Condition {
	return metav1.Condition{
		Type: v1alpha1.ConditionDoorbellReady, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonDoorbellPending,
		Message: "the doorbell is being made; it waits for the connection if that is not Ready",
	}
}

// rings is the condition after an attempt. It reports false for a failure that
// says nothing about the doorbell.
func rings(conn *v1alpha1.ZitadelConnection, state idp.DoorbellState, failure error) (metav1.Condition, bool) {
	c := metav1.Condition{Type: v1alpha1.ConditionDoorbellReady, Status: metav1.ConditionFalse}
	switch {
	case failure == nil && len(state.Taken) == 0:
		c.Status, c.Reason = metav1.ConditionTrue, v1alpha1.ReasonDoorbellInPlace
		c.Message = "Zitadel calls " + doorbell.Endpoint(conn.Spec.Events.Webhook.URL, conn.Name) + " when settings are changed"
		return c, true
	case failure == nil:
		c.Reason = v1alpha1.ReasonDoorbellExecutionTaken
		c.Message = "Zitadel calls somebody else on " + strings.Join(state.Taken, ", ") + ", and has room for one execution only; " +
			"what happens there is noticed by the next look at the event log. Add the target mfa-operator/" + conn.Name +
			"@… to these executions, behind those they have, or remove them"
		return c, true
	case idp.CauseOf(failure) == idp.MissingPermission:
		c.Reason = v1alpha1.ReasonDoorbellPermissionMissing
		c.Message = "the account may not write targets and executions; grant it IAM_OWNER on the instance, " +
			"or set spec.events.webhook.enabled to false (" + failure.Error() + ")"
		return c, true
	}
	var explained bool
	c.Reason, c.Message, explained = kube.Explain(failure)
	return c, explained
}

func (d *Doorbell) now() time.Time {
	if d.Now != nil {
		return d.Now()
	}
	return time.Now()
}
