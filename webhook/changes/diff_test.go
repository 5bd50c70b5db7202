package changes

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/utils/ptr"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
)

func TestDiff(t *testing.T) {
	target := func(connection string) v1alpha1.ZitadelTarget {
		return v1alpha1.ZitadelTarget{Connection: connection, Scope: v1alpha1.ScopeInstance}
	}
	before := &v1alpha1.SecurityPolicySpec{
		Targets: v1alpha1.Targets{Zitadel: []v1alpha1.ZitadelTarget{target("a")}},
		MFA:     &v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementOptional, Methods: []v1alpha1.Method{v1alpha1.MethodTOTP}},
	}
	after := before.DeepCopy()
	after.MFA.Enforcement = v1alpha1.EnforcementAlwaysRequired
	after.MFA.Methods = []v1alpha1.Method{v1alpha1.MethodWebAuthn, v1alpha1.MethodTOTP}
	after.Targets.Zitadel = append(after.Targets.Zitadel, target("b"))
	after.Enabled = ptr.To(false)
	everything := func(string) bool { return true }
	for _, c := range []struct {
		why      string
		old, new any
		want     []string
	}{
		{"values, lists of values, lists of parts, and what was not there", before, after, []string{
			"enabled:  -> false", "mfa.enforcement: Optional -> AlwaysRequired", `mfa.methods: ["TOTP"] -> ["WebAuthn","TOTP"]`,
			"targets.zitadel[1].connection:  -> b", "targets.zitadel[1].scope:  -> Instance",
		}},
		{"created: everything is new", nil, &v1alpha1.SecurityPolicySpec{Mode: v1alpha1.ModeAudit, MFA: &v1alpha1.MFASettings{Methods: []v1alpha1.Method{}}}, []string{"mfa.methods:  -> []", "mode:  -> Audit"}},
		{"the same", before, before.DeepCopy(), nil},
	} {
		details, err := diff(c.old, c.new, everything)
		if err != nil {
			t.Fatal(err)
		}
		if got := lines(details); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.why, got, c.want)
		}
	}
}

// Of a person the ledger has switches, and of the rest no more than that it changed.
func TestDiffOfUsersHidesWhoTheyAre(t *testing.T) {
	before := &v1alpha1.MFAUserSpec{Source: v1alpha1.SourceLocal, Username: "ann", Contact: &v1alpha1.Contact{Email: "ann@example.com"}}
	after := &v1alpha1.MFAUserSpec{Source: v1alpha1.SourceLocal, Username: "ann", Contact: &v1alpha1.Contact{Phone: "+491701234567"}, Suspended: ptr.To(true)}
	details, err := diff(before, after, kinds["mfausers"].show)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"contact.email: … -> ", "contact.phone:  -> …", "suspended:  -> true"}
	if got := lines(details); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What has no room in a record is counted.
func TestDiffIsBounded(t *testing.T) {
	p := &v1alpha1.SecurityPolicySpec{Description: strings.Repeat("é", 2*audit.MaxDetailValue)}
	for i := range 40 {
		p.Targets.Zitadel = append(p.Targets.Zitadel, v1alpha1.ZitadelTarget{Connection: fmt.Sprint("c", i), Scope: v1alpha1.ScopeInstance})
	}
	details, err := diff(nil, p, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	r := audit.Record{Action: audit.PolicyChanged, Outcome: audit.Succeeded, Subject: "a/b", Details: details}
	if err := r.Check(); err != nil {
		t.Error(err)
	}
	if last := details[len(details)-1]; last.Name != "more" || last.Value != "50 fields" {
		t.Errorf("the last entry is %+v", last)
	}
}

func lines(details []audit.Detail) (all []string) {
	for _, d := range details {
		all = append(all, d.Name+": "+d.Old+" -> "+d.Value)
	}
	return all
}
