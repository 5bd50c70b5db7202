package securitypolicy

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/policy"
)

// settled is what a target holds after it was settled.
type settled struct {
	// found is what stands there now.
	found idp.State
	// held is what policies hold of it.
	held policy.Held
	// written lists what had to change, and reset the groups that follow the
	// instance again.
	written []policy.Change
	reset   []idp.Group
	// at is when something was written or reset; zero if nothing was.
	at time.Time
	// drift is the last change by somebody else, nil if there never was one;
	// drifted tells that it was found just now, and known that an earlier pass had
	// found the very same and did not get to its end.
	drift   *drift
	drifted bool
	known   bool
}

func (s settled) changed() bool { return len(s.written)+len(s.reset) > 0 }

// inherits tells which groups the target takes from the instance, or would if
// no policy had ever written there.
func (s settled) inherits(g idp.Group) bool {
	return s.found.Inherits(g) || slices.Contains(s.held.Inherited, g)
}

// pending lists what would have to change if the policies were in force.
func (s settled) pending(a policy.Applied) ([]policy.Change, policy.Effective) {
	wanted, effective := a.Wanted(s.inherits, s.held.Base(s.found.Settings))
	return policy.Plan(s.found.Settings, wanted), effective
}

// settle brings one target to what the policies want of it together, and puts
// back what they let go of: observe, plan, remember, write, forget. What stood
// before is stored before the first write, and forgotten after the last; in
// between, what p does is recorded. With an error, only the drift of what is
// returned is of use.
func (r *Reconciler) settle(ctx context.Context, p *v1alpha1.SecurityPolicy, t target, a applicable) (settled, error) {
	c, err := r.claimOn(ctx, t.key, t.org)
	if err != nil {
		return settled{}, err
	}
	found, err := t.provider.Observe(ctx, t.key.scope, groupsOf(a, c.held)...)
	if err != nil {
		return settled{}, err
	}
	now := settled{found: found, held: c.held, drift: c.drift}
	if err := r.recordLeft(ctx, &c, c.unrecorded.confirmed(found)); err != nil {
		return now, err
	}
	applied := a.inForce()
	wanted, effective := applied.Wanted(now.inherits, c.held.Base(found.Settings))
	if err := refuse(found.Settings, wanted, effective); err != nil {
		return now, err
	}

	drifted, contested := r.judgeDrift(ctx, t, c.drift, c.held.Drift(found.Settings, wanted))
	if drifted != nil {
		now.drift, now.drifted = drifted, drifted != c.drift
		now.known = c.drift != nil && !drifted.Edited.IsZero() && c.drift.same(drifted)
	}
	if contested != nil {
		if err := r.store(ctx, &c, c.held, now.drift, actsOf(p, t, now, true)); err != nil {
			return now, err
		}
		if err := r.recordLeft(ctx, &c, c.unrecorded); err != nil {
			return now, err
		}
		return now, contested
	}

	remembered := c.held.Remember(wanted, found)
	ways, err := r.waysToLeave(ctx, t, a, remembered, wanted)
	if err != nil {
		return now, err
	}
	kept, back := remembered.LetGo(wanted, ways.keep, ways.how)
	write := wanted.Overlay(back.Write)
	now.written = policy.Plan(found.Settings, write)
	now.reset = slices.DeleteFunc(back.Inherit, found.Inherits)

	if err := r.store(ctx, &c, remembered, now.drift, actsOf(p, t, now, false)); err != nil {
		return now, err
	}
	if len(now.written) > 0 {
		if now.found, err = t.provider.Apply(ctx, t.key.scope, found.Settings.Differences(write)); err != nil {
			return now, err
		}
	}
	if len(now.reset) > 0 {
		if err := t.provider.Reset(ctx, t.key.scope, now.reset...); err != nil {
			return now, err
		}
		if now.found, err = t.provider.Observe(ctx, t.key.scope, groupsOf(a, c.held)...); err != nil {
			return now, err
		}
	}
	if now.changed() {
		now.at = r.now()
	}
	if err := r.record(ctx, c.unrecorded); err != nil {
		return now, err
	}
	unprovoked, _ := applied.Wanted(now.inherits, nil)
	now.held = kept.Confirm(wanted, unprovoked, now.written, effective.Askers())
	return now, r.store(ctx, &c, now.held, now.drift, nil)
}

// groupsOf lists the groups to look at: those that any policy speaks of, in
// force or not, and those that are held.
func groupsOf(a applicable, held policy.Held) []idp.Group {
	groups := append(a.spokenOf().Groups(), held.Groups()...)
	slices.Sort(groups)
	return slices.Compact(groups)
}

// refuse finds what must not be written because nobody could sign in with it.
func refuse(found, wanted idp.Settings, e policy.Effective) error {
	if e.NoMethodInCommon() {
		return kube.Refuse(v1alpha1.ReasonNoMethodLeft,
			"the policies at this target allow no method in common (%s); let them agree on one", methodsOf(e))
	}
	if len(wanted) > 0 && policy.NoMethodLeft(found, wanted) {
		return kube.Refuse(v1alpha1.ReasonNoMethodLeft,
			"a second factor would be forced and no method is left to give one; add to spec.mfa.methods, or allow passkeyLogin")
	}
	return nil
}

// methodsOf says which policy allows which methods.
func methodsOf(e policy.Effective) string {
	var parts []string
	for _, p := range e.Fields {
		if p.Field == policy.FieldMethods {
			for _, l := range p.Over {
				parts = append(parts, l.Policy.String()+" "+l.Value)
			}
		}
	}
	return strings.Join(parts, ", ")
}
