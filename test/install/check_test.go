package install

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/cmd/manager/app"
	"github.com/neosc/mfa-operator/internal/rights"
	"github.com/neosc/mfa-operator/test/harness"
)

const (
	checker        = "mfa-operator-check"
	checkerAccount = "system:serviceaccount:" + namespace + ":" + checker
)

// checkHooks is what helm test makes.
func checkHooks(t *testing.T, args ...string) []*unstructured.Unstructured {
	t.Helper()
	args = append([]string{"template", release, chart, "--namespace", namespace, "--show-only", "templates/tests/installation.yaml"}, args...)
	return objects(t, output(t, tool(t, "helm"), args...))
}

// Everything that helm test makes goes with it, but for a Pod that failed; and the Pod is
// one that the restricted standard admits, of the chart's own image.
func TestCheckIsATestHook(t *testing.T) {
	t.Parallel()
	g := gomega.NewWithT(t)
	hooks := checkHooks(t)
	g.Expect(hooks).To(gomega.HaveLen(4))
	for _, obj := range hooks {
		g.Expect(obj.GetAnnotations()).To(gomega.HaveKeyWithValue("helm.sh/hook", "test"), obj.GetKind())
		g.Expect(obj.GetAnnotations()).To(gomega.HaveKeyWithValue("helm.sh/hook-delete-policy", "before-hook-creation,hook-succeeded"), obj.GetKind())
		if obj.GetKind() != "Pod" {
			g.Expect(obj.GetAnnotations()).To(gomega.HaveKeyWithValue("helm.sh/hook-weight", "-1"), "%s comes before the Pod", obj.GetKind())
		}
	}
	pod := only[corev1.Pod](t, hooks, "Pod")[0]
	g.Expect(pod.Spec.Containers[0].Image).To(gomega.Equal(deployment(t, rendered(t), manager).Spec.Template.Spec.Containers[0].Image))
	g.Expect(pod.Spec.RestartPolicy).To(gomega.Equal(corev1.RestartPolicyNever), "it fails or it does not")
	for _, process := range []string{manager, hook} {
		selector := deployment(t, rendered(t), process).Spec.Selector.MatchLabels
		g.Expect(pod.Labels["app.kubernetes.io/component"]).NotTo(gomega.Equal(selector["app.kubernetes.io/component"]), "no Service leads to it")
	}

	elsewhere := checkHooks(t, set(`image={"repository":"registry.example.com/mfa","tag":"2"}`, `imagePullSecrets=[{"name":"pull"}]`, `tolerations=[{"operator":"Exists"}]`, `webhook.enabled=false`)...)
	pod = only[corev1.Pod](t, elsewhere, "Pod")[0]
	g.Expect(pod.Spec.Containers[0].Image).To(gomega.Equal("registry.example.com/mfa:2"))
	g.Expect(pod.Spec.ImagePullSecrets).To(gomega.Equal([]corev1.LocalObjectReference{{Name: "pull"}}))
	g.Expect(pod.Spec.Tolerations).To(gomega.HaveLen(1))
	g.Expect(pod.Spec.Containers[0].Args).To(gomega.ContainElement("--guarded=false"))
	g.Expect(only[rbacv1.Role](t, elsewhere, "Role")[0].Rules).NotTo(gomega.ContainElement(gomega.HaveField("Resources", []string{"securitypolicies"})), "nobody is to be asked")
}

