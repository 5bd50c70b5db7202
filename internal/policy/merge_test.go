package policy_test

import (
	encoding "encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
)

// from makes a contribution of a policy with this name.
func from(name string, s spec) policy.Contribution {
	return policy.Contribution{Policy: types.NamespacedName{Namespace: "n", Name: name}, Rules: policy.RulesOf(&s)}
}

func names(policies ...string) []types.NamespacedName {
	var all []types.NamespacedName
	for _, p := range policies {
		all = append(all, types.NamespacedName{Namespace: "n", Name: p})
	}
	return all
}

// TestEveryFieldHasARule: a new field of the spec fails the test until the table
// says what becomes of it when several policies set it.
func TestEveryFieldHasARule(t *testing.T) {
	listed := map[string]bool{}
	for _, f := range policy.FieldRules() {
		if listed[f.Path] {
			t.Errorf("%s is listed twice", f.Path)
		}
		listed[f.Path] = true
	}
	for i := range reflect.TypeFor[spec]().NumField() {
		group := reflect.TypeFor[spec]().Field(i)
		if group.Type.Kind() != reflect.Pointer || group.Type.Elem().Kind() != reflect.Struct {
			continue // says where, whether or how
		}
		for _, path := range pathsBelow(group, listed) {
			if !listed[path] {
				t.Errorf("%s has no rule", path)
			}
			delete(listed, path)
		}
	}
	delete(listed, "mfa.enforcement.checksFresh") // AlwaysRequired brings it along
	if len(listed) > 0 {
		t.Errorf("rules for fields that the spec does not have: %v", slices.Sorted(maps.Keys(listed)))
	}
}

// pathsBelow returns the path of each field in a group. A group in it is one field
// if it has a rule of its own, and else has those of its fields.
func pathsBelow(group reflect.StructField, listed map[string]bool) []string {
	var paths []string
	for i := range group.Type.Elem().NumField() {
		f := group.Type.Elem().Field(i)
		path := json(group) + "." + json(f)
		if f.Type.Kind() != reflect.Pointer || f.Type.Elem().Kind() != reflect.Struct || listed[path] {
			paths = append(paths, path)
			continue
		}
		for _, below := range pathsBelow(f, nil) {
			paths = append(paths, json(group)+"."+below)
		}
	}
	return paths
}

