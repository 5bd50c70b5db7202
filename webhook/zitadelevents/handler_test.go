package zitadelevents

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/zitadel/zitadel-go/v3/pkg/actions"

	"github.com/neosc/mfa-operator/internal/doorbell"
)

// porch is a handler with its surroundings.
type porch struct {
	*httptest.Server
	handler *Handler
	keys    map[string]doorbell.Keys
	failing error
	now     time.Time

	mu   sync.Mutex
	rung []string
	logs bytes.Buffer
}

func newPorch(t *testing.T) *porch {
	t.Helper()
	p := &porch{keys: map[string]doorbell.Keys{}, now: time.Unix(1795451302, 0)}
	p.handler = &Handler{
		keys: func(_ context.Context, connection string) (doorbell.Keys, error) {
			return p.keys[connection], p.failing
		},
		ring: func(connection string) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.rung = append(p.rung, connection)
		},
		now:   func() time.Time { return p.now },
		slots: make(chan struct{}, maxCalls),
		log: funcr.New(func(prefix, args string) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.logs.WriteString(prefix + args + "\n")
		}, funcr.Options{Verbosity: 10}),
	}
	mux := http.NewServeMux()
	mux.Handle("POST "+doorbell.Pattern, p.handler)
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

// call posts a body and returns the code and the answer.
func (p *porch) call(t *testing.T, connection, header string, body io.Reader) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, doorbell.Endpoint(p.URL, connection), body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if header != "" {
		request.Header.Set(doorbell.SignatureHeader, header)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // only read
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

func (p *porch) rings() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.rung)
}

// TestRecordedDeliveriesRing: what a real Zitadel sent, over HTTP.
func TestRecordedDeliveriesRing(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "internal", "zitadel", "zitadeltest", "testdata", "recorded", "deliveries.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Deliveries []struct {
			Event, Body, SigningKey string
			ReceivedAt              time.Time
			Headers                 map[string]string
		}
	}
	if err := json.Unmarshal(text, &file); err != nil || len(file.Deliveries) == 0 {
		t.Fatalf("%d deliveries, %v", len(file.Deliveries), err)
	}
	p := newPorch(t)
	for i, d := range file.Deliveries {
		p.now = d.ReceivedAt
		p.keys["default"] = p.keys["default"].With(d.SigningKey, d.ReceivedAt)
		code, answer := p.call(t, "default", d.Headers["Zitadel-Signature"], strings.NewReader(d.Body))
		if code != http.StatusNoContent || answer != "" || len(p.rings()) != i+1 {
			t.Errorf("%s: %d %q, %d rings", d.Event, code, answer, len(p.rings()))
		}
	}
	for _, d := range file.Deliveries {
		for _, secret := range []string{d.SigningKey, d.Body[2:20], "aggregateID"} {
			if strings.Contains(p.logs.String(), secret) {
				t.Errorf("%s: the log has %s", d.Event, secret)
			}
		}
	}
}

