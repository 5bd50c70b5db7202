// Package mfaapi verifies people over HTTPS: three replicas of the real webhook
// process over one real API server. What counts is what applications are
// answered, and what etcd holds afterwards.
package mfaapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onsi/gomega"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/test/harness"
)

const replicas = 3

// site is a cluster with replicas of the webhook.
type site struct {
	env        *envtest.Environment
	client     client.Client
	replicas   []*harness.Webhook
	logs       *harness.Recorder
	kubeconfig string
	proxy      *harness.Proxy // between the replicas and the API server; nil: nothing is
}

// layout is what a site looks like.
type layout struct {
	replicas int
	// forked replicas are processes of their own.
	forked bool
	// proxied replicas reach the API server through a proxy.
	proxied bool
	// flags are for every replica, beside the usual ones.
	flags     []string
	configure func(*envtest.Environment)
}

// cluster is the one that almost all tests share. They keep apart by namespace.
var cluster *site

func TestMain(m *testing.M) {
	if code, child := harness.RunIfChild(); child {
		os.Exit(code)
	}
	harness.Main(m, func(ctx context.Context, c *harness.Cluster) (err error) {
		if cluster, err = newSite(ctx, c, layout{replicas: replicas}); err != nil {
			return err
		}
		c.AtEnd(func() error { return canaries.check(context.Background(), cluster) })
		return nil
	}, harness.Durable)
}

// startSite starts a control plane of its own, that can be stopped and started, with
// replicas.
func startSite(l layout) (s *site, stop func() error, err error) {
	options := []harness.Option{harness.Durable}
	if l.configure != nil {
		options = append(options, func(_ string, env *envtest.Environment) { l.configure(env) })
	}
	c, err := harness.StartCluster(options...)
	if err != nil {
		return nil, nil, err
	}
	if s, err = newSite(context.Background(), c, l); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%w; log:\n%s", err, c.Logs), c.Stop())
	}
	return s, c.Stop, nil
}

// newSite runs replicas on a cluster.
func newSite(ctx context.Context, c *harness.Cluster, l layout) (*site, error) {
	s := &site{env: c.Env, client: c.Client, logs: c.Logs, kubeconfig: c.Kubeconfig}
	if l.proxied {
		serving := s.env.ControlPlane.GetAPIServer().SecureServing
		direct := net.JoinHostPort(serving.Address, serving.Port)
		var err error
		if s.proxy, err = harness.StartProxy(direct); err != nil {
			return nil, err
		}
		c.AtEnd(s.proxy.Close)
		config := bytes.ReplaceAll(s.env.KubeConfig, []byte(direct), []byte(s.proxy.Address))
		if err := os.WriteFile(s.kubeconfig, config, 0o600); err != nil {
			return nil, fmt.Errorf("writing the kubeconfig: %w", err)
		}
	}
	run := c.RunWebhooks
	if l.forked {
		run = c.ForkWebhooks
	}
	var err error
	s.replicas, err = run(ctx, l.replicas, s.kubeconfig, append(slices.Clone(flags), l.flags...)...)
	return s, err
}

// flags are those of every replica.
var flags = []string{"--log-level=debug", "--mfa-namespace=*", "--webauthn-rp-id=example.com", "--webauthn-origin=" + origin}

const origin = "https://login.example.com"

// world is one test's own namespace, with an application in it.
type world struct {
	*gomega.WithT
	t         testing.TB
	ctx       context.Context
	site      *site
	namespace string
	app       *app
}

var worlds atomic.Int32

// newWorld makes a namespace with an application that may do everything there.
func newWorld(t testing.TB) *world { return newWorldOn(t, cluster) }

