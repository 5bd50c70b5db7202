package tracing_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel/trace"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/neosc/mfa-operator/internal/tracing"
	"github.com/neosc/mfa-operator/test/collector"
)

// open traces to a collector; what end sends has arrived when it returns.
func open(t *testing.T, endpoint string, sampling float64) (end func()) {
	t.Helper()
	end, err := tracing.Open(t.Context(), tracing.Config{
		Endpoint: endpoint, Sampling: sampling, Service: "test", Version: "v0", Instance: "pod-1", Log: logr.Discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return end
}

func TestOffNothingIsWrapped(t *testing.T) {
	end := open(t, "", 1)
	defer end()
	if tracing.On() {
		t.Error("it is on without an endpoint")
	}
	mux := http.NewServeMux()
	if tracing.Handler(mux) != http.Handler(mux) {
		t.Error("a handler is wrapped")
	}
	r := &idle{}
	if tracing.Reconciler("c", "SecurityPolicy", r) != reconcile.Reconciler(r) {
		t.Error("a reconciler is wrapped")
	}
	ctx, span := tracing.Start(t.Context(), "x")
	if ctx != t.Context() || span.IsRecording() {
		t.Error("there is a span")
	}
	if n := testing.AllocsPerRun(100, func() { tracing.Start(t.Context(), "x") }); n != 0 {
		t.Errorf("%v allocations for no span", n)
	}
}

type idle struct{}

func (*idle) Reconcile(context.Context, reconcile.Request) (reconcile.Result, error) {
	return reconcile.Result{}, nil
}

// What a caller puts into a request is in no span but for the trace it names.
func TestRequestsAreNamedByTheirRoutes(t *testing.T) {
	c := collector.Start(t)
	end := open(t, c.Endpoint, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /users/{user}/x", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	mux.HandleFunc("/all/", func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Errorf("what is below cannot be reached: %v", err)
		}
		_, _ = w.Write([]byte("hello"))
	})
	server := httptest.NewServer(tracing.Handler(mux))
	defer server.Close()
	for _, call := range []struct{ method, path string }{
		{"POST", "/users/canary-user/x?canary-query=1"}, {"GET", "/all/canary-path"}, {"CANARYMETHOD", "/nowhere/canary-path"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), call.method, server.URL+call.path, strings.NewReader("canary-body"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"Authorization", "User-Agent", "Baggage", "X-Forwarded-For", "Cookie"} {
			req.Header.Set(name, "canary=header")
		}
		req.Host = "canary-host"
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
	}
	end()
	type seen struct {
		name, kind string
		failed     bool
		attributes map[string]string
	}
	var got []seen
	for _, s := range c.Spans() {
		got = append(got, seen{s.Name, s.Kind, s.Failed, s.Attributes})
	}
	want := []seen{
		{"POST /users/{user}/x", "SERVER", true, map[string]string{"http.request.method": "POST", "http.route": "/users/{user}/x", "http.response.status_code": "503", "error.type": "503"}},
		{"GET /all/", "SERVER", false, map[string]string{"http.request.method": "GET", "http.route": "/all/", "http.response.status_code": "200"}},
		{"HTTP", "SERVER", false, map[string]string{"http.request.method": "_OTHER", "http.response.status_code": "404"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if raw := strings.ToLower(c.Raw()); strings.Contains(raw, "canary") || strings.Contains(raw, "127.0.0.1") {
		t.Errorf("something of the request is in what was sent: %q", raw)
	}
}

func TestWhoDecidesWhatIsTraced(t *testing.T) {
	const id = "0af7651916cd43dd8448eb211c80319c"
	for _, c := range []struct {
		sampling float64
		header   string
		traced   bool
		why      string
	}{
		{1, "", true, "all is"},
		{0, "", false, "nothing is"},
		{0, "00-" + id + "-b7ad6b7169203331-01", true, "the caller traces"},
		{1, "00-" + id + "-b7ad6b7169203331-00", false, "the caller decided against it"},
		{1, "nonsense", true, "that is no decision"},
	} {
		to := collector.Start(t)
		end := open(t, to.Endpoint, c.sampling)
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Traceparent", c.header)
		var inner trace.SpanContext
		tracing.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			inner = trace.SpanContextFromContext(r.Context())
		})).ServeHTTP(httptest.NewRecorder(), r)
		end()
		spans := to.Spans()
		if (len(spans) == 1) != c.traced {
			t.Errorf("sampling %g, %q: got %d spans: %s", c.sampling, c.header, len(spans), c.why)
		}
		if strings.Contains(c.header, id) && inner.TraceID().String() != id {
			t.Errorf("%q: the trace goes on as %s", c.header, inner.TraceID())
		}
		if c.traced && strings.Contains(c.header, id) && spans[0].Parent != "b7ad6b7169203331" {
			t.Errorf("%q: the parent is %s", c.header, spans[0].Parent)
		}
	}
}

// The collector holds what it was sent first and answers nothing, while several times
// as much as the queue takes comes on.
func TestACollectorThatHangsHoldsNothingUp(t *testing.T) {
	c := collector.Start(t)
	release := make(chan struct{})
	waits := c.Hold(release)
	end := open(t, c.Endpoint, 1)
	answered := 0
	handler := tracing.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { answered++ }))
	ask := func(n int) {
		for range n {
			handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
		}
	}
	ask(1000)
	<-waits
	ask(9000)
	if answered != 10000 {
		t.Errorf("%d were answered", answered)
	}
	if n := len(c.Spans()); n != 0 {
		t.Fatalf("%d spans were taken: nothing hung", n)
	}
	end() // it does not wait for release either
	close(release)
}

