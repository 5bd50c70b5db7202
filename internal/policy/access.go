package policy

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
)

// MayTarget tells whether the access rules let a namespace with these labels
// target the instance (org is nil) or an organization. It fails closed: no
// matching rule, no effect; and a selector that does not parse is an error.
func MayTarget(rules []v1alpha1.AccessRule, namespace labels.Set, org *idp.Organization) (bool, error) {
	for i := range rules {
		rule := &rules[i]
		selector, err := metav1.LabelSelectorAsSelector(rule.NamespaceSelector)
		if err != nil {
			return false, fmt.Errorf("reading namespaceSelector of access rule %d: %w", i, err)
		}
		if selector.Matches(namespace) && covers(rule, org) {
			return true, nil
		}
	}
	return false, nil
}

// MayTurnOutToTarget tells whether the access rules may let the namespace target
// an organization of which only what a policy selects it by is known: one of
// them selects by something else.
func MayTurnOutToTarget(rules []v1alpha1.AccessRule, namespace labels.Set, asked idp.Organization) bool {
	return slices.ContainsFunc(rules, func(rule v1alpha1.AccessRule) bool {
		selector, err := metav1.LabelSelectorAsSelector(rule.NamespaceSelector)
		return err == nil && selector.Matches(namespace) && slices.Contains(rule.Scopes, v1alpha1.ScopeOrganization) &&
			slices.ContainsFunc(rule.Organizations, func(s v1alpha1.OrganizationSelector) bool {
				return s.ID != "" && asked.ID == "" || s.Name != "" && asked.Name == "" || s.PrimaryDomain != "" && asked.PrimaryDomain == ""
			})
	})
}

func covers(rule *v1alpha1.AccessRule, org *idp.Organization) bool {
	for _, scope := range rule.Scopes {
		switch scope {
		case v1alpha1.ScopeInstance:
			if org == nil {
				return true
			}
		case v1alpha1.ScopeOrganization:
			if org != nil && (len(rule.Organizations) == 0 || names(rule.Organizations, org)) {
				return true
			}
		}
	}
	return false
}

func names(selectors []v1alpha1.OrganizationSelector, org *idp.Organization) bool {
	for _, s := range selectors {
		switch {
		case s.ID != "" && s.ID == org.ID,
			s.Name != "" && s.Name == org.Name,
			s.PrimaryDomain != "" && s.PrimaryDomain == org.PrimaryDomain:
			return true
		}
	}
	return false
}
