package admission_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
	"github.com/neosc/mfa-operator/webhook/admission"
)

const (
	atOnce    = "spec.targets.zitadel[0]: in force for the whole instance at once; with mode: Audit, status shows first what would change"
	uncounted = "the impact on users is not known: users of default have not been counted; that needs a Ready connection whose account may read Zitadel's events"
	annotate  = ". If that is meant, say why in the annotation security.neosc.io/accept-lockout"
)

// quiet is a policy of which nothing is to be said but its impact.
const quiet = `{lockout: {maxPasswordAttempts: 5}}`

func TestSecurityPolicyTargets(t *testing.T) {
	for _, c := range []struct {
		name     string
		policy   *v1alpha1.SecurityPolicy
		world    []client.Object
		err      string
		warnings []string
		why      string
	}{
		{
			name: "an instance for those who may", policy: secpol(t, "security/p", quiet, "instance"),
			warnings: []string{uncounted, atOnce},
		},
		{
			name: "an instance for those who may not", policy: secpol(t, "acme/p", quiet, "instance"),
			err: `SecurityPolicy.security.neosc.io "p" is invalid: spec.targets.zitadel[0]: Forbidden: no rule in spec.access of ZitadelConnection default lets namespace acme target the instance`,
		},
		{
			name: "their own organization", policy: secpol(t, "acme/p", quiet, "acme"),
			warnings: []string{uncounted},
		},
		{
			name: "an organization of others that exists", policy: secpol(t, "acme/p", quiet, "globex"),
			world: []client.Object{claim(idp.Organization{ID: "2", Name: "globex"}, "security/q")},
			err:   `SecurityPolicy.security.neosc.io "p" is invalid: spec.targets.zitadel[0]: Forbidden: no rule in spec.access of ZitadelConnection default lets namespace acme target this organization`,
		},
		{
			name: "an organization that does not exist", policy: secpol(t, "acme/p", quiet, "globex"),
			err: `SecurityPolicy.security.neosc.io "p" is invalid: spec.targets.zitadel[0]: Forbidden: no rule in spec.access of ZitadelConnection default lets namespace acme target this organization`,
			why: "the answer must be the same",
		},
		{
			name: "an organization selected in another way than the rule does", policy: secpol(t, "acme/p", quiet, "id:2"),
			world:    []client.Object{claim(idp.Organization{ID: "2", Name: "globex"}, "security/q"), secpol(t, "security/q", `{lockout: {maxPasswordAttempts: 3}}`, "id:2")},
			warnings: []string{"spec.targets.zitadel[0]: whether namespace acme may target it is only known once the organization has been looked up: an access rule of ZitadelConnection default selects organizations in another way"},
			why:      "what is known of it must not show in the answer",
		},
		{
			name: "a connection that is not there yet", policy: secpol(t, "security/p", quiet, "of:later"),
			warnings: []string{`spec.targets.zitadel[0]: there is no ZitadelConnection "later" yet; nothing happens until there is one`, atOnce},
			why:      "GitOps applies in any order",
		},
		{
			name: "every mistake at once", policy: secpol(t, "stranger/p", quiet, "instance", "acme"),
			err: `SecurityPolicy.security.neosc.io "p" is invalid: [spec.targets.zitadel[0]: Forbidden: no rule in spec.access of ZitadelConnection default lets namespace stranger target the instance, ` +
				`spec.targets.zitadel[1]: Forbidden: no rule in spec.access of ZitadelConnection default lets namespace stranger target this organization]`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := &admission.SecurityPolicies{Cluster: cluster(c.world...).knowing()}
			warnings, err := v.ValidateCreate(request(t, false), c.policy)
			same(t, c.why, warnings, err, c.warnings, c.err)
		})
	}
}

func same(t *testing.T, why string, warnings []string, err error, wantWarnings []string, wantErr string) {
	t.Helper()
	if message(err) != wantErr {
		t.Errorf("error (%s)\n got %s\nwant %s", why, message(err), wantErr)
	}
	if wantErr != "" && wantWarnings == nil {
		return
	}
	if d := cmp.Diff(wantWarnings, warnings); d != "" {
		t.Errorf("warnings, want (-) and got (+) (%s):\n%s", why, d)
	}
	for _, w := range warnings {
		if len(w) > 256 {
			t.Errorf("the API server would cut off: %s", w)
		}
	}
}

