package policy_test

import (
	"maps"
	"reflect"
	"testing"
	"time"

	"k8s.io/utils/ptr"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
)

type spec = v1alpha1.SecurityPolicySpec

var (
	yes, no = idp.Bool(true), idp.Bool(false)
	hour    = ptr.To[int32](60)
	lasting = idp.Duration(time.Hour)
)

func mfa(s v1alpha1.MFASettings) spec           { return spec{MFA: &s} }
func session(s v1alpha1.SessionSettings) spec   { return spec{Session: &s} }
func login(s v1alpha1.LoginSettings) spec       { return spec{Login: &s} }
func password(s v1alpha1.PasswordSettings) spec { return spec{Password: &s} }
func lockout(s v1alpha1.LockoutSettings) spec   { return spec{Lockout: &s} }
func webAuthn(s v1alpha1.WebAuthnSettings) spec { return mfa(v1alpha1.MFASettings{WebAuthn: &s}) }

// makes are AAGUIDs; a letter each will do.
func makes(all ...v1alpha1.AAGUID) []v1alpha1.AAGUID { return all }

// factors wants these and no others of the factors we know.
func factors(wanted ...idp.Setting) idp.Settings {
	s := idp.Settings{
		idp.SecondFactorTOTP: no, idp.SecondFactorU2F: no, idp.SecondFactorOTPEmail: no,
		idp.SecondFactorOTPSMS: no, idp.SecondFactorRecoveryCodes: no, idp.MultiFactorU2FVerified: no,
	}
	for _, w := range wanted {
		s[w] = yes
	}
	return s
}

