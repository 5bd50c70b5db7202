// Package pages looks at the enrolment page with a real browser: Chromium, with an
// authenticator of its own making, in front of the real webhook process over a
// real API server. What counts is what people see, what the application is
// answered afterwards, and what etcd holds.
package pages

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/go-logr/logr"
	"github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/controlplane"
	"github.com/neosc/mfa-operator/internal/ledger"
	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/test/harness"
)

// site is what all tests share. They keep apart by namespace.
var site struct {
	config  *rest.Config
	client  client.Client
	url     string // of the webhook, which is also the page's origin
	logs    *harness.Recorder
	browser context.Context
}

// patience is how long a test waits for something that must come, on a busy
// machine.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv("CHROMIUM") == "none" {
		fmt.Fprintln(os.Stderr, "CHROMIUM=none: the enrolment page is not looked at")
		os.Exit(0)
	}
	harness.Main(m, func(ctx context.Context, c *harness.Cluster) error {
		address, err := controlplane.FreeAddress()
		if err != nil {
			return err
		}
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return fmt.Errorf("reading an address: %w", err)
		}
		site.config, site.client, site.logs, site.url = c.Env.Config, c.Client, c.Logs, "https://localhost:"+port
		if _, err := c.RunWebhooks(ctx, 1, c.Kubeconfig, "--bind-address="+address, "--log-level=debug", "--mfa-namespace=*",
			"--webauthn-rp-id=localhost", "--webauthn-rp-name=ACME", "--mfa-public-url="+site.url); err != nil {
			return err
		}
		stop, err := startBrowser(ctx)
		if err != nil {
			return err
		}
		c.AtEnd(func() error { stop(); return nil })
		return nil
	})
}

// startBrowser starts a Chromium that trusts the webhook's certificate, and no other
// that it should not.
func startBrowser(ctx context.Context) (stop func(), err error) {
	program := os.Getenv("CHROMIUM")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); program == "" && err == nil {
			program = found
		}
	}
	if program == "" {
		return nil, errors.New("there is no Chromium; hack/browser.sh installs one, CHROMIUM=none leaves this out")
	}
	conn, err := tls.Dial("tcp", strings.TrimPrefix(site.url, "https://"), &tls.Config{InsecureSkipVerify: true}) // the certificate is test/admission's business
	if err != nil {
		return nil, fmt.Errorf("asking for the webhook's certificate: %w", err)
	}
	key := sha256.Sum256(conn.ConnectionState().PeerCertificates[0].RawSubjectPublicKeyInfo)
	_ = conn.Close() // nothing was said
	allocator, endAllocator := chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("ignore-certificate-errors-spki-list", base64.StdEncoding.EncodeToString(key[:])))...)
	browser, endBrowser := chromedp.NewContext(allocator)
	if err := chromedp.Do(browser); err != nil {
		return nil, fmt.Errorf("starting %s: %w", program, err)
	}
	site.browser = browser
	return func() { endBrowser(); endAllocator() }, nil
}

// world is one test's own namespace, with an application and a help desk in it.
type world struct {
	*gomega.WithT
	t         *testing.T
	namespace string
	token     string
}

var worlds atomic.Int32

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{WithT: gomega.NewWithT(t), t: t, namespace: "team-" + strconv.Itoa(int(worlds.Add(1)))}
	w.SetDefaultEventuallyTimeout(patience)
	meta := metav1.ObjectMeta{Namespace: w.namespace, Name: "app"}
	for _, obj := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}},
		&corev1.ServiceAccount{ObjectMeta: meta},
		&rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{v1alpha1.GroupVersion.Group}, Verbs: []string{"*"},
			Resources: []string{"mfausers", "mfausers/verify", "mfausers/enrol", "mfausers/links", "mfausers/sessions"},
		}}},
		&rbacv1.RoleBinding{
			ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "app"},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: w.namespace, Name: "app"}},
		},
	} {
		w.Expect(site.client.Create(t.Context(), obj)).To(gomega.Succeed())
	}
	clientset, err := kubernetes.NewForConfig(site.config)
	w.Expect(err).NotTo(gomega.HaveOccurred())
	answer, err := clientset.CoreV1().ServiceAccounts(w.namespace).CreateToken(t.Context(), "app",
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"mfa.security.neosc.io"}}}, metav1.CreateOptions{})
	w.Expect(err).NotTo(gomega.HaveOccurred())
	w.token = answer.Status.Token
	return w
}