func TestLockouts(t *testing.T) {
	acmeUsers := func(users policy.Histogram) client.Object {
		return counts(map[string]policy.Tenant{"1": {Users: users, Own: []idp.Group{idp.Login}}})
	}
	for _, c := range []struct {
		name   string
		policy *v1alpha1.SecurityPolicy
		world  []client.Object
		// refused is part of the error; "" for none.
		refused string
		warned  string
		why     string
	}{
		{
			name: "no method in common with another", policy: secpol(t, "security/p", `{mfa: {methods: [WebAuthn]}}`, "instance"),
			world:   []client.Object{secpol(t, "security/q", `{mfa: {methods: [TOTP]}}`, "instance")},
			refused: "spec.mfa.methods: Forbidden: at the instance of default the policies allow no method in common (this one [WebAuthn], security/q [TOTP])" + annotate,
		},
		{
			name: "no method in common with the floor", policy: secpol(t, "security/p", `{mfa: {methods: [WebAuthn]}}`, "acme"),
			world:   []client.Object{secpol(t, "security/q", `{mfa: {methods: [TOTP]}}`, "instance")},
			refused: "at organization acme of default the policies allow no method in common",
		},
		{
			name: "a floor that leaves an organization none", policy: secpol(t, "security/p", `{mfa: {methods: [TOTP]}}`, "instance"),
			world:   []client.Object{secpol(t, "acme/q", `{mfa: {methods: [WebAuthn]}}`, "acme")},
			refused: "at organization acme of default the policies allow no method in common",
			why:     "policies below are hit as well",
		},
		{
			name: "selected in two ways, known to be one", policy: secpol(t, "security/p", `{mfa: {methods: [WebAuthn]}}`, "id:1"),
			world:   []client.Object{secpol(t, "acme/q", `{mfa: {methods: [TOTP]}}`, "acme"), claim(acme, "acme/q")},
			refused: "at organization acme of default the policies allow no method in common",
		},
		{
			name: "the other one only audits", policy: secpol(t, "security/p", `{mfa: {methods: [WebAuthn]}}`, "instance"),
			world: []client.Object{secpol(t, "security/q", `{mode: Audit, mfa: {methods: [TOTP]}}`, "instance")},
		},
		{
			name: "the other one may not target it", policy: secpol(t, "security/p", `{mfa: {methods: [WebAuthn]}}`, "instance"),
			world: []client.Object{secpol(t, "stranger/q", `{mfa: {methods: [TOTP]}}`, "instance")},
			why:   "otherwise strangers could block others",
		},
		{
			name: "the other one is at another instance", policy: secpol(t, "security/p", `{mfa: {methods: [WebAuthn]}}`, "instance"),
			world: []client.Object{secpol(t, "security/q", `{mfa: {methods: [TOTP]}}`, "of:other"), connection("other")},
		},
		{
			name: "this one only audits", policy: secpol(t, "security/p", `{mode: Audit, mfa: {methods: [WebAuthn]}}`, "instance"),
			world: []client.Object{secpol(t, "security/q", `{mfa: {methods: [TOTP]}}`, "instance")},
		},
		{
			name: "this one is disabled", policy: secpol(t, "security/p", `{enabled: false, mfa: {methods: [WebAuthn]}}`, "instance"),
			world: []client.Object{secpol(t, "security/q", `{mfa: {methods: [TOTP]}}`, "instance")},
		},
		{
			name: "forced with nothing to give", policy: secpol(t, "security/p", `{mfa: {enforcement: RequiredOnFirstLogin, methods: [], passkeyLogin: Forbidden}}`, "instance"),
			refused: "spec.mfa.methods: Forbidden: at the instance of default a second factor would be forced, and neither a method nor passkeyLogin is allowed to give one" + annotate,
		},
		{
			name: "another takes the passkeys", policy: secpol(t, "security/p", `{mfa: {enforcement: RequiredOnFirstLogin, methods: []}}`, "instance"),
			world:   []client.Object{secpol(t, "security/q", `{mfa: {passkeyLogin: Forbidden}}`, "instance")},
			refused: "a second factor would be forced",
		},
		{
			name: "mode Warn forces nothing", policy: secpol(t, "security/p", `{mode: Warn, mfa: {enforcement: RequiredOnFirstLogin, methods: [], passkeyLogin: Forbidden}}`, "instance"),
		},
		{
			name: "every way forbidden", policy: secpol(t, "security/p", `{login: {passwordLogin: Forbidden, externalIdPs: Forbidden}, mfa: {passkeyLogin: Forbidden}}`, "instance"),
			refused: "spec.login: Forbidden: at the instance of default passwordLogin, externalIdPs and passkeyLogin would all be forbidden, so that nobody could sign in" + annotate,
		},
		{
			name: "the last way forbidden", policy: secpol(t, "security/p", `{login: {externalIdPs: Forbidden}}`, "acme"),
			world:   []client.Object{secpol(t, "security/q", `{login: {passwordLogin: Forbidden}, mfa: {passkeyLogin: Forbidden}}`, "instance")},
			refused: "at organization acme of default passwordLogin, externalIdPs and passkeyLogin would all be forbidden",
		},
		{
			name: "everybody has a password and nothing else", policy: secpol(t, "security/p", `{login: {passwordLogin: Forbidden}}`, "id:1"),
			world:   []client.Object{acmeUsers(policy.Histogram{policy.HasPassword: 1200})},
			refused: "spec: Forbidden: at organization 1 of default none of 1,200 users could sign in any more" + annotate,
		},
		{
			name: "one administrator has a passkey", policy: secpol(t, "security/p", `{login: {passwordLogin: Forbidden}}`, "id:1"),
			world:  []client.Object{acmeUsers(policy.Histogram{policy.HasPassword: 1200, policy.HasPasskey: 1})},
			warned: "of 1,201 users in scope 0 will be asked to set up a factor at their next sign-in and 1,200 will be blocked",
		},
		{
			name: "those left are locked", policy: secpol(t, "security/p", `{login: {passwordLogin: Forbidden}}`, "id:1"),
			world:   []client.Object{acmeUsers(policy.Histogram{policy.HasPassword: 1, policy.HasPasskey | policy.Locked: 1})},
			refused: "none of 1 user could sign in any more",
		},
		{
			name: "nobody there", policy: secpol(t, "security/p", `{login: {passwordLogin: Forbidden}}`, "id:1"),
			world: []client.Object{acmeUsers(policy.Histogram{})},
			why:   "nobody is locked out of an empty organization",
		},
		{
			name: "organizations of their own below", policy: secpol(t, "security/p", `{login: {passwordLogin: Forbidden}}`, "instance"),
			world: []client.Object{counts(map[string]policy.Tenant{
				"1": {Users: policy.Histogram{policy.HasPassword: 7}, Own: []idp.Group{idp.Login}},
				"2": {Users: policy.Histogram{policy.HasPasskey: 1}},
			})},
			refused: "at organizations of default with settings of their own none of 7 users could sign in any more",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := &admission.SecurityPolicies{Cluster: cluster(c.world...).knowing()}
			warnings, err := v.ValidateCreate(request(t, false), c.policy)
			if c.refused == "" && err != nil || !strings.Contains(message(err), c.refused) {
				t.Errorf("%s\n got %s\nwant %q", c.why, message(err), c.refused)
			}
			if c.warned != "" && !strings.Contains(strings.Join(warnings, "\n"), c.warned) {
				t.Errorf("no warning %q in %q", c.warned, warnings)
			}
			if c.refused == "" {
				return
			}

			t.Run("accepted", func(t *testing.T) {
				accepted := c.policy.DeepCopy()
				accepted.Annotations = map[string]string{v1alpha1.AnnotationAcceptLockout: "the tenant is being closed"}
				warnings, err := v.ValidateCreate(request(t, false), accepted)
				if err != nil || !strings.Contains(strings.Join(warnings, "\n"), "; accepted by annotation") {
					t.Errorf("got %v and %q", err, warnings)
				}
			})
			t.Run("accepted without a reason", func(t *testing.T) {
				accepted := c.policy.DeepCopy()
				accepted.Annotations = map[string]string{v1alpha1.AnnotationAcceptLockout: " \t"}
				_, err := v.ValidateCreate(request(t, false), accepted)
				for _, want := range []string{c.refused, `metadata.annotations[security.neosc.io/accept-lockout]: Invalid value: " \t": must say why`} {
					if !strings.Contains(message(err), want) {
						t.Errorf("%q is not in %s", want, message(err))
					}
				}
			})
			t.Run("being deleted", func(t *testing.T) {
				going := c.policy.DeepCopy()
				going.DeletionTimestamp = new(metav1.Now())
				if warnings, err := v.ValidateUpdate(request(t, false), secpol(t, "security/p", quiet, "instance"), going); err != nil || warnings != nil {
					t.Errorf("a policy that goes must go: %v, %q", err, warnings)
				}
			})
			t.Run("not made worse", func(t *testing.T) {
				later := c.policy.DeepCopy()
				later.Spec.Priority = new(int32(1))
				warnings, err := v.ValidateUpdate(request(t, false), c.policy, later)
				if err != nil || !strings.Contains(strings.Join(warnings, "\n"), ", as before") {
					t.Errorf("got %v and %q", err, warnings)
				}
			})
			t.Run("changed into it", func(t *testing.T) {
				harmless := secpol(t, "security/p", quiet)
				harmless.Spec.Targets = c.policy.Spec.Targets
				if _, err := v.ValidateUpdate(request(t, false), harmless, c.policy); !strings.Contains(message(err), c.refused) {
					t.Errorf("got %v, want %q", err, c.refused)
				}
			})
		})
	}
}

