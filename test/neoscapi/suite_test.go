// Package neoscapi lists and toggles policies as NeoSC's consoles do: over HTTPS, at
// two replicas of the real webhook with exactly the rights that config/ gives it, over
// a real API server. What counts is what callers are answered, and what etcd and the
// ledger hold afterwards.
package neoscapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/controlplane"
	"github.com/neosc/mfa-operator/test/harness"
)

// namespace is the one whose policies are shown, as config/neosc has it.
const namespace = harness.OperatorNamespace

// cluster is the control plane that all tests share. They keep apart by the names of
// policies.
var cluster struct {
	env    *envtest.Environment
	client client.Client
	// asked is the replica that callers ask; the API server asks the other one.
	asked *harness.Webhook
	logs  *harness.Recorder
}

func TestMain(m *testing.M) {
	harness.Main(m, func(ctx context.Context, c *harness.Cluster) error {
		cluster.env, cluster.client, cluster.logs = c.Env, c.Client, c.Logs
		for _, file := range []string{
			"rbac/webhook_service_account.yaml", "rbac/webhook_role.yaml", "rbac/webhook_role_binding.yaml",
			"neosc/role.yaml", "neosc/role_binding.yaml", "neosc/policies_role.yaml", "neosc/policies_role_binding.yaml",
		} {
			if err := install(ctx, file); err != nil {
				return err
			}
		}
		dir, err := os.MkdirTemp("", "neoscapi")
		if err != nil {
			return fmt.Errorf("making a temporary folder: %w", err)
		}
		c.AtEnd(func() error { return os.RemoveAll(dir) })
		kubeconfig := filepath.Join(dir, "kubeconfig")
		if err := writeKubeconfig(ctx, kubeconfig); err != nil {
			return err
		}
		replicas, err := c.RunWebhooks(ctx, 2, kubeconfig, "--neosc-namespace="+namespace)
		if err != nil {
			return err
		}
		cluster.asked = replicas[0]
		return nil
	})
}

// install applies a file of config/.
func install(ctx context.Context, file string) error {
	root, err := controlplane.Root()
	if err != nil {
		return err
	}
	manifests, err := os.ReadFile(filepath.Join(root, "config", filepath.FromSlash(file)))
	if err != nil {
		return fmt.Errorf("reading a manifest: %w", err)
	}
	for manifest := range strings.SplitSeq(string(manifests), "\n---\n") {
		obj := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict([]byte(manifest), &obj.Object); err != nil {
			return fmt.Errorf("reading %s: %w", file, err)
		}
		if len(obj.Object) == 0 {
			continue
		}
		if err := cluster.client.Create(ctx, obj); err != nil {
			return fmt.Errorf("creating %s: %w", file, err)
		}
	}
	return nil
}

// writeKubeconfig makes one that is the webhook's service account, by its token.
func writeKubeconfig(ctx context.Context, path string) error {
	token, err := tokenOf(ctx, harness.WebhookName)
	if err != nil {
		return err
	}
	return harness.WriteKubeconfig(path, cluster.env.Config, &clientcmdapi.AuthInfo{Token: token})
}

// tokenOf asks the API server for a token of a service account; without audiences it
// is for the API server.
func tokenOf(ctx context.Context, account string, audiences ...string) (string, error) {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}
	of := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}}
	if err := cluster.client.SubResource("token").Create(ctx, of, request); err != nil {
		return "", fmt.Errorf("asking for a token: %w", err)
	}
	return request.Status.Token, nil
}

type world struct {
	*gomega.WithT
	t   *testing.T
	ctx context.Context
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{WithT: gomega.NewWithT(t), t: t, ctx: t.Context()}
	w.SetDefaultEventuallyTimeout(time.Minute) // the race detector, on a busy machine
	t.Cleanup(func() {
		for line := range strings.Lines(cluster.logs.String()) {
			if strings.Contains(line, "forbidden: User") {
				t.Errorf("a right is missing: %s", line)
			}
		}
	})
	return w
}

