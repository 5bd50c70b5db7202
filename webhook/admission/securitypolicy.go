package admission

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/policy"
)

// SecurityPolicies decides about SecurityPolicies.
type SecurityPolicies struct {
	Cluster *Cluster
}

var _ admission.Validator[*v1alpha1.SecurityPolicy] = (*SecurityPolicies)(nil)

// ValidateCreate implements admission.Validator.
func (v *SecurityPolicies) ValidateCreate(ctx context.Context, p *v1alpha1.SecurityPolicy) (admission.Warnings, error) {
	return v.validate(ctx, nil, p)
}

// ValidateUpdate implements admission.Validator. What changes nothing that a
// policy asks for passes unseen, above all the finalizer's removal.
func (v *SecurityPolicies) ValidateUpdate(ctx context.Context, old, p *v1alpha1.SecurityPolicy) (admission.Warnings, error) {
	if !p.DeletionTimestamp.IsZero() || asksTheSame(&old.Spec, &p.Spec) {
		return nil, nil
	}
	return v.validate(ctx, old, p)
}

// ValidateDelete implements admission.Validator. A deletion is never refused.
func (v *SecurityPolicies) ValidateDelete(ctx context.Context, p *v1alpha1.SecurityPolicy) (admission.Warnings, error) {
	if !p.DeletionTimestamp.IsZero() {
		return nil, nil
	}
	name := p.Namespace + "/" + p.Name
	targets, connections := v.Cluster.Published.held(name)
	missing := ""
	for _, connection := range connections {
		conn, err := v.Cluster.connection(ctx, connection)
		if err != nil {
			return nil, nil //nolint:nilerr // it would only be a warning
		}
		if conn == nil {
			missing = connection
		}
	}
	return partingWords(p, targets, missing), nil
}

func (v *SecurityPolicies) validate(ctx context.Context, old, p *v1alpha1.SecurityPolicy) (admission.Warnings, error) {
	targets, err := v.Cluster.survey(ctx, p)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	request, err := admission.RequestFromContext(ctx)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	r := review{old: old, policy: p, targets: targets, dryRun: request.DryRun != nil && *request.DryRun}
	mistakes, warnings := r.judge()
	if len(mistakes) > 0 {
		return warnings, apierrors.NewInvalid(v1alpha1.GroupVersion.WithKind("SecurityPolicy").GroupKind(), p.Name, mistakes)
	}
	return warnings, nil
}

// asksTheSame tells whether two specs differ at most in words for people.
func asksTheSame(a, b *v1alpha1.SecurityPolicySpec) bool {
	x, y := a.DeepCopy(), b.DeepCopy()
	for _, s := range []*v1alpha1.SecurityPolicySpec{x, y} {
		s.DisplayName, s.Description = "", ""
	}
	return equality.Semantic.DeepEqual(x, y)
}

// review is a policy that is to be stored, and what is known around it.
type review struct {
	// old is what it replaces, nil if it is new.
	old     *v1alpha1.SecurityPolicy
	policy  *v1alpha1.SecurityPolicy
	targets []target
	dryRun  bool
}

// judge lists every mistake, and what the user should know.
func (r *review) judge() (field.ErrorList, []string) {
	var notes notes
	mistakes := r.accessMistakes(&notes)
	mistakes = append(mistakes, r.lockouts(&notes)...)
	r.tellImpact(&notes)
	r.tellOverridden(&notes)
	r.tellLimits(&notes)
	r.tellLocalOnly(&notes)
	if r.dryRun {
		r.tellChanges(&notes)
	}
	return mistakes, notes.list()
}

func (r *review) accessMistakes(n *notes) field.ErrorList {
	var mistakes field.ErrorList
	for i := range r.targets {
		switch t := &r.targets[i]; {
		case !t.connected:
			n.add("connection", "%s: there is no ZitadelConnection %q yet; nothing happens until there is one", t.path, t.spec.Connection)
		case t.access == undecided:
			n.add("access", "%s: whether namespace %s may target it is only known once the organization has been looked up: an access rule of ZitadelConnection %s selects organizations in another way",
				t.path, r.policy.Namespace, t.spec.Connection)
		case t.access == refused && t.unreadable != nil:
			mistakes = append(mistakes, field.Forbidden(t.path, fmt.Sprintf("spec.access of ZitadelConnection %s: %v", t.spec.Connection, t.unreadable)))
		case t.access == refused:
			what := "the instance"
			if t.spec.Organization != nil {
				what = "this organization"
			}
			mistakes = append(mistakes, field.Forbidden(t.path, fmt.Sprintf("no rule in spec.access of ZitadelConnection %s lets namespace %s target %s",
				t.spec.Connection, r.policy.Namespace, what)))
		}
	}
	return mistakes
}

// places lists where the policy would have a say.
func (r *review) places() []*place {
	var all []*place
	for i := range r.targets {
		all = append(all, r.targets[i].places...)
	}
	return all
}

