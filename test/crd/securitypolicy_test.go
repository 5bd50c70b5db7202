package crd

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

type (
	object = map[string]any
	list   = []any
)

// Words that are tried on every enum: another case, the empty word, what YAML
// makes of an unquoted No, no text at all.
func not(words ...any) []any { return append(words, "", "allowed", "Off", false, 1) }

// letters is a text of that many letters.
func letters(n int) string { return strings.Repeat("a", n) }

// minutes is a lifetime: at least one, because Zitadel takes 0 and negative
// ones, and locks users out or lets them in for good.
func minutes(path string) field { return number(path, 1, 525600) }

// number is a bounded whole number.
func number(path string, least, most int) field {
	return field{
		path:   path,
		accept: list{least, most},
		refuse: list{least - 1, most + 1, -1, -60, 1.5, "5", "1h", true, 1 << 40},
	}
}

func permission(path string) field {
	return field{path: path, accept: list{"Allowed", "Forbidden"}, refuse: not("Required", true)}
}

func requirement(path string) field {
	return field{path: path, accept: list{"Required", "NotRequired"}, refuse: not("Allowed", true)}
}

// group is an object of optional properties that must not be empty.
func group(path string, full object) field {
	return field{path: path, accept: list{full}, refuse: list{object{}, list{}, "all"}}
}

// aaguids is a set of makes of authenticators. What has the wrong form would never
// match, and so deny nothing.
func aaguids(path string) field {
	some := func(n int) list {
		makes := make(list, n)
		for i := range makes {
			makes[i] = fmt.Sprintf("cb69481e-8ff7-4039-93ec-0a27291540%02x", i)
		}
		return makes
	}
	row := field{
		path:   path,
		accept: list{some(1), some(64)},
		refuse: list{list{}, some(65), append(some(1), some(1)...), "cb69481e-8ff7-4039-93ec-0a2729154000", "all", object{}},
	}
	for _, wrong := range []any{"", 1, "YubiKey", "CB69481E-8FF7-4039-93EC-0A2729154000", "cb69481e8ff7403993ec0a2729154000",
		"{cb69481e-8ff7-4039-93ec-0a2729154000}", "cb69481e-8ff7-4039-93ec-0a272915400", "cb69481e-8ff7-4039-93ec-0a27291540000",
		" cb69481e-8ff7-4039-93ec-0a272915400", "gb69481e-8ff7-4039-93ec-0a2729154000", "00000000-0000-0000-0000-000000000000"} {
		row.refuse = append(row.refuse, list{wrong})
	}
	return row
}

// organizationSelector is what selects one organization.
func organizationSelector(path, with string) []field {
	text := func(name string, most int) field {
		return field{
			path: path + "." + name, with: with,
			accept: list{"a", letters(most), strings.Repeat("ü", most), " spaced "},
			refuse: list{"", letters(most + 1), 7},
		}
	}
	return []field{text("id", 200), text("name", 200), text("primaryDomain", 253)}
}

// both are the ways to select an organization twice, or not at all.
var both = list{
	object{},
	object{"id": "1", "name": "acme"},
	object{"id": "1", "primaryDomain": "acme.example.com"},
	object{"name": "acme", "primaryDomain": "acme.example.com"},
	object{"id": "1", "name": "acme", "primaryDomain": "acme.example.com"},
}

// one are the ways to select an organization.
var one = list{object{"id": "1"}, object{"name": "acme"}, object{"primaryDomain": "acme.example.com"}}

const atOrganization = `{targets: {zitadel: [{connection: default, scope: Organization}]}}`

