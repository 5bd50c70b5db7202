package policy

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
)

var keysOnly = idp.Settings{
	idp.ForceMFA: idp.Bool(true), idp.SecondFactorU2F: idp.Bool(true), idp.SecondFactorTOTP: idp.Bool(false),
	idp.AllowPassword: idp.Bool(true), idp.AllowPasskeys: idp.Bool(false),
}

func TestJudge(t *testing.T) {
	localOnly := keysOnly.Overlay(idp.Settings{idp.ForceMFA: idp.Bool(false), idp.ForceMFALocalOnly: idp.Bool(true)})
	passkeysOnly := keysOnly.Overlay(idp.Settings{idp.AllowPassword: idp.Bool(false), idp.AllowPasskeys: idp.Bool(true)})
	tests := []struct {
		settings     idp.Settings
		user, unsure Traits
		want         v1alpha1.Compliance
		says, reason string
	}{
		{idp.Settings{}, 0, 0, v1alpha1.Compliant, "no second factor is demanded", "what is not known demands nothing"},
		{keysOnly, 0, 0, v1alpha1.NonCompliant, "they have none", "demanded, and none"},
		{keysOnly, HasU2F, 0, v1alpha1.Compliant, "has U2F", "demanded, and there"},
		{keysOnly, HasTOTP | HasOTPEmail, 0, v1alpha1.NonCompliant, "has TOTP, OTPEmail, none of which is allowed", "another than those allowed"},
		{keysOnly, HasPasskey, 0, v1alpha1.NonCompliant, "Passkey", "a passkey, where passkeys are switched off"},
		{keysOnly, HasU2F | HasTOTP | Locked, 0, v1alpha1.Compliant, "has U2F", "a lock is no lack of a factor"},
		{localOnly, Linked, 0, v1alpha1.Compliant, "no second factor is demanded", "of another identity provider"},
		{localOnly, 0, Linked, "", "not known", "whether they are could not be read, and decides"},
		{localOnly, HasU2F, Linked, v1alpha1.Compliant, "has U2F", "whether they are does not decide"},
		{keysOnly, 0, HasRecoveryCodes, v1alpha1.NonCompliant, "they have none", "recovery codes would not count"},
		{keysOnly.Overlay(idp.Settings{idp.SecondFactorRecoveryCodes: idp.Bool(true)}), 0, HasRecoveryCodes, "", "not known", "recovery codes would count"},
		{passkeysOnly, HasU2F, 0, v1alpha1.NonCompliant, "no way to sign in", "a key, and no password to use it after"},
		{passkeysOnly, HasPasskey, 0, v1alpha1.Compliant, "has Passkey", "a passkey stands alone"},
	}
	for _, test := range tests {
		got := Judge(test.settings, test.user, test.unsure)
		if got.Compliance != test.want || !strings.Contains(got.Reason, test.says) {
			t.Errorf("%s: got %q (%s), want %q (%s)", test.reason, got.Compliance, got.Reason, test.want, test.says)
		}
	}
}

// TestJudgeAgreesWithImpact: one person and a census of one must come to the same
// answer, whatever the settings.
func TestJudgeAgreesWithImpact(t *testing.T) {
	switches := []idp.Setting{
		idp.ForceMFA, idp.ForceMFALocalOnly, idp.SecondFactorTOTP, idp.SecondFactorU2F, idp.SecondFactorRecoveryCodes,
		idp.AllowPasskeys, idp.AllowPassword, idp.AllowExternalIDP,
	}
	for bits := range 1 << len(switches) {
		settings := idp.Settings{}
		for i, s := range switches {
			settings[s] = idp.Bool(bits&(1<<i) != 0)
		}
		for _, user := range []Traits{0, HasTOTP, HasU2F, HasPasskey, HasRecoveryCodes, Linked, Linked | HasTOTP, HasPasskey | HasPassword} {
			impact := ImpactOf(settings, Histogram{user: 1})
			if judged := Judge(settings, user, 0).Compliance == v1alpha1.Compliant; judged != (impact.Compliant == 1) {
				t.Fatalf("%v, traits %b: judged compliant %v, counted %+v", settings, user, judged, impact)
			}
		}
	}
}

func TestWithExemptions(t *testing.T) {
	a, b := types.NamespacedName{Namespace: "n", Name: "a"}, types.NamespacedName{Namespace: "n", Name: "b"}
	sooner, later := noon.Add(time.Hour), noon.Add(2*time.Hour)
	exempt := func(until map[types.NamespacedName]time.Time) func(types.NamespacedName) (time.Time, bool) {
		return func(p types.NamespacedName) (time.Time, bool) { at, ok := until[p]; return at, ok }
	}
	noPassword := keysOnly.Overlay(idp.Settings{idp.AllowPassword: idp.Bool(false), idp.AllowExternalIDP: idp.Bool(false)})
	tests := []struct {
		settings  idp.Settings
		user      Traits
		demanding []types.NamespacedName
		until     map[types.NamespacedName]time.Time
		want      v1alpha1.Compliance
		ends      time.Time
		reason    string
	}{
		{keysOnly, 0, []types.NamespacedName{a}, map[types.NamespacedName]time.Time{a: later}, v1alpha1.Exempt, later, "let off the only policy that demands it"},
		{keysOnly, 0, []types.NamespacedName{a, b}, map[types.NamespacedName]time.Time{a: later}, v1alpha1.NonCompliant, time.Time{}, "another demands it still"},
		{keysOnly, 0, []types.NamespacedName{a, b}, map[types.NamespacedName]time.Time{a: later, b: sooner}, v1alpha1.Exempt, sooner, "both; it holds until the first ends"},
		{keysOnly, 0, nil, map[types.NamespacedName]time.Time{a: later}, v1alpha1.NonCompliant, time.Time{}, "no policy demands it, but Zitadel does: nobody can let them off"},
		{keysOnly, HasU2F, []types.NamespacedName{a}, map[types.NamespacedName]time.Time{a: later}, v1alpha1.Compliant, time.Time{}, "who complies needs no exemption"},
		{noPassword, 0, []types.NamespacedName{a}, map[types.NamespacedName]time.Time{a: later}, v1alpha1.NonCompliant, time.Time{}, "an exemption is no way to sign in"},
	}
	for _, test := range tests {
		got := Judge(test.settings, test.user, 0).WithExemptions(test.settings, test.user, test.demanding, exempt(test.until))
		if got.Compliance != test.want || !got.ExemptUntil.Equal(test.ends) {
			t.Errorf("%s: got %+v, want %s until %v", test.reason, got, test.want, test.ends)
		}
	}
}