// What helm test runs, with the Pod's own arguments and rights, against an installation
// that works, and against one of which each part in turn does not.
func TestCheck(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	check := func(args ...string) (string, error) {
		t.Helper()
		pod := only[corev1.Pod](t, checkHooks(t), "Pod")[0]
		given := pod.Spec.Containers[0].Args
		c.Expect(pod.Spec.Containers[0].Command).To(gomega.Equal([]string{"/manager"}))
		c.Expect(given[0]).To(gomega.Equal("check"))
		given = append(given[1:len(given):len(given)], "--namespace="+namespace, "--kubeconfig="+c.writeKubeconfig(checkerAccount))
		var out bytes.Buffer
		err := app.Check(t.Context(), append(given, args...), &out)
		return out.String(), err
	}

	_, err := check("--timeout=1s")
	c.Expect(err).To(gomega.MatchError(gomega.ContainSubstring("every kind of security.neosc.io/v1alpha1: asking which kinds there are")), "nothing is installed")

	c.do("", tool(t, "helm"), "install", release, chart, "--namespace", namespace, "--create-namespace")
	c.kindsEstablished()
	hooks := checkHooks(t)
	giveRights := func() {
		t.Helper()
		for _, obj := range hooks {
			if obj.GetKind() != "Pod" {
				c.Expect(c.client.Create(t.Context(), obj.DeepCopy())).To(gomega.Succeed(), obj.GetKind())
			}
		}
	}
	giveRights()
	c.mayExactly(checkerAccount, nil, places{namespace: rights.ForCheck.Home})
	c.Expect(rights.CheckedPolicy).To(gomega.Equal(app.CheckedPolicy))
	c.podAdmittedAsRestricted(only[corev1.Pod](t, hooks, "Pod")[0])

	_, err = check("--timeout=1s")
	c.Expect(err).To(gomega.MatchError(gomega.ContainSubstring("a manager leads: reading its lease")), "no manager has ever run")

	logs := &harness.Recorder{}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- app.Run(ctx, "test", []string{"--leader-elect", "--health-probe-bind-address=0", "--kubeconfig=" + c.writeKubeconfig(serviceAccount)}, logs, logs)
	}()
	stop := func() {
		cancel()
		c.Expect(<-ended).To(gomega.Succeed(), logs.String())
	}

	out, err := check("--timeout=5s")
	c.Expect(err).To(gomega.MatchError(gomega.ContainSubstring(`failed calling webhook "guard.securitypolicies.security.neosc.io"`)), "no webhook runs: %s", out)
	c.Expect(out).To(gomega.Equal("Yes, the API server has every kind of security.neosc.io/v1alpha1.\nYes, a manager leads.\n"))

	running := c.startWebhook()
	_, err = check("--timeout=5s")
	c.Expect(err).To(gomega.HaveOccurred(), "there is no network of Services here")
	c.Expect(harness.Redirect(t.Context(), c.client, running.URL)).To(gomega.Succeed())
	out, err = check()
	c.Expect(err).NotTo(gomega.HaveOccurred())
	c.Expect(out).To(gomega.HaveSuffix("Yes, the API server asks the webhook before it stores a policy.\n"))
	c.gone(&v1alpha1.SecurityPolicy{}, namespace+"/"+app.CheckedPolicy)

	c.helmTest(check)
	giveRights() // which went with it

	// Where nobody is asked, nothing fails by itself.
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	c.get(configuration, hook)
	for i := range configuration.Webhooks {
		configuration.Webhooks[i].FailurePolicy = ptr.To(admissionregistrationv1.Ignore)
	}
	c.Expect(c.client.Update(t.Context(), configuration)).To(gomega.Succeed())
	c.Expect(running.Stop()).To(gomega.Succeed())
	_, err = check("--timeout=3s")
	c.Expect(err).To(gomega.MatchError(gomega.ContainSubstring("it would have stored one that the webhook refuses")))
	c.gone(&v1alpha1.SecurityPolicy{}, namespace+"/"+app.CheckedPolicy)
	_, err = check("--guarded=false")
	c.Expect(err).NotTo(gomega.HaveOccurred(), "where there is none, none is missed")

	stop()
	_, err = check("--timeout=3s", "--guarded=false")
	c.Expect(err).To(gomega.MatchError(gomega.ContainSubstring("nobody holds the lease "+manager)), "it gave the lease back")
}

// helmTest runs the chart's test, and in place of a kubelet its Pod.
func (c *cluster) helmTest(check func(...string) (string, error)) {
	c.t.Helper()
	ended := make(chan string, 1)
	helm, t := tool(c.t, "helm"), c.t
	go func() {
		stdout, stderr, err := c.try("", helm, "test", release, "--namespace", namespace)
		if err != nil {
			t.Error(err)
		}
		ended <- stdout + stderr
	}()
	pod := &corev1.Pod{}
	c.Eventually(func() error { return c.client.Get(t.Context(), key(namespace+"/"+checker), pod) }).Should(gomega.Succeed())
	_, err := check()
	c.Expect(err).NotTo(gomega.HaveOccurred(), "its rights came before it")
	pod.Status.Phase = corev1.PodSucceeded
	c.Expect(c.client.Status().Update(t.Context(), pod)).To(gomega.Succeed())
	c.Expect(<-ended).To(gomega.MatchRegexp(`TEST SUITE: +mfa-operator-check\n.*\n.*\nPhase: +Succeeded`))
	for _, obj := range []client.Object{&corev1.Pod{}, &corev1.ServiceAccount{}, &rbacv1.Role{}, &rbacv1.RoleBinding{}} {
		c.gone(obj, namespace+"/"+checker)
	}
}

// podAdmittedAsRestricted asks the API server whether the Pod may run where the
// restricted Pod security standard is enforced.
func (c *cluster) podAdmittedAsRestricted(pod *corev1.Pod) {
	c.t.Helper()
	c.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
	c.Expect(c.client.Create(c.t.Context(), pod.DeepCopy(), client.DryRunAll)).To(gomega.Succeed())
	pod = pod.DeepCopy()
	pod.Spec.Containers[0].SecurityContext.Capabilities = nil
	err := c.client.Create(c.t.Context(), pod, client.DryRunAll)
	c.Expect(err).To(gomega.MatchError(gomega.ContainSubstring(`violates PodSecurity "restricted`)), "somebody was asked")
}

// A wrong flag is named at once.
func TestCheckRefusesWrongFlags(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, names string }{
		{"--timeout=10ms", "--timeout"}, {"--namespace=", "--namespace"}, {"--guarde=false", "guarde"}, {"check", `"check"`},
	} {
		before := time.Now()
		err := app.Check(t.Context(), []string{c.args}, &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), c.names) || time.Since(before) > time.Second {
			t.Errorf("%s: got %v", c.args, err)
		}
	}
}
