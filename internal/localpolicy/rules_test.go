package localpolicy_test

import (
	"reflect"
	"testing"
	"time"

	"k8s.io/utils/ptr"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/localpolicy"
	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/policy"
)

func TestRulesSayWhatThePolicySays(t *testing.T) {
	user := &v1alpha1.MFAUser{Spec: v1alpha1.MFAUserSpec{Source: v1alpha1.SourceLocal, Username: "ann"}}
	baseline := localpolicy.Rules(policy.Merge(policy.ForLocalUser(nil, user, "neosc-system")))
	if want := (mfa.Rules{
		Enforcement: mfa.RequiredOnFirstLogin, Methods: baseline.Methods, Policy: "built-in",
	}); !reflect.DeepEqual(baseline, want) || len(baseline.Methods) != 3 {
		t.Errorf("of nobody's policy %+v, want the baseline", baseline)
	}

	const make1 = "11111111-1111-1111-1111-111111111111"
	all := policy.Merge([]policy.Contribution{{Rules: policy.Rules{
		MFA: v1alpha1.MFASettings{
			Enforcement: v1alpha1.EnforcementAlwaysRequired, Methods: []v1alpha1.Method{v1alpha1.MethodTOTP},
			PreferredMethod: v1alpha1.MethodWebAuthn, GracePeriodHours: ptr.To[int32](24),
			WebAuthn: &v1alpha1.WebAuthnSettings{UserVerification: v1alpha1.UserVerificationRequired, AllowedAAGUIDs: []v1alpha1.AAGUID{make1}},
		},
		Session: v1alpha1.SessionSettings{SecondFactorMinutes: ptr.To[int32](60), MultiFactorMinutes: ptr.To[int32](90)},
		Lockout: v1alpha1.LockoutSettings{MaxOTPAttempts: ptr.To[int32](3), AutoUnlockMinutes: ptr.To[int32](30)},
	}}})
	got := localpolicy.Rules(all)
	got.Policy = ""
	want := mfa.Rules{
		Enforcement: mfa.AlwaysRequired, Methods: []mfa.Method{mfa.TOTP}, GracePeriod: 24 * time.Hour,
		SecondFactor: time.Hour, MultiFactor: 90 * time.Minute, MaxAttempts: 3, AutoUnlock: 30 * time.Minute,
		WebAuthn: mfa.WebAuthnRules{UserVerification: mfa.UserVerificationRequired, AllowedAAGUIDs: []string{make1}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v: a method that is not allowed is not preferred either", got, want)
	}
}
