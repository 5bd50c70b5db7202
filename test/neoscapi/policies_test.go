package neoscapi

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/controlplane"
	"github.com/neosc/mfa-operator/test/harness"
)

const (
	path    = "/api/policies"
	account = "system:serviceaccount:" + namespace + ":"
)

// policy makes one in force for an instance that nobody has connected yet.
func (w *world) policy(name string, change func(*v1alpha1.SecurityPolicySpec)) *v1alpha1.SecurityPolicy {
	w.t.Helper()
	p := &v1alpha1.SecurityPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.SecurityPolicySpec{
			Targets: v1alpha1.Targets{Zitadel: []v1alpha1.ZitadelTarget{{Connection: "default", Scope: v1alpha1.ScopeInstance}}},
			MFA:     &v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementAlwaysRequired, Methods: []v1alpha1.Method{v1alpha1.MethodWebAuthn, v1alpha1.MethodTOTP}},
		},
	}
	if change != nil {
		change(&p.Spec)
	}
	w.create(p)
	return p
}

// TestListReadAndToggle: what a console sees is what etcd holds, and what it does is
// recorded with its name, whichever replica it asks and whichever the API server asks.
func TestListReadAndToggle(t *testing.T) {
	w := newWorld(t)
	console := w.caller("console", "list", "get", "patch")
	required := w.policy("pol-mfa-required", func(s *v1alpha1.SecurityPolicySpec) {
		s.DisplayName, s.Description = "MFA Required", "Enforce multi-factor authentication for all users"
		s.MFA.PreferredMethod = v1alpha1.MethodWebAuthn
	})
	plain := w.policy("bare", func(s *v1alpha1.SecurityPolicySpec) { s.Mode, s.Enabled = v1alpha1.ModeAudit, ptr.To(false) })
	shown := func(p *v1alpha1.SecurityPolicy, rest string) string {
		return `{"id":"` + p.Name + `","type":"access","created_at":"` + p.CreationTimestamp.UTC().Format(time.RFC3339) + `",` + rest
	}
	one := shown(required, `"name":"MFA Required","description":"Enforce multi-factor authentication for all users",
		"rules":["Require MFA for login","WebAuthn preferred","TOTP as fallback","Applies to the whole Zitadel instance default"],"enabled":true}`)
	other := shown(plain, `"name":"bare","description":"",
		"rules":["Audit only: nothing of this is put in force","Require MFA for login","WebAuthn allowed","TOTP allowed","Applies to the whole Zitadel instance default"],"enabled":false}`)

	listed := console.ask(http.MethodGet, path, "")
	w.Expect(listed.status).To(gomega.Equal(http.StatusOK), listed.raw)
	w.Expect(listed.raw).To(gomega.MatchJSON("[" + other + "," + one + "]"))
	read := console.ask(http.MethodGet, path+"/pol-mfa-required", "")
	w.Expect(read.status).To(gomega.Equal(http.StatusOK), read.raw)
	w.Expect(read.raw).To(gomega.MatchJSON(one))

	before := w.stored("pol-mfa-required").Spec
	for _, step := range []struct {
		body, message, why string
		enabled            bool
	}{
		{`{"enabled":false}`, "Policy disabled", "as it is told", false},
		{`{"enabled":false}`, "Policy disabled", "it is so already, and nobody changes anything", false},
		{"", "Policy enabled", "without a body the other way round, as NeoSC's own console asks", true},
		{"", "Policy disabled", "and back", false},
	} {
		got := console.ask(http.MethodPatch, path+"/pol-mfa-required", step.body)
		w.Expect(got.status).To(gomega.Equal(http.StatusOK), got.raw)
		w.Expect(got.object()).To(gomega.And(
			gomega.HaveKeyWithValue("enabled", step.enabled), gomega.HaveKeyWithValue("message", step.message),
			gomega.HaveKeyWithValue("id", "pol-mfa-required")), step.why)
		want := *before.DeepCopy()
		want.Enabled = ptr.To(step.enabled)
		w.Expect(w.stored("pol-mfa-required").Spec).To(gomega.Equal(want), "%s; and nothing else", step.why)
		w.Expect(console.ask(http.MethodGet, path+"/pol-mfa-required", "").object()).To(gomega.HaveKeyWithValue("enabled", step.enabled))
	}
	w.Eventually(w.changes("pol-mfa-required")).Should(gomega.Equal([]string{
		account + "console: enabled true -> false", account + "console: enabled false -> true", account + "console: enabled true -> false",
	}), "in the caller's name, each once")
	w.Expect(w.stored("bare").Spec).To(gomega.Equal(plain.Spec))
}