type object = map[string]any

var https = &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}

// api asks as the application does.
func (w *world) api(method, user, what string, body object) (int, object) {
	w.t.Helper()
	return w.send(method, "/v1/namespaces/"+w.namespace+"/users/"+user+what, "Bearer "+w.token, body)
}

func (w *world) send(method, path, authorization string, body object) (int, object) {
	w.t.Helper()
	text, err := json.Marshal(body)
	w.Expect(err).NotTo(gomega.HaveOccurred())
	req, err := http.NewRequestWithContext(w.t.Context(), method, site.url+path, bytes.NewReader(text))
	w.Expect(err).NotTo(gomega.HaveOccurred())
	req.Header.Set("Authorization", authorization)
	req.Header.Set("Content-Type", "application/json")
	resp, err := https.Do(req)
	w.Expect(err).NotTo(gomega.HaveOccurred())
	defer resp.Body.Close() //nolint:errcheck // it has been read
	got, err := io.ReadAll(resp.Body)
	w.Expect(err).NotTo(gomega.HaveOccurred())
	var out object
	w.Expect(json.Unmarshal(got, &out)).To(gomega.Succeed(), string(got))
	return resp.StatusCode, out
}

// register makes a user.
func (w *world) register(user string) {
	w.t.Helper()
	status, got := w.api(http.MethodPut, user, "", object{})
	w.Expect(status).To(gomega.Equal(http.StatusCreated), "%v", got)
}

// link has the help desk make a link.
func (w *world) link(user string) string {
	w.t.Helper()
	status, got := w.api(http.MethodPost, user, "/enrolment-links", object{})
	w.Expect(status).To(gomega.Equal(http.StatusCreated), "%v", got)
	w.Expect(got["url"]).To(gomega.HavePrefix(site.url + "/enrol#" + w.namespace + "."))
	return got["url"].(string)
}

// user reads the MFAUser of the only user.
func (w *world) user() *v1alpha1.MFAUser {
	w.t.Helper()
	list := &v1alpha1.MFAUserList{}
	w.Expect(site.client.List(w.t.Context(), list, client.InNamespace(w.namespace))).To(gomega.Succeed())
	w.Expect(list.Items).To(gomega.HaveLen(1))
	return &list.Items[0]
}

// record appends to the ledger, as the manager does.
func (w *world) record(r audit.Record) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	ledgers, err := ledger.New(ledger.Config{REST: site.config, Writer: "manager", Log: logr.Discard()}, mfa.Fold{})
	w.Expect(err).NotTo(gomega.HaveOccurred())
	ended := make(chan error, 1)
	go func() { ended <- ledgers.Start(ctx) }()
	w.Eventually(func() error { return ledgers.Record(ctx, w.namespace, r) }).Should(gomega.Succeed())
	cancel()
	w.Expect(<-ended).To(gomega.Succeed())
}

// trail reads the ledger of the test's namespace, and checks its chain.
func (w *world) trail(actions ...audit.Action) []audit.Record {
	w.t.Helper()
	records, err := harness.Trail(w.t.Context(), site.config, w.namespace, actions...)
	w.Expect(err).NotTo(gomega.HaveOccurred(), "the ledger must be intact")
	return records
}

func outcomes(records []audit.Record) []string {
	var lines []string
	for _, r := range records {
		lines = append(lines, strings.Join(strings.Fields(fmt.Sprint(r.Action, " ", r.Method, " ", r.Outcome, " ", r.Reason)), " "))
	}
	return lines
}

// sealed are the entries of the Secrets with credentials.
func (w *world) sealed() (entries []string) {
	w.t.Helper()
	list := &corev1.SecretList{}
	w.Expect(site.client.List(w.t.Context(), list, client.InNamespace(w.namespace))).To(gomega.Succeed())
	for _, s := range list.Items {
		for _, entry := range s.Data {
			entries = append(entries, string(entry))
		}
	}
	return entries
}
