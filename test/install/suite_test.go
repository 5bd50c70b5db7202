// Package install applies what users apply, with the tools they use, to real API
// servers: config/ with kubectl and kustomize, the chart with helm. There is no
// kubelet, so what counts is what the API holds and admits, and that the manager
// works with exactly the rights it was given.
package install

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/controlplane"
	"github.com/neosc/mfa-operator/internal/options"
	"github.com/neosc/mfa-operator/test/harness"
)

const (
	namespace = "neosc-system"
	manager   = "mfa-operator-manager"
	hook      = "mfa-operator-webhook"

	// withDoorbell is what an overlay of config/default adds for doorbells.
	withDoorbell = "components: [config/doorbell]"
	// withNeoSC is what it adds for NeoSC's API.
	withNeoSC = "components: [config/neosc]"
	// withLocalUsers is what it adds for the local users of one namespace. The binding
	// there is applied by itself.
	withLocalUsers = `components: [config/localusers]
patches:
- target: {kind: Deployment, name: mfa-operator-webhook}
  patch: |-
    - {op: add, path: /spec/template/spec/containers/0/args/-, value: --mfa-namespace=` + usersNamespace + `}`
	usersNamespace = "shop"

	// patience is how long a test waits for something that must come.
	patience = 30 * time.Second
)

var scheme = func() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(apiextensionsv1.AddToScheme(s))
	utilruntime.Must(v1alpha1.AddToScheme(s))
	return s
}()

// root is a path inside the repository.
func root(t *testing.T, path ...string) string {
	t.Helper()
	dir, err := controlplane.Root()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(append([]string{dir}, path...)...)
}

// tool finds a program: bin/tools of the repository, else the PATH. Without it
// the test fails, because a test of the installation that is silently skipped
// is none.
func tool(t *testing.T, name string) string {
	t.Helper()
	if path := root(t, "bin", "tools", name); executable(path) {
		return path
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("there is no %s in bin/tools or in the PATH; run \"make tools\"", name)
	}
	return path
}

// kubectl comes with the control plane, so that their versions fit.
func kubectl(t *testing.T) string {
	t.Helper()
	assets, err := controlplane.Assets()
	if err != nil {
		t.Fatalf("%v (\"make tools\" fetches it too)", err)
	}
	return filepath.Join(assets, "kubectl")
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// run runs a program in the root of the repository, with nothing of the
// developer's own environment, and returns both outputs.
func run(t *testing.T, env []string, stdin string, program string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = root(t)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, diagnostics bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diagnostics
	err = cmd.Run()
	return out.String(), diagnostics.String(), err
}

// output is run for what must succeed.
func output(t *testing.T, program string, args ...string) string {
	t.Helper()
	stdout, stderr, err := run(t, nil, "", program, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, stderr)
	}
	return stdout
}

// objects decodes a stream of manifests.
func objects(t *testing.T, manifests string) []*unstructured.Unstructured {
	t.Helper()
	var list []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(manifests), 4096)
	for {
		obj := &unstructured.Unstructured{}
		err := decoder.Decode(&obj.Object)
		switch {
		case errors.Is(err, io.EOF):
			return list
		case err != nil:
			t.Fatalf("decoding manifests: %v", err)
		case len(obj.Object) > 0:
			list = append(list, obj)
		}
	}
}

// only returns the objects of one kind as what they are, failing on unknown
// fields.
func only[T any](t *testing.T, list []*unstructured.Unstructured, kind string) []*T {
	t.Helper()
	var found []*T
	for _, obj := range list {
		if obj.GetKind() != kind {
			continue
		}
		typed := new(T)
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(obj.Object, typed, true); err != nil {
			t.Fatalf("%s %s: %v", kind, obj.GetName(), err)
		}
		found = append(found, typed)
	}
	return found
}

