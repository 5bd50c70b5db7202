package zitadelconnection

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/tracing"
)

// IndexSecret is the field index from a Secret, as namespace/name, to the
// connections that use it.
const IndexSecret = "spec.credentials.secretRef"

// SetupWithManager says what wakes the reconciler: a connection's spec, its
// Secret, and a policy or a doorbell that a deleted connection waits for.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.ZitadelConnection{}, IndexSecret, secretOf)
	if err != nil {
		return fmt.Errorf("indexing connections by Secret: %w", err)
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("zitadelconnection").
		For(&v1alpha1.ZitadelConnection{}, builder.WithPredicates(predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, doorbellGone))).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.connectionsOfSecret)).
		Watches(&v1alpha1.SecurityPolicy{}, handler.EnqueueRequestsFromMapFunc(r.deletedConnections),
			builder.WithPredicates(predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, targetsChanged))).
		WithOptions(controller.Options{RateLimiter: kube.RetryLimiter()}).
		Complete(tracing.Reconciler("zitadelconnection", "ZitadelConnection", r))
}

// targetsChanged passes a policy that has let go of a target, which shows in its
// status only.
var targetsChanged = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		was, is := e.ObjectOld.(*v1alpha1.SecurityPolicy), e.ObjectNew.(*v1alpha1.SecurityPolicy)
		return !slices.EqualFunc(was.Status.Targets, is.Status.Targets,
			func(a, b v1alpha1.TargetStatus) bool { return a.Connection == b.Connection })
	},
}

// doorbellGone passes a connection whose doorbell has been dealt with.
var doorbellGone = predicate.Funcs{
	CreateFunc:  func(event.CreateEvent) bool { return false },
	DeleteFunc:  func(event.DeleteEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
	UpdateFunc: func(e event.UpdateEvent) bool {
		return controllerutil.ContainsFinalizer(e.ObjectOld, v1alpha1.FinalizerDoorbell) &&
			!controllerutil.ContainsFinalizer(e.ObjectNew, v1alpha1.FinalizerDoorbell)
	},
}

func secretOf(obj client.Object) []string {
	ref := obj.(*v1alpha1.ZitadelConnection).Spec.Credentials.SecretRef
	return []string{ref.Namespace + "/" + ref.Name}
}

func (r *Reconciler) connectionsOfSecret(ctx context.Context, secret client.Object) []reconcile.Request {
	return r.connections(ctx, false, client.MatchingFields{IndexSecret: secret.GetNamespace() + "/" + secret.GetName()})
}

func (r *Reconciler) deletedConnections(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.connections(ctx, true)
}

func (r *Reconciler) connections(ctx context.Context, onlyDeleted bool, opts ...client.ListOption) []reconcile.Request {
	list := &v1alpha1.ZitadelConnectionList{}
	if err := r.Client.List(ctx, list, opts...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing the connections to wake")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if c := &list.Items[i]; !onlyDeleted || !c.DeletionTimestamp.IsZero() {
			requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Name: c.Name}})
		}
	}
	return requests
}
