package securitypolicy

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/policy"
	"github.com/neosc/mfa-operator/internal/tracing"
)

// Field indexes.
const (
	// IndexConnection leads from a ZitadelConnection's name to the policies
	// that name it.
	IndexConnection = "spec.targets.zitadel.connection"
	// IndexTarget leads from a key of package policy to the policies with that
	// target.
	IndexTarget = "spec.targets.zitadel"
	// IndexHolder leads from a policy, as namespace/name, to the claims it has a
	// part in.
	IndexHolder = "metadata.annotations.policies"
)

// SetupWithManager says what wakes the reconciler: a policy's spec, that of
// another policy at one of its targets, its connection's spec or readiness, its
// namespace's labels, and what Zitadel's events say.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	for _, index := range []struct {
		obj   client.Object
		field string
		of    client.IndexerFunc
	}{
		{&v1alpha1.SecurityPolicy{}, IndexConnection, connectionsOf},
		{&v1alpha1.SecurityPolicy{}, IndexTarget, targetKeysOf},
		{&corev1.ConfigMap{}, IndexHolder, holdersOf},
	} {
		if err := mgr.GetFieldIndexer().IndexField(context.Background(), index.obj, index.field, index.of); err != nil {
			return fmt.Errorf("indexing by %s: %w", index.field, err)
		}
	}
	r.wakeups = make(chan event.GenericEvent)
	return ctrl.NewControllerManagedBy(mgr).
		Named("securitypolicy").
		For(&v1alpha1.SecurityPolicy{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.SecurityPolicy{}, handler.EnqueueRequestsFromMapFunc(r.policiesSharingTargets),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.ZitadelConnection{}, handler.EnqueueRequestsFromMapFunc(r.policiesOfConnection),
			builder.WithPredicates(connectionChanged)).
		Watches(&v1alpha1.MFAExemption{}, handler.EnqueueRequestsFromMapFunc(policyOfExemption),
			builder.WithPredicates(predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, exemptionCounts))).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.policiesInNamespace),
			builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WatchesRawSource(source.Channel(r.wakeups, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: parallelPolicies, RateLimiter: kube.RetryLimiter()}).
		Complete(tracing.Reconciler("securitypolicy", "SecurityPolicy", r))
}

// parallelPolicies is how many policies are worked on at a time.
const parallelPolicies = 4

func connectionsOf(obj client.Object) []string {
	return policy.ConnectionsOf(&obj.(*v1alpha1.SecurityPolicy).Spec)
}

func targetKeysOf(obj client.Object) []string {
	return policy.TargetKeys(&obj.(*v1alpha1.SecurityPolicy).Spec)
}

func (r *Reconciler) policiesOfConnection(ctx context.Context, conn client.Object) []reconcile.Request {
	return r.policies(ctx, client.MatchingFields{IndexConnection: conn.GetName()})
}

func (r *Reconciler) policiesInNamespace(ctx context.Context, namespace client.Object) []reconcile.Request {
	return r.policies(ctx, client.InNamespace(namespace.GetName()))
}

// policiesSharingTargets lists the others whose outcome depends on what this one
// says: those at the same target, and below an instance all.
func (r *Reconciler) policiesSharingTargets(ctx context.Context, obj client.Object) []reconcile.Request {
	seen := map[reconcile.Request]bool{{NamespacedName: client.ObjectKeyFromObject(obj)}: true}
	var others []reconcile.Request
	add := func(found []reconcile.Request) {
		for _, other := range found {
			if !seen[other] {
				seen[other] = true
				others = append(others, other)
			}
		}
	}
	p := obj.(*v1alpha1.SecurityPolicy)
	for i, key := range policy.TargetKeys(&p.Spec) {
		if t := p.Spec.Targets.Zitadel[i]; t.Organization == nil {
			add(r.policies(ctx, client.MatchingFields{IndexConnection: t.Connection}))
			continue
		}
		add(r.policies(ctx, client.MatchingFields{IndexTarget: key}))
	}
	return others
}

func (r *Reconciler) policies(ctx context.Context, which client.ListOption) []reconcile.Request {
	list := &v1alpha1.SecurityPolicyList{}
	if err := r.Client.List(ctx, list, which, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing the policies to wake")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
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