// cluster is a fresh, empty API server.
type cluster struct {
	*gomega.WithT
	t          *testing.T
	env        *envtest.Environment
	client     client.Client
	kubeconfig string
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	assets, err := controlplane.Assets()
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{WithT: gomega.NewWithT(t), t: t, env: &envtest.Environment{
		BinaryAssetsDirectory:   assets,
		ControlPlaneStopTimeout: time.Minute,
		// Several control planes start at once beside other tests.
		ControlPlaneStartTimeout: 2 * time.Minute,
	}}
	config, err := c.env.Start()
	t.Cleanup(func() {
		if err := c.env.Stop(); err != nil {
			t.Errorf("stopping the control plane: %v", err)
		}
	})
	if err != nil {
		t.Fatalf("starting the control plane: %v", err)
	}
	if c.client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	c.kubeconfig = c.writeKubeconfig("")
	c.SetDefaultEventuallyTimeout(patience)
	c.SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	return c
}

// forTest is the same cluster for a subtest, so that it is the one that fails.
func (c *cluster) forTest(t *testing.T) *cluster {
	sub := *c
	sub.t, sub.WithT = t, gomega.NewWithT(t)
	sub.SetDefaultEventuallyTimeout(patience)
	sub.SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	return &sub
}

// writeKubeconfig writes a kubeconfig of the administrator's, who acts as
// somebody else if that is not empty.
func (c *cluster) writeKubeconfig(as string) string {
	c.t.Helper()
	rest := c.env.Config
	path := filepath.Join(c.t.TempDir(), "kubeconfig")
	c.Expect(harness.WriteKubeconfig(path, rest, &clientcmdapi.AuthInfo{
		ClientCertificateData: rest.CertData, ClientKeyData: rest.KeyData, Impersonate: as,
	})).To(gomega.Succeed())
	return path
}

// try runs a program against the cluster.
func (c *cluster) try(stdin, program string, args ...string) (stdout, stderr string, err error) {
	c.t.Helper()
	return run(c.t, []string{"KUBECONFIG=" + c.kubeconfig}, stdin, program, args...)
}

// do is try for what must succeed. Warnings of the server are failures: users
// would see them too.
func (c *cluster) do(stdin, program string, args ...string) string {
	c.t.Helper()
	stdout, stderr, err := c.try(stdin, program, args...)
	if err != nil || strings.Contains(stderr, "Warning:") {
		c.t.Fatalf("%s %s: %v\n%s%s", filepath.Base(program), strings.Join(args, " "), err, stdout, stderr)
	}
	return stdout
}

func (c *cluster) kubectl(args ...string) string {
	c.t.Helper()
	return c.do("", kubectl(c.t), args...)
}

// get reads an object; name may be namespace/name.
func (c *cluster) get(obj client.Object, name string) {
	c.t.Helper()
	c.Expect(c.client.Get(c.t.Context(), key(name), obj)).To(gomega.Succeed(), "%T %s", obj, name)
}

func (c *cluster) gone(obj client.Object, name string) {
	c.t.Helper()
	err := c.client.Get(c.t.Context(), key(name), obj)
	c.Expect(apierrors.IsNotFound(err)).To(gomega.BeTrue(), "%T %s must be gone: %v", obj, name, err)
}

func key(name string) client.ObjectKey {
	if namespace, name, found := strings.Cut(name, "/"); found {
		return client.ObjectKey{Namespace: namespace, Name: name}
	}
	return client.ObjectKey{Name: name}
}

// kindsEstablished waits until the API serves our kinds.
func (c *cluster) kindsEstablished() {
	c.t.Helper()
	c.kubectl("wait", "--for=condition=Established", "--timeout=30s",
		"crd/securitypolicies.security.neosc.io", "crd/zitadelconnections.security.neosc.io")
}

