package install

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/test/harness"
)

func (c *cluster) applyingAgainChangesNothing() {
	c.t.Helper()
	version := func() string {
		budget := &policyv1.PodDisruptionBudget{}
		c.get(budget, namespace+"/"+hook)
		return budget.ResourceVersion
	}
	before := version()
	for line := range strings.Lines(c.kubectl("apply", "-k", "config/default")) {
		// kubectl sends the selector of a budget anew every time.
		if !strings.HasSuffix(strings.TrimSpace(line), "unchanged") && !strings.HasPrefix(line, "poddisruptionbudget.policy/") {
			c.t.Errorf("not unchanged: %s", line)
		}
	}
	c.Expect(version()).To(gomega.Equal(before))
}

func TestConfigWithKubectl(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.kubectl("apply", "-k", "config/default")
	c.kindsEstablished()

	t.Run("a second apply changes nothing", func(t *testing.T) {
		c.forTest(t).applyingAgainChangesNothing()
	})
	t.Run("kinds", func(t *testing.T) {
		c := c.forTest(t)
		for name, want := range map[string]struct {
			scope apiextensionsv1.ResourceScope
			short string
		}{
			"securitypolicies.security.neosc.io":   {apiextensionsv1.NamespaceScoped, "secpol"},
			"mfausers.security.neosc.io":           {apiextensionsv1.NamespaceScoped, "mfau"},
			"mfaexemptions.security.neosc.io":      {apiextensionsv1.NamespaceScoped, "mfaexempt"},
			"mfaresets.security.neosc.io":          {apiextensionsv1.NamespaceScoped, "mfareset"},
			"zitadelconnections.security.neosc.io": {apiextensionsv1.ClusterScoped, "zconn"},
		} {
			crd := &apiextensionsv1.CustomResourceDefinition{}
			c.get(crd, name)
			c.Expect(crd.Spec.Scope).To(gomega.Equal(want.scope), name)
			c.Expect(crd.Status.AcceptedNames.ShortNames).To(gomega.Equal([]string{want.short}))
			c.Expect(crd.Status.AcceptedNames.Categories).To(gomega.Equal([]string{"neosc"}))
		}
	})
	t.Run("namespace", func(t *testing.T) {
		c := c.forTest(t)
		ns := &corev1.Namespace{}
		c.get(ns, namespace)
		c.Expect(ns.Labels).To(gomega.HaveKeyWithValue("pod-security.kubernetes.io/enforce", "restricted"))
	})
	t.Run("deployment", func(t *testing.T) {
		c := c.forTest(t)
		d := &appsv1.Deployment{}
		c.get(d, namespace+"/"+manager)
		managerPod(t, d.Spec.Template.Spec)
		c.admittedAsRestricted(d)
	})
	t.Run("deployment of the webhook", func(t *testing.T) {
		c := c.forTest(t)
		d := &appsv1.Deployment{}
		c.get(d, namespace+"/"+hook)
		webhookPod(t, d.Spec.Template.Spec)
		c.admittedAsRestricted(d)
	})
	t.Run("service account and bindings", func(t *testing.T) { c.forTest(t).bindingsResolve(5) })
	t.Run("an apply later on takes nothing away from the webhook", func(t *testing.T) {
		running := c.startWebhook()
		c := c.forTest(t)
		c.applyingAgainChangesNothing()
		secret := &corev1.Secret{}
		c.get(secret, namespace+"/"+hook+"-tls")
		c.Expect(secret.Data).To(gomega.HaveLen(4))
		configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
		c.get(configuration, hook)
		for _, w := range configuration.Webhooks {
			c.Expect(w.ClientConfig.CABundle).To(gomega.Equal(secret.Data["ca.crt"]))
		}
		c.Expect(harness.Redirect(t.Context(), c.client, running.URL)).To(gomega.Succeed())
	})
	t.Run("samples", func(t *testing.T) { c.forTest(t).samples() })
	t.Run("the validation is strict", func(t *testing.T) {
		c := c.forTest(t)
		manifest := strings.Replace(read(t, "config/samples/zitadelconnection.yaml"), "domain:", "domian:", 1)
		_, stderr, err := c.try(manifest, kubectl(t), "apply", "--server-side", "--validate=strict", "-f", "-")
		c.Expect(err).To(gomega.HaveOccurred())
		c.Expect(stderr).To(gomega.ContainSubstring("spec.domian"))
	})
}

// samples applies every sample, and checks those whose content others rely on.
func (c *cluster) samples() {
	c.t.Helper()
	files, err := filepath.Glob(root(c.t, "config", "samples", "*.yaml"))
	c.Expect(err).NotTo(gomega.HaveOccurred())
	applied := 0
	for _, file := range files {
		if filepath.Base(file) != "kustomization.yaml" {
			// The webhook has something to say about them.
			_, stderr, err := c.try("", kubectl(c.t), "apply", "--server-side", "--validate=strict", "-f", file)
			c.Expect(err).NotTo(gomega.HaveOccurred(), "%s: %s", file, stderr)
			applied += len(objects(c.t, read(c.t, "config/samples/"+filepath.Base(file))))
		}
	}
	listed := objects(c.t, output(c.t, tool(c.t, "kustomize"), "build", "config/samples"))
	c.Expect(listed).To(gomega.HaveLen(applied), "config/samples/kustomization.yaml lists every sample")
	for _, obj := range listed {
		c.Expect(c.client.Get(c.t.Context(), client.ObjectKeyFromObject(obj), obj)).To(gomega.Succeed())
	}

	policy := &v1alpha1.SecurityPolicy{}
	c.get(policy, namespace+"/pol-mfa-required")
	c.Expect(policy.Spec.DisplayName).To(gomega.Equal("MFA Required"))
	c.Expect(policy.Spec.Mode).To(gomega.Equal(v1alpha1.ModeEnforce))
	c.Expect(policy.Spec.MFA.Enforcement).To(gomega.Equal(v1alpha1.EnforcementAlwaysRequired))
	c.Expect(policy.Spec.DeletionPolicy).To(gomega.Equal(v1alpha1.DeletionRetain))

	// Applied together, the samples must not stand in each other's way.
	connections, targets := map[string]bool{}, map[string]string{}
	for _, conn := range only[v1alpha1.ZitadelConnection](c.t, listed, "ZitadelConnection") {
		connections[conn.Name] = true
	}
	for _, p := range only[v1alpha1.SecurityPolicy](c.t, listed, "SecurityPolicy") {
		for _, target := range p.Spec.Targets.Zitadel {
			c.Expect(connections).To(gomega.HaveKey(target.Connection), "connection of %s", p.Name)
			id := target.Connection
			if target.Organization != nil {
				id += "/" + target.Organization.Name
			}
			c.Expect(targets).NotTo(gomega.HaveKey(id), "%s targets what another sample does", p.Name)
			targets[id] = p.Name
		}
	}
}

