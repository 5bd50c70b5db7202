package policy_test

import (
	"slices"
	"testing"

	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
)

func TestPlan(t *testing.T) {
	found := idp.Settings{idp.ForceMFA: no, idp.AllowRegister: yes, idp.MaxOTPAttempts: idp.Number(3)}
	for _, c := range []struct {
		wanted idp.Settings
		want   []policy.Change
		why    string
	}{
		{nil, nil, "nothing is wanted"},
		{idp.Settings{idp.ForceMFA: no, idp.MaxOTPAttempts: idp.Number(3)}, nil, "everything is so already"},
		{
			idp.Settings{idp.PasswordMinLength: idp.Number(8), idp.MaxOTPAttempts: idp.Number(5), idp.ForceMFA: yes, idp.AllowRegister: yes},
			[]policy.Change{
				{Setting: idp.ForceMFA, Found: no, Wanted: yes},
				{Setting: idp.MaxOTPAttempts, Found: idp.Number(3), Wanted: idp.Number(5)},
				{Setting: idp.PasswordMinLength, Wanted: idp.Number(8)},
			},
			"only what differs, in the order of the catalogue",
		},
	} {
		if got := policy.Plan(found, c.wanted); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %v\nwant %v", c.why, got, c.want)
		}
	}
}

func TestNoMethodLeft(t *testing.T) {
	totp := idp.Settings{idp.SecondFactorTOTP: yes}
	forced := idp.Settings{idp.ForceMFA: yes}
	locked := forced.Overlay(factors()).Overlay(idp.Settings{idp.AllowPasskeys: no})
	for _, c := range []struct {
		found, wanted idp.Settings
		want          bool
		why           string
	}{
		{totp, forced, false, "a method is there already"},
		{nil, forced, true, "there is none"},
		{nil, idp.Settings{idp.ForceMFALocalOnly: yes}, true, "local users count as well"},
		{nil, forced.Overlay(totp), false, "the policy brings one"},
		{nil, forced.Overlay(idp.Settings{idp.SecondFactorRecoveryCodes: yes}), false, "recovery codes are one"},
		{idp.Settings{idp.AllowPasskeys: yes}, forced, false, "passkeys are a way in"},
		{forced.Overlay(totp), factors(), true, "the last method goes while it is forced"},
		{forced.Overlay(idp.Settings{idp.AllowPasskeys: yes}), idp.Settings{idp.AllowPasskeys: no}, true, "the last way in goes while it is forced"},
		{totp, factors(), false, "nobody is forced"},
		{forced.Overlay(totp), idp.Settings{idp.ForceMFA: no}.Overlay(factors()), false, "the force goes with the methods"},
		{locked, idp.Settings{idp.MaxOTPAttempts: idp.Number(3)}, false, "somebody else's lockout is not held against a policy that speaks of none of it"},
		{locked, forced, true, "whoever forces it answers for it"},
		{locked, factors(), true, "whoever names the methods answers for it"},
		{idp.Settings{idp.MultiFactorU2FVerified: yes}, forced, true, "a multi factor is used by passkeys only, and they are off"},
		{nil, nil, false, "nothing at all"},
	} {
		if got := policy.NoMethodLeft(c.found, c.wanted); got != c.want {
			t.Errorf("%s: got %v over %v: %v", c.why, c.wanted, c.found, got)
		}
	}
}