var securityPolicy = contract{
	kind:     "SecurityPolicy",
	least:    `{targets: {zitadel: [{connection: default, scope: Instance}]}}`,
	defaults: `{enabled: true, mode: Enforce, deletionPolicy: Retain}`,
	fields: append([]field{
		{path: "displayName", accept: list{"M", "MFA für alle", letters(200)}, refuse: list{"", letters(201), 1}},
		{path: "description", accept: list{"d", letters(1000)}, refuse: list{"", letters(1001), object{}}},
		{path: "enabled", accept: list{true, false}, refuse: list{"false", 0, "Disabled"}},
		{path: "priority", accept: list{-1000, 0, 1000}, refuse: list{-1001, 1001, "high", 0.5}},
		{path: "mode", accept: list{"Audit", "Warn", "Enforce"}, refuse: not("DryRun", "enforce")},
		{path: "deletionPolicy", accept: list{"Retain", "Restore", "Reset"}, refuse: not("Delete", "Orphan")},

		{path: "targets", required: true, accept: list{object{"zitadel": instances(1)}}, refuse: list{object{}, "all"}},
		{path: "targets.localUsers", with: `{targets: {zitadel: [{connection: default, scope: Instance}]}}`,
			accept: list{object{"selector": object{}}}, refuse: list{object{}, "all", list{}}},
		{path: "targets.localUsers.selector", required: true, accept: list{object{}, object{"matchLabels": object{"app": "billing"}}},
			refuse: list{"all", list{}, object{"matchLabels": "app"}}},
		{path: "targets.localUsers.namespaces", with: `{targets: {localUsers: {selector: {}}}}`, accept: list{"Same", "All"}, refuse: not("Other", "same")},
		{path: "targets.zitadel", accept: list{instances(1), instances(256)}, refuse: list{list{}, instances(257), object{}, "all"}},
		{path: "targets.zitadel[0].connection", required: true, accept: list{"c", letters(63)}, refuse: list{"", letters(64), 1}},
		{path: "targets.zitadel[0].scope", required: true, accept: list{"Instance"}, refuse: not("Project", "instance")},
		{path: "targets.zitadel[0].scope", required: true, with: `{targets: {zitadel: [{connection: default, organization: {id: "1"}}]}}`,
			accept: list{"Organization"}, refuse: not("Project", "organization")},
		{path: "targets.zitadel[0].organization", with: atOrganization, accept: one, refuse: both},

		{path: "mfa", accept: list{object{"methods": list{}}}, refuse: list{object{}, "on", true, list{}}},
		{path: "mfa.enforcement", accept: list{"Optional", "RequiredOnFirstLogin", "AlwaysRequired"}, refuse: not("Always", "Required", "optional", list{"AlwaysRequired"})},
		{path: "mfa.appliesTo", with: `{mfa: {enforcement: AlwaysRequired}}`,
			accept: list{"AllUsers", "LocalUsersOnly"}, refuse: not("SSOUsersOnly", list{"AllUsers", "LocalUsersOnly"})},
		{path: "mfa.methods", accept: append(each("WebAuthn", "TOTP", "RecoveryCodes", "Email", "SMS"),
			list{}, list{"WebAuthn", "TOTP", "RecoveryCodes", "Email", "SMS"}),
			refuse: list{list{"TOTP", "TOTP"}, list{"WebAuthn", "TOTP", "RecoveryCodes", "Email", "SMS", "SMS"}, list{"Push"}, list{"totp"}, list{""}, "TOTP"}},
		{path: "mfa.preferredMethod", accept: list{"WebAuthn", "TOTP", "RecoveryCodes", "Email", "SMS"}, refuse: not("Push", "totp", list{"TOTP"})},
		{path: "mfa.preferredMethod", with: `{mfa: {methods: [TOTP, SMS]}}`, accept: list{"TOTP", "SMS"}, refuse: list{"WebAuthn", "Email"}},
		permission("mfa.passkeyLogin"),
		{path: "mfa.setupPrompt", accept: list{object{"everyHours": 24}, object{"frequency": "Every", "everyHours": 24}, object{"frequency": "Never"}},
			refuse: list{object{}, object{"frequency": "Every"}, object{"frequency": "Never", "everyHours": 24}, "Never"}},
		{path: "mfa.setupPrompt.frequency", with: `{mfa: {setupPrompt: {everyHours: 24}}}`, accept: list{"Every"}, refuse: not("Always")},
		{path: "mfa.setupPrompt.frequency", accept: list{"Never"}, refuse: not("never")},
		number("mfa.setupPrompt.everyHours", 1, 8760),
		number("mfa.gracePeriodHours", 0, 8760),

		group("mfa.webauthn", object{"userVerification": "Required"}),
		{path: "mfa.webauthn.userVerification", accept: list{"Required", "Preferred", "Discouraged"}, refuse: not("required", "None", true)},
		{path: "mfa.webauthn.attestation", accept: list{"None", "Direct"}, refuse: not("direct", "Indirect", "Enterprise", true)},
		aaguids("mfa.webauthn.allowedAAGUIDs"),
		aaguids("mfa.webauthn.deniedAAGUIDs"),

		group("session", object{"passwordMinutes": 60}),
		minutes("session.secondFactorMinutes"),
		minutes("session.multiFactorMinutes"),
		minutes("session.passwordMinutes"),
		minutes("session.externalLoginMinutes"),

		group("login", object{"registration": "Forbidden"}),
		permission("login.passwordLogin"),
		permission("login.registration"),
		permission("login.externalIdPs"),
		permission("login.domainDiscovery"),
		permission("login.passwordResetLink"),
		permission("login.unknownUsernames"),
		permission("login.loginWithEmail"),
		permission("login.loginWithPhone"),
		{path: "login.defaultRedirectURI",
			accept: list{"", "https://apps.example.com/", "http://localhost:8080", "HTTPS://EXAMPLE.COM", "com.example.app:/callback", "https://a/" + letters(2038)},
			refuse: list{"apps.example.com", "/relative", "//example.com", "https://", "https:///path", "http:example.com", ":", "1a:b", "https://a/" + letters(2039), 1}},

		group("password", object{"minLength": 12}),
		number("password.minLength", 1, 72),
		requirement("password.requireUppercase"),
		requirement("password.requireLowercase"),
		requirement("password.requireNumber"),
		requirement("password.requireSymbol"),
		number("password.expireAfterDays", 0, 3650),
		number("password.warnBeforeDays", 0, 3650),

		group("lockout", object{"maxOTPAttempts": 5}),
		number("lockout.maxPasswordAttempts", 1, 100),
		number("lockout.maxOTPAttempts", 1, 100),
		minutes("lockout.autoUnlockMinutes"),
	}, organizationSelector("targets.zitadel[0].organization", atOrganization)...),

	others: []refusal{
		{spec: `{targets: {zitadel: [{connection: default, scope: Organization}]}}`,
			at: "spec.targets.zitadel[0].organization", says: "organization must be set for scope Organization",
			why: "an organization that is not named could be any"},
		{spec: `{targets: {zitadel: [{connection: default, scope: Instance, organization: {name: acme}}]}}`,
			at: "spec.targets.zitadel[0].organization", says: "and only for it",
			why: "whoever names an organization does not mean the instance"},
		{spec: `{targets: {zitadel: [{connection: a, scope: Instance}, {connection: b, scope: Organization, organization: {id: "1", name: acme}}]}}`,
			at: "spec.targets.zitadel[1].organization", says: "exactly one of id, name and primaryDomain must be set",
			why: "the entry at fault is the one named"},
		{spec: `{mfa: {appliesTo: LocalUsersOnly}}`,
			at: "spec.mfa.appliesTo", says: "appliesTo needs enforcement",
			why: "an audience of nothing"},
		{spec: `{mfa: {enforcement: AlwaysRequired, methods: [], passkeyLogin: Forbidden}}`,
			at: "spec.mfa.methods", says: "at least one method, or passkeyLogin Allowed",
			why: "nobody could sign in: always required"},
		{spec: `{mfa: {enforcement: RequiredOnFirstLogin, methods: [], passkeyLogin: Forbidden}}`,
			at: "spec.mfa.methods", says: "at least one method, or passkeyLogin Allowed",
			why: "nobody could sign in: required on first login"},
		{spec: `{mfa: {setupPrompt: {frequency: Never, everyHours: 1}}}`,
			at: "spec.mfa.setupPrompt.everyHours", says: "everyHours must be set for frequency Every, and only for it",
			why: "never, and every hour"},
		{spec: `{mfa: {methods: [TOTP], preferredMethod: WebAuthn}}`,
			at: "spec.mfa.preferredMethod", says: "preferredMethod must be one of methods",
			why: "a method that is taken off would be offered first"},
		{spec: `{mfa: {methods: [], preferredMethod: TOTP}}`,
			at: "spec.mfa.preferredMethod", says: "preferredMethod must be one of methods",
			why: "none is allowed, and one is preferred"},
		{spec: `{mfa: {webauthn: {deniedAAGUIDs: [00000000-0000-0000-0000-000000000000]}}}`,
			at: "spec.mfa.webauthn.deniedAAGUIDs[0]", says: "zeros name no make; attestation Direct refuses authenticators that do not tell theirs",
			why: "whoever denies those that do not tell is told how"},
	},
}

