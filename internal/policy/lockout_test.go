package policy_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
)

// harmless are settings that take nothing away and force nothing.
var harmless = idp.Settings{
	idp.AllowPassword: idp.Bool(true), idp.AllowExternalIDP: idp.Bool(true), idp.AllowPasskeys: idp.Bool(true),
	idp.SecondFactorTOTP: idp.Bool(true), idp.SecondFactorU2F: idp.Bool(true), idp.SecondFactorRecoveryCodes: idp.Bool(true),
	idp.SecondFactorOTPEmail: idp.Bool(true), idp.SecondFactorOTPSMS: idp.Bool(true),
}

// TestWaysAreThoseOfTheMerge: the short way to them leads to the same.
func TestWaysAreThoseOfTheMerge(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	found := map[policy.Lockout]int{}
	for range 20000 {
		policies := somePolicies(random, 1+random.IntN(5))
		merged := policy.Merge(policies)
		var ways policy.Ways
		for _, i := range random.Perm(len(policies)) {
			ways = ways.And(waysOf(policies[i].Rules))
		}
		lockouts := ways.Lockouts()
		for _, l := range lockouts {
			found[l]++
		}
		if got, want := slices.Contains(lockouts, policy.NoCommonMethod), merged.NoMethodInCommon(); got != want {
			t.Fatalf("no method in common: %v, by the merge %v, of %+v", got, want, policies)
		}
		wanted := policy.Desired(merged.Rules, nil)
		held := maps.Clone(harmless)
		maps.Copy(held, wanted)
		for range 4 {
			user := policy.Traits(random.IntN(int(policy.Inactive) << 1))
			one := policy.Histogram{user: 1}
			if got, want := ways.Impact(one), policy.ImpactOf(held, one); got != want {
				t.Fatalf("users with %b: %+v, by the merge %+v, of %+v", user, got, want, policies)
			}
		}
		if slices.Contains(lockouts, policy.NoMethodAllowed) && !policy.NoMethodLeft(nil, wanted) {
			t.Fatalf("the controllers would write what is called a lock-out here: %+v", policies)
		}
		again := ways
		for _, p := range policies {
			again = again.And(waysOf(p.Rules))
		}
		if again != ways {
			t.Fatalf("the same policies once more make a difference: %+v", policies)
		}
	}
	for _, l := range []policy.Lockout{policy.NoCommonMethod, policy.NoMethodAllowed, policy.NoWayAllowed} {
		if found[l] == 0 {
			t.Errorf("%s never came up", l)
		}
	}
}

func waysOf(r policy.Rules) policy.Ways {
	return policy.WaysIfEnforced(&v1alpha1.SecurityPolicySpec{MFA: &r.MFA, Login: &r.Login})
}

// The mode counts as it does for the merge.
func TestWaysInForce(t *testing.T) {
	spec := v1alpha1.SecurityPolicySpec{
		MFA:   &v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementAlwaysRequired, AppliesTo: v1alpha1.LocalUsersOnly, Methods: []v1alpha1.Method{v1alpha1.MethodTOTP}},
		Login: &v1alpha1.LoginSettings{PasswordLogin: v1alpha1.Forbidden},
	}
	for _, mode := range []v1alpha1.Mode{v1alpha1.ModeAudit, v1alpha1.ModeWarn, v1alpha1.ModeEnforce} {
		for _, enabled := range []bool{true, false} {
			spec.Mode, spec.Enabled = mode, &enabled
			if got, want := policy.WaysInForce(&spec), waysOf(policy.InForce(&spec)); got != want {
				t.Errorf("mode %s, enabled %v: %b, by the merge %b", mode, enabled, got, want)
			}
		}
	}
}

// What no policy speaks of is supposed to be as it harms nobody.
func TestWaysSupposeTheBest(t *testing.T) {
	for users, n := range map[policy.Traits]int{0: 1, policy.HasPassword: 2, policy.HasPasskey: 3, policy.Linked | policy.HasTOTP: 4} {
		impact := policy.Ways(0).Impact(policy.Histogram{users: n})
		if want := (policy.Impact{UsersInScope: n, Compliant: n}); impact != want {
			t.Errorf("users with %b: got %+v, want %+v", users, impact, want)
		}
	}
	forced := waysOf(policy.Rules{MFA: v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementRequiredOnFirstLogin}})
	impact := forced.Impact(policy.Histogram{0: 5, policy.HasOTPSMS: 2})
	if want := (policy.Impact{UsersInScope: 7, Compliant: 2, WillBePrompted: 5}); impact != want {
		t.Errorf("got %+v, want %+v", impact, want)
	}
}

func TestMayTurnOutToCover(t *testing.T) {
	rules := []v1alpha1.AccessRule{
		{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}}, Scopes: []v1alpha1.TargetScope{v1alpha1.ScopeOrganization},
			Organizations: []v1alpha1.OrganizationSelector{{ID: "1"}, {Name: "acme"}}},
	}
	for _, c := range []struct {
		team  string
		asked idp.Organization
		want  bool
		why   string
	}{
		{"a", idp.Organization{ID: "2"}, true, "2 may be called acme"},
		{"a", idp.Organization{Name: "globex"}, true, "globex may be 1"},
		{"a", idp.Organization{PrimaryDomain: "x.example.com"}, true, "may be either"},
		{"a", idp.Organization{ID: "2", Name: "globex"}, false, "nothing more to learn"},
		{"b", idp.Organization{ID: "2"}, false, "another namespace's rule"},
	} {
		granted, err := policy.GrantedTo(labels.Set{"team": c.team}, rules)
		if got := granted.MayTurnOutToCover(c.asked); err != nil || got != c.want {
			t.Errorf("%s asks for %+v: %v, %v (%s)", c.team, c.asked, got, err, c.why)
		}
	}
}

// One broken rule takes nothing from the rules before it, and gives nothing.
func TestBrokenRule(t *testing.T) {
	scopes := []v1alpha1.TargetScope{v1alpha1.ScopeInstance}
	good := v1alpha1.AccessRule{NamespaceSelector: &metav1.LabelSelector{}, Scopes: scopes}
	broken := v1alpha1.AccessRule{Scopes: scopes, NamespaceSelector: &metav1.LabelSelector{
		MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "team", Operator: "Near"}},
	}}
	for _, c := range []struct {
		rules  []v1alpha1.AccessRule
		may    bool
		failed bool
	}{
		{[]v1alpha1.AccessRule{good, broken}, true, false},
		{[]v1alpha1.AccessRule{broken, good}, false, true},
	} {
		may, err := policy.MayTarget(c.rules, nil, nil)
		if may != c.may || (err != nil) != c.failed {
			t.Errorf("%s: %v, %v", fmt.Sprint(c.rules), may, err)
		}
	}
}

func TestKeysOfWhatIsKnown(t *testing.T) {
	got := policy.KeysOf("c", idp.Organization{ID: "1", PrimaryDomain: "x"})
	if want := []string{"c/id/1", "c/domain/x"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q: an empty name is nobody's", got, want)
	}
}