func TestACollectorThatIsAwayHoldsNothingUp(t *testing.T) {
	end := open(t, "http://127.0.0.1:1", 1)
	w := httptest.NewRecorder()
	tracing.Handler(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("answered %d", w.Code)
	}
	end()
	if tracing.On() {
		t.Error("it goes on after its end")
	}
}

func TestRequestsToTheAPIServer(t *testing.T) {
	const traced = true
	for _, c := range []struct {
		path, name, namespace string
	}{
		{"/api/v1/namespaces/shop/secrets/canary", "GET /api/v1/namespaces/{namespace}/secrets/{name}", "shop"},
		{"/api/v1/namespaces/shop", "GET /api/v1/namespaces/{name}", ""},
		{"/api/v1/namespaces/shop/status", "GET /api/v1/namespaces/{name}/status", ""},
		{"/api/v1/namespaces", "GET /api/v1/namespaces", ""},
		{"/apis/security.neosc.io/v1alpha1/namespaces/shop/mfausers", "GET /apis/security.neosc.io/v1alpha1/namespaces/{namespace}/mfausers", "shop"},
		{"/apis/security.neosc.io/v1alpha1/namespaces/shop/mfausers/canary/status", "GET /apis/security.neosc.io/v1alpha1/namespaces/{namespace}/mfausers/{name}/status", "shop"},
		{"/apis/security.neosc.io/v1alpha1/zitadelconnections/canary", "GET /apis/security.neosc.io/v1alpha1/zitadelconnections/{name}", ""},
		{"/apis/authorization.k8s.io/v1/subjectaccessreviews", "GET /apis/authorization.k8s.io/v1/subjectaccessreviews", ""},
		{"/apis", "GET /apis", ""},
		{"/canary/apis/v1", "GET", ""},
	} {
		for _, under := range []bool{traced, !traced} {
			to := collector.Start(t)
			end := open(t, to.Endpoint, 1)
			sent := ""
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				sent = r.Header.Get("Traceparent")
				w.WriteHeader(http.StatusConflict)
			}))
			ask := func(ctx context.Context) {
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+c.path+"?fieldSelector=canary", nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := tracing.Cluster(http.DefaultTransport).RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				if err := resp.Body.Close(); err != nil {
					t.Fatal(err)
				}
				if req.Header.Get("Traceparent") != "" {
					t.Error("the caller's request was changed")
				}
			}
			if under {
				tracing.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ask(r.Context()) })).
					ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
			} else {
				ask(t.Context())
			}
			server.Close()
			end()
			spans := to.Spans()
			if !under {
				if len(spans) != 0 || sent != "" {
					t.Errorf("%s: outside of any trace there are %d spans, and the API server was told %q", c.path, len(spans), sent)
				}
				continue
			}
			if len(spans) != 2 {
				t.Fatalf("%s: %d spans", c.path, len(spans))
			}
			s := spans[0] // it ended first
			if s.Name != c.name || s.Kind != "CLIENT" || s.Parent != spans[1].ID || !s.Failed ||
				s.Attributes["k8s.namespace.name"] != c.namespace || s.Attributes["http.response.status_code"] != "409" {
				t.Errorf("%s: got %+v", c.path, s)
			}
			if want := fmt.Sprintf("00-%s-%s-01", s.Trace, s.ID); sent != want {
				t.Errorf("%s: the API server was told %q, want %q", c.path, sent, want)
			}
			if strings.Contains(to.Raw(), "canary") {
				t.Errorf("%s: a name is in what was sent", c.path)
			}
		}
	}
}

func TestPassesOfControllers(t *testing.T) {
	for _, c := range []struct {
		kind   string
		result reconcile.Result
		err    error
		want   map[string]string
		failed bool
	}{
		{kind: "SecurityPolicy", want: map[string]string{"controller.object.name": "alice", "controller.result": "success"}},
		{kind: "SecurityPolicy", result: reconcile.Result{RequeueAfter: 1}, want: map[string]string{"controller.object.name": "alice", "controller.result": "requeue_after"}},
		{kind: "MFAUser", err: errors.New("canary"), failed: true, want: map[string]string{"controller.result": "error", "error.type": "reconcile"}},
	} {
		to := collector.Start(t)
		end := open(t, to.Endpoint, 1)
		traced := tracing.Reconciler("words", c.kind, reconcile.Func(func(context.Context, reconcile.Request) (reconcile.Result, error) { return c.result, c.err }))
		result, err := traced.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "shop", Name: "alice"}})
		if result != c.result || !errors.Is(err, c.err) {
			t.Errorf("%s: got %v, %v", c.kind, result, err)
		}
		end()
		spans := to.Spans()
		if len(spans) != 1 {
			t.Fatalf("%s: %d spans", c.kind, len(spans))
		}
		c.want["controller.name"], c.want["controller.object.kind"], c.want["k8s.namespace.name"] = "words", c.kind, "shop"
		if s := spans[0]; s.Name != "reconcile words" || s.Failed != c.failed || s.Service != "test" || !reflect.DeepEqual(s.Attributes, c.want) {
			t.Errorf("%s: got %+v, want %v", c.kind, s, c.want)
		}
		if c.kind != "SecurityPolicy" && strings.Contains(to.Raw(), "alice") || strings.Contains(to.Raw(), "canary") {
			t.Errorf("%s: a name of somebody, or the text of an error, is in what was sent", c.kind)
		}
	}
}
