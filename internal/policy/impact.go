package policy

import "github.com/neosc/mfa-operator/internal/idp"

// Impact counts the users that settings reach by what they mean for them. Users
// who are locked or inactive cannot sign in and do not count.
type Impact struct {
	// UsersInScope is the sum of the three others.
	UsersInScope int
	// Compliant users have what is demanded of them, be it nothing.
	Compliant int
	// WillBePrompted users have to set up a factor at their next sign-in.
	WillBePrompted int
	// WillBeBlocked users cannot sign in any more: no factor they could set up
	// is allowed, or no way to sign in that they have.
	WillBeBlocked int
}

// Add sums up two impacts.
func (i Impact) Add(other Impact) Impact {
	return Impact{
		UsersInScope:   i.UsersInScope + other.UsersInScope,
		Compliant:      i.Compliant + other.Compliant,
		WillBePrompted: i.WillBePrompted + other.WillBePrompted,
		WillBeBlocked:  i.WillBeBlocked + other.WillBeBlocked,
	}
}

// ImpactOf tells what it means for users that these login settings hold.
func ImpactOf(settings idp.Settings, users Histogram) Impact {
	var impact Impact
	for traits, n := range users {
		if traits.HasAny(Locked | Inactive) {
			continue
		}
		impact.UsersInScope += n
		switch {
		case noWayIn(settings, traits):
			impact.WillBeBlocked += n
		case !demanded(settings, traits), traits.HasAny(accepted(settings)):
			impact.Compliant += n
		case canSetUp(settings):
			impact.WillBePrompted += n
		default:
			impact.WillBeBlocked += n
		}
	}
	return impact
}

// noWayIn tells whether every way to sign in that the user has is switched off.
// Settings that are not known switch nothing off.
func noWayIn(settings idp.Settings, user Traits) bool {
	off := func(s idp.Setting) bool { v, known := settings[s]; return known && !v.Bool() }
	return off(idp.AllowPassword) &&
		(off(idp.AllowExternalIDP) || !user.Has(Linked)) &&
		(off(idp.AllowPasskeys) || !user.Has(HasPasskey))
}

// demanded tells whether the user has to show a second factor. Who may sign in
// through an external identity provider is taken for somebody who does.
func demanded(settings idp.Settings, user Traits) bool {
	switch {
	case settings[idp.ForceMFALocalOnly].Bool():
		return !user.Has(Linked)
	default:
		return settings[idp.ForceMFA].Bool()
	}
}

// proofs says which trait satisfies which setting.
var proofs = map[idp.Setting]Traits{
	idp.SecondFactorTOTP:          HasTOTP,
	idp.SecondFactorU2F:           HasU2F,
	idp.SecondFactorOTPEmail:      HasOTPEmail,
	idp.SecondFactorOTPSMS:        HasOTPSMS,
	idp.SecondFactorRecoveryCodes: HasRecoveryCodes,
	idp.AllowPasskeys:             HasPasskey,
}

// accepted are the factors that count under the settings.
func accepted(settings idp.Settings) Traits {
	var all Traits
	for s, trait := range proofs {
		if settings[s].Bool() {
			all |= trait
		}
	}
	return all
}

// canSetUp tells whether the login page offers any factor to set up. It does not
// offer recovery codes.
func canSetUp(settings idp.Settings) bool {
	return accepted(settings)&^HasRecoveryCodes != 0
}
