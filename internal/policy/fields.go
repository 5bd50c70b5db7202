package policy

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

// FieldMethods is the path of the field that several policies can only narrow.
const FieldMethods = "mfa.methods"

// FieldEnforcement is the path of the field that demands a second factor.
const FieldEnforcement = "mfa.enforcement"

// fields lists every field of Rules with what becomes of it when several
// policies set it: the stricter value wins where there is a stricter side,
// precedence decides where there is none.
var fields = []field{
	enforcementField,
	strictest(FieldMethods, "what every policy allows", func(r *Rules) *[]v1alpha1.Method { return &r.MFA.Methods }, common),
	localOnly(byPrecedence("mfa.preferredMethod", func(r *Rules) *v1alpha1.Method { return &r.MFA.PreferredMethod })),
	strictest("mfa.passkeyLogin", "Forbidden", func(r *Rules) *v1alpha1.Permission { return &r.MFA.PasskeyLogin }, ranked(v1alpha1.Allowed, v1alpha1.Forbidden)),
	strictest("mfa.setupPrompt", "the most frequent", func(r *Rules) **v1alpha1.SetupPrompt { return &r.MFA.SetupPrompt }, mostFrequent),
	localOnly(strictest("mfa.gracePeriodHours", "the shortest; 0 is none", func(r *Rules) **int32 { return &r.MFA.GracePeriodHours }, least)),
	webAuthn("mfa.webauthn.userVerification", "Required, then Preferred", func(w *v1alpha1.WebAuthnSettings) *v1alpha1.UserVerification { return &w.UserVerification },
		ranked(v1alpha1.UserVerificationDiscouraged, v1alpha1.UserVerificationPreferred, v1alpha1.UserVerificationRequired)),
	webAuthn("mfa.webauthn.attestation", "Direct", func(w *v1alpha1.WebAuthnSettings) *v1alpha1.Attestation { return &w.Attestation },
		ranked(v1alpha1.AttestationNone, v1alpha1.AttestationDirect)),
	// Nothing in common is an empty list and not an unset one: none, not all.
	webAuthn("mfa.webauthn.allowedAAGUIDs", "what every policy allows", func(w *v1alpha1.WebAuthnSettings) *[]v1alpha1.AAGUID { return &w.AllowedAAGUIDs }, common),
	// Never cut off: what falls off would be let in.
	webAuthn("mfa.webauthn.deniedAAGUIDs", "what any policy denies", func(w *v1alpha1.WebAuthnSettings) *[]v1alpha1.AAGUID { return &w.DeniedAAGUIDs }, either),
	freshField,
	strictest("session.secondFactorMinutes", "the shortest", func(r *Rules) **int32 { return &r.Session.SecondFactorMinutes }, least),
	strictest("session.multiFactorMinutes", "the shortest", func(r *Rules) **int32 { return &r.Session.MultiFactorMinutes }, least),
	strictest("session.passwordMinutes", "the shortest", func(r *Rules) **int32 { return &r.Session.PasswordMinutes }, least),
	strictest("session.externalLoginMinutes", "the shortest", func(r *Rules) **int32 { return &r.Session.ExternalLoginMinutes }, least),
	permission("login.passwordLogin", func(r *Rules) *v1alpha1.Permission { return &r.Login.PasswordLogin }),
	permission("login.registration", func(r *Rules) *v1alpha1.Permission { return &r.Login.Registration }),
	permission("login.externalIdPs", func(r *Rules) *v1alpha1.Permission { return &r.Login.ExternalIDPs }),
	permission("login.domainDiscovery", func(r *Rules) *v1alpha1.Permission { return &r.Login.DomainDiscovery }),
	permission("login.passwordResetLink", func(r *Rules) *v1alpha1.Permission { return &r.Login.PasswordResetLink }),
	// Allowed hides who exists.
	strictest("login.unknownUsernames", "Allowed", func(r *Rules) *v1alpha1.Permission { return &r.Login.UnknownUsernames }, ranked(v1alpha1.Forbidden, v1alpha1.Allowed)),
	permission("login.loginWithEmail", func(r *Rules) *v1alpha1.Permission { return &r.Login.LoginWithEmail }),
	permission("login.loginWithPhone", func(r *Rules) *v1alpha1.Permission { return &r.Login.LoginWithPhone }),
	byPrecedence("login.defaultRedirectURI", func(r *Rules) **string { return &r.Login.DefaultRedirectURI }),
	strictest("password.minLength", "the longest", func(r *Rules) **int32 { return &r.Password.MinLength }, most),
	requirement("password.requireUppercase", func(r *Rules) *v1alpha1.Requirement { return &r.Password.RequireUppercase }),
	requirement("password.requireLowercase", func(r *Rules) *v1alpha1.Requirement { return &r.Password.RequireLowercase }),
	requirement("password.requireNumber", func(r *Rules) *v1alpha1.Requirement { return &r.Password.RequireNumber }),
	requirement("password.requireSymbol", func(r *Rules) *v1alpha1.Requirement { return &r.Password.RequireSymbol }),
	strictest("password.expireAfterDays", "the shortest; 0 is never", func(r *Rules) **int32 { return &r.Password.ExpireAfterDays }, leastButZero),
	byPrecedence("password.warnBeforeDays", func(r *Rules) **int32 { return &r.Password.WarnBeforeDays }),
	strictest("lockout.maxPasswordAttempts", "the fewest", func(r *Rules) **int32 { return &r.Lockout.MaxPasswordAttempts }, least),
	strictest("lockout.maxOTPAttempts", "the fewest", func(r *Rules) **int32 { return &r.Lockout.MaxOTPAttempts }, least),
	localOnly(strictest("lockout.autoUnlockMinutes", "the longest", func(r *Rules) **int32 { return &r.Lockout.AutoUnlockMinutes }, most)),
}

