package mfaapi

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/onsi/gomega"

	"github.com/neosc/mfa-operator/test/collector"
	"github.com/neosc/mfa-operator/test/harness"
)

// traced starts one more replica, which sends its spans to an endpoint, and returns the
// application talking to it. stop ends it, after it has sent them.
func (w *world) traced(endpoint string, more ...string) (a *app, stop func()) {
	w.t.Helper()
	replica, err := harness.StartWebhook(w.site.kubeconfig, w.site.logs, slices.Concat(flags, []string{"--tracing-endpoint=" + endpoint}, more)...)
	w.Expect(err).NotTo(gomega.HaveOccurred())
	stop = sync.OnceFunc(func() { w.Expect(replica.Stop()).To(gomega.Succeed()) })
	w.t.Cleanup(stop)
	w.Expect(replica.AwaitReady(w.ctx)).To(gomega.Succeed())
	alone := *w.site
	alone.replicas = []*harness.Webhook{replica}
	inner := *w
	inner.site = &alone
	return &app{w: &inner, token: w.app.token}, stop
}

// caller is the trace that an application is in.
const (
	callerTrace = "0af7651916cd43dd8448eb211c80319c"
	callerSpan  = "b7ad6b7169203331"
)

// Where the time of a verification went: who asks, what they may, and the ledger.
func TestAVerificationIsTraced(t *testing.T) {
	w := newWorld(t)
	to := collector.Start(t)
	// Nothing is traced but what callers do.
	app, stop := w.traced(to.Endpoint, "--tracing-sampling=0")
	const user = "canary.alice@example.com"
	app.register(user)
	s, _ := app.enrol(user)
	code := s.code(w, 0)
	// A token of its own: what it may is not known yet.
	fresh := *app
	fresh.token = w.tokenOf("app", "mfa.security.neosc.io")
	asking := fresh.with("Traceparent", "00-"+callerTrace+"-"+callerSpan+"-01").
		with("User-Agent", "canary-agent").with("Baggage", "canary=baggage").with("X-Forwarded-For", "198.51.100.77")
	won := asking.verify(user, "TOTP", code)
	w.Expect(won.status).To(gomega.Equal(http.StatusCreated), won.raw)
	again := asking.verify(user, "TOTP", code)
	w.Expect(again.status).To(gomega.Equal(http.StatusForbidden), again.raw)
	stop()

	const (
		users   = "/apis/security.neosc.io/v1alpha1/namespaces/{namespace}/"
		request = "POST /v1/namespaces/{namespace}/users/{user}/verifications"
	)
	spans := to.Spans()
	byName := func(name string) (found []collector.Span) {
		for _, s := range spans {
			if s.Name == name {
				found = append(found, s)
			}
		}
		slices.SortFunc(found, func(a, b collector.Span) int { return cmp.Compare(a.Begin, b.Begin) })
		return found
	}
	for _, span := range spans {
		w.Expect(span.Trace).To(gomega.Equal(callerTrace), "%s: the caller's trace goes on, and there is no other", span.Name)
		w.Expect(span.Service).To(gomega.Equal("mfa-operator-webhook"))
	}
	requests := byName(request)
	w.Expect(requests).To(gomega.HaveLen(2), collector.Tree(spans, callerTrace))
	for i, status := range []string{"201", "403"} {
		w.Expect(requests[i].Parent).To(gomega.Equal(callerSpan))
		w.Expect(requests[i].Kind).To(gomega.Equal("SERVER"))
		w.Expect(requests[i].Attributes).To(gomega.Equal(map[string]string{
			"http.request.method": "POST", "http.route": "/v1/namespaces/{namespace}/users/{user}/verifications", "http.response.status_code": status,
		}), "and nothing else")
	}
	below := func(parent collector.Span) (names []string) {
		var of []collector.Span
		for _, s := range spans {
			if s.Parent == parent.ID {
				of = append(of, s)
			}
		}
		slices.SortFunc(of, func(a, b collector.Span) int { return cmp.Compare(a.Begin, b.Begin) })
		for _, s := range of {
			names = append(names, s.Name)
			w.Expect(s.Begin).To(gomega.BeNumerically(">=", parent.Begin))
			w.Expect(s.End).To(gomega.BeNumerically("<=", parent.End), "%s ends within %s", s.Name, parent.Name)
		}
		return names
	}
	w.Expect(below(requests[0])).To(gomega.Equal([]string{"authenticate", "authorize", "ledger append"}), collector.Tree(spans, callerTrace))
	w.Expect(below(byName("authorize")[0])).To(gomega.HaveEach("POST /apis/authorization.k8s.io/v1/subjectaccessreviews"), "it was asked")
	w.Expect(below(byName("authorize")[1])).To(gomega.BeEmpty(), "it is remembered")
	first := byName("ledger append")[0]
	w.Expect(first.Attributes).To(gomega.Equal(map[string]string{"k8s.namespace.name": w.namespace}))
	w.Expect(below(first)).To(gomega.Equal([]string{"ledger turn"}))
	turn := byName("ledger turn")[0]
	w.Expect(turn.Attributes).To(gomega.And(
		gomega.HaveKeyWithValue("ledger.records", "1"), gomega.HaveKeyWithValue("ledger.callers", "1"),
		gomega.HaveKeyWithValue("ledger.outcome", "won"), gomega.HaveKey("ledger.sequence"), gomega.HaveLen(4)))
	w.Expect(below(turn)).To(gomega.Equal([]string{"POST " + users + "mfaauditrecords"}), collector.Tree(spans, callerTrace))

	raw := to.Raw()
	for what, canary := range map[string]string{
		"user": "canary", "user as it is in a path": "alice", "code": code, "seed": string(s), "token": fresh.token, "its signature": fresh.token[strings.LastIndexByte(fresh.token, '.'):],
		"session": won.text("token"), "address": "127.0.0.1", "address behind a proxy": "198.51.100.77", "account": "system:serviceaccount", "header": "Bearer",
	} {
		w.Expect(canary).NotTo(gomega.BeEmpty(), what)
		w.Expect(strings.Contains(raw, canary)).To(gomega.BeFalse(), "the %s, %q, is in what was sent", what, canary)
	}
	canaries.mu.Lock()
	defer canaries.mu.Unlock()
	for secret, what := range canaries.secrets {
		w.Expect(strings.Contains(raw, secret)).To(gomega.BeFalse(), "a secret (%s) is in what was sent", what)
	}
}

