package policy

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
)

// Verdict says whether one person has what is demanded of them, and why.
type Verdict struct {
	// Compliance is empty where it is not known.
	Compliance v1alpha1.Compliance
	Reason     string
	// ExemptUntil is when the exemption ends that it rests on; zero if none does.
	ExemptUntil time.Time
}

// Judge tells whether a user with these traits has what login settings demand.
// unsure are traits that could not be read: where they decide, the answer is
// that it is not known. It is the rule by which ImpactOf counts.
func Judge(settings idp.Settings, user, unsure Traits) Verdict {
	// More of these never makes anybody less compliant.
	least, most := judge(settings, user&^unsure), judge(settings, user|unsure)
	if least.Compliance != most.Compliance {
		return Verdict{Reason: "not known: it depends on what the account may not read"}
	}
	return least
}

func judge(settings idp.Settings, user Traits) Verdict {
	g := gateOf(settings)
	has := user & g.accepted
	switch {
	case g.noWayIn(user):
		return Verdict{Compliance: v1alpha1.NonCompliant, Reason: "no way to sign in that they have is allowed"}
	case !g.demands(user):
		return Verdict{Compliance: v1alpha1.Compliant, Reason: "no second factor is demanded of them"}
	case has != 0:
		return Verdict{Compliance: v1alpha1.Compliant, Reason: "has " + factorNames(has)}
	case user&allFactors != 0:
		return Verdict{Compliance: v1alpha1.NonCompliant, Reason: "has " + factorNames(user) + ", none of which is allowed"}
	default:
		return Verdict{Compliance: v1alpha1.NonCompliant, Reason: "a second factor is demanded and they have none"}
	}
}

// WithExemptions lets somebody off who lacks a factor if exempt does so for
// every policy that demands one. What is demanded by no policy nobody can let
// them off, and an exemption is no way to sign in.
func (v Verdict) WithExemptions(settings idp.Settings, user Traits, demanding []types.NamespacedName,
	exempt func(types.NamespacedName) (time.Time, bool),
) Verdict {
	if v.Compliance != v1alpha1.NonCompliant || gateOf(settings).noWayIn(user) {
		return v
	}
	until, ok := ExemptFromAll(demanding, exempt)
	if !ok {
		return v
	}
	return Verdict{Compliance: v1alpha1.Exempt, Reason: v.Reason + "; exempt until " + until.UTC().Format(time.RFC3339), ExemptUntil: until}
}

// ExemptFromAll tells whether exempt lets somebody off the demand of each of
// these policies, at least one, and until when.
func ExemptFromAll(demanding []types.NamespacedName, exempt func(types.NamespacedName) (time.Time, bool)) (until time.Time, exempted bool) {
	for _, p := range demanding {
		ends, ok := exempt(p)
		if !ok {
			return time.Time{}, false
		}
		if until.IsZero() || ends.Before(until) {
			until = ends
		}
	}
	return until, len(demanding) > 0
}

// Demanding names the policies among contributions that demand a second factor.
func Demanding(contributions []Contribution) []types.NamespacedName {
	var names []types.NamespacedName
	for _, c := range contributions {
		if e := c.Rules.MFA.Enforcement; e != "" && e != v1alpha1.EnforcementOptional {
			names = append(names, c.Policy)
		}
	}
	return names
}

// TraitsOf says what a person is and has in the words of a census.
func TraitsOf(state idp.PersonState, has idp.Credentials) Traits {
	var t Traits
	for _, c := range has.List {
		if c.Ready {
			t |= TraitOf(c.Factor)
		}
	}
	for trait, is := range map[Traits]bool{
		HasPassword: has.HasPassword, Linked: has.Linked,
		Locked: state == idp.PersonLocked, Inactive: state == idp.PersonInactive,
	} {
		if is {
			t |= trait
		}
	}
	return t
}

// UnsureOf are the traits that credentials leave open.
func UnsureOf(has idp.Credentials) Traits {
	if has.MethodsKnown {
		return 0
	}
	return HasRecoveryCodes | HasPassword | Linked
}

const allFactors = HasTOTP | HasU2F | HasOTPEmail | HasOTPSMS | HasRecoveryCodes | HasPasskey

func factorNames(t Traits) string {
	var names []string
	for _, f := range idp.AllFactors() {
		if t.HasAny(TraitOf(f)) {
			names = append(names, string(f))
		}
	}
	return strings.Join(names, ", ")
}
