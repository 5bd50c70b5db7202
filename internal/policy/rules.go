package policy

import "github.com/neosc/mfa-operator/api/v1alpha1"

// Rules are the part of a SecurityPolicySpec that can come from several
// policies at once. A zero field is unset, and unset means not managed.
type Rules struct {
	MFA      v1alpha1.MFASettings
	Session  v1alpha1.SessionSettings
	Login    v1alpha1.LoginSettings
	Password v1alpha1.PasswordSettings
	Lockout  v1alpha1.LockoutSettings
	// ChecksFresh wants second factors to count for at most 15 minutes.
	// AlwaysRequired brings it along, and mode Warn leaves it standing when it
	// takes the enforcement away.
	ChecksFresh bool
}

// RulesOf returns all a spec asks for, whatever its mode.
func RulesOf(spec *v1alpha1.SecurityPolicySpec) Rules {
	r := Rules{
		MFA:      valueOf(spec.MFA),
		Session:  valueOf(spec.Session),
		Login:    valueOf(spec.Login),
		Password: valueOf(spec.Password),
		Lockout:  valueOf(spec.Lockout),
	}
	r.ChecksFresh = r.MFA.Enforcement == v1alpha1.EnforcementAlwaysRequired
	return r
}

// InForce returns the part of a spec that its mode puts in force: nothing in
// Audit or when disabled, all but the enforcement in Warn.
func InForce(spec *v1alpha1.SecurityPolicySpec) Rules {
	if Suspended(spec) {
		return Rules{}
	}
	r := RulesOf(spec)
	if spec.Mode == v1alpha1.ModeWarn {
		r.MFA.Enforcement, r.MFA.AppliesTo = "", ""
	}
	return r
}

// Suspended tells whether a spec puts nothing in force: it is disabled, or in
// mode Audit.
func Suspended(spec *v1alpha1.SecurityPolicySpec) bool {
	return !Enabled(spec) || spec.Mode == v1alpha1.ModeAudit
}

// Enabled tells whether the policy is enabled; unset means it is.
func Enabled(spec *v1alpha1.SecurityPolicySpec) bool {
	return spec.Enabled == nil || *spec.Enabled
}

func valueOf[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
