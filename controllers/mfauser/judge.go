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
func (r *Reconciler) judge(ctx context.Context, u *v1alpha1.MFAUser, conn *v1alpha1.ZitadelConnection, provider Provider) (time.Time, error) {
	organization := u.Status.Zitadel.OrganizationID
	_, applied, err := r.Policies.InForceAt(ctx, conn, idp.OrganizationRef{ID: organization})
	if err != nil {
		return time.Time{}, err
	}
	_, effective := applied.Wanted(func(idp.Group) bool { return false }, nil)
	holding, until, err := r.settings.at(ctx, tenant{conn.Name, organization}, provider, r.now(), r.Resync, r.lag())
	if err != nil {
		return time.Time{}, err
	}
	setEffective(u, effective)
	exempt, err := r.conclude(ctx, u, holding, append(applied.Own, applied.Floor...))
	return earliest(until, exempt), err
}

// lookLocally shows the policy a local user is under. They have no factor that we
// know of.
func (r *Reconciler) lookLocally(ctx context.Context, u *v1alpha1.MFAUser) (time.Time, error) {
	list := &v1alpha1.SecurityPolicyList{}
	// The cache's own objects: they are only read here.
	if err := r.Client.List(ctx, list, client.MatchingFields{indexLocal: indexedLocal}, client.UnsafeDisableDeepCopy); err != nil {
		return time.Time{}, fmt.Errorf("listing the policies of local users: %w", err)
	}
	all := policy.ForLocalUser(list.Items, u, r.Namespace)
	effective := policy.Merge(all)
	u.Status.User, u.Status.Phase = u.Spec.Username, v1alpha1.UserPendingEnrolment
	setEffective(u, effective)
	return r.conclude(ctx, u, policy.Desired(effective.Rules, nil), all)
}

// conclude sets the verdict, and returns when an exemption ends that it rests on.
func (r *Reconciler) conclude(ctx context.Context, u *v1alpha1.MFAUser, holding idp.Settings, all []policy.Contribution) (time.Time, error) {
	has, unsure := traits(u)
	demanding := policy.Demanding(all)
	exemptions := map[types.NamespacedName][]v1alpha1.MFAExemption{}
	for _, p := range demanding {
		list := &v1alpha1.MFAExemptionList{}
		err := r.Client.List(ctx, list, client.InNamespace(p.Namespace), client.MatchingFields{indexExempted: p.Name}, client.UnsafeDisableDeepCopy)
		if err != nil {
			return time.Time{}, fmt.Errorf("listing exemptions: %w", err)
		}
		exemptions[p] = list.Items
	}
	now := r.now()
	v := policy.Judge(holding, has, unsure).WithExemptions(holding, has, demanding, func(p types.NamespacedName) (time.Time, bool) {
		return policy.Exempt(now, exemptions[p], u, p)
	})
	setVerdict(u, v)
	return v.ExemptUntil, nil
}

// policyName names a policy as status does.
func policyName(p types.NamespacedName) string {
	if p == policy.BuiltIn {
		return p.Name
	}
	return p.String()
}
