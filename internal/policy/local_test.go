package policy

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

func TestForLocalUser(t *testing.T) {
	always := &v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementAlwaysRequired}
	at := func(namespace string, namespaces v1alpha1.Namespaces, mode v1alpha1.Mode, mfa *v1alpha1.MFASettings, labels map[string]string) v1alpha1.SecurityPolicy {
		return v1alpha1.SecurityPolicy{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "p"},
			Spec: v1alpha1.SecurityPolicySpec{Mode: mode, MFA: mfa, Targets: v1alpha1.Targets{LocalUsers: &v1alpha1.LocalUsersTarget{
				Namespaces: namespaces, Selector: &metav1.LabelSelector{MatchLabels: labels},
			}}},
		}
	}
	const same, all = v1alpha1.NamespacesSame, v1alpha1.NamespacesAll
	disabled := false
	tests := []struct {
		policy  v1alpha1.SecurityPolicy
		enabled *bool
		want    []string
		says    v1alpha1.Enforcement
		reason  string
	}{
		{v1alpha1.SecurityPolicy{}, nil, []string{"/built-in"}, v1alpha1.EnforcementRequiredOnFirstLogin, "nobody says anything: MFA is on by default"},
		{v1alpha1.SecurityPolicy{}, &disabled, nil, "", "except for who is taken out of the baseline"},
		{at("apps", same, "", always, nil), nil, []string{"/built-in", "apps/p"}, v1alpha1.EnforcementAlwaysRequired, "the baseline fills in the methods"},
		{at("apps", same, "", always, nil), &disabled, []string{"apps/p"}, v1alpha1.EnforcementAlwaysRequired, "nobody is taken out of a policy"},
		{at("apps", same, "", &v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementOptional, Methods: []v1alpha1.Method{v1alpha1.MethodTOTP}}, nil), nil,
			[]string{"apps/p"}, v1alpha1.EnforcementOptional, "a policy says all, be it weaker than the baseline"},
		{at("apps", same, "", always, map[string]string{"team": "red"}), nil, []string{"/built-in"}, v1alpha1.EnforcementRequiredOnFirstLogin, "other users"},
		{at("other", same, "", always, nil), nil, []string{"/built-in"}, v1alpha1.EnforcementRequiredOnFirstLogin, "another namespace"},
		{at("other", all, "", always, nil), nil, []string{"/built-in"}, v1alpha1.EnforcementRequiredOnFirstLogin, "All counts in the operator's namespace only"},
		{at("home", all, "", always, nil), nil, []string{"/built-in", "home/p"}, v1alpha1.EnforcementAlwaysRequired, "there it does"},
		{at("apps", same, v1alpha1.ModeAudit, always, nil), nil, []string{"/built-in"}, v1alpha1.EnforcementRequiredOnFirstLogin, "what is only audited is not in force"},
		{at("apps", same, v1alpha1.ModeWarn, always, nil), nil, []string{"/built-in", "apps/p"}, v1alpha1.EnforcementRequiredOnFirstLogin, "Warn leaves the enforcement out, so the baseline's holds"},
	}
	for _, test := range tests {
		user := &v1alpha1.MFAUser{
			ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: "ann", Labels: map[string]string{"team": "blue"}},
			Spec:       v1alpha1.MFAUserSpec{Source: v1alpha1.SourceLocal, MFAEnabled: test.enabled},
		}
		all := ForLocalUser([]v1alpha1.SecurityPolicy{test.policy}, user, "home")
		var names []string
		for _, c := range all {
			names = append(names, c.Policy.String())
		}
		slices.Sort(names)
		if got := Merge(all).Rules.MFA.Enforcement; !slices.Equal(names, test.want) || got != test.says {
			t.Errorf("%s: got %v, %q, want %v, %q", test.reason, names, got, test.want, test.says)
		}
	}
	zitadel := &v1alpha1.MFAUser{ObjectMeta: metav1.ObjectMeta{Namespace: "apps"}, Spec: v1alpha1.MFAUserSpec{Source: v1alpha1.SourceZitadel}}
	if p := at("apps", same, "", always, nil); ReachesLocalUser(&p, zitadel, "home") {
		t.Error("a user of Zitadel is reached by targets.zitadel")
	}
}
