package install

import (
	"strings"
	"testing"

	"github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/test/harness"
)

// A release from its first day to its last, and back.
func TestHelm(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	helm := func(args ...string) string {
		t.Helper()
		return c.do("", tool(t, "helm"), append(args, "--namespace", namespace)...)
	}
	deployed := func() *appsv1.Deployment {
		t.Helper()
		d := &appsv1.Deployment{}
		c.get(d, namespace+"/"+manager)
		return d
	}

	notes := helm("install", release, chart, "--create-namespace")
	c.Expect(notes).To(gomega.ContainSubstring("kubectl -n " + namespace + " create secret generic zitadel-credentials"))
	// The kind came with the same release, and the policy after it.
	policy := &v1alpha1.SecurityPolicy{}
	c.get(policy, namespace+"/pol-mfa-required")
	c.Expect(policy.Spec.Mode).To(gomega.Equal(v1alpha1.ModeAudit))
	firstPolicy := policy.UID
	c.kindsEstablished()
	c.bindingsResolve(5)
	d := deployed()
	c.Expect(d.ManagedFields).To(gomega.ContainElement(gomega.HaveField("Operation", metav1.ManagedFieldsOperationApply)), "the server validated it")
	c.Expect(managerPod(t, d.Spec.Template.Spec).AllowInsecure).To(gomega.BeFalse())
	c.admittedAsRestricted(d)

	running := c.startWebhook()
	c.Expect(harness.Redirect(t.Context(), c.client, running.URL)).To(gomega.Succeed())

	// The connection that the notes tell users to write.
	_, manifest, _ := strings.Cut(notes, "<<EOF")
	manifest, _, _ = strings.Cut(manifest, "EOF")
	c.do(manifest, kubectl(t), "apply", "--server-side", "--validate=strict", "-f", "-")
	_, stderr, err := c.try("", kubectl(t), "apply", "--server-side", "--validate=strict", "-f", "config/samples/securitypolicy_acme.yaml")
	c.Expect(err).NotTo(gomega.HaveOccurred(), stderr)
	c.Expect(stderr).To(gomega.ContainSubstring("Warning: the impact on users is not known"))

	upgraded, stderr, err := c.try("", tool(t, "helm"), "upgrade", release, chart, "--namespace", namespace, "--reuse-values",
		"--set", "replicas=2,manager.allowInsecure=true,defaultPolicy.mode=Warn,webhook.enabled=false")
	c.Expect(err).NotTo(gomega.HaveOccurred(), stderr)
	c.Expect(stderr).To(gomega.ContainSubstring("the impact on users is not known"), "helm shows what the webhook says")
	c.get(policy, namespace+"/pol-mfa-required")
	c.Expect(policy.Spec.Mode).To(gomega.Equal(v1alpha1.ModeWarn))
	c.Expect(policy.UID).To(gomega.Equal(firstPolicy), "an upgrade changes the policy and never makes it anew")
	c.Expect(policy.Annotations).NotTo(gomega.HaveKey("helm.sh/hook"), "it is the release's like any other object")
	c.Expect(upgraded).To(gomega.ContainSubstring("WARNING: manager.allowInsecure is on"))
	// Nobody is asked any more, and nothing of the webhook stays.
	c.gone(&admissionregistrationv1.ValidatingWebhookConfiguration{}, hook)
	c.gone(&appsv1.Deployment{}, namespace+"/"+hook)
	c.gone(&corev1.Secret{}, namespace+"/"+hook+"-tls")
	c.gone(&policyv1.PodDisruptionBudget{}, namespace+"/"+hook)
	c.gone(&rbacv1.ClusterRole{}, hook)
	d = deployed()
	c.Expect(d.Spec.Replicas).To(gomega.HaveValue(gomega.Equal(int32(2))))
	c.Expect(managerPod(t, d.Spec.Template.Spec).AllowInsecure).To(gomega.BeTrue())
	helm("upgrade", release, chart, "--reuse-values", "--set", "defaultPolicy.mode=Enforce")
	c.get(policy, namespace+"/pol-mfa-required")
	c.Expect(policy.Spec.Mode).To(gomega.Equal(v1alpha1.ModeEnforce))

	_, stderr, err = c.try("", tool(t, "helm"), "upgrade", release, chart, "--namespace", namespace, "--reuse-values", "--set", "defaultPolicy.mode=Off")
	c.Expect(err).To(gomega.HaveOccurred())
	c.Expect(stderr).To(gomega.ContainSubstring("/defaultPolicy/mode"))

	helm("uninstall", release)
	c.gone(&appsv1.Deployment{}, namespace+"/"+manager)
	c.gone(&corev1.ServiceAccount{}, namespace+"/"+manager)
	c.gone(&rbacv1.ClusterRole{}, manager)
	c.gone(&rbacv1.ClusterRoleBinding{}, manager)
	c.gone(&rbacv1.Role{}, namespace+"/"+manager)
	stays := func() {
		t.Helper()
		for _, crd := range []string{"securitypolicies", "zitadelconnections"} {
			found := &apiextensionsv1.CustomResourceDefinition{}
			c.get(found, crd+".security.neosc.io")
			c.Expect(found.DeletionTimestamp).To(gomega.BeNil())
		}
		c.get(&v1alpha1.ZitadelConnection{}, "default")
		c.get(&v1alpha1.SecurityPolicy{}, namespace+"/acme")
		c.get(policy, namespace+"/pol-mfa-required")
		c.Expect(policy.DeletionTimestamp).To(gomega.BeNil())
	}
	stays()

	helm("install", release, chart, "--set", "defaultPolicy.mode=Warn,webhook.enabled=false")
	deployed()
	stays()
	c.Expect(policy.Spec.Mode).To(gomega.Equal(v1alpha1.ModeWarn), "what stayed is the release's again")
	c.Expect(policy.UID).To(gomega.Equal(firstPolicy))
}