// fields says for each field of the spec, by its path in Go, what each value of
// it wants. Nothing else is wanted, so what is unset is unmanaged.
var fields = map[string][]struct {
	spec spec
	want idp.Settings
}{
	"MFA.Enforcement": {
		{mfa(v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementOptional}), idp.Settings{idp.ForceMFA: no, idp.ForceMFALocalOnly: no}},
		{mfa(v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementRequiredOnFirstLogin}), idp.Settings{idp.ForceMFA: yes, idp.ForceMFALocalOnly: no}},
		{mfa(v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementAlwaysRequired}), idp.Settings{idp.ForceMFA: yes, idp.ForceMFALocalOnly: no,
			idp.SecondFactorCheckLifetime: idp.Duration(15 * time.Minute), idp.MultiFactorCheckLifetime: idp.Duration(15 * time.Minute)}},
	},
	"MFA.AppliesTo": {
		{mfa(v1alpha1.MFASettings{AppliesTo: v1alpha1.LocalUsersOnly}), idp.Settings{}}, // of no enforcement; the API server refuses it
		{mfa(v1alpha1.MFASettings{AppliesTo: v1alpha1.AllUsers, Enforcement: v1alpha1.EnforcementRequiredOnFirstLogin}), idp.Settings{idp.ForceMFA: yes, idp.ForceMFALocalOnly: no}},
		{mfa(v1alpha1.MFASettings{AppliesTo: v1alpha1.LocalUsersOnly, Enforcement: v1alpha1.EnforcementRequiredOnFirstLogin}), idp.Settings{idp.ForceMFA: no, idp.ForceMFALocalOnly: yes}},
		{mfa(v1alpha1.MFASettings{AppliesTo: v1alpha1.LocalUsersOnly, Enforcement: v1alpha1.EnforcementOptional}), idp.Settings{idp.ForceMFA: no, idp.ForceMFALocalOnly: no}},
	},
	"MFA.Methods": {
		{mfa(v1alpha1.MFASettings{Methods: nil}), idp.Settings{}},
		{mfa(v1alpha1.MFASettings{Methods: []v1alpha1.Method{}}), factors()},
		{mfa(v1alpha1.MFASettings{Methods: []v1alpha1.Method{v1alpha1.MethodWebAuthn}}), factors(idp.SecondFactorU2F, idp.MultiFactorU2FVerified)},
		{mfa(v1alpha1.MFASettings{Methods: []v1alpha1.Method{v1alpha1.MethodTOTP}}), factors(idp.SecondFactorTOTP)},
		{mfa(v1alpha1.MFASettings{Methods: []v1alpha1.Method{v1alpha1.MethodRecoveryCodes}}), factors(idp.SecondFactorRecoveryCodes)},
		{mfa(v1alpha1.MFASettings{Methods: []v1alpha1.Method{v1alpha1.MethodEmail}}), factors(idp.SecondFactorOTPEmail)},
		{mfa(v1alpha1.MFASettings{Methods: []v1alpha1.Method{v1alpha1.MethodSMS}}), factors(idp.SecondFactorOTPSMS)},
		{mfa(v1alpha1.MFASettings{Methods: []v1alpha1.Method{v1alpha1.MethodSMS, v1alpha1.MethodTOTP}}), factors(idp.SecondFactorTOTP, idp.SecondFactorOTPSMS)},
	},
	"MFA.PasskeyLogin": {
		{mfa(v1alpha1.MFASettings{PasskeyLogin: v1alpha1.Allowed}), idp.Settings{idp.AllowPasskeys: yes}},
		{mfa(v1alpha1.MFASettings{PasskeyLogin: v1alpha1.Forbidden}), idp.Settings{idp.AllowPasskeys: no}},
	},
	"MFA.SetupPrompt": {
		{mfa(v1alpha1.MFASettings{SetupPrompt: &v1alpha1.SetupPrompt{Frequency: v1alpha1.PromptEvery, EveryHours: ptr.To[int32](720)}}), idp.Settings{idp.MFAInitSkipLifetime: idp.Duration(720 * time.Hour)}},
		{mfa(v1alpha1.MFASettings{SetupPrompt: &v1alpha1.SetupPrompt{Frequency: v1alpha1.PromptNever}}), idp.Settings{idp.MFAInitSkipLifetime: idp.Duration(0)}},
	},
	// For local users: nothing in Zitadel is to change with these.
	"MFA.PreferredMethod": {
		{mfa(v1alpha1.MFASettings{PreferredMethod: v1alpha1.MethodWebAuthn}), idp.Settings{}},
		{mfa(v1alpha1.MFASettings{PreferredMethod: v1alpha1.MethodTOTP}), idp.Settings{}},
	},
	"MFA.GracePeriodHours": {
		{mfa(v1alpha1.MFASettings{GracePeriodHours: ptr.To[int32](168)}), idp.Settings{}},
		{mfa(v1alpha1.MFASettings{GracePeriodHours: ptr.To[int32](0)}), idp.Settings{}},
	},
	"MFA.WebAuthn": {
		{webAuthn(v1alpha1.WebAuthnSettings{UserVerification: v1alpha1.UserVerificationRequired}), idp.Settings{}},
		{webAuthn(v1alpha1.WebAuthnSettings{UserVerification: v1alpha1.UserVerificationPreferred}), idp.Settings{}},
		{webAuthn(v1alpha1.WebAuthnSettings{UserVerification: v1alpha1.UserVerificationDiscouraged}), idp.Settings{}},
		{webAuthn(v1alpha1.WebAuthnSettings{Attestation: v1alpha1.AttestationNone}), idp.Settings{}},
		{webAuthn(v1alpha1.WebAuthnSettings{Attestation: v1alpha1.AttestationDirect}), idp.Settings{}},
		{webAuthn(v1alpha1.WebAuthnSettings{AllowedAAGUIDs: makes("b", "a")}), idp.Settings{}},
		{webAuthn(v1alpha1.WebAuthnSettings{AllowedAAGUIDs: makes("b", "c")}), idp.Settings{}},
		{webAuthn(v1alpha1.WebAuthnSettings{AllowedAAGUIDs: makes("d")}), idp.Settings{}},
		{webAuthn(v1alpha1.WebAuthnSettings{DeniedAAGUIDs: makes("b", "a")}), idp.Settings{}},
		{webAuthn(v1alpha1.WebAuthnSettings{DeniedAAGUIDs: makes("c")}), idp.Settings{}},
	},
	"Session.SecondFactorMinutes":  {{session(v1alpha1.SessionSettings{SecondFactorMinutes: hour}), idp.Settings{idp.SecondFactorCheckLifetime: lasting}}},
	"Session.MultiFactorMinutes":   {{session(v1alpha1.SessionSettings{MultiFactorMinutes: hour}), idp.Settings{idp.MultiFactorCheckLifetime: lasting}}},
	"Session.PasswordMinutes":      {{session(v1alpha1.SessionSettings{PasswordMinutes: hour}), idp.Settings{idp.PasswordCheckLifetime: lasting}}},
	"Session.ExternalLoginMinutes": {{session(v1alpha1.SessionSettings{ExternalLoginMinutes: hour}), idp.Settings{idp.ExternalLoginCheckLifetime: lasting}}},
	"Login.PasswordLogin": {
		{login(v1alpha1.LoginSettings{PasswordLogin: v1alpha1.Allowed}), idp.Settings{idp.AllowPassword: yes}},
		{login(v1alpha1.LoginSettings{PasswordLogin: v1alpha1.Forbidden}), idp.Settings{idp.AllowPassword: no}},
	},
	"Login.Registration": {
		{login(v1alpha1.LoginSettings{Registration: v1alpha1.Allowed}), idp.Settings{idp.AllowRegister: yes}},
		{login(v1alpha1.LoginSettings{Registration: v1alpha1.Forbidden}), idp.Settings{idp.AllowRegister: no}},
	},
	"Login.ExternalIDPs": {
		{login(v1alpha1.LoginSettings{ExternalIDPs: v1alpha1.Allowed}), idp.Settings{idp.AllowExternalIDP: yes}},
		{login(v1alpha1.LoginSettings{ExternalIDPs: v1alpha1.Forbidden}), idp.Settings{idp.AllowExternalIDP: no}},
	},
	"Login.DomainDiscovery": {
		{login(v1alpha1.LoginSettings{DomainDiscovery: v1alpha1.Allowed}), idp.Settings{idp.AllowDomainDiscovery: yes}},
		{login(v1alpha1.LoginSettings{DomainDiscovery: v1alpha1.Forbidden}), idp.Settings{idp.AllowDomainDiscovery: no}},
	},
	"Login.PasswordResetLink": {
		{login(v1alpha1.LoginSettings{PasswordResetLink: v1alpha1.Allowed}), idp.Settings{idp.HidePasswordReset: no}},
		{login(v1alpha1.LoginSettings{PasswordResetLink: v1alpha1.Forbidden}), idp.Settings{idp.HidePasswordReset: yes}},
	},
	"Login.UnknownUsernames": {
		{login(v1alpha1.LoginSettings{UnknownUsernames: v1alpha1.Allowed}), idp.Settings{idp.IgnoreUnknownUsernames: yes}},
		{login(v1alpha1.LoginSettings{UnknownUsernames: v1alpha1.Forbidden}), idp.Settings{idp.IgnoreUnknownUsernames: no}},
	},
	"Login.LoginWithEmail": {
		{login(v1alpha1.LoginSettings{LoginWithEmail: v1alpha1.Allowed}), idp.Settings{idp.DisableLoginWithEmail: no}},
		{login(v1alpha1.LoginSettings{LoginWithEmail: v1alpha1.Forbidden}), idp.Settings{idp.DisableLoginWithEmail: yes}},
	},
	"Login.LoginWithPhone": {
		{login(v1alpha1.LoginSettings{LoginWithPhone: v1alpha1.Allowed}), idp.Settings{idp.DisableLoginWithPhone: no}},
		{login(v1alpha1.LoginSettings{LoginWithPhone: v1alpha1.Forbidden}), idp.Settings{idp.DisableLoginWithPhone: yes}},
	},
	"Login.DefaultRedirectURI": {
		{login(v1alpha1.LoginSettings{DefaultRedirectURI: ptr.To("https://example.com/")}), idp.Settings{idp.DefaultRedirectURI: idp.Text("https://example.com/")}},
		{login(v1alpha1.LoginSettings{DefaultRedirectURI: ptr.To("")}), idp.Settings{idp.DefaultRedirectURI: idp.Text("")}},
	},
	"Password.MinLength": {{password(v1alpha1.PasswordSettings{MinLength: ptr.To[int32](14)}), idp.Settings{idp.PasswordMinLength: idp.Number(14)}}},
	"Password.RequireUppercase": {
		{password(v1alpha1.PasswordSettings{RequireUppercase: v1alpha1.Required}), idp.Settings{idp.PasswordHasUppercase: yes}},
		{password(v1alpha1.PasswordSettings{RequireUppercase: v1alpha1.NotRequired}), idp.Settings{idp.PasswordHasUppercase: no}},
	},
	"Password.RequireLowercase": {
		{password(v1alpha1.PasswordSettings{RequireLowercase: v1alpha1.Required}), idp.Settings{idp.PasswordHasLowercase: yes}},
		{password(v1alpha1.PasswordSettings{RequireLowercase: v1alpha1.NotRequired}), idp.Settings{idp.PasswordHasLowercase: no}},
	},
	"Password.RequireNumber": {
		{password(v1alpha1.PasswordSettings{RequireNumber: v1alpha1.Required}), idp.Settings{idp.PasswordHasNumber: yes}},
		{password(v1alpha1.PasswordSettings{RequireNumber: v1alpha1.NotRequired}), idp.Settings{idp.PasswordHasNumber: no}},
	},
	"Password.RequireSymbol": {
		{password(v1alpha1.PasswordSettings{RequireSymbol: v1alpha1.Required}), idp.Settings{idp.PasswordHasSymbol: yes}},
		{password(v1alpha1.PasswordSettings{RequireSymbol: v1alpha1.NotRequired}), idp.Settings{idp.PasswordHasSymbol: no}},
	},
	"Password.ExpireAfterDays": {
		{password(v1alpha1.PasswordSettings{ExpireAfterDays: ptr.To[int32](90)}), idp.Settings{idp.PasswordMaxAgeDays: idp.Number(90)}},
		{password(v1alpha1.PasswordSettings{ExpireAfterDays: ptr.To[int32](0)}), idp.Settings{idp.PasswordMaxAgeDays: idp.Number(0)}},
	},
	"Password.WarnBeforeDays": {
		{password(v1alpha1.PasswordSettings{WarnBeforeDays: ptr.To[int32](7)}), idp.Settings{idp.PasswordExpireWarnDays: idp.Number(7)}},
		{password(v1alpha1.PasswordSettings{WarnBeforeDays: ptr.To[int32](0)}), idp.Settings{idp.PasswordExpireWarnDays: idp.Number(0)}},
	},
	"Lockout.MaxPasswordAttempts": {{lockout(v1alpha1.LockoutSettings{MaxPasswordAttempts: ptr.To[int32](5)}), idp.Settings{idp.MaxPasswordAttempts: idp.Number(5)}}},
	"Lockout.MaxOTPAttempts":      {{lockout(v1alpha1.LockoutSettings{MaxOTPAttempts: ptr.To[int32](5)}), idp.Settings{idp.MaxOTPAttempts: idp.Number(5)}}},
	"Lockout.AutoUnlockMinutes": {
		{lockout(v1alpha1.LockoutSettings{AutoUnlockMinutes: ptr.To[int32](15)}), idp.Settings{}},
		{lockout(v1alpha1.LockoutSettings{AutoUnlockMinutes: ptr.To[int32](60)}), idp.Settings{}},
	},
}