// field is one field of Rules.
type field struct {
	path string
	// also is a second field that only has a meaning together with this one.
	also string
	// wins says for people which value wins; empty: that of highest precedence.
	wins string
	// localOnly fields are for local users: Zitadel has nothing like them.
	localOnly bool
	set       func(*Rules) bool
	show      func(*Rules) string
	// copy takes the field over.
	copy func(into, from *Rules)
	// join makes into the stricter of both, which are set; nil where there is
	// no stricter side. It is commutative, associative and idempotent.
	join func(into, from *Rules)
}

func byPrecedence[T any](path string, at func(*Rules) *T) field {
	return field{
		path: path,
		set:  func(r *Rules) bool { return !reflect.ValueOf(at(r)).Elem().IsZero() },
		show: func(r *Rules) string { return shown(*at(r)) },
		copy: func(into, from *Rules) { *at(into) = *at(from) },
	}
}

func strictest[T any](path, wins string, at func(*Rules) *T, stricter func(a, b T) T) field {
	f := byPrecedence(path, at)
	f.wins = wins
	f.join = func(into, from *Rules) { *at(into) = stricter(*at(into), *at(from)) }
	return f
}

func permission(path string, at func(*Rules) *v1alpha1.Permission) field {
	return strictest(path, "Forbidden", at, ranked(v1alpha1.Allowed, v1alpha1.Forbidden))
}

func requirement(path string, at func(*Rules) *v1alpha1.Requirement) field {
	return strictest(path, "Required", at, ranked(v1alpha1.NotRequired, v1alpha1.Required))
}

func localOnly(f field) field {
	f.localOnly = true
	return f
}

// webAuthn is a field of mfa.webauthn, which rules share with the specs they come
// from: it is copied before it is changed.
func webAuthn[T any](path, wins string, at func(*v1alpha1.WebAuthnSettings) *T, stricter func(a, b T) T) field {
	in := func(r *Rules) T {
		w := valueOf(r.MFA.WebAuthn)
		return *at(&w)
	}
	put := func(r *Rules, value T) {
		w := valueOf(r.MFA.WebAuthn)
		*at(&w) = value
		r.MFA.WebAuthn = &w
	}
	return localOnly(field{
		path: path,
		wins: wins,
		set:  func(r *Rules) bool { return !reflect.ValueOf(in(r)).IsZero() },
		show: func(r *Rules) string { return shown(in(r)) },
		copy: func(into, from *Rules) { put(into, in(from)) },
		join: func(into, from *Rules) { put(into, stricter(in(into), in(from))) },
	})
}

// enforcementField takes the enforcement and whom it applies to as one: an
// audience without enforcement says nothing.
var enforcementField = field{
	path: FieldEnforcement,
	also: "mfa.appliesTo",
	wins: "the stricter, for AllUsers if any of those that force says so",
	set:  func(r *Rules) bool { return r.MFA.Enforcement != "" },
	show: func(r *Rules) string {
		if r.MFA.Enforcement != v1alpha1.EnforcementOptional && r.MFA.AppliesTo == v1alpha1.LocalUsersOnly {
			return string(r.MFA.Enforcement) + " for " + string(v1alpha1.LocalUsersOnly)
		}
		return string(r.MFA.Enforcement)
	},
	copy: func(into, from *Rules) {
		into.MFA.Enforcement, into.MFA.AppliesTo = from.MFA.Enforcement, audience(from)
	},
	join: func(into, from *Rules) {
		who := v1alpha1.LocalUsersOnly
		for _, r := range []*Rules{into, from} {
			if r.MFA.Enforcement != v1alpha1.EnforcementOptional && audience(r) == v1alpha1.AllUsers {
				who = v1alpha1.AllUsers
			}
		}
		into.MFA.Enforcement = ranked(v1alpha1.EnforcementOptional, v1alpha1.EnforcementRequiredOnFirstLogin,
			v1alpha1.EnforcementAlwaysRequired)(into.MFA.Enforcement, from.MFA.Enforcement)
		into.MFA.AppliesTo = who
		into.MFA.AppliesTo = audience(into)
	},
}