func TestWarnings(t *testing.T) {
	users := counts(map[string]policy.Tenant{
		"1": {Users: policy.Histogram{policy.HasPassword: 100, policy.HasPassword | policy.HasTOTP: 50}},
		"2": {Users: policy.Histogram{policy.HasPassword: 200, policy.HasPassword | policy.HasU2F: 838}},
		"3": {Users: policy.Histogram{policy.HasPassword | policy.HasOTPSMS: 12}, Own: []idp.Group{idp.Login}},
	})
	required := `{mfa: {enforcement: RequiredOnFirstLogin, methods: [WebAuthn, TOTP]}}`
	for _, c := range []struct {
		name     string
		old      *v1alpha1.SecurityPolicy
		policy   *v1alpha1.SecurityPolicy
		world    []client.Object
		dryRun   bool
		warnings []string
		why      string
	}{
		{
			name: "impact", policy: secpol(t, "security/p", required, "instance"), world: []client.Object{users},
			warnings: []string{"of 1,200 users in scope 312 will be asked to set up a factor at their next sign-in and 0 will be blocked", atOnce},
			why:      "organization 3 has settings of its own, and is raised to the floor",
		},
		{
			name: "impact of one organization", policy: secpol(t, "security/p", required, "id:1"), world: []client.Object{users},
			warnings: []string{"of 150 users in scope 100 will be asked to set up a factor at their next sign-in and 0 will be blocked"},
		},
		{
			name: "nobody counts twice", policy: secpol(t, "security/p", required, "instance", "id:1", "id:3"), world: []client.Object{users},
			warnings: []string{"of 1,200 users in scope 312 will be asked to set up a factor at their next sign-in and 0 will be blocked", atOnce},
		},
		{
			name: "in Audit as if enforced", policy: secpol(t, "security/p", `{mode: Audit, mfa: {enforcement: RequiredOnFirstLogin, methods: [WebAuthn, TOTP]}}`, "id:1"), world: []client.Object{users},
			warnings: []string{"in mode Enforce, of 150 users in scope 100 will be asked to set up a factor at their next sign-in and 0 will be blocked"},
		},
		{
			name: "nobody hit", policy: secpol(t, "security/p", quiet, "id:1"), world: []client.Object{users},
			warnings: []string{"of 150 users in scope nobody will be asked to set up a factor, or be blocked"},
		},
		{
			name: "not counted yet", policy: secpol(t, "security/p", quiet, "acme"), world: []client.Object{published(policy.Census{})},
			warnings: []string{"the impact on users is not known: users of default are still being counted"},
		},
		{
			name: "not looked up yet", policy: secpol(t, "security/p", quiet, "acme"), world: []client.Object{users},
			warnings: []string{"the impact on users is not known: organization acme of default has not been looked up yet"},
		},
		{
			name: "known by its claim", policy: secpol(t, "security/p", required, "acme"), world: []client.Object{users, claim(acme, "security/q")},
			warnings: []string{"of 150 users in scope 100 will be asked to set up a factor at their next sign-in and 0 will be blocked"},
		},
		{
			name: "known by the status", old: secpol(t, "security/p", quiet, "acme"), world: []client.Object{users},
			policy: func() *v1alpha1.SecurityPolicy {
				p := secpol(t, "security/p", required, "acme")
				p.Status.Targets = []v1alpha1.TargetStatus{{Connection: "default", Scope: v1alpha1.ScopeOrganization, Organization: "acme", OrganizationID: "1"}}
				return p
			}(),
			warnings: []string{"of 150 users in scope 100 will be asked to set up a factor at their next sign-in and 0 will be blocked"},
			why:      "a policy in Audit holds nothing",
		},
		{
			name: "what the controller measured counts for more",
			old: func() *v1alpha1.SecurityPolicy {
				p := secpol(t, "security/p", `{mode: Audit, mfa: {enforcement: RequiredOnFirstLogin}}`, "instance")
				p.Generation, p.Status.ObservedGeneration = 3, 3
				p.Status.Impact = &v1alpha1.Impact{UsersInScope: 9, Compliant: 5, WillBePrompted: 3, WillBeBlocked: 1}
				return p
			}(),
			policy: secpol(t, "security/p", `{mode: Enforce, mfa: {enforcement: RequiredOnFirstLogin}}`, "instance"), world: []client.Object{users},
			warnings: []string{"of 9 users in scope 3 will be asked to set up a factor at their next sign-in and 1 will be blocked"},
			why:      "it knows what stands in Zitadel; and from Audit nobody comes to Enforce at once",
		},
		{
			name: "overridden", policy: secpol(t, "security/p", `{mode: Audit, password: {minLength: 8}}`, "acme"),
			world:    []client.Object{secpol(t, "security/q", `{password: {minLength: 12}}`, "instance"), users, claim(acme)},
			warnings: []string{"in mode Enforce, of 150 users in scope nobody will be asked to set up a factor, or be blocked", "spec.password.minLength: at organization acme of default, 12 of security/q holds instead of 8"},
		},
		{
			name: "codes only", policy: secpol(t, "security/p", `{mfa: {methods: [SMS, Email]}}`, "id:2"), world: []client.Object{users},
			warnings: []string{
				"of 1,038 users in scope nobody will be asked to set up a factor, or be blocked",
				"spec.mfa.methods: codes by e-mail and SMS need a provider configured in Zitadel; without, nobody can set up a second factor",
			},
		},
		{
			name: "always", policy: secpol(t, "security/p", `{mfa: {enforcement: AlwaysRequired}}`, "id:1"), world: []client.Object{users},
			warnings: []string{
				"of 150 users in scope 100 will be asked to set up a factor at their next sign-in and 0 will be blocked",
				"spec.mfa.enforcement: Zitadel cannot ask at literally every login; a check counts for up to 15 minutes unless the application sends max_age=0 or prompt=login",
			},
		},
		{
			name: "for local users, of whom none are targets", world: []client.Object{users},
			policy: secpol(t, "security/p", `{mode: Audit, mfa: {methods: [TOTP], preferredMethod: TOTP, gracePeriodHours: 0, webauthn: {userVerification: Required, attestation: Direct,
				allowedAAGUIDs: [cb69481e-8ff7-4039-93ec-0a2729154000], deniedAAGUIDs: [cb69481e-8ff7-4039-93ec-0a2729154001]}}, lockout: {autoUnlockMinutes: 15}}`, "id:1"),
			warnings: []string{
				"in mode Enforce, of 150 users in scope nobody will be asked to set up a factor, or be blocked",
				"spec: without targets.localUsers these have no effect: mfa.preferredMethod, mfa.gracePeriodHours, mfa.webauthn.userVerification, mfa.webauthn.attestation, " +
					"mfa.webauthn.allowedAAGUIDs, mfa.webauthn.deniedAAGUIDs, lockout.autoUnlockMinutes",
			},
			why: "in any mode, and all of them fit one warning",
		},
		{
			name: "for local users, of whom some are targets", world: []client.Object{users},
			policy:   secpol(t, "security/p", `{targets: {localUsers: {selector: {}}}, mfa: {gracePeriodHours: 24}}`, "id:1"),
			warnings: []string{"of 150 users in scope nobody will be asked to set up a factor, or be blocked"},
		},
		{
			name: "stricter in what is for local users", world: []client.Object{users, secpol(t, "security/q", `{mfa: {gracePeriodHours: 1}}`, "id:1")},
			policy:   secpol(t, "security/p", `{targets: {localUsers: {selector: {}}}, mfa: {gracePeriodHours: 24}}`, "id:1"),
			warnings: []string{"of 150 users in scope nobody will be asked to set up a factor, or be blocked"},
			why:      "in Zitadel nobody loses in it",
		},
		{
			name: "a dry run shows what changes", dryRun: true, world: []client.Object{users},
			old:    secpol(t, "security/p", `{password: {minLength: 8, requireSymbol: Required}}`, "id:1"),
			policy: secpol(t, "security/p", `{password: {minLength: 10}, mfa: {enforcement: RequiredOnFirstLogin}}`, "id:1"),
			warnings: []string{
				"of 150 users in scope 100 will be asked to set up a factor at their next sign-in and 0 will be blocked",
				"organization 1 of default: login.forceMfa (not managed) -> true, login.forceMfaLocalOnly (not managed) -> false, passwordComplexity.minLength 8 -> 10, passwordComplexity.hasSymbol true -> (not managed)",
			},
		},
		{
			name: "words for people", old: secpol(t, "security/p", required, "instance"),
			policy: secpol(t, "security/p", `{displayName: MFA, description: for all, mfa: {enforcement: RequiredOnFirstLogin, methods: [WebAuthn, TOTP]}}`, "instance"),
			why:    "nothing relevant has changed",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := &admission.SecurityPolicies{Cluster: cluster(c.world...).knowing()}
			if c.old == nil {
				warnings, err := v.ValidateCreate(request(t, c.dryRun), c.policy)
				same(t, c.why, warnings, err, c.warnings, "")
				return
			}
			warnings, err := v.ValidateUpdate(request(t, c.dryRun), c.old, c.policy)
			same(t, c.why, warnings, err, c.warnings, "")
		})
	}
}