func json(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// TestTheStricterWins, in every field that has a stricter side; weak and strong
// are two values of it.
func TestTheStricterWins(t *testing.T) {
	enforce := func(e v1alpha1.Enforcement, a v1alpha1.Audience) spec {
		return mfa(v1alpha1.MFASettings{Enforcement: e, AppliesTo: a})
	}
	methods := func(m ...v1alpha1.Method) spec {
		return mfa(v1alpha1.MFASettings{Methods: append([]v1alpha1.Method{}, m...)})
	}
	prompt := func(hours *int32) spec {
		return mfa(v1alpha1.MFASettings{SetupPrompt: &v1alpha1.SetupPrompt{EveryHours: hours}})
	}
	verified := func(v v1alpha1.UserVerification) spec {
		return webAuthn(v1alpha1.WebAuthnSettings{UserVerification: v})
	}
	allowed := func(a ...v1alpha1.AAGUID) spec { return webAuthn(v1alpha1.WebAuthnSettings{AllowedAAGUIDs: a}) }
	denied := func(a ...v1alpha1.AAGUID) spec { return webAuthn(v1alpha1.WebAuthnSettings{DeniedAAGUIDs: a}) }
	five, nine, zero := ptr.To[int32](5), ptr.To[int32](9), ptr.To[int32](0)
	for _, c := range []struct {
		weak, strong spec
		want         string // what holds, if it is neither of them
	}{
		{enforce(v1alpha1.EnforcementOptional, ""), enforce(v1alpha1.EnforcementRequiredOnFirstLogin, v1alpha1.LocalUsersOnly), ""},
		{enforce(v1alpha1.EnforcementRequiredOnFirstLogin, ""), enforce(v1alpha1.EnforcementAlwaysRequired, ""), ""},
		{enforce(v1alpha1.EnforcementRequiredOnFirstLogin, v1alpha1.LocalUsersOnly), enforce(v1alpha1.EnforcementRequiredOnFirstLogin, v1alpha1.AllUsers), ""},
		{enforce(v1alpha1.EnforcementRequiredOnFirstLogin, v1alpha1.AllUsers), enforce(v1alpha1.EnforcementAlwaysRequired, v1alpha1.LocalUsersOnly), "AlwaysRequired"},
		{methods(v1alpha1.MethodTOTP, v1alpha1.MethodSMS), methods(v1alpha1.MethodTOTP), ""},
		{methods(v1alpha1.MethodTOTP, v1alpha1.MethodSMS), methods(v1alpha1.MethodTOTP, v1alpha1.MethodWebAuthn), "[TOTP]"},
		{methods(v1alpha1.MethodTOTP), methods(), ""},
		{prompt(nil), prompt(nine), ""},
		{prompt(nine), prompt(five), ""},
		{mfa(v1alpha1.MFASettings{PasskeyLogin: v1alpha1.Allowed}), mfa(v1alpha1.MFASettings{PasskeyLogin: v1alpha1.Forbidden}), ""},
		{session(v1alpha1.SessionSettings{SecondFactorMinutes: nine}), session(v1alpha1.SessionSettings{SecondFactorMinutes: five}), ""},
		{session(v1alpha1.SessionSettings{MultiFactorMinutes: nine}), session(v1alpha1.SessionSettings{MultiFactorMinutes: five}), ""},
		{session(v1alpha1.SessionSettings{PasswordMinutes: nine}), session(v1alpha1.SessionSettings{PasswordMinutes: five}), ""},
		{session(v1alpha1.SessionSettings{ExternalLoginMinutes: nine}), session(v1alpha1.SessionSettings{ExternalLoginMinutes: five}), ""},
		{login(v1alpha1.LoginSettings{PasswordLogin: v1alpha1.Allowed}), login(v1alpha1.LoginSettings{PasswordLogin: v1alpha1.Forbidden}), ""},
		{login(v1alpha1.LoginSettings{Registration: v1alpha1.Allowed}), login(v1alpha1.LoginSettings{Registration: v1alpha1.Forbidden}), ""},
		{login(v1alpha1.LoginSettings{ExternalIDPs: v1alpha1.Allowed}), login(v1alpha1.LoginSettings{ExternalIDPs: v1alpha1.Forbidden}), ""},
		{login(v1alpha1.LoginSettings{DomainDiscovery: v1alpha1.Allowed}), login(v1alpha1.LoginSettings{DomainDiscovery: v1alpha1.Forbidden}), ""},
		{login(v1alpha1.LoginSettings{PasswordResetLink: v1alpha1.Allowed}), login(v1alpha1.LoginSettings{PasswordResetLink: v1alpha1.Forbidden}), ""},
		{login(v1alpha1.LoginSettings{UnknownUsernames: v1alpha1.Forbidden}), login(v1alpha1.LoginSettings{UnknownUsernames: v1alpha1.Allowed}), ""},
		{login(v1alpha1.LoginSettings{LoginWithEmail: v1alpha1.Allowed}), login(v1alpha1.LoginSettings{LoginWithEmail: v1alpha1.Forbidden}), ""},
		{login(v1alpha1.LoginSettings{LoginWithPhone: v1alpha1.Allowed}), login(v1alpha1.LoginSettings{LoginWithPhone: v1alpha1.Forbidden}), ""},
		{password(v1alpha1.PasswordSettings{MinLength: five}), password(v1alpha1.PasswordSettings{MinLength: nine}), ""},
		{password(v1alpha1.PasswordSettings{RequireUppercase: v1alpha1.NotRequired}), password(v1alpha1.PasswordSettings{RequireUppercase: v1alpha1.Required}), ""},
		{password(v1alpha1.PasswordSettings{RequireLowercase: v1alpha1.NotRequired}), password(v1alpha1.PasswordSettings{RequireLowercase: v1alpha1.Required}), ""},
		{password(v1alpha1.PasswordSettings{RequireNumber: v1alpha1.NotRequired}), password(v1alpha1.PasswordSettings{RequireNumber: v1alpha1.Required}), ""},
		{password(v1alpha1.PasswordSettings{RequireSymbol: v1alpha1.NotRequired}), password(v1alpha1.PasswordSettings{RequireSymbol: v1alpha1.Required}), ""},
		{password(v1alpha1.PasswordSettings{ExpireAfterDays: zero}), password(v1alpha1.PasswordSettings{ExpireAfterDays: nine}), ""},
		{password(v1alpha1.PasswordSettings{ExpireAfterDays: nine}), password(v1alpha1.PasswordSettings{ExpireAfterDays: five}), ""},
		{lockout(v1alpha1.LockoutSettings{MaxPasswordAttempts: nine}), lockout(v1alpha1.LockoutSettings{MaxPasswordAttempts: five}), ""},
		{lockout(v1alpha1.LockoutSettings{MaxOTPAttempts: nine}), lockout(v1alpha1.LockoutSettings{MaxOTPAttempts: five}), ""},
		{lockout(v1alpha1.LockoutSettings{AutoUnlockMinutes: five}), lockout(v1alpha1.LockoutSettings{AutoUnlockMinutes: nine}), ""},
		{mfa(v1alpha1.MFASettings{GracePeriodHours: nine}), mfa(v1alpha1.MFASettings{GracePeriodHours: five}), ""},
		{mfa(v1alpha1.MFASettings{GracePeriodHours: five}), mfa(v1alpha1.MFASettings{GracePeriodHours: zero}), ""},
		{verified(v1alpha1.UserVerificationDiscouraged), verified(v1alpha1.UserVerificationPreferred), ""},
		{verified(v1alpha1.UserVerificationPreferred), verified(v1alpha1.UserVerificationRequired), ""},
		{webAuthn(v1alpha1.WebAuthnSettings{Attestation: v1alpha1.AttestationNone}), webAuthn(v1alpha1.WebAuthnSettings{Attestation: v1alpha1.AttestationDirect}), ""},
		{allowed("a", "b"), allowed("b"), ""},
		{allowed("a", "b"), allowed("c", "b"), "[b]"},
		{allowed("a"), allowed("b"), "[]"},
		{denied("a"), denied("a", "b"), ""},
		{denied("b"), denied("a"), "[a, b]"},
	} {
		strong := from("strong", c.strong)
		strong.Priority, strong.Floor = -1, true // does not matter where one is stricter
		e := policy.Merge([]policy.Contribution{from("weak", c.weak), strong})
		got := e.Fields[0]
		switch {
		case c.want != "":
			if got.Value != c.want || !got.Combined || len(got.By) != 2 || len(got.Over) != 2 {
				t.Errorf("of %+v and %+v: got %+v, want %s", c.weak, c.strong, got, c.want)
			}
		case !slices.Equal(got.By, names("strong")) || len(got.Over) != 1 || got.Over[0].Policy.Name != "weak" || !got.Stricter:
			t.Errorf("of %+v and %+v: got %+v", c.weak, c.strong, got)
		}
	}
}

// TestPrecedence decides where no value is stricter.
func TestPrecedence(t *testing.T) {
	at := func(name string, change func(*policy.Contribution)) policy.Contribution {
		c := from(name, login(v1alpha1.LoginSettings{DefaultRedirectURI: ptr.To("https://" + name)}))
		c.Created = time.Unix(1000, 0)
		change(&c)
		return c
	}
	plain := func(*policy.Contribution) {}
	for _, c := range []struct {
		winner, loser policy.Contribution
		why           string
	}{
		{at("z", func(c *policy.Contribution) { c.Priority = 1 }), at("a", plain), "the higher priority"},
		{at("z", func(c *policy.Contribution) { c.Created = time.Unix(999, 0) }), at("a", plain), "the older policy"},
		{at("a", plain), at("z", plain), "the name, when all else is equal"},
		{at("z", plain), at("a", func(c *policy.Contribution) { c.Floor, c.Priority = true, 5 }), "an organization's own policy before the instance's"},
	} {
		e := policy.Merge([]policy.Contribution{c.loser, c.winner})
		if f := e.Fields[0]; f.Value != "https://"+c.winner.Policy.Name || f.Stricter || f.Over[0].Policy != c.loser.Policy {
			t.Errorf("%s: got %+v", c.why, f)
		}
	}
}

// somePolicies makes policies with a random choice of fields each.
func somePolicies(random *rand.Rand, n int) []policy.Contribution {
	var samples []spec
	for _, path := range slices.Sorted(maps.Keys(fields)) {
		for _, c := range fields[path] {
			samples = append(samples, c.spec)
		}
	}
	policies := make([]policy.Contribution, n)
	for i := range policies {
		var all spec
		for range 1 + random.IntN(12) {
			one := samples[random.IntN(len(samples))]
			overlay(reflect.ValueOf(&all).Elem(), reflect.ValueOf(one))
		}
		policies[i] = from(fmt.Sprint("p", i), all)
		policies[i].Priority = int32(random.IntN(3))
		policies[i].Created = time.Unix(int64(random.IntN(3)), 0)
		policies[i].Floor = random.IntN(3) == 0
	}
	return policies
}

// overlay puts what is set in from over into.
func overlay(into, from reflect.Value) {
	for i := range from.NumField() {
		f := from.Field(i)
		switch {
		case f.IsZero():
		case f.Kind() == reflect.Pointer && f.Type().Elem().Kind() == reflect.Struct && f.Type().Elem().NumField() > 2:
			if into.Field(i).IsNil() {
				into.Field(i).Set(reflect.New(f.Type().Elem()))
			}
			overlay(into.Field(i).Elem(), f.Elem())
		default:
			into.Field(i).Set(f)
		}
	}
}

// TestMergingIsLawful: the order of policies, their number, and which are merged
// first make no difference.
func TestMergingIsLawful(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		policies := somePolicies(random, 1+random.IntN(5))
		want := policy.Merge(policies)

		shuffled := slices.Clone(policies)
		random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if got := policy.Merge(shuffled); !reflect.DeepEqual(got.Fields, want.Fields) {
			t.Fatalf("commutative: in another order\n got %+v\nwant %+v", got.Fields, want.Fields)
		}

		twice := policy.Merge(append(slices.Clone(policies), policies...))
		if got := values(twice); !maps.Equal(got, values(want)) {
			t.Fatalf("idempotent: all policies twice\n got %v\nwant %v", got, values(want))
		}

		split := random.IntN(len(policies) + 1)
		joined := append([]policy.Contribution{}, policies[split:]...)
		if split > 0 {
			first := policy.Contribution{Rules: strictOnly(policy.Merge(policies[:split]))}
			joined = append(joined, first)
		}
		got, all := strictValues(policy.Merge(joined)), strictValues(want)
		if !maps.Equal(got, all) {
			t.Fatalf("associative: %d merged first\n got %v\nwant %v", split, got, all)
		}
	}
}