func TestCallsThatAreRefused(t *testing.T) {
	p := newPorch(t)
	p.keys["default"] = doorbell.Keys{{Key: "key"}}
	p.keys["other"] = doorbell.Keys{{Key: "other-key"}}
	const canary = "canary-91b2"
	body := `{"event_payload":"` + canary + `"}`
	sign := func(at time.Time, body, key string) string {
		return actions.ComputeSignatureHeader(at, []byte(body), key)
	}
	good := sign(p.now, body, "key")
	large := strings.Repeat("x", maxBody+1)
	full := strings.Repeat("x", maxBody)
	for _, c := range []struct {
		connection, header, body string
		code                     int
		why                      string
	}{
		{"default", good, body, 204, "the question is put rightly"},
		{"default", sign(p.now, full, "key"), full, 204, "as large as it may be"},
		{"default", "", body, 401, "not signed"},
		{"default", "t=x", body, 401, "a signature that cannot be read"},
		{"default", good, body + " ", 401, "another body"},
		{"default", sign(p.now, body, "other-key"), body, 401, "the key of another connection"},
		{"default", sign(p.now.Add(-301*time.Second), body, "key"), body, 401, "repeated too late"},
		{"default", sign(p.now.Add(301*time.Second), body, "key"), body, 401, "from the future"},
		{"nobody", good, body, 401, "no such connection looks like a wrong key"},
		{"nobody", sign(p.now, body, ""), body, 401, "no key is not the empty key"},
		{"default/", good, body, 404, "no such path"},
		{"default", sign(p.now, large, "key"), large, 413, "too large, though signed"},
	} {
		before := len(p.rings())
		code, answer := p.call(t, c.connection, c.header, strings.NewReader(c.body))
		if code != c.code {
			t.Errorf("%s: got %d, want %d", c.why, code, c.code)
		}
		if rang := len(p.rings()) > before; rang != (c.code == 204) {
			t.Errorf("%s: rang: %v", c.why, rang)
		}
		if code != 404 && answer != "" {
			t.Errorf("%s: the caller is told %q", c.why, answer)
		}
	}
	p.failing = errors.New("the cache is not ready")
	if code, _ := p.call(t, "default", good, strings.NewReader(body)); code != 503 {
		t.Errorf("without a look at the keys: got %d, want 503", code)
	}
	if logs := p.logs.String(); strings.Contains(logs, canary) || !strings.Contains(logs, "Refused a call") {
		t.Errorf("the log is\n%s", logs)
	}
	response, err := http.Get(doorbell.Endpoint(p.URL, "default")) //nolint:noctx // ends with the test's server
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET is answered with %d, %v", response.StatusCode, err)
	}
}

// TestSlowCallersAreTurnedAway: no more are read at a time than there are slots,
// and the slots come back.
func TestSlowCallersAreTurnedAway(t *testing.T) {
	p := newPorch(t)
	p.keys["default"] = doorbell.Keys{{Key: "key"}}
	good := actions.ComputeSignatureHeader(p.now, []byte("{}"), "key")
	var ends []*io.PipeWriter
	var calls sync.WaitGroup
	for range maxCalls {
		body, end := io.Pipe()
		ends = append(ends, end)
		calls.Go(func() {
			if code, _ := p.call(t, "default", good, body); code != http.StatusNoContent {
				t.Errorf("a slow caller is answered with %d", code)
			}
		})
	}
	for len(p.handler.slots) < maxCalls {
		runtime.Gosched()
	}
	if code, _ := p.call(t, "default", good, strings.NewReader("{}")); code != http.StatusServiceUnavailable {
		t.Errorf("one more is answered with %d", code)
	}
	for _, end := range ends {
		if _, err := io.WriteString(end, "{}"); err != nil {
			t.Error(err)
		}
		_ = end.Close()
	}
	calls.Wait()
	if code, _ := p.call(t, "default", good, strings.NewReader("{}")); code != http.StatusNoContent {
		t.Errorf("afterwards one is answered with %d", code)
	}
}

// TestAFloodLeavesNothing: forged calls, each as large as it may be, for
// connections that do not exist, are kept nowhere.
func TestAFloodLeavesNothing(t *testing.T) {
	p := newPorch(t)
	p.handler.log = p.handler.log.V(100)
	body := bytes.Repeat([]byte("x"), maxBody)
	forged := actions.ComputeSignatureHeader(p.now, body, "guess")
	flood := func(from, to int) {
		for i := from; i < to; i++ {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(body))
			request.SetPathValue("connection", fmt.Sprint("connection-", i))
			request.Header.Set(doorbell.SignatureHeader, forged)
			answer := httptest.NewRecorder()
			if p.handler.ServeHTTP(answer, request); answer.Code != http.StatusUnauthorized {
				t.Fatalf("answered with %d", answer.Code)
			}
		}
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	flood(0, 10)
	before := heap()
	flood(10, 1010)
	if after := heap(); after > before+256<<10 {
		t.Errorf("1,000 forged calls leave %d bytes", after-before)
	}
	if len(p.rings()) != 0 {
		t.Errorf("%d rings", len(p.rings()))
	}
}
