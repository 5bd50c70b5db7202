package policy

import (
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

// Ways are the ways to sign in that policies leave together. It is Merge for the
// few fields concerned, without provenance, so that it can be asked for every
// organization of an instance. The zero Ways are those of no policy.
type Ways struct {
	rules Rules
	// alone: one of the policies allows no method by itself.
	alone bool
}

// And are the ways that are left when another policy's rules apply as well.
// In whatever order rules come, and however often, the result is the same.
func (w Ways) And(r Rules) Ways {
	w.alone = w.alone || r.MFA.Methods != nil && len(r.MFA.Methods) == 0
	for _, f := range waysIn {
		switch {
		case !f.set(&r):
		case f.set(&w.rules):
			f.join(&w.rules, &r)
		default:
			f.copy(&w.rules, &r)
		}
	}
	return w
}

// Lockouts finds how the policies leave no way.
func (w Ways) Lockouts() []Lockout {
	var found []Lockout
	mfa, login := &w.rules.MFA, &w.rules.Login
	none := mfa.Methods != nil && len(mfa.Methods) == 0
	switch {
	case none && !w.alone:
		found = append(found, NoCommonMethod)
	case none && mfa.PasskeyLogin == v1alpha1.Forbidden && mfa.Enforcement != "" && mfa.Enforcement != v1alpha1.EnforcementOptional:
		found = append(found, NoMethodAllowed)
	}
	if login.PasswordLogin == v1alpha1.Forbidden && login.ExternalIDPs == v1alpha1.Forbidden && mfa.PasskeyLogin == v1alpha1.Forbidden {
		found = append(found, NoWayAllowed)
	}
	return found
}

// Settings are those that ImpactOf looks at, as they would be at a target of
// which nothing else is known: what the policies do not speak of takes no factor
// and no way to sign in away, and forces nothing.
func (w Ways) Settings() idp.Settings {
	settings := idp.Settings{idp.AllowPassword: idp.Bool(true), idp.AllowExternalIDP: idp.Bool(true)}
	for s := range proofs {
		settings[s] = idp.Bool(true)
	}
	wantMFA(settings, &w.rules.MFA)
	wantLogin(settings, &w.rules.Login)
	return settings
}

// waysIn are the fields that a lock-out can come from; each has a stricter side.
var waysIn = []*field{
	fieldAt(FieldEnforcement), fieldAt(FieldMethods), fieldAt("mfa.passkeyLogin"),
	fieldAt("login.passwordLogin"), fieldAt("login.externalIdPs"),
}
