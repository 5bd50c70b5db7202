package policy

import (
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
)

// itself stands for an organization among the policies that apply to it.
var itself = types.NamespacedName{Name: "the organization"}

// Raise returns what an organization with settings of its own, and no policy of
// its own, has to hold under the policies of the instance: its own settings
// count as one more policy, so what it has made stricter stays, and what is
// weaker is raised. Only what it has to hold because of a policy is returned.
// own is what the organization says by itself; nil asks what it would have to
// hold if it said nothing.
func Raise(floor []Contribution, own idp.Settings) (idp.Settings, Effective) {
	merged := mergeAtZitadel(append(slices.Clone(floor), Contribution{Policy: itself, Rules: rulesIn(own)}))
	raised := merged.Only(func(p Provenance) bool { return p.Combined || !slices.Contains(p.By, itself) })
	wanted := Desired(raised, own)
	// A floor takes factors away and never adds one that the organization has
	// left out.
	maps.DeleteFunc(wanted, func(s idp.Setting, v idp.Value) bool {
		has, said := own[s]
		return isFactor(s) && said && v.Bool() && !has.Bool()
	})
	return wanted, merged
}

// rulesIn reads settings as rules. What no rule can say, such as a lifetime
// that is not positive, is left out: it counts as the weakest there is.
func rulesIn(own idp.Settings) Rules {
	var r Rules
	if _, ok := own[idp.ForceMFA]; ok {
		r.MFA.Enforcement = v1alpha1.EnforcementOptional
		switch force, localOnly := own[idp.ForceMFA].Bool(), own[idp.ForceMFALocalOnly].Bool(); {
		case localOnly: // with both flags set, login version 1 asks local users only
			r.MFA.Enforcement, r.MFA.AppliesTo = v1alpha1.EnforcementRequiredOnFirstLogin, v1alpha1.LocalUsersOnly
		case force:
			r.MFA.Enforcement = v1alpha1.EnforcementRequiredOnFirstLogin
		}
		r.MFA.Methods = []v1alpha1.Method{}
		for method, settings := range settingsOf {
			if slices.ContainsFunc(settings, func(s idp.Setting) bool { return own[s].Bool() }) {
				r.MFA.Methods = append(r.MFA.Methods, method)
			}
		}
		slices.Sort(r.MFA.Methods)
	}
	r.MFA.PasskeyLogin = permitted(own, idp.AllowPasskeys)
	if skip, ok := own[idp.MFAInitSkipLifetime]; ok {
		r.MFA.SetupPrompt = &v1alpha1.SetupPrompt{Frequency: v1alpha1.PromptNever}
		if hours := whole(skip.Duration(), time.Hour); hours != nil {
			r.MFA.SetupPrompt = &v1alpha1.SetupPrompt{Frequency: v1alpha1.PromptEvery, EveryHours: hours}
		}
	}
	r.Session = v1alpha1.SessionSettings{
		SecondFactorMinutes:  whole(own[idp.SecondFactorCheckLifetime].Duration(), time.Minute),
		MultiFactorMinutes:   whole(own[idp.MultiFactorCheckLifetime].Duration(), time.Minute),
		PasswordMinutes:      whole(own[idp.PasswordCheckLifetime].Duration(), time.Minute),
		ExternalLoginMinutes: whole(own[idp.ExternalLoginCheckLifetime].Duration(), time.Minute),
	}
	r.Login = v1alpha1.LoginSettings{
		PasswordLogin:     permitted(own, idp.AllowPassword),
		Registration:      permitted(own, idp.AllowRegister),
		ExternalIDPs:      permitted(own, idp.AllowExternalIDP),
		DomainDiscovery:   permitted(own, idp.AllowDomainDiscovery),
		PasswordResetLink: forbidden(own, idp.HidePasswordReset),
		UnknownUsernames:  permitted(own, idp.IgnoreUnknownUsernames),
		LoginWithEmail:    forbidden(own, idp.DisableLoginWithEmail),
		LoginWithPhone:    forbidden(own, idp.DisableLoginWithPhone),
	}
	if uri, ok := own[idp.DefaultRedirectURI]; ok {
		text := uri.Text()
		r.Login.DefaultRedirectURI = &text
	}
	r.Password = v1alpha1.PasswordSettings{
		MinLength:        numbered(own, idp.PasswordMinLength),
		RequireUppercase: required(own, idp.PasswordHasUppercase),
		RequireLowercase: required(own, idp.PasswordHasLowercase),
		RequireNumber:    required(own, idp.PasswordHasNumber),
		RequireSymbol:    required(own, idp.PasswordHasSymbol),
		ExpireAfterDays:  numbered(own, idp.PasswordMaxAgeDays),
		WarnBeforeDays:   numbered(own, idp.PasswordExpireWarnDays),
	}
	r.Lockout = v1alpha1.LockoutSettings{
		MaxPasswordAttempts: positive(own, idp.MaxPasswordAttempts), // 0 never locks
		MaxOTPAttempts:      positive(own, idp.MaxOTPAttempts),
	}
	return r
}

func isFactor(s idp.Setting) bool {
	for _, settings := range settingsOf {
		if slices.Contains(settings, s) {
			return true
		}
	}
	return false
}

func permitted(own idp.Settings, s idp.Setting) v1alpha1.Permission {
	return word(own, s, v1alpha1.Allowed, v1alpha1.Forbidden)
}

func forbidden(own idp.Settings, s idp.Setting) v1alpha1.Permission {
	return word(own, s, v1alpha1.Forbidden, v1alpha1.Allowed)
}

func required(own idp.Settings, s idp.Setting) v1alpha1.Requirement {
	return word(own, s, v1alpha1.Required, v1alpha1.NotRequired)
}

func word[T ~string](own idp.Settings, s idp.Setting, yes, no T) T {
	v, ok := own[s]
	switch {
	case !ok:
		return ""
	case v.Bool():
		return yes
	default:
		return no
	}
}

func numbered(own idp.Settings, s idp.Setting) *int32 {
	v, ok := own[s]
	if !ok {
		return nil
	}
	n := int32(min(v.Number(), 1<<31-1))
	return &n
}

func positive(own idp.Settings, s idp.Setting) *int32 {
	if n := numbered(own, s); n != nil && *n > 0 {
		return n
	}
	return nil
}

// whole counts a lifetime in units, rounded up; nil if it is not positive.
func whole(d, unit time.Duration) *int32 {
	if d <= 0 {
		return nil
	}
	n := int32(min((d+unit-1)/unit, 1<<31-1))
	return &n
}