// before is the old version if it had a say at the place, nil otherwise.
func (r *review) before(pl *place) *v1alpha1.SecurityPolicy {
	if r.old == nil {
		return nil
	}
	for i, key := range policy.TargetKeys(&r.old.Spec) {
		t := &r.old.Spec.Targets.Zitadel[i]
		instance := t.Organization == nil && key == policy.InstanceKey(pl.connection)
		if instance && (pl.below || pl.isInstance()) || t.Organization != nil && t.Connection == pl.connection && pl.isSelectedBy(t.Organization) {
			return r.old
		}
	}
	return nil
}

func (r *review) tellOverridden(n *notes) {
	name := nameOf(r.policy)
	for _, pl := range r.places() {
		if pl.below {
			continue // of a floor, what is stricter below is no news
		}
		_, effective := wanted(pl.applied(r.policy, policy.RulesOf))
		for _, f := range effective.LostBy(name) {
			for _, lost := range f.Over {
				if lost.Policy != name {
					continue
				}
				n.add("overridden", "spec.%s: at %s, %s of %s holds instead of %s", f.Field, pl.name(), f.Value, winners(f.By, name), lost.Value)
			}
		}
	}
}

func (r *review) tellLimits(n *notes) {
	spec := &r.policy.Spec
	if policy.Suspended(spec) {
		return
	}
	if spec.Mode == v1alpha1.ModeEnforce && (r.old == nil) {
		for i := range r.targets {
			if t := &r.targets[i]; t.spec.Organization == nil {
				n.add("at once", "%s: in force for the whole instance at once; with mode: Audit, status shows first what would change", t.path)
			}
		}
	}
	if mfa := spec.MFA; mfa != nil {
		if mfa.Enforcement == v1alpha1.EnforcementAlwaysRequired && (r.old == nil || r.old.Spec.MFA == nil || r.old.Spec.MFA.Enforcement != mfa.Enforcement) {
			n.add("limit", "spec.mfa.enforcement: Zitadel cannot ask at literally every login; a check counts for up to 15 minutes unless the application sends max_age=0 or prompt=login")
		}
		if len(mfa.Methods) > 0 && onlySent(mfa.Methods) {
			n.add("methods", "spec.mfa.methods: codes by e-mail and SMS need a provider configured in Zitadel; without, nobody can set up a second factor")
		}
	}
}

// tellLocalOnly tells of what has no effect for want of local users.
func (r *review) tellLocalOnly(n *notes) {
	spec := &r.policy.Spec
	if spec.Targets.LocalUsers != nil {
		return
	}
	if paths := policy.LocalOnly(spec); len(paths) > 0 {
		n.add("local", "spec: without targets.localUsers these have no effect: %s", strings.Join(paths, ", "))
	}
}

func onlySent(methods []v1alpha1.Method) bool {
	for _, m := range methods {
		if m != v1alpha1.MethodEmail && m != v1alpha1.MethodSMS && m != v1alpha1.MethodRecoveryCodes {
			return false
		}
	}
	return true
}

// tellChanges lists what the policies would ask for that they do not ask for
// now. What stands in Zitadel is not known here.
func (r *review) tellChanges(n *notes) {
	for _, pl := range r.places() {
		if pl.below {
			continue
		}
		now, _ := wanted(pl.applied(r.before(pl), policy.InForce))
		then, _ := wanted(pl.applied(r.policy, policy.InForce))
		var changes []string
		for _, c := range policy.Plan(now, then) {
			from := c.Found.String()
			if _, managed := now[c.Setting]; !managed {
				from = "(not managed)"
			}
			changes = append(changes, fmt.Sprintf("%s %s -> %s", c.Setting, from, c.Wanted))
		}
		for _, c := range now.Sorted() {
			if _, managed := then[c]; !managed {
				changes = append(changes, fmt.Sprintf("%s %s -> (not managed)", c, now[c]))
			}
		}
		for _, line := range wrapped(pl.name()+": ", changes) {
			n.add("changes", "%s", line)
		}
	}
}

func winners(by []types.NamespacedName, except types.NamespacedName) string {
	var others []types.NamespacedName
	for _, one := range by {
		if one != except {
			others = append(others, one)
		}
	}
	return policy.Names(others, ", ")
}

func nameOf(p *v1alpha1.SecurityPolicy) types.NamespacedName {
	return types.NamespacedName{Namespace: p.Namespace, Name: p.Name}
}

// partingWords say what deleting a policy does to the targets it has a part in.
// missing names a connection that is gone.
func partingWords(p *v1alpha1.SecurityPolicy, targets int, missing string) []string {
	if targets == 0 {
		return nil
	}
	var said string
	switch where := counted(targets, "target"); p.Spec.DeletionPolicy {
	case v1alpha1.DeletionRestore:
		said = fmt.Sprintf("spec.deletionPolicy is Restore: at %s what stood before this policy is put back, unless another policy asks for it", where)
	case v1alpha1.DeletionReset:
		said = fmt.Sprintf("spec.deletionPolicy is Reset: at %s the policy's settings follow the instance again, or at an instance become what stood before", where)
	default:
		return []string{fmt.Sprintf("spec.deletionPolicy is Retain: what this policy put in force at %s stays in force and is not kept up any more", where)}
	}
	if missing != "" {
		return []string{said, fmt.Sprintf("the deletion waits: there is no ZitadelConnection %q to put it back through", missing)}
	}
	return []string{said}
}
