package neoscapi

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

func TestRules(t *testing.T) {
	mfa := func(m v1alpha1.MFASettings) v1alpha1.SecurityPolicySpec {
		return v1alpha1.SecurityPolicySpec{Mode: v1alpha1.ModeEnforce, MFA: &m}
	}
	const (
		webauthn = v1alpha1.MethodWebAuthn
		otp      = v1alpha1.MethodTOTP
	)
	for _, c := range []struct {
		why  string
		spec v1alpha1.SecurityPolicySpec
		want []string
	}{
		{
			"NeoSC's own example",
			mfa(v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementAlwaysRequired, Methods: []v1alpha1.Method{webauthn, otp}, PreferredMethod: webauthn}),
			[]string{"Require MFA for login", "WebAuthn preferred", "TOTP as fallback"},
		},
		{
			"the preferred one comes first, wherever it stands",
			mfa(v1alpha1.MFASettings{Methods: []v1alpha1.Method{v1alpha1.MethodRecoveryCodes, otp, webauthn}, PreferredMethod: webauthn}),
			[]string{"WebAuthn preferred", "Recovery codes as fallback", "TOTP as fallback"},
		},
		{
			"without a preference there is no fallback",
			mfa(v1alpha1.MFASettings{Methods: []v1alpha1.Method{otp, v1alpha1.MethodEmail, v1alpha1.MethodSMS}}),
			[]string{"TOTP allowed", "E-mail codes allowed", "SMS codes allowed"},
		},
		{"a preference alone", mfa(v1alpha1.MFASettings{PreferredMethod: v1alpha1.MethodRecoveryCodes}), []string{"Recovery codes preferred"}},
		{"none at all is not the same as not managed", mfa(v1alpha1.MFASettings{Methods: []v1alpha1.Method{}}), []string{"No second factor allowed"}},
		{"optional, for whomever", mfa(v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementOptional, AppliesTo: v1alpha1.LocalUsersOnly}), []string{"MFA is optional"}},
		{
			"whom it leaves out",
			mfa(v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementRequiredOnFirstLogin, AppliesTo: v1alpha1.LocalUsersOnly, PasskeyLogin: v1alpha1.Forbidden}),
			[]string{"Require MFA set-up at first login, except through external identity providers", "A passkey may not replace the password"},
		},
		{
			"nothing is in force, and the rest must not look as if",
			v1alpha1.SecurityPolicySpec{Mode: v1alpha1.ModeAudit, MFA: &v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementAlwaysRequired}},
			[]string{"Audit only: nothing of this is put in force", "Require MFA for login"},
		},
		{
			"nobody is forced",
			v1alpha1.SecurityPolicySpec{Mode: v1alpha1.ModeWarn, MFA: &v1alpha1.MFASettings{PasskeyLogin: v1alpha1.Allowed}},
			[]string{"Warn only: MFA is not forced, all else is in force", "A passkey may replace the password"},
		},
		{
			"what NeoSC has no words for is said by its path",
			v1alpha1.SecurityPolicySpec{
				MFA:      &v1alpha1.MFASettings{SetupPrompt: &v1alpha1.SetupPrompt{Frequency: v1alpha1.PromptEvery, EveryHours: ptr.To[int32](720)}, GracePeriodHours: ptr.To[int32](0)},
				Session:  &v1alpha1.SessionSettings{SecondFactorMinutes: ptr.To[int32](60)},
				Login:    &v1alpha1.LoginSettings{Registration: v1alpha1.Forbidden},
				Password: &v1alpha1.PasswordSettings{MinLength: ptr.To[int32](12)},
				Lockout:  &v1alpha1.LockoutSettings{MaxOTPAttempts: ptr.To[int32](5)},
			},
			[]string{
				"mfa.setupPrompt: every 720 hours", "mfa.gracePeriodHours: 0", "session.secondFactorMinutes: 60",
				"login.registration: Forbidden", "password.minLength: 12", "lockout.maxOTPAttempts: 5",
			},
		},
		{
			"whom it is for, by whatever names an organization",
			v1alpha1.SecurityPolicySpec{Targets: v1alpha1.Targets{
				Zitadel: []v1alpha1.ZitadelTarget{
					{Connection: "default", Scope: v1alpha1.ScopeInstance},
					{Connection: "default", Scope: v1alpha1.ScopeOrganization, Organization: &v1alpha1.OrganizationSelector{Name: "acme"}},
					{Connection: "eu", Scope: v1alpha1.ScopeOrganization, Organization: &v1alpha1.OrganizationSelector{PrimaryDomain: "acme.example"}},
					{Connection: "eu", Scope: v1alpha1.ScopeOrganization, Organization: &v1alpha1.OrganizationSelector{ID: "42"}},
				},
				LocalUsers: &v1alpha1.LocalUsersTarget{Selector: &metav1.LabelSelector{}},
			}},
			[]string{
				"Applies to the whole Zitadel instance default", "Applies to organization acme of Zitadel instance default",
				"Applies to the organization of acme.example of Zitadel instance eu", "Applies to organization 42 of Zitadel instance eu",
				"Applies to local users",
			},
		},
	} {
		if got := rulesOf(&c.spec); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.why, got, c.want)
		}
	}
}
