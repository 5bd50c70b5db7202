package policy

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

// BuiltIn stands for the baseline among the policies of a local user.
var BuiltIn = types.NamespacedName{Name: "built-in"}

// baseline is what holds for local users where no policy in force says: MFA is
// on by default.
var baseline = v1alpha1.MFASettings{
	Enforcement: v1alpha1.EnforcementRequiredOnFirstLogin,
	Methods:     []v1alpha1.Method{v1alpha1.MethodWebAuthn, v1alpha1.MethodTOTP, v1alpha1.MethodRecoveryCodes},
}

// ForLocalUser returns what the policies in force that reach a local user say,
// the built-in baseline filling in what none of them does.
// operatorNamespace is where namespaces: All counts.
func ForLocalUser(policies []v1alpha1.SecurityPolicy, user *v1alpha1.MFAUser, operatorNamespace string) []Contribution {
	var all []Contribution
	var said v1alpha1.MFASettings
	for i := range policies {
		p := &policies[i]
		if !p.DeletionTimestamp.IsZero() || Suspended(&p.Spec) || !ReachesLocalUser(p, user, operatorNamespace) {
			continue
		}
		c := ContributionOf(p, InForce(&p.Spec), false)
		all = append(all, c)
		if c.Rules.MFA.Enforcement != "" {
			said.Enforcement = c.Rules.MFA.Enforcement
		}
		if c.Rules.MFA.Methods != nil {
			said.Methods = c.Rules.MFA.Methods
		}
	}
	fill := baseline
	if said.Enforcement != "" {
		fill.Enforcement = ""
	}
	if said.Methods != nil {
		fill.Methods = nil
	}
	disabled := user.Spec.MFAEnabled != nil && !*user.Spec.MFAEnabled
	if disabled || fill.Enforcement == "" && fill.Methods == nil {
		return all
	}
	return append(all, Contribution{Policy: BuiltIn, Rules: Rules{MFA: fill}, Floor: true})
}

// ReachesLocalUser tells whether a policy names a local user. A selector that
// cannot be read names nobody: what another policy or the baseline says holds.
func ReachesLocalUser(p *v1alpha1.SecurityPolicy, user *v1alpha1.MFAUser, operatorNamespace string) bool {
	target := p.Spec.Targets.LocalUsers
	if target == nil || user.Spec.Source != v1alpha1.SourceLocal {
		return false
	}
	everywhere := target.Namespaces == v1alpha1.NamespacesAll && p.Namespace == operatorNamespace
	if p.Namespace != user.Namespace && !everywhere {
		return false
	}
	selector, err := metav1.LabelSelectorAsSelector(target.Selector)
	return err == nil && selector.Matches(labels.Set(user.Labels))
}
