package policy

import (
	"slices"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

// Lockout is a way in which policies leave people no way to sign in. What
// stands at the target already plays no part in it.
type Lockout string

// The lock-outs.
const (
	// NoCommonMethod: policies that each allow some methods allow none together.
	NoCommonMethod Lockout = "NoCommonMethod"
	// NoMethodAllowed: a second factor is forced, and neither a method nor a
	// passkey is allowed.
	NoMethodAllowed Lockout = "NoMethodAllowed"
	// NoWayAllowed: password, passkey and external identity providers are all
	// forbidden.
	NoWayAllowed Lockout = "NoWayAllowed"
)

// Ways are the ways to sign in that policies leave together: a set of bits, one
// for each thing that a policy can close or demand. What one policy closes or
// demands no other undoes, so that policies together have the bits of each. It is
// Merge for the few fields concerned, without provenance, small enough to be
// asked for every organization of an instance. The zero Ways are those of no
// policy.
type Ways uint16

const (
	noPassword Ways = 1 << iota
	noExternalIDP
	noPasskey
	noWebAuthn
	noTOTP
	noRecoveryCodes
	noEmail
	noSMS
	forcedOnAll
	forcedOnLocal
	// emptyByItself: one of the policies allows no method, whatever others say.
	emptyByItself

	noMethod = noWebAuthn | noTOTP | noRecoveryCodes | noEmail | noSMS
)

// without says which bit is a method's, and which trait goes with it.
var without = []struct {
	method v1alpha1.Method
	way    Ways
	proof  Traits
}{
	{v1alpha1.MethodWebAuthn, noWebAuthn, HasU2F},
	{v1alpha1.MethodTOTP, noTOTP, HasTOTP},
	{v1alpha1.MethodRecoveryCodes, noRecoveryCodes, HasRecoveryCodes},
	{v1alpha1.MethodEmail, noEmail, HasOTPEmail},
	{v1alpha1.MethodSMS, noSMS, HasOTPSMS},
}

// WaysInForce are the ways that a policy leaves by what its mode puts in force;
// WaysIfEnforced those it would leave in mode Enforce.
func WaysInForce(spec *v1alpha1.SecurityPolicySpec) Ways {
	if Suspended(spec) {
		return 0
	}
	w := WaysIfEnforced(spec)
	if spec.Mode == v1alpha1.ModeWarn {
		w &^= forcedOnAll | forcedOnLocal
	}
	return w
}

// WaysIfEnforced is explained with WaysInForce.
func WaysIfEnforced(spec *v1alpha1.SecurityPolicySpec) Ways {
	var w Ways
	if mfa := spec.MFA; mfa != nil {
		demands := mfa.Enforcement != "" && mfa.Enforcement != v1alpha1.EnforcementOptional
		w |= noPasskey.when(mfa.PasskeyLogin == v1alpha1.Forbidden) |
			forcedOnLocal.when(demands && mfa.AppliesTo == v1alpha1.LocalUsersOnly) |
			forcedOnAll.when(demands && mfa.AppliesTo != v1alpha1.LocalUsersOnly) |
			emptyByItself.when(mfa.Methods != nil && len(mfa.Methods) == 0)
		for _, m := range without {
			w |= m.way.when(mfa.Methods != nil && !slices.Contains(mfa.Methods, m.method))
		}
	}
	if login := spec.Login; login != nil {
		w |= noPassword.when(login.PasswordLogin == v1alpha1.Forbidden) |
			noExternalIDP.when(login.ExternalIDPs == v1alpha1.Forbidden)
	}
	return w
}

func (w Ways) when(so bool) Ways {
	if so {
		return w
	}
	return 0
}

// And are the ways that are left when another policy applies as well. In whatever
// order they come, and however often, the result is the same.
func (w Ways) And(other Ways) Ways { return w | other }

func (w Ways) has(all Ways) bool { return w&all == all }

// Lockouts finds how the policies leave no way.
func (w Ways) Lockouts() []Lockout {
	var found []Lockout
	forced := w&(forcedOnAll|forcedOnLocal) != 0
	switch {
	case w.has(noMethod) && !w.has(emptyByItself):
		found = append(found, NoCommonMethod)
	case w.has(noMethod|noPasskey) && forced:
		found = append(found, NoMethodAllowed)
	}
	if w.has(noPassword | noExternalIDP | noPasskey) {
		found = append(found, NoWayAllowed)
	}
	return found
}

// Impact is ImpactOf for a target of which nothing else is known: what the
// policies do not speak of takes no factor and no way to sign in away, and forces
// nothing.
func (w Ways) Impact(users Histogram) Impact {
	g := gate{
		noPassword: w.has(noPassword), noExternalIDP: w.has(noExternalIDP), noPasskey: w.has(noPasskey),
		forced: w.has(forcedOnAll), forcedLocalOnly: w.has(forcedOnLocal) && !w.has(forcedOnAll),
	}
	for _, m := range without {
		if !w.has(m.way) {
			g.accepted |= m.proof
		}
	}
	if !g.noPasskey {
		g.accepted |= HasPasskey
	}
	return g.impact(users)
}