// strictOnly leaves out the fields where precedence decides: what was merged has
// no precedence of its own.
func strictOnly(e policy.Effective) policy.Rules {
	return e.Only(func(p policy.Provenance) bool { return p.Stricter })
}

// values are those that hold, by field. They say more than the settings wanted of
// Zitadel, which has nothing for some fields.
func values(e policy.Effective) map[string]string {
	all := map[string]string{}
	for _, f := range e.Fields {
		all[f.Field] = f.Value
	}
	return all
}

func strictValues(e policy.Effective) map[string]string {
	all := values(e)
	for _, f := range e.Fields {
		if !f.Stricter {
			delete(all, f.Field)
		}
	}
	return all
}

// TestMergedIsNeverWeaker than any of the policies: merging one more with the
// result changes nothing.
func TestMergedIsNeverWeaker(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		policies := somePolicies(random, 1+random.IntN(5))
		merged := policy.Merge(policies)
		for _, p := range policies {
			again := policy.Merge([]policy.Contribution{{Rules: strictOnly(merged)}, p})
			if got, want := strictValues(again), strictValues(merged); !maps.Equal(got, want) {
				t.Fatalf("%+v is stricter than what it was merged into:\n got %v\nwant %v", p, got, want)
			}
		}
	}
}

func TestNoMethodInCommon(t *testing.T) {
	only := func(m ...v1alpha1.Method) spec {
		return mfa(v1alpha1.MFASettings{Methods: append([]v1alpha1.Method{}, m...)})
	}
	for _, c := range []struct {
		specs []spec
		want  bool
		why   string
	}{
		{[]spec{only(v1alpha1.MethodTOTP), only(v1alpha1.MethodSMS)}, true, "each allows one, both none"},
		{[]spec{only(v1alpha1.MethodTOTP), only(v1alpha1.MethodTOTP, v1alpha1.MethodSMS)}, false, "one is left"},
		{[]spec{only(v1alpha1.MethodTOTP), only()}, false, "somebody asked for none"},
		{[]spec{only()}, false, "asked for none"},
		{[]spec{{}, {}}, false, "nobody speaks of methods"},
	} {
		var all []policy.Contribution
		for i, s := range c.specs {
			all = append(all, from(fmt.Sprint(i), s))
		}
		if got := policy.Merge(all).NoMethodInCommon(); got != c.want {
			t.Errorf("%s: got %v", c.why, got)
		}
	}
}

