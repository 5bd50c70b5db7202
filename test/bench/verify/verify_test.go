// Package verify measures how many second factors a replica verifies over HTTPS,
// against what the ledger under it takes in the same run: a real kube-apiserver,
// an etcd that waits for the disk, callers who are authenticated and authorised.
package verify

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/ledger"
	"github.com/neosc/mfa-operator/internal/mfa/mfatest"
	"github.com/neosc/mfa-operator/test/bench/load"
	"github.com/neosc/mfa-operator/test/harness"
)

// result is one line of bench/verify.json.
type result struct {
	Name      string  `json:"name"`
	Callers   int     `json:"callers"`
	PerSecond float64 `json:"perSecond"`
	P50ms     float64 `json:"p50ms"`
	P99ms     float64 `json:"p99ms"`
	// Ratio is to ledger-append at the same number of callers.
	Ratio float64 `json:"ratio,omitempty"`
	// CPUms is how much of a processor one took, in milliseconds, of each process.
	CPUms costs `json:"cpuMs,omitempty"`
}

const (
	ledgerAppend = "ledger-append"
	secretUpdate = "secret-update" // one Secret per caller
	hello        = "hello"         // who is asking, and may they: no user, no store
	totpVerify   = "totp-verify"
	keyVerify    = "webauthn-verify" // the challenge, too: two requests
	keyCheck     = "webauthn-check"  // only that: the limit of keyVerify where it is lower than the ledger
)

// atLeast is the target of totp-verify, as a ratio to the ledger.
const atLeast = 0.6

const (
	namespace = "shop"
	origin    = "https://login.example.com"
	// users with a TOTP app each: a code of one is good once in 30 s.
	users = 12000
	keys  = 256 // users with a security key
)

var callerCounts = []int{1, 16, 64, 256}

// BenchmarkVerify runs everything once, prints a table and, if BENCH_JSON names
// a file, writes it there.
func BenchmarkVerify(b *testing.B) {
	s := start(b)
	s.enrol(b)
	s.verifyOnce(b)
	for range b.N {
		var results []result
		for _, callers := range callerCounts {
			// What is compared is measured right after each other.
			limit := s.ledger(b, callers)
			results = append(results, limit, s.secrets(b, callers), s.hello(b, callers))
			for _, r := range []result{s.totp(b, callers), s.webauthn(b, callers), assertions(b, callers)} {
				r.Ratio = load.Round(r.PerSecond / limit.PerSecond)
				results = append(results, r)
			}
		}
		show(b, results)
		if path := os.Getenv("BENCH_JSON"); path != "" {
			data, err := json.MarshalIndent(results, "", "  ")
			ok(b, err)
			ok(b, os.WriteFile(path, append(data, '\n'), 0o644))
		}
	}
}

// scene is one replica over a control plane, each in a process of its own.
type scene struct {
	rest  *rest.Config
	kube  client.Client
	url   string
	token string
	https http.Client

	n    atomic.Int64
	mu   sync.Mutex
	turn int
	apps []*app
	keys []*key

	record audit.Record // what a verification leaves
}

// app is a TOTP app of a user.
type app struct {
	user, secret string
	last         int64 // the step used last
}

type key struct {
	user string
	*mfatest.Authenticator
}

func start(b *testing.B) *scene {
	c, err := harness.StartCluster(harness.Durable)
	ok(b, err)
	b.Cleanup(func() { ok(b, c.Stop()) })
	s := &scene{rest: c.Env.Config, kube: c.Client}
	ctx := b.Context()
	ok(b, s.kube.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}))
	ok(b, harness.InstallWebhook(ctx, s.kube))
	w, err := harness.ForkWebhook(c.Kubeconfig, c.Logs, "--mfa-namespace="+namespace, "--webauthn-rp-id=example.com", "--webauthn-origin="+origin)
	ok(b, err)
	b.Cleanup(func() { ok(b, w.Stop()) })
	if err := w.AwaitReady(ctx); err != nil {
		b.Fatalf("%v; log:\n%s", err, c.Logs)
	}
	s.url = w.URL
	meta := metav1.ObjectMeta{Namespace: namespace, Name: "checkout"}
	for _, obj := range []client.Object{
		&corev1.ServiceAccount{ObjectMeta: meta},
		&rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{v1alpha1.GroupVersion.Group}, Verbs: []string{"*"}, Resources: []string{"mfausers", "mfausers/verify", "mfausers/enrol", "mfausers/sessions"},
		}}},
		&rbacv1.RoleBinding{
			ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "checkout"},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: "checkout"}},
		},
	} {
		ok(b, s.kube.Create(ctx, obj))
	}
	clientset, err := kubernetes.NewForConfig(s.rest)
	ok(b, err)
	answer, err := clientset.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, "checkout",
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"mfa.security.neosc.io"}}}, metav1.CreateOptions{})
	ok(b, err)
	s.token = answer.Status.Token
	return s
}