// bindingsResolve checks that every binding of ours leads from a service account
// that exists to a role that exists.
func (c *cluster) bindingsResolve(want int) {
	c.t.Helper()
	ours := client.MatchingLabels{"app.kubernetes.io/name": "mfa-operator"}
	var all rbacv1.ClusterRoleBindingList
	c.Expect(c.client.List(c.t.Context(), &all, ours)).To(gomega.Succeed())
	var own rbacv1.RoleBindingList
	c.Expect(c.client.List(c.t.Context(), &own, ours)).To(gomega.Succeed())
	c.Expect(len(all.Items)+len(own.Items)).To(gomega.Equal(want), "bindings")

	resolve := func(in string, ref rbacv1.RoleRef, subjects []rbacv1.Subject) {
		c.t.Helper()
		if ref.Kind == "ClusterRole" {
			c.get(&rbacv1.ClusterRole{}, ref.Name)
		} else {
			c.get(&rbacv1.Role{}, in+"/"+ref.Name)
		}
		c.Expect(subjects).To(gomega.HaveLen(1), ref.Name)
		c.get(&corev1.ServiceAccount{}, subjects[0].Namespace+"/"+subjects[0].Name)

		// The Pod runs as that account.
		d := &appsv1.Deployment{}
		c.get(d, subjects[0].Namespace+"/"+subjects[0].Name)
		c.Expect(d.Spec.Template.Spec.ServiceAccountName).To(gomega.Equal(subjects[0].Name))
	}
	for _, b := range all.Items {
		resolve("", b.RoleRef, b.Subjects)
	}
	for _, b := range own.Items {
		c.Expect(b.Namespace).To(gomega.Equal(namespace), "rights over Secrets and ConfigMaps end at the operator's namespace")
		resolve(b.Namespace, b.RoleRef, b.Subjects)
	}
}

// mentions finds a text in the values of an object.
func mentions(value any, text string) bool {
	switch v := value.(type) {
	case map[string]any:
		for _, each := range v {
			if mentions(each, text) {
				return true
			}
		}
	case []any:
		for _, each := range v {
			if mentions(each, text) {
				return true
			}
		}
	case string:
		return strings.Contains(v, text)
	}
	return false
}

// The overlay that config/default names for another namespace leaves nothing behind.
func TestConfigInAnotherNamespace(t *testing.T) {
	t.Parallel()
	g := gomega.NewWithT(t)
	var said []string
	for line := range strings.Lines(read(t, "config/default/kustomization.yaml")) {
		if after, found := strings.CutPrefix(line, "#   "); found && !strings.HasPrefix(after, "kubectl") && !strings.HasPrefix(after, "resources:") {
			said = append(said, after)
		}
	}
	g.Expect(said).To(gomega.ContainElement("namespace: mfa\n"))
	list := overlay(t, strings.Join(said, ""))
	for _, obj := range list {
		g.Expect(mentions(obj.Object, namespace)).To(gomega.BeFalse(), "%s %s is tied to %s", obj.GetKind(), obj.GetName(), namespace)
	}
	writers := only[admissionregistrationv1.ValidatingAdmissionPolicy](t, list, "ValidatingAdmissionPolicy")
	i := slices.IndexFunc(writers, func(p *admissionregistrationv1.ValidatingAdmissionPolicy) bool {
		return p.Name == "mfa-operator-ledger-writers"
	})
	for _, account := range []string{manager, hook} {
		g.Expect(writers[i].Spec.Variables[0].Expression).To(gomega.ContainSubstring(`"system:serviceaccount:mfa:` + account + `"`))
	}
}

// overlay is what users make of config/default with a line of their own. Paths in
// it begin with config/.
func overlay(t *testing.T, line string) []*unstructured.Unstructured {
	t.Helper()
	return objects(t, overlayManifests(t, line))
}

func overlayManifests(t *testing.T, line string) string {
	t.Helper()
	dir := t.TempDir()
	base, err := filepath.Rel(dir, root(t, "config"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll("resources: [config/default]\n"+line+"\n", "config/", base+"/")
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return output(t, tool(t, "kustomize"), "build", dir)
}

// kustomization renders a folder of config/.
func kustomization(t *testing.T, folder string) []*unstructured.Unstructured {
	t.Helper()
	return objects(t, output(t, tool(t, "kustomize"), "build", "config/"+folder))
}

// read returns a file of the repository.
func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(root(t, filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