func TestDeletionIsNeverRefused(t *testing.T) {
	instance := claim(idp.Organization{}, "security/p")
	for _, c := range []struct {
		name     string
		spec     string
		world    []client.Object
		warnings []string
	}{
		{"retain", `{deletionPolicy: Retain}`, []client.Object{instance, claim(acme, "security/p", "security/q")},
			[]string{"spec.deletionPolicy is Retain: what this policy put in force at 2 targets stays in force and is not kept up any more"}},
		{"restore", `{deletionPolicy: Restore}`, []client.Object{instance},
			[]string{"spec.deletionPolicy is Restore: at 1 target what stood before this policy is put back, unless another policy asks for it"}},
		{"reset", `{deletionPolicy: Reset}`, []client.Object{claim(acme, "security/p")},
			[]string{"spec.deletionPolicy is Reset: at 1 target the policy's settings follow the instance again, or at an instance become what stood before"}},
		{"holding nothing", `{deletionPolicy: Restore}`, []client.Object{claim(acme, "security/q")}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := &admission.SecurityPolicies{Cluster: cluster(c.world...).knowing()}
			p := secpol(t, "security/p", c.spec, "instance")
			warnings, err := v.ValidateDelete(request(t, false), p)
			same(t, "", warnings, err, c.warnings, "")
			p.DeletionTimestamp = new(metav1.Now())
			if warnings, err := v.ValidateDelete(request(t, false), p); err != nil || warnings != nil {
				t.Errorf("once is enough: %v, %q", err, warnings)
			}
		})
	}
	t.Run("without a connection", func(t *testing.T) {
		w := cluster(claim(acme, "security/p"))
		w.objects = nil
		v := &admission.SecurityPolicies{Cluster: w.knowing()}
		warnings, err := v.ValidateDelete(request(t, false), secpol(t, "security/p", `{deletionPolicy: Restore}`, "acme"))
		same(t, "", warnings, err, []string{
			"spec.deletionPolicy is Restore: at 1 target what stood before this policy is put back, unless another policy asks for it",
			`the deletion waits: there is no ZitadelConnection "default" to put it back through`,
		}, "")
	})
}

// Many targets give few warnings.
func TestWarningsAreBounded(t *testing.T) {
	targets := make([]string, 256)
	for i := range targets {
		targets[i] = "of:" + strings.Repeat("x", 50) + string(rune('a'+i%26))
	}
	v := &admission.SecurityPolicies{Cluster: cluster().knowing()}
	warnings, err := v.ValidateCreate(request(t, true), secpol(t, "security/p", quiet, targets...))
	if total := len(strings.Join(warnings, "")); err != nil || total > 4096 || len(warnings) > 20 {
		t.Errorf("%d warnings of %d bytes, %v", len(warnings), total, err)
	}
	if !strings.Contains(strings.Join(warnings, "\n"), "253 more") {
		t.Errorf("it is not said how many more there are: %q", warnings)
	}
}
