package securitypolicy

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/kube"
)

// IndexConnection is the field index from a ZitadelConnection's name to the
// policies that name it.
const IndexConnection = "spec.targets.zitadel.connection"

// SetupWithManager says what wakes the reconciler: a policy's spec, its
// connection's spec or readiness, its namespace's labels, and a claim that was
// let go of.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.SecurityPolicy{}, IndexConnection, connectionsOf)
	if err != nil {
		return fmt.Errorf("indexing policies by connection: %w", err)
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("securitypolicy").
		For(&v1alpha1.SecurityPolicy{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.ZitadelConnection{}, handler.EnqueueRequestsFromMapFunc(r.policiesOfConnection),
			builder.WithPredicates(connectionChanged)).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.policiesInNamespace),
			builder.WithPredicates(predicate.LabelChangedPredicate{})).
		Watches(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(r.policiesWaitingForClaim),
			builder.WithPredicates(claimReleased)).
		WithOptions(controller.Options{MaxConcurrentReconciles: parallelPolicies, RateLimiter: kube.RetryLimiter()}).
		Complete(r)
}

// parallelPolicies is how many policies are worked on at a time.
const parallelPolicies = 4

func connectionsOf(obj client.Object) []string {
	var names []string
	for _, t := range obj.(*v1alpha1.SecurityPolicy).Spec.Targets.Zitadel {
		names = append(names, t.Connection)
	}
	return names
}

func (r *Reconciler) policiesOfConnection(ctx context.Context, conn client.Object) []reconcile.Request {
	return r.policies(ctx, nil, client.MatchingFields{IndexConnection: conn.GetName()})
}

func (r *Reconciler) policiesInNamespace(ctx context.Context, namespace client.Object) []reconcile.Request {
	return r.policies(ctx, nil, client.InNamespace(namespace.GetName()))
}

func (r *Reconciler) policiesWaitingForClaim(ctx context.Context, claim client.Object) []reconcile.Request {
	waits := func(p *v1alpha1.SecurityPolicy) bool {
		for _, t := range p.Status.Targets {
			if t.Reason == v1alpha1.ReasonTargetConflict {
				return true
			}
		}
		return false
	}
	return r.policies(ctx, waits, client.MatchingFields{IndexConnection: claim.GetLabels()[labelConnection]})
}

func (r *Reconciler) policies(ctx context.Context, filter func(*v1alpha1.SecurityPolicy) bool, opts ...client.ListOption) []reconcile.Request {
	list := &v1alpha1.SecurityPolicyList{}
	if err := r.Client.List(ctx, list, opts...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing the policies to wake")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if p := &list.Items[i]; filter == nil || filter(p) {
			requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: p.Namespace, Name: p.Name}})
		}
	}
	return requests
}

// connectionChanged passes a new or deleted connection, a new spec, and a
// change of readiness.
var connectionChanged = predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool { return readiness(e.ObjectOld) != readiness(e.ObjectNew) },
})

func readiness(obj client.Object) string {
	c := meta.FindStatusCondition(obj.(*v1alpha1.ZitadelConnection).Status.Conditions, v1alpha1.ConditionReady)
	if c == nil {
		return ""
	}
	return string(c.Status) + c.Reason
}

// claimReleased passes claims that are gone.
var claimReleased = predicate.Funcs{
	CreateFunc:  func(event.CreateEvent) bool { return false },
	UpdateFunc:  func(event.UpdateEvent) bool { return false },
	DeleteFunc:  func(event.DeleteEvent) bool { return true },
	GenericFunc: func(event.GenericEvent) bool { return false },
}