func TestEachFieldWantsItsSettingsAndNoOthers(t *testing.T) {
	groups := 0
	for i := range reflect.TypeFor[spec]().NumField() {
		group := reflect.TypeFor[spec]().Field(i)
		if group.Type.Kind() != reflect.Pointer || group.Type.Elem().Kind() != reflect.Struct {
			continue // says where, whether or how, and wants nothing itself
		}
		groups++
		for j := range group.Type.Elem().NumField() {
			path := group.Name + "." + group.Type.Elem().Field(j).Name
			if len(fields[path]) == 0 {
				t.Errorf("%s is not in the table", path)
			}
			for _, c := range fields[path] {
				if got := policy.Desired(policy.RulesOf(&c.spec), nil); !maps.Equal(got, c.want) {
					t.Errorf("%s:\n got %v\nwant %v", path, got, c.want)
				}
			}
		}
	}
	if groups < 5 {
		t.Errorf("only %d groups of settings were found in the spec", groups)
	}
}

// TestEverySettingCanBeWanted: the spec carries every field that Zitadel has.
func TestEverySettingCanBeWanted(t *testing.T) {
	wanted := idp.Settings{}
	for _, cases := range fields {
		for _, c := range cases {
			maps.Copy(wanted, policy.Desired(policy.RulesOf(&c.spec), nil))
		}
	}
	for _, s := range idp.AllSettings() {
		v, ok := wanted[s]
		if !ok {
			t.Errorf("no field of the spec can want %s", s)
			continue
		}
		if _, err := s.Parse(v.String()); err != nil {
			t.Errorf("%s is wanted as a value of another kind: %v", s, err)
		}
	}
}

