package admission

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/policy"
)

// ifEnforced is the impact with the policy in mode Enforce.
func (pl *place) ifEnforced(p *v1alpha1.SecurityPolicy) policy.Impact {
	return pl.ways(p, policy.WaysIfEnforced).Impact(pl.users)
}

// tellImpact says what the policy means for users, as if it were in mode
// Enforce.
func (r *review) tellImpact(n *notes) {
	if i := r.measured(); i != nil {
		n.add("impact", "%s", r.impactText(*i))
		return
	}
	var sum policy.Impact
	var unknown []string
	places := r.places()
	for _, pl := range places {
		if pl.unknown != "" {
			if !slices.Contains(unknown, pl.unknown) {
				unknown = append(unknown, pl.unknown)
			}
			continue
		}
		if len(pl.users) == 0 {
			continue
		}
		sum = sum.Add(pl.ifEnforced(r.policy))
	}
	if sum.UsersInScope > 0 || len(unknown) == 0 && len(places) > 0 {
		n.add("impact", "%s", r.impactText(sum))
	}
	for _, why := range unknown {
		n.add("unknown", "the impact on users is not known: %s", why)
	}
}

// measured is what the controller counted of the very same rules and targets,
// from what really stands in Zitadel; nil if it did not.
func (r *review) measured() *policy.Impact {
	if r.old == nil || r.old.Status.Impact == nil || r.old.Status.ObservedGeneration != r.old.Generation {
		return nil
	}
	then, now := r.old.Spec.DeepCopy(), r.policy.Spec.DeepCopy()
	for _, s := range []*v1alpha1.SecurityPolicySpec{then, now} {
		s.Mode, s.Enabled, s.DeletionPolicy = "", nil, ""
	}
	if !asksTheSame(then, now) {
		return nil
	}
	i := r.old.Status.Impact
	return &policy.Impact{
		UsersInScope: int(i.UsersInScope), Compliant: int(i.Compliant),
		WillBePrompted: int(i.WillBePrompted), WillBeBlocked: int(i.WillBeBlocked),
	}
}

func (r *review) impactText(i policy.Impact) string {
	when := ""
	if policy.Suspended(&r.policy.Spec) || r.policy.Spec.Mode == v1alpha1.ModeWarn {
		when = "in mode Enforce, "
	}
	if i.WillBePrompted == 0 && i.WillBeBlocked == 0 {
		return fmt.Sprintf("%sof %s in scope nobody will be asked to set up a factor, or be blocked", when, counted(i.UsersInScope, "user"))
	}
	return fmt.Sprintf("%sof %s in scope %s will be asked to set up a factor at their next sign-in and %s will be blocked",
		when, counted(i.UsersInScope, "user"), grouped(i.WillBePrompted), grouped(i.WillBeBlocked))
}

// counted is a number of things, as English speakers write it.
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return grouped(n) + " " + what
}

func grouped(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
