package securitypolicy

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/policy"
)

// exemptFrom counts the users of Zitadel whom exemptions let off p at a target,
// each person once. Who cannot sign in does not count, as in the rest of an
// impact.
func (r *Reconciler) exemptFrom(ctx context.Context, p *v1alpha1.SecurityPolicy, seen pass) (int64, error) {
	exemptions, err := r.exemptions(ctx, p)
	if err != nil {
		return 0, err
	}
	type person struct{ connection, userID string }
	people := map[person]bool{}
	for i := range exemptions {
		users, err := r.namedBy(ctx, &exemptions[i])
		if err != nil {
			return 0, err
		}
		for j := range users {
			u := &users[j]
			z := u.Status.Zitadel
			if z == nil || z.UserID == "" || u.Status.Phase == v1alpha1.UserLocked || u.Status.Phase == v1alpha1.UserSuspended || !seen.reaches(u) {
				continue
			}
			if _, exempt := policy.Exempt(r.now(), exemptions, u, client.ObjectKeyFromObject(p)); exempt {
				people[person{u.Spec.Zitadel.Connection, z.UserID}] = true
			}
		}
	}
	return int64(len(people)), nil
}

// reaches tells whether a target of the policy is the user's organization, or the
// instance above it.
func (p pass) reaches(u *v1alpha1.MFAUser) bool {
	for i := range p.results {
		key := p.results[i].target.key
		if p.results[i].spec != nil && key.connection == u.Spec.Zitadel.Connection &&
			(key.scope.IsInstance() || key.scope.OrganizationID == u.Status.Zitadel.OrganizationID) {
			return true
		}
	}
	return false
}

// exemptions lists those beside the policy, its own among them.
func (r *Reconciler) exemptions(ctx context.Context, p *v1alpha1.SecurityPolicy) ([]v1alpha1.MFAExemption, error) {
	list := &v1alpha1.MFAExemptionList{}
	// The cache's own objects: they are only read here.
	if err := r.Client.List(ctx, list, client.InNamespace(p.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing exemptions: %w", err)
	}
	return list.Items, nil
}

// namedBy lists the users an exemption names.
func (r *Reconciler) namedBy(ctx context.Context, e *v1alpha1.MFAExemption) ([]v1alpha1.MFAUser, error) {
	list := &v1alpha1.MFAUserList{}
	if ref := e.Spec.UserRef; ref != nil {
		key := client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}
		if key.Namespace == "" {
			key.Namespace = e.Namespace
		}
		u := v1alpha1.MFAUser{}
		if err := r.Client.Get(ctx, key, &u); err != nil {
			return nil, client.IgnoreNotFound(err)
		}
		return []v1alpha1.MFAUser{u}, nil
	}
	if err := r.Client.List(ctx, list, client.InNamespace(e.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the users of an exemption: %w", err)
	}
	return list.Items, nil
}

// beforeExpiry shortens a pause so that an exemption ends in the status of its
// policy at the instant at which it ends everywhere.
func (r *Reconciler) beforeExpiry(ctx context.Context, p *v1alpha1.SecurityPolicy, result ctrl.Result) (ctrl.Result, error) {
	exemptions, err := r.exemptions(ctx, p)
	if err != nil {
		return ctrl.Result{}, err
	}
	now := r.now()
	for i := range exemptions {
		e := &exemptions[i]
		if e.Spec.PolicyRef.Name == p.Name && policy.ExemptionPhaseAt(now, e) == v1alpha1.ExemptionActive {
			result.RequeueAfter = min(result.RequeueAfter, max(e.Spec.ExpiresAt.Sub(now), time.Millisecond))
		}
	}
	return result, nil
}

func policyOfExemption(_ context.Context, obj client.Object) []reconcile.Request {
	e := obj.(*v1alpha1.MFAExemption)
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: e.Namespace, Name: e.Spec.PolicyRef.Name}}}
}

// exemptionCounts passes an exemption that counts for more or fewer users now.
var exemptionCounts = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		was, is := e.ObjectOld.(*v1alpha1.MFAExemption), e.ObjectNew.(*v1alpha1.MFAExemption)
		return was.Status.Phase != is.Status.Phase || !ptr.Equal(was.Status.Users, is.Status.Users)
	},
}