// Everything that a value adds is taken by a real API server, under another name in
// another namespace, and goes with the release.
func TestHelmWithEverything(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	helm := func(args ...string) string {
		t.Helper()
		return c.do("", tool(t, "helm"), append(args, "--namespace", "elsewhere")...)
	}
	values := set(
		`networkPolicy={"enabled":true,"metricsFrom":[{"namespaceSelector":{"matchLabels":{"a":"b"}}}],"doorbellFrom":[{"ipBlock":{"cidr":"10.0.0.0/8"}}]}`,
		`manager.metrics.enabled=true`, `webhook={"metrics":{"enabled":true},"doorbell":{"enabled":true},"autoscaling":{"enabled":true}}`,
		`extraManifests=[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"{{ .Release.Name }}-more","namespace":"{{ .Release.Namespace }}"}}]`,
	)
	helm(append([]string{"install", "security", chart, "--create-namespace"}, values...)...)
	const name = "elsewhere/security-mfa-operator-webhook"
	added := map[string]client.Object{
		name: &networkingv1.NetworkPolicy{}, "elsewhere/security-mfa-operator-manager": &networkingv1.NetworkPolicy{},
		"elsewhere/security-more": &corev1.ConfigMap{},
	}
	for name, obj := range added {
		c.get(obj, name)
	}
	c.get(&autoscalingv2.HorizontalPodAutoscaler{}, name)
	c.get(&policyv1.PodDisruptionBudget{}, name)
	c.get(&v1alpha1.SecurityPolicy{}, "elsewhere/pol-mfa-required")
	d := &appsv1.Deployment{}
	c.get(d, name)
	c.admittedAsRestricted(d)

	helm("uninstall", "security")
	for name, obj := range added {
		c.gone(obj, name)
	}
	c.get(&v1alpha1.SecurityPolicy{}, "elsewhere/pol-mfa-required")
}
