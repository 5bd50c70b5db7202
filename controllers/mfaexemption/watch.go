package mfaexemption

import (
	"context"

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
	"github.com/neosc/mfa-operator/internal/policy"
	"github.com/neosc/mfa-operator/internal/tracing"
)

// SetupWithManager says what wakes the reconciler: an exemption, the users it
// names coming and going, and its policy coming and going.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	comesAndGoes := builder.WithPredicates(predicate.Funcs{UpdateFunc: func(event.UpdateEvent) bool { return false }})
	return ctrl.NewControllerManagedBy(mgr).
		Named("mfaexemption").
		For(&v1alpha1.MFAExemption{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.MFAUser{}, handler.EnqueueRequestsFromMapFunc(r.exemptionsOfUser),
			builder.WithPredicates(predicate.LabelChangedPredicate{})).
		Watches(&v1alpha1.SecurityPolicy{}, handler.EnqueueRequestsFromMapFunc(r.exemptionsOfPolicy), comesAndGoes).
		WithOptions(controller.Options{RateLimiter: kube.RetryLimiter()}).
		Complete(tracing.Reconciler("mfaexemption", "MFAExemption", r))
}

func (r *Reconciler) exemptionsOfUser(ctx context.Context, obj client.Object) []reconcile.Request {
	u := obj.(*v1alpha1.MFAUser)
	return r.exemptions(ctx, func(e *v1alpha1.MFAExemption) bool { return policy.ExemptionNames(e, u) })
}

func (r *Reconciler) exemptionsOfPolicy(ctx context.Context, p client.Object) []reconcile.Request {
	return r.exemptions(ctx, func(e *v1alpha1.MFAExemption) bool {
		return e.Spec.PolicyRef.Name == p.GetName()
	}, client.InNamespace(p.GetNamespace()))
}

func (r *Reconciler) exemptions(ctx context.Context, concerned func(*v1alpha1.MFAExemption) bool, where ...client.ListOption) []reconcile.Request {
	list := &v1alpha1.MFAExemptionList{}
	if err := r.Client.List(ctx, list, append(where, client.UnsafeDisableDeepCopy)...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing the exemptions to wake")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if concerned(&list.Items[i]) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return requests
}
