package zitadel

import (
	"math"
	"slices"

	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/object"
	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/neosc/mfa-operator/internal/idp"
)

// policyMessage is one of the four policies as Zitadel shows it.
type policyMessage interface {
	proto.Message
	GetDetails() *object.ObjectDetails
	GetIsDefault() bool
}

// field says where one setting lives in its policy. Reading and writing, at
// the instance and at organizations, all go through it.
type field struct {
	setting idp.Setting
	get     func(policyMessage) idp.Value
	set     func(policyMessage, idp.Value)
	// fits tells whether a value would read back as it was set.
	fits func(idp.Value) bool
	// factor is set if the setting is membership in a factor list, which has
	// calls of its own.
	factor factor
}

// factor is one entry of a factor list: exactly one of the two is set.
type factor struct {
	second policy.SecondFactorType
	multi  policy.MultiFactorType
}

func (f field) isFactor() bool { return f.factor != factor{} }

// fields lists every setting once.
var fields = []field{
	flag(idp.AllowPassword, func(p *policy.LoginPolicy) *bool { return &p.AllowUsernamePassword }),
	flag(idp.AllowRegister, func(p *policy.LoginPolicy) *bool { return &p.AllowRegister }),
	flag(idp.AllowExternalIDP, func(p *policy.LoginPolicy) *bool { return &p.AllowExternalIdp }),
	flag(idp.ForceMFA, func(p *policy.LoginPolicy) *bool { return &p.ForceMfa }),
	flag(idp.ForceMFALocalOnly, func(p *policy.LoginPolicy) *bool { return &p.ForceMfaLocalOnly }),
	passkeys(idp.AllowPasskeys, func(p *policy.LoginPolicy) *policy.PasswordlessType { return &p.PasswordlessType }),
	flag(idp.HidePasswordReset, func(p *policy.LoginPolicy) *bool { return &p.HidePasswordReset }),
	flag(idp.IgnoreUnknownUsernames, func(p *policy.LoginPolicy) *bool { return &p.IgnoreUnknownUsernames }),
	flag(idp.AllowDomainDiscovery, func(p *policy.LoginPolicy) *bool { return &p.AllowDomainDiscovery }),
	flag(idp.DisableLoginWithEmail, func(p *policy.LoginPolicy) *bool { return &p.DisableLoginWithEmail }),
	flag(idp.DisableLoginWithPhone, func(p *policy.LoginPolicy) *bool { return &p.DisableLoginWithPhone }),
	text(idp.DefaultRedirectURI, func(p *policy.LoginPolicy) *string { return &p.DefaultRedirectUri }),
	lifetime(idp.PasswordCheckLifetime, func(p *policy.LoginPolicy) **durationpb.Duration { return &p.PasswordCheckLifetime }),
	lifetime(idp.ExternalLoginCheckLifetime, func(p *policy.LoginPolicy) **durationpb.Duration { return &p.ExternalLoginCheckLifetime }),
	lifetime(idp.MFAInitSkipLifetime, func(p *policy.LoginPolicy) **durationpb.Duration { return &p.MfaInitSkipLifetime }),
	lifetime(idp.SecondFactorCheckLifetime, func(p *policy.LoginPolicy) **durationpb.Duration { return &p.SecondFactorCheckLifetime }),
	lifetime(idp.MultiFactorCheckLifetime, func(p *policy.LoginPolicy) **durationpb.Duration { return &p.MultiFactorCheckLifetime }),

	secondFactor(idp.SecondFactorTOTP, policy.SecondFactorType_SECOND_FACTOR_TYPE_OTP),
	secondFactor(idp.SecondFactorU2F, policy.SecondFactorType_SECOND_FACTOR_TYPE_U2F),
	secondFactor(idp.SecondFactorOTPEmail, policy.SecondFactorType_SECOND_FACTOR_TYPE_OTP_EMAIL),
	secondFactor(idp.SecondFactorOTPSMS, policy.SecondFactorType_SECOND_FACTOR_TYPE_OTP_SMS),
	secondFactor(idp.SecondFactorRecoveryCodes, policy.SecondFactorType_SECOND_FACTOR_TYPE_RECOVERY_CODES),
	multiFactor(idp.MultiFactorU2FVerified, policy.MultiFactorType_MULTI_FACTOR_TYPE_U2F_WITH_VERIFICATION),

	count(idp.MaxPasswordAttempts, func(p *policy.LockoutPolicy) *uint64 { return &p.MaxPasswordAttempts }),
	count(idp.MaxOTPAttempts, func(p *policy.LockoutPolicy) *uint64 { return &p.MaxOtpAttempts }),

	count(idp.PasswordMinLength, func(p *policy.PasswordComplexityPolicy) *uint64 { return &p.MinLength }),
	flag(idp.PasswordHasUppercase, func(p *policy.PasswordComplexityPolicy) *bool { return &p.HasUppercase }),
	flag(idp.PasswordHasLowercase, func(p *policy.PasswordComplexityPolicy) *bool { return &p.HasLowercase }),
	flag(idp.PasswordHasNumber, func(p *policy.PasswordComplexityPolicy) *bool { return &p.HasNumber }),
	flag(idp.PasswordHasSymbol, func(p *policy.PasswordComplexityPolicy) *bool { return &p.HasSymbol }),

	count(idp.PasswordMaxAgeDays, func(p *policy.PasswordAgePolicy) *uint64 { return &p.MaxAgeDays }),
	count(idp.PasswordExpireWarnDays, func(p *policy.PasswordAgePolicy) *uint64 { return &p.ExpireWarnDays }),
}