// audience is whom the enforcement applies to; unset, and where nothing is
// forced, AllUsers.
func audience(r *Rules) v1alpha1.Audience {
	if r.MFA.AppliesTo == v1alpha1.LocalUsersOnly && r.MFA.Enforcement != v1alpha1.EnforcementOptional {
		return v1alpha1.LocalUsersOnly
	}
	return v1alpha1.AllUsers
}

// freshField is no field of a spec: AlwaysRequired brings it along.
var freshField = strictest("mfa.enforcement.checksFresh", "wanted", func(r *Rules) *bool { return &r.ChecksFresh },
	func(a, b bool) bool { return a || b })

// ranked picks the value that stands later in order.
func ranked[T comparable](order ...T) func(a, b T) T {
	return func(a, b T) T {
		if slices.Index(order, b) > slices.Index(order, a) {
			return b
		}
		return a
	}
}

func least(a, b *int32) *int32 { return pick(*b < *a, b, a) }

func most(a, b *int32) *int32 { return pick(*b > *a, b, a) }

func leastButZero(a, b *int32) *int32 {
	switch {
	case *a == 0:
		return b
	case *b == 0:
		return a
	default:
		return least(a, b)
	}
}

func mostFrequent(a, b *v1alpha1.SetupPrompt) *v1alpha1.SetupPrompt {
	switch {
	case a.EveryHours == nil:
		return b
	case b.EveryHours == nil:
		return a
	default:
		return pick(*b.EveryHours < *a.EveryHours, b, a)
	}
}

// common returns what is in both; it is never nil.
func common[T comparable](a, b []T) []T {
	both := []T{}
	for _, one := range a {
		if slices.Contains(b, one) {
			both = append(both, one)
		}
	}
	return both
}

// either returns what is in any of the two, sorted.
func either[T cmp.Ordered](a, b []T) []T {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

func pick[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}

// shown renders a value for people; equal values look the same.
func shown(value any) string {
	switch v := value.(type) {
	case *int32:
		return fmt.Sprint(*v)
	case *string:
		return cmp.Or(*v, `""`)
	case *v1alpha1.SetupPrompt:
		if v.EveryHours == nil {
			return string(v1alpha1.PromptNever)
		}
		return fmt.Sprintf("every %d hours", *v.EveryHours)
	case []v1alpha1.Method:
		return listed(v)
	case []v1alpha1.AAGUID:
		return listed(v)
	default:
		return fmt.Sprint(v)
	}
}

func listed[T ~string](set []T) string {
	names := make([]string, len(set))
	for i, one := range set {
		names[i] = string(one)
	}
	slices.Sort(names)
	return "[" + strings.Join(names, ", ") + "]"
}

// LocalOnly lists the fields that a spec sets and that are for local users only.
func LocalOnly(spec *v1alpha1.SecurityPolicySpec) []string {
	rules := RulesOf(spec)
	var paths []string
	for i := range fields {
		if f := &fields[i]; f.localOnly && f.set(&rules) {
			paths = append(paths, f.path)
		}
	}
	return paths
}

// FieldValue is what a spec asks for in one field, for people.
type FieldValue struct {
	// Path of the field in the spec.
	Path string
	// Value as people read it.
	Value string
}

// FieldValues lists the fields that a spec sets, in the order of FieldRules.
func FieldValues(spec *v1alpha1.SecurityPolicySpec) []FieldValue {
	rules := RulesOf(spec)
	var values []FieldValue
	for i := range fields {
		if f := &fields[i]; f.path != freshField.path && f.set(&rules) {
			values = append(values, FieldValue{f.path, f.show(&rules)})
		}
	}
	return values
}

// FieldRule says for people what becomes of a field that several policies set.
type FieldRule struct {
	// Path of the field in the spec.
	Path string
	// Wins says which value does; empty: that of the highest precedence.
	Wins string
}

// FieldRules lists every field that can come from several policies.
func FieldRules() []FieldRule {
	var rules []FieldRule
	for _, f := range fields {
		rules = append(rules, FieldRule{f.path, f.wins})
		if f.also != "" {
			rules = append(rules, FieldRule{f.also, f.wins})
		}
	}
	return rules
}