// admittedAsRestricted asks the API server whether the Deployment's Pod may run
// where the restricted Pod security standard is enforced.
func (c *cluster) admittedAsRestricted(d *appsv1.Deployment) {
	c.t.Helper()
	pod := &corev1.Pod{ObjectMeta: *d.Spec.Template.ObjectMeta.DeepCopy(), Spec: *d.Spec.Template.Spec.DeepCopy()}
	pod.Namespace, pod.Name = "restricted", "manager"
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: pod.Namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}
	c.Expect(client.IgnoreAlreadyExists(c.client.Create(c.t.Context(), ns))).To(gomega.Succeed())
	c.Expect(c.client.Create(c.t.Context(), pod.DeepCopy(), client.DryRunAll)).To(gomega.Succeed())

	// The same Pod with one thing less shows that somebody was asked.
	pod.Spec.Containers[0].SecurityContext.Capabilities = nil
	err := c.client.Create(c.t.Context(), pod, client.DryRunAll)
	c.Expect(err).To(gomega.MatchError(gomega.ContainSubstring(`violates PodSecurity "restricted`)))
}

// managerPod checks what both ways to install promise of the manager's Pod, and
// returns what the manager makes of its flags.
func managerPod(t *testing.T, pod corev1.PodSpec) options.Manager {
	t.Helper()
	g := gomega.NewWithT(t)
	c := onlyContainer(t, pod, "/manager")
	o, err := options.ParseManager(c.Args)
	g.Expect(err).NotTo(gomega.HaveOccurred(), "the manager must understand its flags: %v", c.Args)
	g.Expect(o.LeaderElect).To(gomega.BeTrue())
	g.Expect(o.HealthAddress).To(gomega.HaveSuffix(":%d", portOf(c, "health")))
	return o
}

// webhookPod does the same for the webhook's Pods.
func webhookPod(t *testing.T, pod corev1.PodSpec) options.Webhook {
	t.Helper()
	g := gomega.NewWithT(t)
	c := onlyContainer(t, pod, "/webhook")
	o, err := options.ParseWebhook(c.Args)
	g.Expect(err).NotTo(gomega.HaveOccurred(), "the webhook must understand its flags: %v", c.Args)
	g.Expect(o.HealthAddress).To(gomega.HaveSuffix(":%d", portOf(c, "health")))
	g.Expect(o.Address).To(gomega.HaveSuffix(":%d", portOf(c, "https")))
	if o.DoorbellAddress != "0" {
		g.Expect(o.DoorbellAddress).To(gomega.HaveSuffix(":%d", portOf(c, "doorbell")))
	}
	return o
}

func portOf(c corev1.Container, name string) int32 {
	return c.Ports[slices.IndexFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.Name == name })].ContainerPort
}

// onlyContainer checks what is promised of every Pod.
func onlyContainer(t *testing.T, pod corev1.PodSpec, command string) corev1.Container {
	t.Helper()
	g := gomega.NewWithT(t)
	g.Expect(pod.Containers).To(gomega.HaveLen(1))
	c := pod.Containers[0]
	g.Expect(c.Command).To(gomega.Equal([]string{command}))
	g.Expect(pod.SecurityContext.RunAsNonRoot).To(gomega.HaveValue(gomega.BeTrue()))
	g.Expect(pod.SecurityContext.SeccompProfile.Type).To(gomega.Equal(corev1.SeccompProfileTypeRuntimeDefault))
	g.Expect(c.SecurityContext.ReadOnlyRootFilesystem).To(gomega.HaveValue(gomega.BeTrue()))
	g.Expect(c.SecurityContext.AllowPrivilegeEscalation).To(gomega.HaveValue(gomega.BeFalse()))
	g.Expect(c.SecurityContext.Capabilities.Drop).To(gomega.Equal([]corev1.Capability{"ALL"}))
	g.Expect(c.SecurityContext.Capabilities.Add).To(gomega.BeEmpty())
	g.Expect(c.Resources.Requests).NotTo(gomega.BeEmpty())
	g.Expect(c.Resources.Limits).To(gomega.HaveKey(corev1.ResourceMemory))
	g.Expect(c.Env).To(gomega.ContainElement(gomega.HaveField("ValueFrom.FieldRef.FieldPath", "metadata.namespace")), "$POD_NAMESPACE")
	for path, probe := range map[string]*corev1.Probe{"/healthz": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
		g.Expect(probe.HTTPGet.Path).To(gomega.Equal(path))
		g.Expect(probe.HTTPGet.Port.String()).To(gomega.Equal("health"))
	}
	return c
}