// connect has requests of so many callers go over connections of their own, until it
// is told to end them.
func (s *scene) connect(b *testing.B, callers int) (end func()) {
	ws := newWires(&tls.Config{InsecureSkipVerify: true}, callers)
	s.https.Transport = ws
	return func() { ok(b, ws.close()) }
}

type object = map[string]any

// call sends a request about a user and wants a status.
func (s *scene) call(ctx context.Context, method, user, what string, body any, want int, into any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, s.url+"/v1/namespaces/"+namespace+"/users/"+user+what, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := s.https.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it has been read
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != want {
		return fmt.Errorf("%s %s of %s: %d %s", method, what, user, resp.StatusCode, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}

// enrol makes everybody, over HTTPS like an application would.
func (s *scene) enrol(b *testing.B) {
	began := time.Now()
	const callers = 64
	defer s.connect(b, callers)()
	group, ctx := errgroup.WithContext(b.Context())
	group.SetLimit(callers)
	s.apps, s.keys = make([]*app, users), make([]*key, keys)
	for i := range s.apps {
		group.Go(func() (err error) {
			a := &app{user: fmt.Sprintf("app-%05d", i)}
			s.apps[i] = a
			var e struct{ Token, Secret string }
			if err := s.begin(ctx, a.user, "TOTP", &e); err != nil {
				return err
			}
			a.secret, a.last = e.Secret, time.Now().Unix()/30
			return s.call(ctx, http.MethodPost, a.user, "/enrolments/confirm", object{"token": e.Token, "code": a.code(a.last)}, 201, nil)
		})
	}
	for i := range s.keys {
		group.Go(func() error {
			k := &key{fmt.Sprintf("key-%05d", i), mfatest.NewAuthenticator("example.com", origin, mfatest.ES256)}
			s.keys[i] = k
			var e struct {
				Token   string
				Options json.RawMessage
			}
			if err := s.begin(ctx, k.user, "WebAuthn", &e); err != nil {
				return err
			}
			return s.call(ctx, http.MethodPost, k.user, "/enrolments/confirm", object{"token": e.Token, "response": json.RawMessage(k.Create(e.Options))}, 201, nil)
		})
	}
	ok(b, group.Wait())
	b.Logf("%d users enrolled in %s", users+keys, time.Since(began).Round(time.Second))
}

// verifyOnce notes what a verification leaves in the ledger.
func (s *scene) verifyOnce(b *testing.B) {
	defer s.connect(b, 1)()
	ok(b, s.verify(b.Context()))
	trail, err := harness.Trail(b.Context(), s.rest, namespace, audit.Verification)
	ok(b, err)
	if len(trail) != 1 {
		b.Fatalf("one verification left %d records", len(trail))
	}
	s.record = trail[0]
	s.record.ID, s.record.Time = "", time.Time{}
}

func (s *scene) begin(ctx context.Context, user, method string, into any) error {
	if err := s.call(ctx, http.MethodPut, user, "", object{}, 201, nil); err != nil {
		return err
	}
	return s.call(ctx, http.MethodPost, user, "/enrolments", object{"method": method}, 201, into)
}

func (a *app) code(step int64) string {
	code, err := totp.GenerateCodeCustom(a.secret, time.Unix(step*30, 0), totp.ValidateOpts{Period: 30, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		panic(err) // the seed is ours
	}
	return code
}

// next is somebody who has a code that was not used: of the step before the
// present one, of that, or of the next.
func (s *scene) next() (*app, int64, error) {
	now := time.Now().Unix() / 30
	s.mu.Lock()
	defer s.mu.Unlock()
	for range s.apps {
		a := s.apps[s.turn%len(s.apps)]
		s.turn++
		if step := max(a.last+1, now); step <= now+1 { // the one before might be over when it arrives
			a.last = step
			return a, step, nil
		}
	}
	return nil, 0, errors.New("nobody has a code left: there are too few users for this machine")
}

func (s *scene) totp(b *testing.B, callers int) result {
	defer s.connect(b, callers)()
	return measure(b, totpVerify, callers, func(ctx context.Context, _, _ int) error { return s.verify(ctx) })
}

// verify sends the code of whoever has one.
func (s *scene) verify(ctx context.Context) error {
	a, step, err := s.next()
	if err != nil {
		return err
	}
	return s.call(ctx, http.MethodPost, a.user, "/verifications", object{"method": "TOTP", "code": a.code(step), "audience": "shop"}, 201, nil)
}

func (s *scene) webauthn(b *testing.B, callers int) result {
	defer s.connect(b, callers)()
	return measure(b, keyVerify, callers, func(ctx context.Context, _, _ int) error {
		// In turn: nobody may have answered more than 256 challenges in five minutes.
		k := s.keys[s.n.Add(1)%keys]
		var c struct {
			Token   string
			Options json.RawMessage
		}
		if err := s.call(ctx, http.MethodPost, k.user, "/challenges", object{"method": "WebAuthn"}, 201, &c); err != nil {
			return err
		}
		return s.call(ctx, http.MethodPost, k.user, "/verifications",
			object{"method": "WebAuthn", "challenge": c.Token, "response": json.RawMessage(k.Get(c.Options))}, 201, nil)
	})
}

// hello asks for something the caller may not have: who they are and what they
// may is found out, and nothing else.
func (s *scene) hello(b *testing.B, callers int) result {
	defer s.connect(b, callers)()
	return measure(b, hello, callers, func(ctx context.Context, _, _ int) error {
		return s.call(ctx, http.MethodDelete, s.apps[0].user, "/lock", nil, 403, nil)
	})
}

// secrets updates one Secret per caller, as a server without a ledger would.
func (s *scene) secrets(b *testing.B, callers int) result {
	config := rest.CopyConfig(s.rest)
	config.QPS = -1
	clientset, err := kubernetes.NewForConfig(config)
	ok(b, err)
	kept := make([]*corev1.Secret, callers)
	for i := range kept {
		kept[i], err = clientset.CoreV1().Secrets(namespace).Create(b.Context(),
			&corev1.Secret{ObjectMeta: metav1.ObjectMeta{GenerateName: "raw-"}}, metav1.CreateOptions{})
		ok(b, err)
	}
	return measure(b, secretUpdate, callers, func(ctx context.Context, caller, n int) error {
		kept[caller].Data = map[string][]byte{"last": []byte(strconv.Itoa(n) + base32.StdEncoding.EncodeToString([]byte(rand.Text())))}
		now, err := clientset.CoreV1().Secrets(namespace).Update(ctx, kept[caller], metav1.UpdateOptions{})
		if err == nil {
			kept[caller] = now
		}
		return err
	})
}

// ledger has callers append what verifications leave to a ledger of its own, without
// any of the rest.
func (s *scene) ledger(b *testing.B, callers int) result {
	name := fmt.Sprint("ledger-", s.n.Add(1))
	ok(b, s.kube.Create(b.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	l, err := ledger.New(ledger.Config{REST: s.rest, Writer: "bench", Patience: time.Minute}, claims{})
	ok(b, err)
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Start(ctx) }()
	defer func() { stop(); ok(b, <-ended) }()
	<-l.Started()
	return measure(b, ledgerAppend, callers, func(ctx context.Context, caller, n int) error {
		r := s.record
		r.Subject, r.Claim = fmt.Sprintf("6f1c2a4e-9d5b-4c1e-8f6a-%012d", caller), fmt.Sprintf("totp/%08d/%d", caller, n)
		got, err := l.Append(ctx, name, r)
		if err == nil && got[0].Outcome != audit.Succeeded {
			err = fmt.Errorf("a claim nobody else makes: %+v", got)
		}
		return err
	})
}

// claims is a fold in which every claim may be used once.
type claims struct{}

func (claims) Check(state audit.State[bool], r audit.Record, _ time.Time) ([]audit.Record, error) {
	if state.Get(r.Claim) {
		r.Outcome, r.Claim = audit.Replayed, ""
	}
	return []audit.Record{r}, nil
}

func (claims) Apply(state audit.Entries[bool], r audit.Record) {
	if r.Claim != "" {
		state.Set(r.Claim, true)
	}
}

func (claims) Expired(string, bool, time.Time) bool { return false }

// measure is load.Measure, as a line of the table.
func measure(b *testing.B, name string, callers int, do func(ctx context.Context, caller, n int) error) result {
	b.Helper()
	began := costsSoFar(b)
	f := load.Measure(b, name, callers, do)
	return result{
		Name: name, Callers: callers, PerSecond: f.PerSecond, P50ms: f.P50ms, P99ms: f.P99ms,
		CPUms: costsSoFar(b).since(began, f.Calls),
	}
}

// processes are those whose cost is shown.
var processes = []string{callersProcess, webhookProcess, "kube-apiserver", "etcd"}

// show prints the table, and says where the target is missed.
func show(b *testing.B, results []result) {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "what\tcallers\tper second\tp50 ms\tp99 ms\tof the ledger\ttarget\tCPU ms: "+strings.Join(processes, "\t")+"\t")
	for _, r := range results {
		ratio, target := "", ""
		if r.Ratio > 0 {
			ratio = fmt.Sprintf("%.2f", r.Ratio)
		}
		if r.Name == totpVerify {
			target = fmt.Sprintf("≥ %.1f", atLeast)
			if r.Ratio < atLeast {
				target += " MISSED"
			}
		}
		fmt.Fprintf(w, "%s\t%d\t%.0f\t%.1f\t%.1f\t%s\t%s\t", r.Name, r.Callers, r.PerSecond, r.P50ms, r.P99ms, ratio, target)
		for _, p := range processes {
			took := ""
			if ms, known := r.CPUms[p]; known {
				took = fmt.Sprintf("%.3f", ms)
			}
			fmt.Fprintf(w, "%s\t", took)
		}
		fmt.Fprintln(w)
	}
	ok(b, w.Flush())
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		load = []byte("unknown")
	}
	b.Logf("%d CPUs, load %s\n%s", runtime.NumCPU(), strings.TrimSpace(string(load)), out.String())
}

func ok(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