// TestNoMakeInCommon: makes that nobody allows together are none, and not all as
// where no policy lists any. A rule that is read back says the same.
func TestNoMakeInCommon(t *testing.T) {
	allow := func(name string, a ...v1alpha1.AAGUID) policy.Contribution {
		return from(name, webAuthn(v1alpha1.WebAuthnSettings{AllowedAAGUIDs: a}))
	}
	e := policy.Merge([]policy.Contribution{allow("p", "a"), allow("q", "b"), from("r", webAuthn(v1alpha1.WebAuthnSettings{Attestation: v1alpha1.AttestationNone}))})
	if got := e.Rules.MFA.WebAuthn.AllowedAAGUIDs; got == nil || len(got) > 0 {
		t.Errorf("got %#v, want none and not all", got)
	}
	if again := policy.Merge([]policy.Contribution{{Rules: e.Rules}, allow("s", "a", "b")}); again.Rules.MFA.WebAuthn.AllowedAAGUIDs == nil || len(again.Rules.MFA.WebAuthn.AllowedAAGUIDs) > 0 {
		t.Errorf("one more policy makes it %#v", again.Rules.MFA.WebAuthn.AllowedAAGUIDs)
	}
	text, err := encoding.Marshal(e.Rules.MFA.WebAuthn)
	if want := `{"attestation":"None","allowedAAGUIDs":[]}`; err != nil || string(text) != want {
		t.Errorf("as JSON it is %s, %v, want %s", text, err, want)
	}
	if e := policy.Merge([]policy.Contribution{from("r", webAuthn(v1alpha1.WebAuthnSettings{Attestation: v1alpha1.AttestationNone}))}); e.Rules.MFA.WebAuthn.AllowedAAGUIDs != nil {
		t.Errorf("nobody lists makes, and these are allowed: %#v", e.Rules.MFA.WebAuthn.AllowedAAGUIDs)
	}
}