var fieldOf = func() map[idp.Setting]field {
	m := make(map[idp.Setting]field, len(fields))
	for _, f := range fields {
		m[f.setting] = f
	}
	return m
}()

// at makes a field of something that lives in policy P as a T.
func at[P policyMessage, T any](s idp.Setting, where func(P) *T, show func(T) idp.Value, take func(idp.Value) T) field {
	return field{
		setting: s,
		get:     func(p policyMessage) idp.Value { return show(*where(p.(P))) },
		set:     func(p policyMessage, v idp.Value) { *where(p.(P)) = take(v) },
		fits:    func(v idp.Value) bool { return show(take(v)) == v },
	}
}

func flag[P policyMessage](s idp.Setting, where func(P) *bool) field {
	return at(s, where, idp.Bool, idp.Value.Bool)
}

func text[P policyMessage](s idp.Setting, where func(P) *string) field {
	return at(s, where, idp.Text, idp.Value.Text)
}

func lifetime[P policyMessage](s idp.Setting, where func(P) **durationpb.Duration) field {
	return at(s, where,
		func(d *durationpb.Duration) idp.Value { return idp.Duration(d.AsDuration()) },
		func(v idp.Value) *durationpb.Duration { return durationpb.New(v.Duration()) })
}

// count bounds what it writes to what the update requests can carry. A wanted
// value beyond reads back as another one, which fits notices.
func count[P policyMessage](s idp.Setting, where func(P) *uint64) field {
	return at(s, where,
		func(n uint64) idp.Value { return idp.Number(int64(min(n, math.MaxInt64))) },
		func(v idp.Value) uint64 { return uint64(min(max(v.Number(), 0), math.MaxUint32)) })
}

// passkeys reads every value but NOT_ALLOWED as allowed: a kind of allowed
// that is newer than us stays as it is for as long as passkeys shall be
// allowed.
func passkeys[P policyMessage](s idp.Setting, where func(P) *policy.PasswordlessType) field {
	const off, on = policy.PasswordlessType_PASSWORDLESS_TYPE_NOT_ALLOWED, policy.PasswordlessType_PASSWORDLESS_TYPE_ALLOWED
	return at(s, where,
		func(t policy.PasswordlessType) idp.Value { return idp.Bool(t != off) },
		func(v idp.Value) policy.PasswordlessType {
			if v.Bool() {
				return on
			}
			return off
		})
}

func secondFactor(s idp.Setting, t policy.SecondFactorType) field {
	return member(s, factor{second: t}, t, func(p *policy.LoginPolicy) *[]policy.SecondFactorType { return &p.SecondFactors })
}

func multiFactor(s idp.Setting, t policy.MultiFactorType) field {
	return member(s, factor{multi: t}, t, func(p *policy.LoginPolicy) *[]policy.MultiFactorType { return &p.MultiFactors })
}

func member[T comparable](s idp.Setting, f factor, t T, list func(*policy.LoginPolicy) *[]T) field {
	return field{
		setting: s,
		factor:  f,
		get:     func(p policyMessage) idp.Value { return idp.Bool(slices.Contains(*list(p.(*policy.LoginPolicy)), t)) },
		set: func(p policyMessage, v idp.Value) {
			in := list(p.(*policy.LoginPolicy))
			*in = slices.DeleteFunc(*in, func(other T) bool { return other == t })
			if v.Bool() {
				*in = append(*in, t)
			}
		},
		fits: func(v idp.Value) bool { return idp.Bool(v.Bool()) == v },
	}
}

// settingsOf reads every setting of the group the policy belongs to.
func settingsOf(g idp.Group, p policyMessage) idp.Settings {
	found := idp.Settings{}
	for _, f := range fields {
		if f.setting.Group() == g {
			found[f.setting] = f.get(p)
		}
	}
	return found
}

// overlaid returns a copy of the policy with the changes on top. Everything
// else stays as it was read, known to us or not.
func overlaid(p policyMessage, changes idp.Settings) policyMessage {
	changed := proto.Clone(p).(policyMessage)
	for setting, value := range changes {
		fieldOf[setting].set(changed, value)
	}
	return changed
}

// unfit names the settings that do not exist, or whose value is of another
// kind or out of bounds: written, they would not read back as given.
func unfit(wanted idp.Settings) []idp.Setting {
	var names []idp.Setting
	for setting, value := range wanted {
		if f, known := fieldOf[setting]; !known || !f.fits(value) {
			names = append(names, setting)
		}
	}
	slices.Sort(names)
	return names
}
