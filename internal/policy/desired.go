package policy

import (
	"slices"
	"time"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
)

// freshFor is how long a second factor stays fresh at most under
// AlwaysRequired. Zitadel has no value for "never": 0 locks login version 1
// and means 24 hours in login version 2.
const freshFor = 15 * time.Minute

// Desired translates rules into the settings they manage and the values they
// want. What the rules leave out is absent. found is needed where rules set a
// limit and not a value: what is already stricter stays as it is; nil where
// only the names of the settings matter.
func Desired(r Rules, found idp.Settings) idp.Settings {
	w := idp.Settings{}
	wantMFA(w, &r.MFA)
	wantSession(w, &r.Session)
	wantLogin(w, &r.Login)
	wantPassword(w, &r.Password)
	wantLockout(w, &r.Lockout)
	if r.ChecksFresh {
		limit(w, idp.SecondFactorCheckLifetime, found)
		limit(w, idp.MultiFactorCheckLifetime, found)
	}
	return w
}

func wantMFA(w idp.Settings, mfa *v1alpha1.MFASettings) {
	if mfa.Enforcement != "" {
		required := mfa.Enforcement != v1alpha1.EnforcementOptional
		localOnly := mfa.AppliesTo == v1alpha1.LocalUsersOnly
		// Never both flags: the two logins disagree on what that means.
		w[idp.ForceMFA] = idp.Bool(required && !localOnly)
		w[idp.ForceMFALocalOnly] = idp.Bool(required && localOnly)
	}
	if mfa.Methods != nil {
		for method, settings := range settingsOf {
			for _, setting := range settings {
				w[setting] = idp.Bool(slices.Contains(mfa.Methods, method))
			}
		}
	}
	permit(w, idp.AllowPasskeys, mfa.PasskeyLogin)
	if p := mfa.SetupPrompt; p != nil {
		var skip time.Duration // 0: the prompt is never shown
		if p.EveryHours != nil {
			skip = time.Duration(*p.EveryHours) * time.Hour
		}
		w[idp.MFAInitSkipLifetime] = idp.Duration(skip)
	}
}

// settingsOf says which factors of Zitadel make up a method. A security key
// counts as a second factor after the password and, with user verification, as
// a multi factor of its own.
var settingsOf = map[v1alpha1.Method][]idp.Setting{
	v1alpha1.MethodWebAuthn:      {idp.SecondFactorU2F, idp.MultiFactorU2FVerified},
	v1alpha1.MethodTOTP:          {idp.SecondFactorTOTP},
	v1alpha1.MethodRecoveryCodes: {idp.SecondFactorRecoveryCodes},
	v1alpha1.MethodEmail:         {idp.SecondFactorOTPEmail},
	v1alpha1.MethodSMS:           {idp.SecondFactorOTPSMS},
}

func wantSession(w idp.Settings, s *v1alpha1.SessionSettings) {
	minutes(w, idp.SecondFactorCheckLifetime, s.SecondFactorMinutes)
	minutes(w, idp.MultiFactorCheckLifetime, s.MultiFactorMinutes)
	minutes(w, idp.PasswordCheckLifetime, s.PasswordMinutes)
	minutes(w, idp.ExternalLoginCheckLifetime, s.ExternalLoginMinutes)
}

func wantLogin(w idp.Settings, l *v1alpha1.LoginSettings) {
	permit(w, idp.AllowPassword, l.PasswordLogin)
	permit(w, idp.AllowRegister, l.Registration)
	permit(w, idp.AllowExternalIDP, l.ExternalIDPs)
	permit(w, idp.AllowDomainDiscovery, l.DomainDiscovery)
	forbid(w, idp.HidePasswordReset, l.PasswordResetLink)
	permit(w, idp.IgnoreUnknownUsernames, l.UnknownUsernames)
	forbid(w, idp.DisableLoginWithEmail, l.LoginWithEmail)
	forbid(w, idp.DisableLoginWithPhone, l.LoginWithPhone)
	if l.DefaultRedirectURI != nil {
		w[idp.DefaultRedirectURI] = idp.Text(*l.DefaultRedirectURI)
	}
}

func wantPassword(w idp.Settings, p *v1alpha1.PasswordSettings) {
	count(w, idp.PasswordMinLength, p.MinLength)
	require(w, idp.PasswordHasUppercase, p.RequireUppercase)
	require(w, idp.PasswordHasLowercase, p.RequireLowercase)
	require(w, idp.PasswordHasNumber, p.RequireNumber)
	require(w, idp.PasswordHasSymbol, p.RequireSymbol)
	count(w, idp.PasswordMaxAgeDays, p.ExpireAfterDays)
	count(w, idp.PasswordExpireWarnDays, p.WarnBeforeDays)
}

func wantLockout(w idp.Settings, l *v1alpha1.LockoutSettings) {
	count(w, idp.MaxPasswordAttempts, l.MaxPasswordAttempts)
	count(w, idp.MaxOTPAttempts, l.MaxOTPAttempts)
}

func permit(w idp.Settings, s idp.Setting, p v1alpha1.Permission) {
	if p != "" {
		w[s] = idp.Bool(p == v1alpha1.Allowed)
	}
}

func forbid(w idp.Settings, s idp.Setting, p v1alpha1.Permission) {
	if p != "" {
		w[s] = idp.Bool(p == v1alpha1.Forbidden)
	}
}

func require(w idp.Settings, s idp.Setting, r v1alpha1.Requirement) {
	if r != "" {
		w[s] = idp.Bool(r == v1alpha1.Required)
	}
}

func count(w idp.Settings, s idp.Setting, n *int32) {
	if n != nil {
		w[s] = idp.Number(int64(*n))
	}
}

func minutes(w idp.Settings, s idp.Setting, n *int32) {
	if n != nil {
		w[s] = idp.Duration(time.Duration(*n) * time.Minute)
	}
}

// limit wants a lifetime of at most freshFor: the spec's own value if it is
// shorter, else what was found if that is shorter and positive, else freshFor.
func limit(w idp.Settings, s idp.Setting, found idp.Settings) {
	current, asked := w[s]
	if !asked {
		current = found[s]
	}
	if d := current.Duration(); d <= 0 || d > freshFor {
		w[s] = idp.Duration(freshFor)
		return
	}
	w[s] = current
}