// TestTogglesDoNotGetLost: of an even number of them, all at once, nothing is left.
func TestTogglesDoNotGetLost(t *testing.T) {
	w := newWorld(t)
	console := w.caller("eager", "get", "patch")
	w.policy("contested", nil)
	var all sync.WaitGroup
	var mu sync.Mutex
	done := map[bool]int{}
	for range 4 {
		all.Go(func() {
			got := console.ask(http.MethodPatch, path+"/contested", "")
			mu.Lock()
			defer mu.Unlock()
			if on, told := got.object()["enabled"].(bool); got.status == http.StatusOK && told {
				done[on]++
			} else if got.status != http.StatusConflict {
				t.Errorf("%d %s", got.status, got.raw)
			}
		})
	}
	all.Wait()
	w.Expect(done[false]-done[true]).To(gomega.BeElementOf(0, 1), "they take turns: %v", done)
	w.Expect(*w.stored("contested").Spec.Enabled).To(gomega.Equal(done[false] == done[true]))
	w.Eventually(w.changes("contested")).Should(gomega.HaveLen(done[false] + done[true]))
}

// TestWhoMayNot: whoever lacks a right changes and sees nothing, and is told which.
func TestWhoMayNot(t *testing.T) {
	w := newWorld(t)
	w.policy("guarded", nil)
	reader, stranger, nobody := w.caller("reader", "list", "get"), w.caller("stranger"), &caller{w: w}
	elsewhere, err := tokenOf(w.ctx, "reader")
	w.Expect(err).NotTo(gomega.HaveOccurred())
	lister := w.caller("lister", "list")
	for _, c := range []struct {
		why          string
		who          *caller
		method, path string
		status       int
		says         string
	}{
		{"who may read", reader, http.MethodGet, path + "/guarded", 200, `"guarded"`},
		{"who may read does not toggle", reader, http.MethodPatch, path + "/guarded", 403, account + "reader needs the right to patch securitypolicies in namespace " + namespace},
		{"who may list does not read one", lister, http.MethodGet, path + "/guarded", 403, "to get securitypolicies"},
		{"a stranger", stranger, http.MethodGet, path, 403, "to list securitypolicies"},
		{"a stranger", stranger, http.MethodPatch, path + "/guarded", 403, "to patch securitypolicies"},
		{"a stranger is not told what there is", stranger, http.MethodGet, path + "/nothing", 403, "to get securitypolicies"},
		{"nobody", nobody, http.MethodGet, path, 401, "a Kubernetes token for the audience mfa.security.neosc.io is needed"},
		{"a token for the API server is none for us", &caller{w: w, token: elsewhere}, http.MethodGet, path, 401, "for the audience"},
		{"nobody may not even ask what there is", nobody, http.MethodGet, "/api/nothing", 401, ""},
	} {
		got := c.who.ask(c.method, c.path, "")
		w.Expect(got.status).To(gomega.Equal(c.status), "%s: %s", c.why, got.raw)
		w.Expect(got.raw).To(gomega.ContainSubstring(c.says), c.why)
	}
	w.Expect(*w.stored("guarded").Spec.Enabled).To(gomega.BeTrue())
	w.Consistently(w.changes("guarded"), time.Second).Should(gomega.BeEmpty())
}

