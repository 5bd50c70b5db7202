package zitadel

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

// front stands before a server and watches what passes, as an ingress would.
type front struct {
	address string

	mu sync.Mutex
	// tokenRequests counts requests to the token endpoint; lastToken is the
	// token the last call carried.
	tokenRequests int
	lastToken     string
	hosts         []string // instance-host headers
	// answerToken answers token requests instead of the server, if set.
	answerToken http.HandlerFunc
}

func newFront(t *testing.T, server *zitadeltest.Server) *front {
	t.Helper()
	target, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	h2c, h1 := new(http.Protocols), new(http.Protocols)
	h2c.SetUnencryptedHTTP2(true)
	h1.SetHTTP1(true)
	proxyTo := func(protocols *http.Protocols) http.Handler {
		return &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(target)
				r.Out.Host = r.In.Host
			},
			Transport: &http.Transport{Protocols: protocols},
			ErrorLog:  log.New(io.Discard, "", 0),
		}
	}
	grpc, web := proxyTo(h2c), proxyTo(h1)

	f := &front{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.hosts = append(f.hosts, r.Header.Get(instanceHostHeader))
		token := r.URL.Path == "/oauth/v2/token"
		answer := f.answerToken
		if token {
			f.tokenRequests++
		} else {
			f.lastToken = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		}
		f.mu.Unlock()
		switch {
		case token && answer != nil:
			answer(w, r)
		case token:
			web.ServeHTTP(w, r)
		default:
			grpc.ServeHTTP(w, r)
		}
	}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	f.address = s.Listener.Addr().String()
	return f
}

func (f *front) seen() (tokenRequests int, lastToken string, hosts []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tokenRequests, f.lastToken, f.hosts
}

// tokensFrom sets who answers token requests, nil for the server.
func (f *front) tokensFrom(answer http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answerToken = answer
}

func answerWith(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// hang answers when the caller has gone.
func hang(ctx context.Context) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server never notices that the caller went
		select {
		case <-r.Context().Done():
		case <-ctx.Done():
		}
	}
}