// What was decided is in the span, and about whom is not.
func TestAReviewIsTraced(t *testing.T) {
	w := newWorld(t)
	to := collector.Start(t)
	app, stop := w.traced(to.Endpoint)
	user := `{"apiVersion":"security.neosc.io/v1alpha1","kind":"MFAUser","metadata":{"name":"canary-name"},"spec":{"username":"canary-user"}}`
	reviewed := app.raw(http.MethodPost, "/admission/v1/mfausers?timeout=canary", "application/json", strings.NewReader(
		`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE","dryRun":true,
		"namespace":"`+w.namespace+`","name":"canary-name","userInfo":{"username":"canary-admin"},
		"resource":{"group":"security.neosc.io","version":"v1alpha1","resource":"mfausers"},"object":`+user+`}}`))
	w.Expect(reviewed.of("response", "allowed")).To(gomega.BeTrue(), reviewed.raw)
	stop()
	var found []map[string]string
	for _, s := range to.Spans() {
		if s.Name == "POST /admission/v1/mfausers" {
			found = append(found, s.Attributes)
		}
	}
	w.Expect(found).To(gomega.ConsistOf(map[string]string{
		"http.request.method": "POST", "http.route": "/admission/v1/mfausers", "http.response.status_code": "200", "k8s.namespace.name": w.namespace,
		"admission.operation": "CREATE", "admission.dry_run": "true", "admission.allowed": "true", "admission.warnings": "0",
	}))
	w.Expect(to.Raw()).NotTo(gomega.ContainSubstring("canary"))
}

// Many callers share a batch; each trace shows what its caller waited for.
func TestCallersOfOneBatchAreTracedEach(t *testing.T) {
	w := newWorld(t)
	to := collector.Start(t)
	app, stop := w.traced(to.Endpoint)
	const callers = 32
	app.register("bob")
	app.enrol("bob")
	var all sync.WaitGroup
	for range callers {
		all.Go(func() { app.about(http.MethodPost, "bob", "/challenges", object{"method": "RecoveryCodes"}) })
		all.Go(func() { app.verify("bob", "TOTP", "000000") })
	}
	all.Wait()
	stop()

	spans := to.Spans()
	byID := map[string]collector.Span{}
	for _, s := range spans {
		byID[s.ID] = s
	}
	asked := map[string]bool{} // turns that asked the API server
	for _, s := range spans {
		if byID[s.Parent].Name == "ledger turn" {
			asked[s.Parent] = true
		}
	}
	shared := 0
	for _, s := range spans {
		if s.Name != "ledger turn" {
			continue
		}
		wish := byID[s.Parent]
		w.Expect(wish.Name).To(gomega.HavePrefix("ledger "), "a turn is part of what its caller wished for")
		w.Expect(wish.Trace).To(gomega.Equal(s.Trace))
		if len(s.Links) == 0 {
			w.Expect(asked).To(gomega.HaveKey(s.ID), "the first has the requests")
			continue
		}
		shared++
		w.Expect(s.Links).To(gomega.HaveLen(1))
		to := byID[s.Links[0]]
		w.Expect(to.Name).To(gomega.Equal("ledger turn"))
		w.Expect(to.Trace).NotTo(gomega.Equal(s.Trace))
		w.Expect(to.Attributes).To(gomega.Equal(s.Attributes), "it is the same turn")
		w.Expect(asked).To(gomega.HaveKey(to.ID))
	}
	w.Expect(shared).To(gomega.BeNumerically(">", 0), "callers were to share a batch")
}

// A replica whose collector is away, and one whose collector hangs, answer as any other.
func TestACollectorIsNotNeeded(t *testing.T) {
	hangs := collector.Start(t)
	release := make(chan struct{})
	hangs.Hold(release)
	defer close(release)
	for n, endpoint := range []string{"http://127.0.0.1:1", hangs.Endpoint} {
		w := newWorld(t)
		app, stop := w.traced(endpoint)
		app.register("carol")
		s, _ := app.enrol("carol")
		won := app.verify("carol", "TOTP", s.code(w, 0))
		w.Expect(won.status).To(gomega.Equal(http.StatusCreated), "%d: %s", n, won.raw)
		stop()
	}
}