// TestEveryDenialCounts, also beyond what one policy may list.
func TestEveryDenialCounts(t *testing.T) {
	var policies []policy.Contribution
	for i := range 3 {
		var one []v1alpha1.AAGUID
		for j := range 64 {
			one = append(one, v1alpha1.AAGUID(fmt.Sprintf("%d-%02d", i, j)))
		}
		policies = append(policies, from(fmt.Sprint(i), webAuthn(v1alpha1.WebAuthnSettings{DeniedAAGUIDs: one})))
	}
	if got := policy.Merge(policies).Rules.MFA.WebAuthn.DeniedAAGUIDs; len(got) != 3*64 || !slices.IsSorted(got) {
		t.Errorf("%d are denied, want %d", len(got), 3*64)
	}
}

// TestMergingLeavesSpecsAlone: rules share mfa.webauthn with specs in a cache.
func TestMergingLeavesSpecsAlone(t *testing.T) {
	a := webAuthn(v1alpha1.WebAuthnSettings{UserVerification: v1alpha1.UserVerificationPreferred, DeniedAAGUIDs: makes("b", "a")})
	b := webAuthn(v1alpha1.WebAuthnSettings{UserVerification: v1alpha1.UserVerificationRequired, DeniedAAGUIDs: makes("d", "c")})
	before := []*spec{a.DeepCopy(), b.DeepCopy()}
	policy.Merge([]policy.Contribution{from("a", a), from("b", b)})
	if !reflect.DeepEqual(before, []*spec{&a, &b}) {
		t.Errorf("got %+v and %+v, want %+v", *a.MFA.WebAuthn, *b.MFA.WebAuthn, before)
	}
}

