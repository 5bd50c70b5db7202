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
	granted, err := GrantedTo(namespace, rules)
	if granted.Cover(org) {
		return true, nil
	}
	return false, err
}

// Granted are the access rules for one namespace.
type Granted []*v1alpha1.AccessRule

// GrantedTo picks the rules for a namespace with these labels. It fails at a
// selector that does not parse; the rules before that one count.
func GrantedTo(namespace labels.Set, rules []v1alpha1.AccessRule) (Granted, error) {
	var granted Granted
	for i := range rules {
		selector, err := metav1.LabelSelectorAsSelector(rules[i].NamespaceSelector)
		if err != nil {
			return granted, fmt.Errorf("reading namespaceSelector of access rule %d: %w", i, err)
		}
		if selector.Matches(namespace) {
			granted = append(granted, &rules[i])
		}
	}
	return granted, nil
}

// Cover tells whether they let the namespace target the instance (org is nil) or
// an organization.
func (g Granted) Cover(org *idp.Organization) bool {
	return slices.ContainsFunc(g, func(rule *v1alpha1.AccessRule) bool { return covers(rule, org) })
}

// MayTurnOutToCover tells whether they may cover an organization of which only
// what a policy selects it by is known: one of them selects by something else.
func (g Granted) MayTurnOutToCover(asked idp.Organization) bool {
	return slices.ContainsFunc(g, func(rule *v1alpha1.AccessRule) bool {
		return slices.Contains(rule.Scopes, v1alpha1.ScopeOrganization) &&
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