func TestASpecWithoutSettingsWantsNothing(t *testing.T) {
	for _, s := range []spec{
		{},
		{Mode: v1alpha1.ModeEnforce, Enabled: ptr.To(true), DeletionPolicy: v1alpha1.DeletionReset, DisplayName: "MFA"},
		{MFA: &v1alpha1.MFASettings{}, Session: &v1alpha1.SessionSettings{}, Login: &v1alpha1.LoginSettings{},
			Password: &v1alpha1.PasswordSettings{}, Lockout: &v1alpha1.LockoutSettings{}},
	} {
		if got := policy.Desired(policy.RulesOf(&s), idp.Settings{idp.ForceMFA: yes, idp.SecondFactorCheckLifetime: lasting}); len(got) > 0 {
			t.Errorf("%+v wants %v", s, got)
		}
	}
}

// TestNeverBothForceFlags, whatever the words: Zitadel's two logins disagree on
// what both together mean.
func TestNeverBothForceFlags(t *testing.T) {
	for _, e := range []v1alpha1.Enforcement{"", v1alpha1.EnforcementOptional, v1alpha1.EnforcementRequiredOnFirstLogin, v1alpha1.EnforcementAlwaysRequired} {
		for _, a := range []v1alpha1.Audience{"", v1alpha1.AllUsers, v1alpha1.LocalUsersOnly} {
			s := mfa(v1alpha1.MFASettings{Enforcement: e, AppliesTo: a})
			after := idp.Settings{idp.ForceMFA: yes, idp.ForceMFALocalOnly: yes}.Overlay(policy.Desired(policy.RulesOf(&s), nil))
			if e != "" && after[idp.ForceMFA].Bool() && after[idp.ForceMFALocalOnly].Bool() {
				t.Errorf("%s for %s leaves both flags on", e, a)
			}
		}
	}
}

