// Package admission asks a real API server to store things, with the real webhook
// behind it and the real manager beside it. What counts is what users are told
// and what is stored afterwards.
package admission

import (
	"context"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/policy"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
	"github.com/neosc/mfa-operator/test/harness"
)

// patience is how long a test waits for something that must come.
const patience = 20 * time.Second

// cluster is the control plane all tests of the package share, with one manager
// and one webhook on it. Tests keep apart by namespace, connection and Zitadel.
var cluster struct {
	env        *envtest.Environment
	client     client.Client
	kubeconfig string
	webhook    *harness.Webhook
	logs       *harness.Recorder
}

func TestMain(m *testing.M) {
	harness.Main(m, func(ctx context.Context, c *harness.Cluster) error {
		cluster.env, cluster.client, cluster.kubeconfig, cluster.logs = c.Env, c.Client, c.Kubeconfig, c.Logs
		stop, err := harness.StartManager(c.Env, c.Logs, "--resync=1s", "--probe=2s")
		if err != nil {
			return err
		}
		c.AtEnd(stop)
		replicas, err := c.RunWebhooks(ctx, 1, c.Kubeconfig, "--log-level=debug")
		if err != nil {
			return err
		}
		cluster.webhook = replicas[0]
		return nil
	})
}

// world is one test's own namespace, and a client that hears warnings.
type world struct {
	*gomega.WithT
	t         *testing.T
	ctx       context.Context
	namespace string
	client    client.Client
	heard     *warnings
}

// warnings are what the API server warned of.
type warnings struct {
	mu   sync.Mutex
	text []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, text)
}

// take returns what was warned of since it was last asked.
func (w *warnings) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := w.text
	w.text = nil
	return text
}

var worlds atomic.Int32

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		WithT: gomega.NewWithT(t), t: t, ctx: t.Context(),
		namespace: "test-" + strconv.Itoa(int(worlds.Add(1))), heard: &warnings{},
	}
	w.SetDefaultEventuallyTimeout(patience)
	config := rest.CopyConfig(cluster.env.Config)
	config.WarningHandler = w.heard
	var err error
	w.client, err = client.New(config, client.Options{Scheme: harness.Scheme})
	w.Expect(err).NotTo(gomega.HaveOccurred())
	w.Expect(w.client.Create(w.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace, Labels: map[string]string{"team": w.namespace}}})).To(gomega.Succeed())
	return w
}

// connect makes a connection that lets the test's namespace target everything.
// It leads nowhere.
func (w *world) connect() {
	w.t.Helper()
	w.create(w.connection("localhost", 1))
}

// connectTo makes one that leads to a Zitadel, and waits until its users are
// counted.
func (w *world) connectTo(zitadel *zitadeltest.Server) {
	w.t.Helper()
	host, port, err := net.SplitHostPort(zitadel.Addr())
	w.Expect(err).NotTo(gomega.HaveOccurred())
	number, err := strconv.Atoi(port)
	w.Expect(err).NotTo(gomega.HaveOccurred())
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: harness.OperatorNamespace, Name: w.namespace},
		Data:       map[string][]byte{"token": []byte(zitadel.OwnerToken())},
	})
	w.create(w.connection(host, int32(number)))
	w.Eventually(func(g gomega.Gomega) {
		stored := &corev1.ConfigMap{}
		g.Expect(w.client.Get(w.ctx, client.ObjectKey{Namespace: harness.OperatorNamespace, Name: policy.CensusName(w.namespace)}, stored)).To(gomega.Succeed())
		read, err := policy.ReadCensus([]byte(stored.Data[policy.CensusKey]))
		g.Expect(err).NotTo(gomega.HaveOccurred())
		g.Expect(read.Complete).To(gomega.BeTrue())
	}).Should(gomega.Succeed())
	w.heard.take()
}

func (w *world) connection(host string, port int32) *v1alpha1.ZitadelConnection {
	return &v1alpha1.ZitadelConnection{
		ObjectMeta: metav1.ObjectMeta{Name: w.namespace},
		Spec: v1alpha1.ZitadelConnectionSpec{
			Domain: host, Port: ptr.To(port), Insecure: true, TimeoutSeconds: 1,
			RateLimit: v1alpha1.RateLimit{RequestsPerSecond: 1000, Burst: 1000},
			Credentials: v1alpha1.Credentials{
				Type:      v1alpha1.CredentialPAT,
				SecretRef: v1alpha1.SecretKeyRef{Namespace: harness.OperatorNamespace, Name: w.namespace, Key: "token"},
			},
			Access: []v1alpha1.AccessRule{{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": w.namespace}},
				Scopes:            []v1alpha1.TargetScope{v1alpha1.ScopeInstance, v1alpha1.ScopeOrganization},
			}},
		},
	}
}

// create creates an object and removes it at the end of the test.
func (w *world) create(obj client.Object) {
	w.t.Helper()
	w.Expect(w.client.Create(w.ctx, obj)).To(gomega.Succeed())
	w.cleanUp(obj)
}

func (w *world) cleanUp(obj client.Object) {
	w.t.Cleanup(func() {
		ctx := context.WithoutCancel(w.ctx)
		if p, ok := obj.(*v1alpha1.SecurityPolicy); ok {
			off := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"mode":"Audit","deletionPolicy":"Retain"}}`))
			if err := w.client.Patch(ctx, p, off); client.IgnoreNotFound(err) != nil {
				w.t.Errorf("cleaning up: %v", err)
			}
		}
		if err := w.client.Delete(ctx, obj); client.IgnoreNotFound(err) != nil {
			w.t.Errorf("cleaning up: %v", err)
		}
		gomega.NewWithT(w.t).Eventually(func() bool {
			return apierrors.IsNotFound(w.client.Get(ctx, client.ObjectKeyFromObject(obj), obj))
		}, patience).Should(gomega.BeTrue(), "%T %s must go away", obj, obj.GetName())
	})
}

// policy makes a policy for the instance, or an organization by name.
func (w *world) policy(name, org string, change func(*v1alpha1.SecurityPolicySpec)) *v1alpha1.SecurityPolicy {
	target := v1alpha1.ZitadelTarget{Connection: w.namespace, Scope: v1alpha1.ScopeInstance}
	if org != "" {
		target.Scope, target.Organization = v1alpha1.ScopeOrganization, &v1alpha1.OrganizationSelector{Name: org}
	}
	p := &v1alpha1.SecurityPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec:       v1alpha1.SecurityPolicySpec{Targets: v1alpha1.Targets{Zitadel: []v1alpha1.ZitadelTarget{target}}},
	}
	if change != nil {
		change(&p.Spec)
	}
	return p
}

func only(methods ...v1alpha1.Method) func(*v1alpha1.SecurityPolicySpec) {
	return func(s *v1alpha1.SecurityPolicySpec) { s.MFA = &v1alpha1.MFASettings{Methods: methods} }
}

func required(s *v1alpha1.SecurityPolicySpec) {
	s.MFA = &v1alpha1.MFASettings{
		Enforcement: v1alpha1.EnforcementRequiredOnFirstLogin, Methods: []v1alpha1.Method{v1alpha1.MethodWebAuthn, v1alpha1.MethodTOTP},
	}
}