// TestOnlyEnabledCanBeChanged: what else is asked for is named.
func TestOnlyEnabledCanBeChanged(t *testing.T) {
	w := newWorld(t)
	console := w.caller("meddler", "*")
	before := w.policy("kept", nil)
	for _, c := range []struct {
		why, method, path, body string
		status                  int
		location                string
	}{
		{"another field beside it", http.MethodPatch, "/kept", `{"enabled":false,"description":"x"}`, 422, "body.description"},
		{"another field alone", http.MethodPatch, "/kept", `{"rules":[]}`, 422, "body.rules"},
		{"a field of ours", http.MethodPatch, "/kept", `{"spec":{"enabled":false}}`, 422, "body.spec"},
		{"another spelling", http.MethodPatch, "/kept", `{"Enabled":false}`, 422, "body.Enabled"},
		{"no word but true and false", http.MethodPatch, "/kept", `{"enabled":"false"}`, 422, "body.enabled"},
		{"nothing is no answer", http.MethodPatch, "/kept", `{"enabled":null}`, 422, "body.enabled"},
		{"a body that is null is not the same as none", http.MethodPatch, "/kept", `null`, 422, "body"},
		{"a list", http.MethodPatch, "/kept", `[]`, 422, "body"},
		{"an object with nothing in it", http.MethodPatch, "/kept", `{}`, 422, "body.enabled"},
		{"said twice", http.MethodPatch, "/kept", `{"enabled":true,"enabled":false}`, 400, ""},
		{"no object", http.MethodPatch, "/kept", `false`, 422, "body"},
		{"no JSON", http.MethodPatch, "/kept", `enabled`, 400, ""},
		{"more than there is to say", http.MethodPatch, "/kept", `{"enabled":false,"x":"` + strings.Repeat("x", 8<<10) + `"}`, 413, ""},
		{"a query", http.MethodPatch, "/kept?enabled=false", "", 422, "query"},
		{"a policy that is not there", http.MethodPatch, "/nothing", `{"enabled":false}`, 404, ""},
		{"what cannot be a name", http.MethodGet, "/..%2f..%2fsecrets", "", 404, ""},
		{"what NeoSC has no route for", http.MethodDelete, "/kept", "", 405, ""},
	} {
		got := console.ask(c.method, path+c.path, c.body)
		w.Expect(got.status).To(gomega.Equal(c.status), "%s: %s", c.why, got.raw)
		w.Expect(got.header.Get("Content-Type")).To(gomega.Equal("application/problem+json"), c.why)
		if c.location != "" {
			w.Expect(got.object()["errors"]).To(gomega.ContainElement(gomega.HaveKeyWithValue("location", gomega.HavePrefix(c.location))), "%s: %s", c.why, got.raw)
		}
	}
	w.Expect(w.stored("kept").Spec).To(gomega.Equal(before.Spec))
	w.Expect(w.stored("kept").Generation).To(gomega.Equal(before.Generation))
}

// TestTheGuardHasItsSay: enabling what would lock everybody out is refused, in the
// words of the guard, like any other change.
func TestTheGuardHasItsSay(t *testing.T) {
	w := newWorld(t)
	console := w.caller("hasty", "get", "patch")
	w.create(&v1alpha1.ZitadelConnection{
		ObjectMeta: metav1.ObjectMeta{Name: "default"},
		Spec: v1alpha1.ZitadelConnectionSpec{
			Domain: "zitadel.example.com", Credentials: v1alpha1.Credentials{
				Type: v1alpha1.CredentialPAT, SecretRef: v1alpha1.SecretKeyRef{Namespace: namespace, Name: "zitadel", Key: "token"},
			},
			Access: []v1alpha1.AccessRule{{NamespaceSelector: &metav1.LabelSelector{}, Scopes: []v1alpha1.TargetScope{v1alpha1.ScopeInstance}}},
		},
	})
	w.policy("fatal", func(s *v1alpha1.SecurityPolicySpec) {
		s.Enabled, s.MFA.PasskeyLogin = ptr.To(false), v1alpha1.Forbidden
		s.Login = &v1alpha1.LoginSettings{PasswordLogin: v1alpha1.Forbidden, ExternalIDPs: v1alpha1.Forbidden}
	})
	refused := console.ask(http.MethodPatch, path+"/fatal", `{"enabled":true}`)
	w.Expect(refused.status).To(gomega.Equal(http.StatusConflict), refused.raw)
	w.Expect(refused.object()).To(gomega.And(
		gomega.HaveKeyWithValue("type", "urn:neosc:mfa:not-allowed"), gomega.HaveKeyWithValue("reason", "Refused"),
		gomega.HaveKeyWithValue("detail", gomega.ContainSubstring("nobody could sign in")),
		gomega.HaveKeyWithValue("errors", gomega.ContainElement(gomega.HaveKeyWithValue("location", "spec.login")))))
	w.Expect(*w.stored("fatal").Spec.Enabled).To(gomega.BeFalse())
	w.Consistently(w.changes("fatal"), time.Second).Should(gomega.BeEmpty(), "nothing happened")
}

// TestWhatIsWarnedOfIsPassedOn: who toggles reads what kubectl would have shown.
func TestWhatIsWarnedOfIsPassedOn(t *testing.T) {
	w := newWorld(t)
	console := w.caller("heedful", "get", "patch")
	w.policy("early", func(s *v1alpha1.SecurityPolicySpec) {
		s.Enabled, s.Targets.Zitadel[0].Connection = ptr.To(false), "not-yet"
	})
	on := console.ask(http.MethodPatch, path+"/early", "")
	w.Expect(on.status).To(gomega.Equal(http.StatusOK), on.raw)
	w.Expect(on.object()).To(gomega.HaveKeyWithValue("warnings", gomega.ContainElement(
		`spec.targets.zitadel[0]: there is no ZitadelConnection "not-yet" yet; nothing happens until there is one`)))
	again := console.ask(http.MethodPatch, path+"/early", `{"enabled":true}`)
	w.Expect(again.status).To(gomega.Equal(http.StatusOK), again.raw)
	w.Expect(again.object()).NotTo(gomega.HaveKey("warnings"), "nothing was changed, and nobody asked")
}