// caller makes a service account that may do these things to policies, and its token.
func (w *world) caller(name string, verbs ...string) *caller {
	w.t.Helper()
	meta := metav1.ObjectMeta{Namespace: namespace, Name: name}
	made := []client.Object{&corev1.ServiceAccount{ObjectMeta: meta}}
	if len(verbs) > 0 {
		made = append(made,
			&rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"securitypolicies"}, Verbs: verbs}}},
			&rbacv1.RoleBinding{
				ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
				Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}},
			})
	}
	for _, obj := range made {
		w.create(obj)
	}
	token, err := tokenOf(w.ctx, name, "mfa.security.neosc.io")
	w.Expect(err).NotTo(gomega.HaveOccurred())
	return &caller{w: w, token: token}
}

// create creates an object and removes it at the end of the test.
func (w *world) create(obj client.Object) {
	w.t.Helper()
	w.Expect(cluster.client.Create(w.ctx, obj)).To(gomega.Succeed())
	w.t.Cleanup(func() {
		if err := cluster.client.Delete(context.WithoutCancel(w.ctx), obj); client.IgnoreNotFound(err) != nil {
			w.t.Errorf("cleaning up: %v", err)
		}
	})
}

// stored is the policy that etcd holds.
func (w *world) stored(name string) *v1alpha1.SecurityPolicy {
	w.t.Helper()
	p := &v1alpha1.SecurityPolicy{}
	w.Expect(cluster.client.Get(w.ctx, client.ObjectKey{Namespace: namespace, Name: name}, p)).To(gomega.Succeed())
	return p
}

// changes are the updates of a policy that the ledger holds, as one line each.
func (w *world) changes(name string) func() []string {
	return func() []string {
		w.t.Helper()
		begun := &v1alpha1.MFALedgerList{}
		w.Expect(cluster.client.List(w.ctx, begun, client.InNamespace(namespace))).To(gomega.Succeed())
		if len(begun.Items) == 0 {
			return []string{} // nothing has been recorded yet
		}
		records, err := harness.Trail(w.ctx, cluster.env.Config, namespace, audit.PolicyChanged)
		w.Expect(err).NotTo(gomega.HaveOccurred(), "the ledger must be intact")
		lines := []string{}
		for _, r := range records {
			if r.Reason != "Updated" || r.Subject != namespace+"/"+name {
				continue
			}
			line := r.Actor + ":"
			for _, d := range r.Details {
				line += fmt.Sprintf(" %s %s -> %s", d.Name, d.Old, d.Value)
			}
			lines = append(lines, line)
		}
		return lines
	}
}

// mayImpersonate asks what the webhook's service account may.
func (w *world) mayImpersonate(group, resource, in, name string) bool {
	w.t.Helper()
	resource, subresource, _ := strings.Cut(resource, "/")
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:   "system:serviceaccount:" + namespace + ":" + harness.WebhookName,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: "impersonate", Group: group, Resource: resource, Subresource: subresource, Namespace: in, Name: name,
		},
	}}
	w.Expect(cluster.client.Create(w.ctx, review)).To(gomega.Succeed())
	return review.Status.Allowed
}

// caller is a console.
type caller struct {
	w     *world
	token string
}

type answer struct {
	status int
	header http.Header
	raw    string
}

// object is the body as an object; what is none has no members.
func (a answer) object() map[string]any {
	var body map[string]any
	_ = json.Unmarshal([]byte(a.raw), &body)
	return body
}

var https = &http.Client{
	Timeout:   30 * time.Second,
	Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, // the certificate is test/admission's business
}

// ask sends a request; an empty body is none.
func (c *caller) ask(method, path, body string) answer {
	c.w.t.Helper()
	return c.askIf("", method, path, body)
}

// askIf asks with an If-Match, if that is not empty.
func (c *caller) askIf(match, method, path, body string) answer {
	c.w.t.Helper()
	req, err := http.NewRequestWithContext(c.w.ctx, method, cluster.asked.URL+path, bytes.NewReader([]byte(body)))
	c.w.Expect(err).NotTo(gomega.HaveOccurred())
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if match != "" {
		req.Header.Set("If-Match", match)
	}
	resp, err := https.Do(req)
	c.w.Expect(err).NotTo(gomega.HaveOccurred())
	defer resp.Body.Close() //nolint:errcheck // it has been read
	text, err := io.ReadAll(resp.Body)
	c.w.Expect(err).NotTo(gomega.HaveOccurred())
	return answer{status: resp.StatusCode, header: resp.Header, raw: string(text)}
}
