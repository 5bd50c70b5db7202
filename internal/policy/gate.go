package policy

import "github.com/neosc/mfa-operator/internal/idp"

// gate is what login settings ask of whoever signs in. It is made once of the
// settings and then asked about many users.
type gate struct {
	// These ways to sign in are switched off.
	noPassword, noExternalIDP, noPasskey bool
	// forced: a second factor is demanded, of everybody or of those only who
	// cannot sign in through an external identity provider.
	forced, forcedLocalOnly bool
	// accepted are the factors that count.
	accepted Traits
}

// gateOf reads settings. Those that are not known switch nothing off, and demand
// nothing.
func gateOf(settings idp.Settings) gate {
	off := func(s idp.Setting) bool { v, known := settings[s]; return known && !v.Bool() }
	g := gate{
		noPassword: off(idp.AllowPassword), noExternalIDP: off(idp.AllowExternalIDP), noPasskey: off(idp.AllowPasskeys),
		forced: settings[idp.ForceMFA].Bool(), forcedLocalOnly: settings[idp.ForceMFALocalOnly].Bool(),
	}
	for s, trait := range proofs {
		if settings[s].Bool() {
			g.accepted |= trait
		}
	}
	return g
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

// noWayIn tells whether every way to sign in that the user has is switched off.
func (g gate) noWayIn(user Traits) bool {
	return g.noPassword &&
		(g.noExternalIDP || !user.Has(Linked)) &&
		(g.noPasskey || !user.Has(HasPasskey))
}

// demands tells whether the user has to show a second factor. Who may sign in
// through an external identity provider is taken for somebody who does.
func (g gate) demands(user Traits) bool {
	if g.forcedLocalOnly {
		return !user.Has(Linked)
	}
	return g.forced
}

// canSetUp tells whether the login page offers any factor to set up. It does not
// offer recovery codes.
func (g gate) canSetUp() bool { return g.accepted&^HasRecoveryCodes != 0 }
