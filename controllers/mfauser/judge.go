package mfauser

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
)

// judge shows the policy a user of Zitadel is under, and whether they comply
// with what holds in their organization. It returns when that may change without
// anybody telling.
func (r *Reconciler) judge(ctx context.Context, u *v1alpha1.MFAUser, provider Provider, applied policy.Applied) (time.Time, error) {
	_, effective := applied.Wanted(func(idp.Group) bool { return false }, nil)
	holding, until, err := r.settings.at(ctx, tenant{u.Spec.Zitadel.Connection, u.Status.Zitadel.OrganizationID}, provider, r.now(), r.Resync, r.lag())
	if err != nil {
		return time.Time{}, err
	}
	setEffective(u, effective)
	exempt, err := r.conclude(ctx, u, holding, append(applied.Own, applied.Floor...))
	return earliest(until, exempt), err
}

// conclude sets the verdict, and returns when an exemption ends that it rests on.
func (r *Reconciler) conclude(ctx context.Context, u *v1alpha1.MFAUser, holding idp.Settings, all []policy.Contribution) (time.Time, error) {
	has, unsure := traits(u)
	demanding := policy.Demanding(all)
	exempt, err := r.exemptions(ctx, u, demanding)
	if err != nil {
		return time.Time{}, err
	}
	v := policy.Judge(holding, has, unsure).WithExemptions(holding, has, demanding, exempt)
	setVerdict(u, v)
	return v.ExemptUntil, nil
}

// exemptions tells from which of the policies a user is exempt now, and until when.
func (r *Reconciler) exemptions(ctx context.Context, u *v1alpha1.MFAUser, from []types.NamespacedName) (func(types.NamespacedName) (time.Time, bool), error) {
	exemptions := map[types.NamespacedName][]v1alpha1.MFAExemption{}
	for _, p := range from {
		list := &v1alpha1.MFAExemptionList{}
		err := r.Client.List(ctx, list, client.InNamespace(p.Namespace), client.MatchingFields{indexExempted: p.Name}, client.UnsafeDisableDeepCopy)
		if err != nil {
			return nil, fmt.Errorf("listing exemptions: %w", err)
		}
		exemptions[p] = list.Items
	}
	now := r.now()
	return func(p types.NamespacedName) (time.Time, bool) { return policy.Exempt(now, exemptions[p], u, p) }, nil
}

// policyName names a policy as status does.
func policyName(p types.NamespacedName) string {
	if p == policy.BuiltIn {
		return p.Name
	}
	return p.String()
}