// TestAlwaysRequiredKeepsChecksFresh: a lifetime is at most a quarter of an
// hour, and what is stricter already stays.
func TestAlwaysRequiredKeepsChecksFresh(t *testing.T) {
	quarter := 15 * time.Minute
	for _, c := range []struct {
		asked *int32 // minutes in the spec
		found time.Duration
		known bool
		want  time.Duration
		why   string
	}{
		{nil, 0, false, quarter, "nothing is known"},
		{nil, 18 * time.Hour, true, quarter, "what was found is longer"},
		{nil, 5 * time.Minute, true, 5 * time.Minute, "what was found is stricter"},
		{nil, quarter, true, quarter, "what was found is just right"},
		{nil, quarter + 1, true, quarter, "what was found is a little longer"},
		{nil, 0, true, quarter, "Zitadel's 0 is not strict: it locks out in one login and means a day in the other"},
		{nil, -time.Hour, true, quarter, "a negative lifetime is not strict"},
		{ptr.To[int32](60), 5 * time.Minute, true, quarter, "the spec asks for more than there can be"},
		{ptr.To[int32](1), 5 * time.Minute, true, time.Minute, "the spec is stricter"},
		{ptr.To[int32](10), 5 * time.Minute, true, 10 * time.Minute, "the spec's own value counts, not what was found"},
	} {
		s := mfa(v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementAlwaysRequired})
		s.Session = &v1alpha1.SessionSettings{SecondFactorMinutes: c.asked, MultiFactorMinutes: c.asked}
		found := idp.Settings{}
		if c.known {
			found[idp.SecondFactorCheckLifetime], found[idp.MultiFactorCheckLifetime] = idp.Duration(c.found), idp.Duration(c.found)
		}
		got := policy.Desired(policy.RulesOf(&s), found)
		for _, lifetime := range []idp.Setting{idp.SecondFactorCheckLifetime, idp.MultiFactorCheckLifetime} {
			if got[lifetime] != idp.Duration(c.want) {
				t.Errorf("%s: %s is %s, want %s", c.why, lifetime, got[lifetime], c.want)
			}
		}
		if again := policy.Desired(policy.RulesOf(&s), found.Overlay(got)); !maps.Equal(again, got) {
			t.Errorf("%s: once written it wants something else: %v", c.why, again)
		}
	}
}

func TestInForce(t *testing.T) {
	all := spec{
		MFA:     &v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementAlwaysRequired, Methods: []v1alpha1.Method{v1alpha1.MethodTOTP}},
		Lockout: &v1alpha1.LockoutSettings{MaxOTPAttempts: ptr.To[int32](5)},
	}
	enforced := policy.Desired(policy.RulesOf(&all), nil)
	unforced := maps.Clone(enforced)
	delete(unforced, idp.ForceMFA)
	delete(unforced, idp.ForceMFALocalOnly)
	for _, c := range []struct {
		mode    v1alpha1.Mode
		enabled *bool
		want    idp.Settings
		why     string
	}{
		{"", nil, enforced, "unset means enabled and Enforce"},
		{v1alpha1.ModeEnforce, ptr.To(true), enforced, "Enforce does all"},
		{v1alpha1.ModeWarn, nil, unforced, "Warn blocks nobody, and keeps checks fresh"},
		{v1alpha1.ModeAudit, nil, idp.Settings{}, "Audit writes nothing"},
		{v1alpha1.ModeEnforce, ptr.To(false), idp.Settings{}, "disabled is out of force"},
		{v1alpha1.ModeWarn, ptr.To(false), idp.Settings{}, "disabled is out of force"},
	} {
		s := all
		s.Mode, s.Enabled = c.mode, c.enabled
		if got := policy.Desired(policy.InForce(&s), nil); !maps.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.why, got, c.want)
		}
	}
}