// TestLocalOnly: in Zitadel nobody wins or loses in a field that it does not have.
func TestLocalOnly(t *testing.T) {
	local := func(n int32, a v1alpha1.AAGUID) spec {
		return spec{
			MFA: &v1alpha1.MFASettings{PreferredMethod: v1alpha1.MethodTOTP, GracePeriodHours: &n, WebAuthn: &v1alpha1.WebAuthnSettings{
				UserVerification: v1alpha1.UserVerificationRequired, Attestation: v1alpha1.AttestationDirect,
				AllowedAAGUIDs: makes(a), DeniedAAGUIDs: makes(a),
			}},
			Lockout: &v1alpha1.LockoutSettings{AutoUnlockMinutes: &n},
		}
	}
	want := []string{
		"mfa.preferredMethod", "mfa.gracePeriodHours", "mfa.webauthn.userVerification", "mfa.webauthn.attestation",
		"mfa.webauthn.allowedAAGUIDs", "mfa.webauthn.deniedAAGUIDs", "lockout.autoUnlockMinutes",
	}
	strict, weak := local(1, "a"), local(2, "b")
	if got := policy.LocalOnly(&strict); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := policy.LocalOnly(&spec{MFA: &v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementOptional, WebAuthn: &v1alpha1.WebAuthnSettings{}}}); got != nil {
		t.Errorf("nothing is set that is for local users, but: %v", got)
	}
	if e := policy.Merge([]policy.Contribution{from("strict", strict), from("weak", weak)}); len(e.Fields) != len(want) {
		t.Errorf("of local users: %+v, want all of %v", e.Fields, want)
	}
	own, floor := []policy.Contribution{from("weak", weak)}, []policy.Contribution{from("strict", strict)}
	for _, applied := range []policy.Applied{{Own: own, Floor: floor}, {Floor: append(floor, own...)}} {
		settings, e := applied.Wanted(func(idp.Group) bool { return false }, nil)
		if len(settings) > 0 || len(e.Fields) > 0 || !reflect.DeepEqual(e.Rules, policy.Rules{}) || len(applied.Groups()) > 0 {
			t.Errorf("in Zitadel: %v is wanted, and %+v decided", settings, e)
		}
	}
}