func newWorldOn(t testing.TB, s *site) *world {
	t.Helper()
	w := &world{WithT: gomega.NewWithT(t), t: t, ctx: t.Context(), site: s, namespace: "team-" + strconv.Itoa(int(worlds.Add(1)))}
	w.SetDefaultEventuallyTimeout(time.Minute) // the race detector, on a busy machine
	w.Expect(w.site.client.Create(w.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}})).To(gomega.Succeed())
	w.allow("app", rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupVersion.Group}, Verbs: []string{"*"}, Resources: []string{"mfausers", "mfausers/verify", "mfausers/enrol", "mfausers/links", "mfausers/sessions", "mfausers/lock"}})
	w.app = &app{w: w, token: w.tokenOf("app", "mfa.security.neosc.io")}
	for i := range s.replicas { // each opens the ledger, which takes its time on a busy machine
		w.Eventually(func() int { return w.app.at(i).about(http.MethodPost, "nobody", "/requirement", object{}).status }).Should(gomega.Equal(http.StatusOK))
	}
	return w
}

// allow makes a service account that may do something.
func (w *world) allow(name string, rules ...rbacv1.PolicyRule) {
	w.t.Helper()
	meta := metav1.ObjectMeta{Namespace: w.namespace, Name: name}
	for _, obj := range []client.Object{
		&corev1.ServiceAccount{ObjectMeta: meta},
		&rbacv1.Role{ObjectMeta: meta, Rules: rules},
		&rbacv1.RoleBinding{
			ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: w.namespace, Name: name}},
		},
	} {
		w.Expect(w.site.client.Create(w.ctx, obj)).To(gomega.Succeed())
	}
}

// tokenOf asks the API server for a token of a service account.
func (w *world) tokenOf(account string, audiences ...string) string {
	w.t.Helper()
	clientset, err := kubernetes.NewForConfig(w.site.env.Config)
	w.Expect(err).NotTo(gomega.HaveOccurred())
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences, ExpirationSeconds: ptr.To[int64](3600)}}
	answer, err := clientset.CoreV1().ServiceAccounts(w.namespace).CreateToken(w.ctx, account, request, metav1.CreateOptions{})
	w.Expect(err).NotTo(gomega.HaveOccurred())
	return answer.Status.Token
}

// app is an application.
type app struct {
	w       *world
	token   string
	replica int // which one it talks to
	header  http.Header
}

// at is the same application, talking to another replica.
func (a app) at(replica int) *app {
	a.replica = replica
	return &a
}

// with is the same application, sending one more header.
func (a app) with(name, value string) *app {
	a.header = a.header.Clone()
	if a.header == nil {
		a.header = http.Header{}
	}
	a.header.Set(name, value)
	return &a
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

// of returns a value of the body by its path.
func (a answer) of(path ...string) any {
	var value any = a.body
	for _, p := range path {
		object, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = object[p]
	}
	return value
}

func (a answer) text(path ...string) string {
	s, _ := a.of(path...).(string)
	return s
}

var https = &http.Client{
	Timeout:   30 * time.Second,
	Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxIdleConnsPerHost: 64}, // the certificate is test/admission's business
}

// raw sends a request as it is.
func (a *app) raw(method, path, contentType string, body io.Reader) answer {
	a.w.t.Helper()
	got, err := a.send(a.w.site.replicas[a.replica].URL, method, path, contentType, body)
	a.w.Expect(err).NotTo(gomega.HaveOccurred())
	return got
}

