package admission

import (
	"fmt"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

// What is named follows the policies, and what was handed out does not change.
func TestNamed(t *testing.T) {
	named := func(name string, targets ...v1alpha1.ZitadelTarget) *v1alpha1.SecurityPolicy {
		return &v1alpha1.SecurityPolicy{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name},
			Spec:       v1alpha1.SecurityPolicySpec{Targets: v1alpha1.Targets{Zitadel: targets}},
		}
	}
	org := func(connection, name string) v1alpha1.ZitadelTarget {
		return v1alpha1.ZitadelTarget{Connection: connection, Scope: v1alpha1.ScopeOrganization, Organization: &v1alpha1.OrganizationSelector{Name: name}}
	}
	instance := v1alpha1.ZitadelTarget{Connection: "a", Scope: v1alpha1.ScopeInstance}
	var n Named
	at := func(connection string) (lines []string) {
		for _, one := range n.at(connection) {
			lines = append(lines, fmt.Sprint(one.policy.Name, " ", one.key))
		}
		return lines
	}
	expect := func(why, connection string, want ...string) {
		t.Helper()
		if got := at(connection); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", why, got, want)
		}
	}
	p, q := named("p", instance, org("a", "acme"), org("b", "acme")), named("q", org("a", "acme"), org("a", "globex"))
	n.OnAdd(p, true)
	n.OnAdd(q, false)
	expect("each target that is an organization, by connection", "a", "p a/name/acme", "q a/name/acme", "q a/name/globex")
	expect("and no other", "b", "p b/name/acme")
	before := n.at("a")

	moved := named("p", org("b", "initech"))
	n.OnUpdate(p, moved)
	expect("a target that is gone", "a", "q a/name/acme", "q a/name/globex")
	expect("a target that changed", "b", "p b/name/initech")
	n.OnDelete(q)
	expect("a policy that is gone", "a")
	n.OnDelete(toolscache.DeletedFinalStateUnknown{Obj: moved})
	expect("and one whose end was missed", "b")
	if len(n.byConnection) != 0 {
		t.Errorf("%d connections are left over", len(n.byConnection))
	}
	if len(before) != 3 || before[0].policy != p {
		t.Error("what was handed out has changed")
	}
}