// TestRaise: an organization's own settings count as one more policy.
func TestRaise(t *testing.T) {
	floor := func(s spec) []policy.Contribution { return []policy.Contribution{from("floor", s)} }
	methods := mfa(v1alpha1.MFASettings{Methods: []v1alpha1.Method{v1alpha1.MethodWebAuthn, v1alpha1.MethodTOTP}})
	required := mfa(v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementRequiredOnFirstLogin})
	always := mfa(v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementAlwaysRequired})
	force := idp.Settings{idp.ForceMFA: no, idp.ForceMFALocalOnly: no}
	for _, c := range []struct {
		floor spec
		own   idp.Settings
		want  idp.Settings
		why   string
	}{
		{required, force, idp.Settings{idp.ForceMFA: yes, idp.ForceMFALocalOnly: no}, "weaker: raised"},
		{required, idp.Settings{idp.ForceMFA: no, idp.ForceMFALocalOnly: yes}, idp.Settings{idp.ForceMFA: yes, idp.ForceMFALocalOnly: no}, "for local users only: raised to all"},
		{required, idp.Settings{idp.ForceMFA: yes, idp.ForceMFALocalOnly: yes}, idp.Settings{idp.ForceMFA: yes, idp.ForceMFALocalOnly: no}, "both flags: one login asks local users only"},
		{required, idp.Settings{idp.ForceMFA: yes, idp.ForceMFALocalOnly: no}, idp.Settings{}, "as strict: nothing to hold"},
		{always, idp.Settings{idp.ForceMFA: yes, idp.ForceMFALocalOnly: no, idp.SecondFactorCheckLifetime: idp.Duration(5 * time.Minute), idp.MultiFactorCheckLifetime: lasting},
			idp.Settings{idp.ForceMFA: yes, idp.ForceMFALocalOnly: no, idp.SecondFactorCheckLifetime: idp.Duration(5 * time.Minute), idp.MultiFactorCheckLifetime: idp.Duration(15 * time.Minute)},
			"a check that is fresher stays, one that is not becomes so"},
		{methods, force.Overlay(factors(idp.SecondFactorTOTP, idp.SecondFactorOTPSMS)),
			idp.Settings{idp.SecondFactorOTPSMS: no, idp.SecondFactorTOTP: yes, idp.SecondFactorOTPEmail: no, idp.SecondFactorRecoveryCodes: no, idp.SecondFactorU2F: no, idp.MultiFactorU2FVerified: no},
			"a factor the floor does not allow goes; one that was left out is not added"},
		{methods, force.Overlay(factors(idp.SecondFactorU2F, idp.SecondFactorOTPSMS)),
			idp.Settings{idp.SecondFactorOTPSMS: no, idp.SecondFactorTOTP: no, idp.SecondFactorOTPEmail: no, idp.SecondFactorRecoveryCodes: no, idp.SecondFactorU2F: yes},
			"half of WebAuthn is not made whole"},
		{methods, force.Overlay(factors(idp.SecondFactorTOTP)), idp.Settings{}, "fewer methods: stricter"},
		{session(v1alpha1.SessionSettings{SecondFactorMinutes: hour}), idp.Settings{idp.SecondFactorCheckLifetime: idp.Duration(90 * time.Second)}, idp.Settings{}, "shorter: stays to the second"},
		{session(v1alpha1.SessionSettings{SecondFactorMinutes: hour}), idp.Settings{idp.SecondFactorCheckLifetime: idp.Duration(0)}, idp.Settings{idp.SecondFactorCheckLifetime: lasting}, "0 is not strict"},
		{session(v1alpha1.SessionSettings{SecondFactorMinutes: hour}), idp.Settings{idp.SecondFactorCheckLifetime: idp.Duration(2 * time.Hour)}, idp.Settings{idp.SecondFactorCheckLifetime: lasting}, "longer: cut"},
		{lockout(v1alpha1.LockoutSettings{MaxOTPAttempts: ptr.To[int32](5)}), idp.Settings{idp.MaxOTPAttempts: idp.Number(0)}, idp.Settings{idp.MaxOTPAttempts: idp.Number(5)}, "0 never locks"},
		{password(v1alpha1.PasswordSettings{ExpireAfterDays: ptr.To[int32](90)}), idp.Settings{idp.PasswordMaxAgeDays: idp.Number(0)}, idp.Settings{idp.PasswordMaxAgeDays: idp.Number(90)}, "0 never expires"},
		{login(v1alpha1.LoginSettings{DefaultRedirectURI: ptr.To("https://floor")}), idp.Settings{idp.DefaultRedirectURI: idp.Text("https://own")}, idp.Settings{}, "where nothing is stricter, the organization decides"},
		{lockout(v1alpha1.LockoutSettings{MaxOTPAttempts: ptr.To[int32](5)}), nil, idp.Settings{idp.MaxOTPAttempts: idp.Number(5)}, "an organization that says nothing"},
	} {
		got, _ := policy.Raise(floor(c.floor), c.own)
		if !maps.Equal(got, c.want) {
			t.Errorf("%s:\n got %v\nwant %v", c.why, got, c.want)
		}
		if again, _ := policy.Raise(floor(c.floor), c.own.Overlay(got)); len(policy.Plan(c.own.Overlay(got), again)) > 0 {
			t.Errorf("%s: once raised it is raised again: %v", c.why, again)
		}
	}
}

