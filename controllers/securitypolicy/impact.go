package securitypolicy

import (
	"slices"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
)

// impactOf counts the users that p reaches, as if it were in mode Enforce; nil
// if they are not known.
func (r *Reconciler) impactOf(p *v1alpha1.SecurityPolicy, seen pass) *v1alpha1.Impact {
	reached := reach{policy: p, census: map[string]policy.Census{}, counted: map[targetKey]bool{}}
	for i := range seen.results {
		one := &seen.results[i]
		if one.spec == nil {
			continue
		}
		census, known := r.Census.Of(one.spec.Connection)
		if !known || one.err != nil {
			return nil
		}
		reached.census[one.spec.Connection] = census
	}
	// Organizations first: whom their own settings reach, the instance's do not.
	for _, scope := range []v1alpha1.TargetScope{v1alpha1.ScopeOrganization, v1alpha1.ScopeInstance} {
		for i := range seen.results {
			if one := &seen.results[i]; one.spec != nil && one.spec.Scope == scope && !reached.take(one) {
				return nil
			}
		}
	}
	return &v1alpha1.Impact{
		UsersInScope:   int64(reached.impact.UsersInScope),
		Compliant:      int64(reached.impact.Compliant),
		WillBePrompted: int64(reached.impact.WillBePrompted),
		WillBeBlocked:  int64(reached.impact.WillBeBlocked),
	}
}

// reach sums up whom a policy reaches, nobody twice.
type reach struct {
	policy  *v1alpha1.SecurityPolicy
	census  map[string]policy.Census
	counted map[targetKey]bool
	impact  policy.Impact
}

// take counts the users of a target and of the organizations below it, false if
// they are not known.
func (u *reach) take(one *result) bool {
	census := u.census[one.spec.Connection]
	for _, each := range one.withBelow() {
		key := each.target.key
		if u.counted[key] || each.err != nil {
			continue
		}
		// Who follows the instance is counted there.
		if each == one && !key.scope.IsInstance() && u.namesInstance(key.connection) && !each.settled.owns(idp.Login, each.applicable, u.policy) {
			continue
		}
		u.counted[key] = true
		users, known := census.Reached(key.scope, idp.Login)
		if !known {
			return false
		}
		u.impact = u.impact.Add(policy.ImpactOf(each.settled.ifEnforced(each.applicable, u.policy), users))
	}
	return true
}

func (u *reach) namesInstance(connection string) bool {
	return slices.Contains(policy.TargetKeys(&u.policy.Spec), policy.InstanceKey(connection))
}

// ifEnforced is what the target would hold if p were in mode Enforce.
func (s settled) ifEnforced(a applicable, p *v1alpha1.SecurityPolicy) idp.Settings {
	wanted, _ := a.ifEnforced(p).Wanted(s.inherits, s.held.Base(s.found.Settings))
	return s.found.Settings.Overlay(wanted)
}

// owns tells whether an organization has, or would have, a group of its own.
func (s settled) owns(g idp.Group, a applicable, p *v1alpha1.SecurityPolicy) bool {
	observed := len(s.found.Settings.Of(g)) > 0
	return observed && !s.found.Inherits(g) || slices.Contains(a.ifEnforced(p).OwnGroups(), g)
}
