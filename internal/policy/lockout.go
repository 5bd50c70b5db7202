package policy

import (
	"slices"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
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

// Lockouts finds what the policies of a target do together. It is Merge for the
// few fields concerned, without provenance, so that it can be asked about every
// organization of an instance.
func (a Applied) Lockouts() []Lockout {
	var r Rules
	disjoint := true
	for _, list := range [][]Contribution{a.Own, a.Floor} {
		for i := range list {
			one := &list[i].Rules
			disjoint = disjoint && (one.MFA.Methods == nil || len(one.MFA.Methods) > 0)
			for _, f := range waysIn {
				switch {
				case !f.set(one):
				case f.set(&r):
					f.join(&r, one)
				default:
					f.copy(&r, one)
				}
			}
		}
	}
	var found []Lockout
	none := r.MFA.Methods != nil && len(r.MFA.Methods) == 0
	switch {
	case none && disjoint:
		found = append(found, NoCommonMethod)
	case none && forces(&r) && r.MFA.PasskeyLogin == v1alpha1.Forbidden:
		found = append(found, NoMethodAllowed)
	}
	if r.Login.PasswordLogin == v1alpha1.Forbidden && r.Login.ExternalIDPs == v1alpha1.Forbidden && r.MFA.PasskeyLogin == v1alpha1.Forbidden {
		found = append(found, NoWayAllowed)
	}
	return found
}

// waysIn are the fields that a lock-out can come from; each has a stricter side.
var waysIn = []*field{
	fieldAt("mfa.enforcement"), fieldAt(FieldMethods), fieldAt("mfa.passkeyLogin"),
	fieldAt("login.passwordLogin"), fieldAt("login.externalIdPs"),
}

func forces(r *Rules) bool {
	return slices.Contains([]v1alpha1.Enforcement{
		v1alpha1.EnforcementRequiredOnFirstLogin, v1alpha1.EnforcementAlwaysRequired,
	}, r.MFA.Enforcement)
}

// Supposed fills in what is not known of a target, so that the impact of what is
// wanted there can be told without looking: nothing else forces a second factor,
// and nothing else takes a factor or a way to sign in away.
func Supposed(wanted idp.Settings) idp.Settings {
	supposed := idp.Settings{idp.AllowPassword: idp.Bool(true), idp.AllowExternalIDP: idp.Bool(true)}
	for s := range proofs {
		supposed[s] = idp.Bool(true)
	}
	return supposed.Overlay(wanted)
}