// TestWanted: what follows the instance is left to it, unless a policy of the
// organization's own speaks of it.
func TestWanted(t *testing.T) {
	floor := []policy.Contribution{from("floor", spec{
		MFA:     &v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementRequiredOnFirstLogin},
		Lockout: &v1alpha1.LockoutSettings{MaxOTPAttempts: ptr.To[int32](5)},
	})}
	own := []policy.Contribution{from("own", mfa(v1alpha1.MFASettings{PasskeyLogin: v1alpha1.Forbidden}))}
	all := func(idp.Group) bool { return true }
	none := func(idp.Group) bool { return false }
	weak := idp.Settings{idp.ForceMFA: no, idp.ForceMFALocalOnly: no, idp.MaxOTPAttempts: idp.Number(0), idp.AllowPasskeys: yes}
	mfaOnly := idp.Settings{idp.ForceMFA: yes, idp.ForceMFALocalOnly: no, idp.AllowPasskeys: no}
	for _, c := range []struct {
		applied  policy.Applied
		inherits func(idp.Group) bool
		want     idp.Settings
		why      string
	}{
		{policy.Applied{Floor: floor}, all, idp.Settings{}, "everything comes from the instance, the floor with it"},
		{policy.Applied{Floor: floor}, none, idp.Settings{idp.ForceMFA: yes, idp.ForceMFALocalOnly: no, idp.MaxOTPAttempts: idp.Number(5)}, "settings of its own are raised"},
		{policy.Applied{Own: own, Floor: floor}, all, mfaOnly, "a policy of its own takes the group out of the inheritance, and the floor along"},
		{policy.Applied{Own: own, Floor: floor}, none, mfaOnly.Overlay(idp.Settings{idp.MaxOTPAttempts: idp.Number(5)}), "and holds in the other groups it has of its own"},
		{policy.Applied{Own: floor[:1], Floor: floor}, all, idp.Settings{}, "a policy of its own that wants what the floor gives needs no settings of its own"},
		{policy.Applied{Own: own}, none, idp.Settings{idp.AllowPasskeys: no}, "no floor, nothing more"},
		{policy.Applied{}, none, idp.Settings{}, "no policy, nothing wanted"},
	} {
		if got, _ := c.applied.Wanted(c.inherits, weak); !maps.Equal(got, c.want) {
			t.Errorf("%s:\n got %v\nwant %v", c.why, got, c.want)
		}
	}
}

func TestAskers(t *testing.T) {
	e := policy.Merge([]policy.Contribution{
		from("a", mfa(v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementAlwaysRequired})),
		from("b", mfa(v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementOptional})),
		from("c", session(v1alpha1.SessionSettings{SecondFactorMinutes: ptr.To[int32](5)})),
	})
	want := map[idp.Setting][]types.NamespacedName{
		idp.ForceMFA: names("a"), idp.ForceMFALocalOnly: names("a"),
		idp.SecondFactorCheckLifetime: names("a", "c"), idp.MultiFactorCheckLifetime: names("a"),
	}
	if got := e.Askers(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}