// TestNoMethodIsAllowedWhereItLocksNobodyOut: the rule on methods refuses
// nothing else.
func TestNoMethodIsAllowedWhereItLocksNobodyOut(t *testing.T) {
	for spec, why := range map[string]string{
		`{mfa: {methods: []}}`: "nothing is said of enforcement",
		`{mfa: {enforcement: Optional, methods: [], passkeyLogin: Forbidden}}`:        "nobody is forced",
		`{mfa: {enforcement: AlwaysRequired, methods: [], passkeyLogin: Allowed}}`:    "passkeys are left",
		`{mfa: {enforcement: AlwaysRequired, methods: []}}`:                           "passkeys may be left, Zitadel knows",
		`{mfa: {enforcement: AlwaysRequired, passkeyLogin: Forbidden}}`:               "methods may be left, Zitadel knows",
		`{mfa: {enforcement: AlwaysRequired, methods: [SMS], passkeyLogin: Allowed}}`: "both are left",
	} {
		if _, err := create(securityPolicy.object(t, laidOver(parse(t, securityPolicy.least), parse(t, spec)))); err != nil {
			t.Errorf("%s (%s) is refused: %v", spec, why, err)
		}
	}
}

// TestBothForceFlagsCannotBeSaid: Zitadel's two logins disagree on what both
// flags together mean, so there are no words for it.
func TestBothForceFlagsCannotBeSaid(t *testing.T) {
	asked := securityPolicy.object(t, laidOver(parse(t, securityPolicy.least),
		parse(t, `{mfa: {enforcement: AlwaysRequired, appliesTo: LocalUsersOnly, forceMfa: true, forceMfaLocalOnly: true}}`)))
	_, err := create(asked)
	for _, name := range []string{"forceMfa", "forceMfaLocalOnly"} {
		if want := fmt.Sprintf("unknown field %q", "spec.mfa."+name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if err := api.Create(context.Background(), asked, client.FieldValidation(metav1.FieldValidationIgnore)); err != nil {
		t.Fatal(err)
	}
	got := at(plain(t, asked.Object), "spec.mfa")
	if !keeps(plain(t, object{"enforcement": "AlwaysRequired", "appliesTo": "LocalUsersOnly"}), got) {
		t.Errorf("whoever asks for no strict validation gets %v, want the flags gone", got)
	}
}

func instances(n int) list {
	targets := make(list, n)
	for i := range targets {
		targets[i] = object{"connection": fmt.Sprint("c", i), "scope": "Instance"}
	}
	return targets
}

// each makes a list of one of each word.
func each(words ...string) list {
	var lists list
	for _, word := range words {
		lists = append(lists, list{word})
	}
	return lists
}
