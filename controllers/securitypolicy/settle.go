package securitypolicy

import (
	"context"
	"slices"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/policy"
)

// settled is what a target holds after a pass.
type settled struct {
	// written lists what had to change.
	written []policy.Change
	// reset lists the groups that follow the instance again.
	reset []idp.Group
	// pending lists what differs from the spec and was left so by its mode.
	pending []policy.Change
}

func (s settled) changed() bool { return len(s.written)+len(s.reset) > 0 }

// settle brings one target to what the policy wants of it, and puts back what
// the policy lets go of: observe, plan, remember, write, forget. What stood
// before is stored before the first write, and forgotten after the last.
func (r *Reconciler) settle(ctx context.Context, p *v1alpha1.SecurityPolicy, t target, leaving bool) (settled, error) {
	c, err := r.claimOn(ctx, p, t.key)
	if err != nil {
		return settled{}, err
	}
	spec := &p.Spec
	if leaving {
		spec = &v1alpha1.SecurityPolicySpec{} // wants nothing any more
	}
	how := p.Spec.DeletionPolicy
	if how == v1alpha1.DeletionReset && t.key.scope.IsInstance() {
		how = v1alpha1.DeletionRestore // there is nothing above the instance to follow
	}

	groups := policy.Desired(spec, nil).Overlay(c.before.Settings).Groups()
	found, err := t.provider.Observe(ctx, t.key.scope, groups...)
	if err != nil {
		return settled{}, err
	}
	desired := policy.Desired(spec, found.Settings)
	inForce := policy.InMode(spec, desired)
	if len(inForce) > 0 && c.holder != "" {
		return settled{}, kube.Refuse(v1alpha1.ReasonTargetConflict,
			"SecurityPolicy %s already holds this target; merge the two policies, or remove the target from one of them", c.holder)
	}
	held := c.before.Remember(inForce, found)
	kept, back := policy.LetGo(held, inForce, desired, how)

	wanted := inForce.Overlay(back.Write)
	if !leaving && policy.NoMethodLeft(found.Settings, wanted) {
		return settled{}, kube.Refuse(v1alpha1.ReasonNoMethodLeft,
			"a second factor would be forced and no method is left to give one; add to spec.mfa.methods, or allow passkeyLogin")
	}
	outcome := settled{
		written: policy.Plan(found.Settings, wanted),
		reset:   slices.DeleteFunc(back.Inherit, found.Inherits),
	}
	if err := r.hold(ctx, p, &c, held); err != nil {
		return settled{}, err
	}
	after := found.Settings
	if len(outcome.written) > 0 {
		state, err := t.provider.Apply(ctx, t.key.scope, found.Settings.Differences(wanted))
		if err != nil {
			return settled{}, err
		}
		after = state.Settings
	}
	if len(outcome.reset) > 0 {
		if err := t.provider.Reset(ctx, t.key.scope, outcome.reset...); err != nil {
			return settled{}, err
		}
	}
	if err := r.hold(ctx, p, &c, kept); err != nil {
		return settled{}, err
	}
	outcome.pending = policy.Plan(after, desired)
	return outcome, nil
}