// send sends a request, to a server that may not answer.
func (a *app) send(server, method, path, contentType string, body io.Reader) (answer, error) {
	req, err := http.NewRequestWithContext(a.w.ctx, method, server+path, body)
	if err != nil {
		return answer{}, err
	}
	for name, values := range a.header {
		req.Header[name] = values
	}
	if host := a.header.Get("Host"); host != "" {
		req.Host = host
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := https.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close() //nolint:errcheck // it has been read
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	out := answer{status: resp.StatusCode, header: resp.Header, raw: string(text)}
	_ = json.Unmarshal(text, &out.body) // what is no object has no members
	canaries.hear(out)
	return out, nil
}

// about sends a request about a user; body may be nil.
func (a *app) about(method, user, what string, body any) answer {
	a.w.t.Helper()
	got, err := a.to(a.w.site.replicas[a.replica].URL, method, user, what, body)
	a.w.Expect(err).NotTo(gomega.HaveOccurred())
	return got
}

// to is about, to a server that may not answer.
func (a *app) to(server, method, user, what string, body any) (answer, error) {
	path := "/v1/namespaces/" + a.w.namespace + "/users/" + url.PathEscape(user) + what
	if body == nil {
		return a.send(server, method, path, "", nil)
	}
	text, err := json.Marshal(body)
	if err != nil {
		return answer{}, err
	}
	return a.send(server, method, path, "application/json", bytes.NewReader(text))
}

type object = map[string]any

// register makes a user.
func (a *app) register(user string) {
	a.w.t.Helper()
	got := a.about(http.MethodPut, user, "", object{})
	a.w.Expect(got.status).To(gomega.Equal(http.StatusCreated), got.raw)
	for i := range a.w.site.replicas { // each has to have heard of them
		a.w.Eventually(func() int { return a.at(i).about(http.MethodPut, user, "", object{}).status }).Should(gomega.Equal(http.StatusOK))
	}
}

// seed is a TOTP app of a user.
type seed string

// code is the one of the time step that is so far from the present one.
func (s seed) code(w *world, steps int) string {
	w.t.Helper()
	return s.at(time.Now().Unix()/30 + int64(steps))
}

// at is the code of a time step.
func (s seed) at(step int64) string {
	code, err := totp.GenerateCodeCustom(string(s), time.Unix(step*30, 0), totp.ValidateOpts{Period: 30, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		panic(err) // the seed is what we were given
	}
	return code
}

// early waits until a time step has some seconds left, so that what the test
// calls the present step is still that when it arrives.
func (w *world) early() {
	w.Eventually(func() int { return time.Now().Second() % 30 }, 15*time.Second, 50*time.Millisecond).Should(gomega.BeNumerically("<", 20))
}

// enrol gives a user a TOTP app, and confirms with the code of the step before
// the present one. It returns the session, too.
func (a *app) enrol(user string) (seed, string) {
	a.w.t.Helper()
	started := a.about(http.MethodPost, user, "/enrolments", object{"method": "TOTP", "name": "phone"})
	a.w.Expect(started.status).To(gomega.Equal(http.StatusCreated), started.raw)
	s := seed(started.text("secret"))
	a.w.early()
	confirmed := a.about(http.MethodPost, user, "/enrolments/confirm", object{"token": started.text("token"), "code": s.code(a.w, -1), "audience": "shop"})
	a.w.Expect(confirmed.status).To(gomega.Equal(http.StatusCreated), confirmed.raw)
	return s, confirmed.text("session", "token")
}

func (a *app) verify(user, method, code string) answer {
	a.w.t.Helper()
	return a.about(http.MethodPost, user, "/verifications", object{"method": method, "code": code, "audience": "shop"})
}

// trail reads the ledger of the test's namespace through the API server, checks
// its chain, and returns the records of these actions.
func (w *world) trail(actions ...audit.Action) []audit.Record {
	w.t.Helper()
	records, err := harness.Trail(w.ctx, w.site.env.Config, w.namespace, actions...)
	w.Expect(err).NotTo(gomega.HaveOccurred(), "the ledger must be intact")
	return records
}

// outcomes are records as one line each.
func outcomes(records []audit.Record) []string {
	var lines []string
	for _, r := range records {
		lines = append(lines, strings.TrimSpace(string(r.Action)+" "+string(r.Outcome)+" "+r.Reason))
	}
	return lines
}

// wrong is a code that is right in none of the steps around.
func (s seed) wrong(w *world) string {
	w.t.Helper()
	for _, code := range []string{"000000", "000001", "000002", "000003", "000004", "000005", "000006"} {
		right := false
		for steps := -3; steps <= 3; steps++ {
			right = right || s.code(w, steps) == code
		}
		if !right {
			return code
		}
	}
	w.t.Fatal("seven codes are right: there is something wrong with them")
	return ""
}

// objects counts users and Secrets of the namespace.
func (w *world) objects() (users, secrets int) {
	w.t.Helper()
	u, s := &v1alpha1.MFAUserList{}, &corev1.SecretList{}
	w.Expect(w.site.client.List(w.ctx, u, client.InNamespace(w.namespace))).To(gomega.Succeed())
	w.Expect(w.site.client.List(w.ctx, s, client.InNamespace(w.namespace))).To(gomega.Succeed())
	return len(u.Items), len(s.Items)
}
