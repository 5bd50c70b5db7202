package idp

// Setting names one thing an identity provider enforces at sign-in. The text
// is Zitadel's own name for it, behind the name of its policy, so that an
// administrator finds in status what they see in Zitadel's API.
type Setting string

// The login policy (zitadel.policy.v1.LoginPolicy).
const (
	AllowPassword              Setting = "login.allowUsernamePassword"
	AllowRegister              Setting = "login.allowRegister"
	AllowExternalIDP           Setting = "login.allowExternalIdp"
	ForceMFA                   Setting = "login.forceMfa"
	ForceMFALocalOnly          Setting = "login.forceMfaLocalOnly"
	AllowPasskeys              Setting = "login.passwordlessType"
	HidePasswordReset          Setting = "login.hidePasswordReset"
	IgnoreUnknownUsernames     Setting = "login.ignoreUnknownUsernames"
	AllowDomainDiscovery       Setting = "login.allowDomainDiscovery"
	DisableLoginWithEmail      Setting = "login.disableLoginWithEmail"
	DisableLoginWithPhone      Setting = "login.disableLoginWithPhone"
	DefaultRedirectURI         Setting = "login.defaultRedirectUri"
	PasswordCheckLifetime      Setting = "login.passwordCheckLifetime"
	ExternalLoginCheckLifetime Setting = "login.externalLoginCheckLifetime"
	MFAInitSkipLifetime        Setting = "login.mfaInitSkipLifetime"
	SecondFactorCheckLifetime  Setting = "login.secondFactorCheckLifetime"
	MultiFactorCheckLifetime   Setting = "login.multiFactorCheckLifetime"
)

// The factor lists of the login policy, one setting per factor we know. A
// factor the server knows and we do not has no setting, so nothing ever
// compares, adds or removes it.
const (
	SecondFactorTOTP          Setting = "login.secondFactors.OTP"
	SecondFactorU2F           Setting = "login.secondFactors.U2F"
	SecondFactorOTPEmail      Setting = "login.secondFactors.OTP_EMAIL"
	SecondFactorOTPSMS        Setting = "login.secondFactors.OTP_SMS"
	SecondFactorRecoveryCodes Setting = "login.secondFactors.RECOVERY_CODES"
	MultiFactorU2FVerified    Setting = "login.multiFactors.U2F_WITH_VERIFICATION"
)

// The lockout, password complexity and password age policies.
const (
	MaxPasswordAttempts Setting = "lockout.maxPasswordAttempts"
	MaxOTPAttempts      Setting = "lockout.maxOtpAttempts"

	PasswordMinLength    Setting = "passwordComplexity.minLength"
	PasswordHasUppercase Setting = "passwordComplexity.hasUppercase"
	PasswordHasLowercase Setting = "passwordComplexity.hasLowercase"
	PasswordHasNumber    Setting = "passwordComplexity.hasNumber"
	PasswordHasSymbol    Setting = "passwordComplexity.hasSymbol"

	PasswordMaxAgeDays     Setting = "passwordAge.maxAgeDays"
	PasswordExpireWarnDays Setting = "passwordAge.expireWarnDays"
)

// Group is a set of settings that a provider stores, inherits and resets as
// one; in Zitadel a policy.
type Group string

// The four groups.
const (
	Login              Group = "login"
	Lockout            Group = "lockout"
	PasswordComplexity Group = "passwordComplexity"
	PasswordAge        Group = "passwordAge"
)

type traits struct {
	setting Setting
	group   Group
	kind    kind
}

// catalogue lists every setting once, in the order in which plans show them.
var catalogue = []traits{
	{ForceMFA, Login, boolean},
	{ForceMFALocalOnly, Login, boolean},
	{SecondFactorU2F, Login, boolean},
	{SecondFactorTOTP, Login, boolean},
	{SecondFactorOTPEmail, Login, boolean},
	{SecondFactorOTPSMS, Login, boolean},
	{SecondFactorRecoveryCodes, Login, boolean},
	{MultiFactorU2FVerified, Login, boolean},
	{AllowPasskeys, Login, boolean},
	{MFAInitSkipLifetime, Login, duration},
	{SecondFactorCheckLifetime, Login, duration},
	{MultiFactorCheckLifetime, Login, duration},
	{PasswordCheckLifetime, Login, duration},
	{ExternalLoginCheckLifetime, Login, duration},
	{AllowPassword, Login, boolean},
	{AllowRegister, Login, boolean},
	{AllowExternalIDP, Login, boolean},
	{AllowDomainDiscovery, Login, boolean},
	{HidePasswordReset, Login, boolean},
	{IgnoreUnknownUsernames, Login, boolean},
	{DisableLoginWithEmail, Login, boolean},
	{DisableLoginWithPhone, Login, boolean},
	{DefaultRedirectURI, Login, text},
	{MaxPasswordAttempts, Lockout, number},
	{MaxOTPAttempts, Lockout, number},
	{PasswordMinLength, PasswordComplexity, number},
	{PasswordHasUppercase, PasswordComplexity, boolean},
	{PasswordHasLowercase, PasswordComplexity, boolean},
	{PasswordHasNumber, PasswordComplexity, boolean},
	{PasswordHasSymbol, PasswordComplexity, boolean},
	{PasswordMaxAgeDays, PasswordAge, number},
	{PasswordExpireWarnDays, PasswordAge, number},
}

var traitsOf = func() map[Setting]traits {
	m := make(map[Setting]traits, len(catalogue))
	for _, t := range catalogue {
		m[t.setting] = t
	}
	return m
}()

// AllSettings returns every setting there is, in the order in which plans show
// them.
func AllSettings() []Setting {
	all := make([]Setting, len(catalogue))
	for i, t := range catalogue {
		all[i] = t.setting
	}
	return all
}

// AllGroups returns the four groups in the order in which they are written.
func AllGroups() []Group {
	return []Group{Login, Lockout, PasswordComplexity, PasswordAge}
}

// Group returns the group the setting is stored in; empty for an unknown
// setting.
func (s Setting) Group() Group { return traitsOf[s].group }
