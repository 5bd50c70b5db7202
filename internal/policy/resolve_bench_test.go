package policy_test

import (
	"fmt"
	"testing"

	"k8s.io/utils/ptr"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
)

// BenchmarkResolve finds out what organizations have to hold under three
// policies each: one of the instance, one of a group of 250 organizations, one of
// its own. ns/org must not grow with their number.
func BenchmarkResolve(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			index := map[string][]policy.Contribution{}
			target := func(name string, s spec) {
				for _, key := range policy.TargetKeys(&s) {
					index[key] = append(index[key], from(name, s))
				}
			}
			baseline := spec{Targets: v1alpha1.Targets{Zitadel: []v1alpha1.ZitadelTarget{{Connection: "c", Scope: v1alpha1.ScopeInstance}}},
				MFA: &v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementAlwaysRequired, Methods: []v1alpha1.Method{v1alpha1.MethodWebAuthn, v1alpha1.MethodTOTP}}}
			target("baseline", baseline)
			orgs := make([]idp.Organization, n)
			var group spec
			for i := range orgs {
				orgs[i] = idp.Organization{ID: fmt.Sprint("id", i), Name: fmt.Sprint("org", i), PrimaryDomain: fmt.Sprint("org", i, ".example.com")}
				one := v1alpha1.ZitadelTarget{Connection: "c", Scope: v1alpha1.ScopeOrganization, Organization: &v1alpha1.OrganizationSelector{ID: orgs[i].ID}}
				group.Targets.Zitadel = append(group.Targets.Zitadel, one)
				if len(group.Targets.Zitadel) == 250 || i == n-1 {
					group.Password = &v1alpha1.PasswordSettings{MinLength: ptr.To[int32](12)}
					target(fmt.Sprint("group", i), group)
					group = spec{}
				}
				one.Organization = &v1alpha1.OrganizationSelector{Name: orgs[i].Name}
				target(fmt.Sprint("own", i), spec{Targets: v1alpha1.Targets{Zitadel: []v1alpha1.ZitadelTarget{one}},
					MFA: &v1alpha1.MFASettings{Methods: []v1alpha1.Method{v1alpha1.MethodTOTP, v1alpha1.MethodSMS}}})
			}
			inherits := func(idp.Group) bool { return false }
			base := factors(idp.SecondFactorTOTP)
			for b.Loop() {
				for _, org := range orgs {
					applied := policy.Applied{Floor: index[policy.InstanceKey("c")]}
					for _, key := range policy.KeysOf("c", org) {
						applied.Own = append(applied.Own, index[key]...)
					}
					wanted, _ := applied.Wanted(inherits, base)
					if len(applied.Own) != 2 || !wanted[idp.SecondFactorTOTP].Bool() || wanted[idp.SecondFactorOTPSMS].Bool() {
						b.Fatalf("%s: %v", org.Name, wanted)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/org")
		})
	}
}
