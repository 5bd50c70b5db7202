package policy_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
)

func TestMayTarget(t *testing.T) {
	var (
		everybody    = &metav1.LabelSelector{}
		teamA        = &metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}}
		notB         = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "team", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"b"}}}}
		instance     = []v1alpha1.TargetScope{v1alpha1.ScopeInstance}
		organization = []v1alpha1.TargetScope{v1alpha1.ScopeOrganization}
		both         = []v1alpha1.TargetScope{v1alpha1.ScopeInstance, v1alpha1.ScopeOrganization}

		a, b   = labels.Set{"team": "a"}, labels.Set{"team": "b"}
		acme   = &idp.Organization{ID: "1", Name: "acme", PrimaryDomain: "acme.localhost"}
		globex = &idp.Organization{ID: "2", Name: "globex", PrimaryDomain: "globex.localhost"}
	)
	rule := func(who *metav1.LabelSelector, what []v1alpha1.TargetScope, which ...v1alpha1.OrganizationSelector) v1alpha1.AccessRule {
		return v1alpha1.AccessRule{NamespaceSelector: who, Scopes: what, Organizations: which}
	}
	for _, c := range []struct {
		rules     []v1alpha1.AccessRule
		namespace labels.Set
		org       *idp.Organization // nil: the instance
		want      bool
		why       string
	}{
		{nil, a, nil, false, "no rule, no effect"},
		{nil, a, acme, false, "no rule, no effect"},
		{[]v1alpha1.AccessRule{rule(nil, both)}, a, nil, false, "a rule without a selector selects nobody"},
		{[]v1alpha1.AccessRule{rule(everybody, nil)}, a, nil, false, "a rule without scopes covers nothing"},
		{[]v1alpha1.AccessRule{rule(everybody, []v1alpha1.TargetScope{"Project"})}, a, nil, false, "a scope we do not know covers nothing"},
		{[]v1alpha1.AccessRule{rule(everybody, instance)}, labels.Set{}, nil, true, "an empty selector selects everybody"},
		{[]v1alpha1.AccessRule{rule(teamA, instance)}, a, nil, true, "the label matches"},
		{[]v1alpha1.AccessRule{rule(teamA, instance)}, b, nil, false, "another label"},
		{[]v1alpha1.AccessRule{rule(teamA, instance)}, labels.Set{}, nil, false, "no label"},
		{[]v1alpha1.AccessRule{rule(notB, instance)}, b, nil, false, "an expression counts"},
		{[]v1alpha1.AccessRule{rule(teamA, instance)}, a, acme, false, "the instance does not imply its organizations"},
		{[]v1alpha1.AccessRule{rule(teamA, organization)}, a, nil, false, "organizations do not imply the instance"},
		{[]v1alpha1.AccessRule{rule(teamA, organization)}, a, acme, true, "every organization"},
		{[]v1alpha1.AccessRule{rule(teamA, organization, v1alpha1.OrganizationSelector{ID: "1"})}, a, acme, true, "by id"},
		{[]v1alpha1.AccessRule{rule(teamA, organization, v1alpha1.OrganizationSelector{Name: "acme"})}, a, acme, true, "by name"},
		{[]v1alpha1.AccessRule{rule(teamA, organization, v1alpha1.OrganizationSelector{PrimaryDomain: "acme.localhost"})}, a, acme, true, "by domain"},
		{[]v1alpha1.AccessRule{rule(teamA, organization, v1alpha1.OrganizationSelector{Name: "Acme"})}, a, acme, false, "names are compared exactly"},
		{[]v1alpha1.AccessRule{rule(teamA, organization, v1alpha1.OrganizationSelector{ID: "acme"})}, a, acme, false, "an id is not a name"},
		{[]v1alpha1.AccessRule{rule(teamA, organization, v1alpha1.OrganizationSelector{})}, a, &idp.Organization{}, false, "a selector of nothing selects nothing"},
		{[]v1alpha1.AccessRule{rule(teamA, organization, v1alpha1.OrganizationSelector{ID: "1"}, v1alpha1.OrganizationSelector{ID: "2"})}, a, globex, true, "any of the list"},
		{[]v1alpha1.AccessRule{rule(teamA, both, v1alpha1.OrganizationSelector{ID: "1"})}, a, globex, false, "the list narrows"},
		{[]v1alpha1.AccessRule{rule(teamA, both, v1alpha1.OrganizationSelector{ID: "1"})}, a, nil, true, "the list narrows organizations only"},
		{[]v1alpha1.AccessRule{rule(teamA, instance), rule(everybody, organization)}, b, acme, true, "any rule will do"},
		{[]v1alpha1.AccessRule{rule(teamA, organization), rule(everybody, instance)}, b, acme, false, "two halves of two rules are none"},
	} {
		if got, err := policy.MayTarget(c.rules, c.namespace, c.org); err != nil || got != c.want {
			t.Errorf("%s: got %v, %v", c.why, got, err)
		}
	}
}

func TestASelectorThatDoesNotParseIsAnError(t *testing.T) {
	broken := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "team", Operator: "Near"}}}
	may, err := policy.MayTarget([]v1alpha1.AccessRule{
		{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "b"}}, Scopes: []v1alpha1.TargetScope{v1alpha1.ScopeInstance}},
		{NamespaceSelector: broken, Scopes: []v1alpha1.TargetScope{v1alpha1.ScopeInstance}},
	}, labels.Set{"team": "a"}, nil)
	if may || err == nil || !strings.Contains(err.Error(), "access rule 1") {
		t.Errorf("got %v, %v; want no, and which rule", may, err)
	}
}