// TestNobodyUndoesWhatTheyHaveNotSeen: who says what they have read changes that, and
// nothing else.
func TestNobodyUndoesWhatTheyHaveNotSeen(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.caller("ann", "get", "patch"), w.caller("bob", "get", "patch")
	w.policy("shared", nil)
	read := func() string {
		got := ann.ask(http.MethodGet, path+"/shared", "")
		w.Expect(got.header.Get("ETag")).To(gomega.MatchRegexp(`^"[0-9a-f-]+\.[0-9]+"$`))
		return got.header.Get("ETag")
	}
	seen := read()
	off := bob.askIf(seen, http.MethodPatch, path+"/shared", "")
	w.Expect(off.status).To(gomega.Equal(http.StatusOK), off.raw)
	w.Expect(off.header.Get("ETag")).To(gomega.And(gomega.Equal(read()), gomega.Not(gomega.Equal(seen))))

	for _, c := range []struct{ why, match, body string }{
		{"she would turn on again what he has just turned off", seen, ""},
		{"that it is so already does not make it what she saw", seen, `{"enabled":false}`},
		{"a weak tag says too little", "W/" + off.header.Get("ETag"), ""},
		{"a tag without quotes is none", strings.Trim(off.header.Get("ETag"), `"`), ""},
		{"a policy of the same name before", `"00000000-0000-0000-0000-000000000000.2"`, ""},
	} {
		got := ann.askIf(c.match, http.MethodPatch, path+"/shared", c.body)
		w.Expect(got.status).To(gomega.Equal(http.StatusPreconditionFailed), "%s: %s", c.why, got.raw)
		w.Expect(got.object()).To(gomega.And(
			gomega.HaveKeyWithValue("type", "urn:neosc:mfa:not-allowed"), gomega.HaveKeyWithValue("reason", "Changed")), c.why)
	}
	w.Expect(*w.stored("shared").Spec.Enabled).To(gomega.BeFalse())

	// What the operator reports is no change of theirs.
	now, reported := read(), w.stored("shared")
	reported.Status.ObservedGeneration = reported.Generation
	w.Expect(cluster.client.Status().Update(w.ctx, reported)).To(gomega.Succeed())
	w.Expect(read()).To(gomega.Equal(now))
	for _, match := range []func() string{read, func() string { return `"other", ` + read() }, func() string { return "*" }} {
		got := ann.askIf(match(), http.MethodPatch, path+"/shared", "")
		w.Expect(got.status).To(gomega.Equal(http.StatusOK), got.raw)
	}
	w.Expect(ann.ask(http.MethodPatch, path+"/shared", "").status).To(gomega.Equal(http.StatusOK), "whoever does not care needs none")
}

// TestTheDescriptionIsForEverybody, and is the one in the documentation.
func TestTheDescriptionIsForEverybody(t *testing.T) {
	w := newWorld(t)
	root, err := controlplane.Root()
	w.Expect(err).NotTo(gomega.HaveOccurred())
	documented, err := os.ReadFile(filepath.Join(root, "docs", "reference", "neosc-openapi.json"))
	w.Expect(err).NotTo(gomega.HaveOccurred())
	got := (&caller{w: w}).ask(http.MethodGet, "/api/openapi.json", "")
	w.Expect(got.status).To(gomega.Equal(http.StatusOK))
	w.Expect(got.raw).To(gomega.MatchJSON(documented))
}

// TestTheWebhookCanNameOthersAndBeNobodyElse: the right that it takes ends there.
func TestTheWebhookCanNameOthersAndBeNobodyElse(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		resource, group, in, name string
		may                       bool
	}{
		{"serviceaccounts", "", namespace, harness.WebhookName, true},
		{"userextras/security.neosc.io/on-behalf-of", "authentication.k8s.io", "", "ann", true},
		{"serviceaccounts", "", namespace, "mfa-operator-manager", false},
		{"serviceaccounts", "", "kube-system", harness.WebhookName, false},
		{"users", "", "", "admin", false},
		{"groups", "", "", "system:masters", false},
		{"uids", "authentication.k8s.io", "", "42", false},
		{"userextras/scopes", "authentication.k8s.io", "", "all", false},
	} {
		w.Expect(w.mayImpersonate(c.group, c.resource, c.in, c.name)).To(gomega.Equal(c.may), "%s %s", c.resource, c.name)
	}
}
