package admission

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/policy"
)

// everybodyBlocked is a lock-out that only the census shows.
const everybodyBlocked policy.Lockout = "EverybodyBlocked"

// lockouts is the break-glass guard: it refuses, unless that is accepted by
// annotation, what leaves a place no way in and did not before.
func (r *review) lockouts(n *notes) field.ErrorList {
	if policy.Suspended(&r.policy.Spec) {
		return nil
	}
	var mistakes field.ErrorList
	reason, annotated := r.policy.Annotations[v1alpha1.AnnotationAcceptLockout]
	accepted := strings.TrimSpace(reason) != ""
	above := map[string]bool{} // what is said of an instance goes for what is below it
	for _, pl := range r.places() {
		found := r.lockoutsAt(pl)
		if len(found) == 0 {
			continue
		}
		known := r.lockoutsBefore(pl)
		for _, l := range found {
			key := pl.connection + "/" + string(l)
			if pl.below && above[key] {
				continue
			}
			above[key] = above[key] || pl.isInstance()
			path, said := r.explain(l, pl)
			switch {
			case slices.Contains(known, l):
				n.add("lockout", "%s: %s, as before", path, said)
			case accepted:
				n.add("lockout", "%s: %s; accepted by annotation%s", path, said, notWritten(l))
			default:
				mistakes = append(mistakes, field.Forbidden(path, said+". If that is meant, say why in the annotation "+v1alpha1.AnnotationAcceptLockout))
			}
		}
	}
	if annotated && !accepted {
		mistakes = append(mistakes, field.Invalid(field.NewPath("metadata", "annotations").Key(v1alpha1.AnnotationAcceptLockout), reason, "must say why"))
	}
	return mistakes
}

// lockoutsAt finds in what ways nobody could sign in at the place with the policy
// under review, as its mode says.
func (r *review) lockoutsAt(pl *place) []policy.Lockout {
	w := pl.ways(r.policy, policy.WaysInForce)
	if found := w.Lockouts(); len(found) > 0 || len(pl.users) == 0 {
		return found
	}
	var i policy.Impact
	if r.policy.Spec.Mode == v1alpha1.ModeWarn {
		i = w.Impact(pl.users)
	} else {
		i = pl.ifEnforced(r.policy)
	}
	return blocking(i)
}

// lockoutsBefore finds those that there are without it, or with the old version
// of it.
func (r *review) lockoutsBefore(pl *place) []policy.Lockout {
	w := pl.ways(r.before(pl), policy.WaysInForce)
	return append(w.Lockouts(), blocking(w.Impact(pl.users))...)
}

func blocking(i policy.Impact) []policy.Lockout {
	if i.UsersInScope > 0 && i.WillBeBlocked == i.UsersInScope {
		return []policy.Lockout{everybodyBlocked}
	}
	return nil
}

// notWritten says of a lock-out that the controllers never write, accepted or
// not.
func notWritten(l policy.Lockout) string {
	if l == policy.NoCommonMethod || l == policy.NoMethodAllowed {
		return ", but as long as it is so nothing is written there (NoMethodLeft)"
	}
	return ""
}

func (r *review) explain(l policy.Lockout, pl *place) (*field.Path, string) {
	spec := field.NewPath("spec")
	switch l {
	case policy.NoCommonMethod:
		return spec.Child("mfa", "methods"), fmt.Sprintf("at %s the policies allow no method in common (%s)", pl.name(), pl.methods(r.policy))
	case policy.NoMethodAllowed:
		return spec.Child("mfa", "methods"), fmt.Sprintf("at %s a second factor would be forced, and neither a method nor passkeyLogin is allowed to give one", pl.name())
	case policy.NoWayAllowed:
		return spec.Child("login"), fmt.Sprintf("at %s passwordLogin, externalIdPs and passkeyLogin would all be forbidden, so that nobody could sign in", pl.name())
	default:
		i := pl.ways(r.policy, policy.WaysInForce).Impact(pl.users)
		return spec, fmt.Sprintf("at %s none of %s could sign in any more", pl.name(), counted(i.UsersInScope, "user"))
	}
}

// methods says which policy allows which methods.
func (pl *place) methods(p *v1alpha1.SecurityPolicy) string {
	_, effective := wanted(pl.applied(p, policy.InForce))
	var parts []string
	for _, f := range effective.Fields {
		if f.Field != policy.FieldMethods {
			continue
		}
		for _, lost := range f.Over {
			name := lost.Policy.String()
			if lost.Policy == nameOf(p) {
				name = "this one"
			}
			parts = append(parts, name+" "+lost.Value)
		}
	}
	return strings.Join(parts, ", ")
}
