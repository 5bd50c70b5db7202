package zitadel

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

// newKeyClient returns a server, a front before it, and a client that uses the
// key of a machine user.
func newKeyClient(t *testing.T, change ...func(*Config)) (*zitadeltest.Server, *front, *Client) {
	t.Helper()
	server := zitadeltest.Start(t)
	user, _ := server.AddMachine(server.DefaultOrganizationID(), "operator", "IAM_OWNER")
	f := newFront(t, server)
	cfg := configFor(t, f.address, "")
	cfg.Credentials = Credentials{JWTProfile, server.AddKey(user, time.Now().Add(time.Hour))}
	for _, c := range change {
		c(&cfg)
	}
	return server, f, dial(t, cfg)
}

func inParallel(n int, do func() error) []error {
	errs := make([]error, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { errs[i] = do() })
	}
	group.Wait()
	return errs
}

func TestOneTokenForManyCalls(t *testing.T) {
	_, f, client := newKeyClient(t)
	read := func() error {
		_, err := client.Observe(t.Context(), idp.Instance, idp.AllGroups()...)
		return err
	}
	if err := errors.Join(inParallel(16, read)...); err != nil {
		t.Fatal(err)
	}
	if n, _, _ := f.seen(); n != 1 {
		t.Errorf("%d token requests for 64 calls, want 1", n)
	}
}

func TestRejectedTokenIsReplaced(t *testing.T) {
	server, f, client := newKeyClient(t)
	read := func() error {
		_, err := client.Observe(t.Context(), idp.Instance, idp.Login)
		return err
	}
	if err := read(); err != nil {
		t.Fatal(err)
	}
	_, token, _ := f.seen()
	server.RevokeToken(token)
	if err := read(); idp.CauseOf(err) != idp.BadCredentials {
		t.Errorf("the call with the revoked token: %v, want BadCredentials", err)
	}
	if err := read(); err != nil {
		t.Errorf("the call after it: %v, want a fresh token", err)
	}
	if n, _, _ := f.seen(); n != 2 {
		t.Errorf("%d token requests, want 2", n)
	}

	_, token, _ = f.seen()
	server.RevokeToken(token)
	for _, err := range inParallel(16, read) {
		if err != nil && idp.CauseOf(err) != idp.BadCredentials {
			t.Error(err)
		}
	}
	if n, _, _ := f.seen(); n > 3 {
		t.Errorf("%d token requests, want at most 3: calls that fail together ask once", n)
	}
	if err := read(); err != nil {
		t.Error(err)
	}
}

// numbered gives a new token each time it is asked.
type numbered struct{ asked int }

func (n *numbered) Token() (*oauth2.Token, error) { return n.TokenCtx(context.Background()) }

func (n *numbered) TokenCtx(context.Context) (*oauth2.Token, error) {
	n.asked++
	return &oauth2.Token{AccessToken: strconv.Itoa(n.asked), Expiry: time.Now().Add(time.Hour)}, nil
}

func TestLateRejectionKeepsTheFreshToken(t *testing.T) {
	issuer := &numbered{}
	tokens := &keyTokens{source: issuer, turn: newTurn()}
	for _, rejected := range []string{"", "1", "1", "0"} { // the second "1" comes from a call that was slow to fail
		tokens.reject(rejected)
		if _, err := tokens.token(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if issuer.asked != 2 {
		t.Errorf("%d token requests, want 2: one at first, one for the rejected token", issuer.asked)
	}
}

func TestTokenRequestFailures(t *testing.T) {
	tests := []struct {
		answer func(*testing.T) http.HandlerFunc
		cause  idp.Cause
		asked  int
		reason string
	}{
		{func(*testing.T) http.HandlerFunc { return answerWith(http.StatusServiceUnavailable, canary) }, idp.Down, maxAttempts, "the endpoint starts up"},
		{func(*testing.T) http.HandlerFunc { return answerWith(http.StatusNotFound, canary) }, idp.Down, maxAttempts, "an ingress without the route"},
		{func(*testing.T) http.HandlerFunc { return answerWith(http.StatusOK, canary) }, idp.Down, maxAttempts, "not a token"},
		{func(*testing.T) http.HandlerFunc {
			return answerWith(http.StatusBadRequest, `{"error":"invalid_grant","error_description":"`+canary+`"}`)
		}, idp.BadCredentials, 1, "a refused key is not asked about again"},
		{func(*testing.T) http.HandlerFunc { return answerWith(http.StatusTooManyRequests, canary) }, idp.RateLimited, maxAttempts, "too many requests"},
		{func(*testing.T) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				if connection, _, err := http.NewResponseController(w).Hijack(); err == nil {
					_ = connection.Close()
				}
			}
		}, idp.Down, maxAttempts, "the connection breaks"},
		{func(t *testing.T) http.HandlerFunc { return hang(t.Context()) }, idp.TimedOut, 1, "no answer within the timeout"},
	}
	for _, test := range tests {
		t.Run(test.reason, func(t *testing.T) {
			t.Parallel()
			server, f, client := newKeyClient(t, func(c *Config) { c.Timeout = 300 * time.Millisecond })
			f.tokensFrom(test.answer(t))
			_, err := client.Observe(t.Context(), idp.Instance, idp.Login)
			if idp.CauseOf(err) != test.cause {
				t.Errorf("got %v, want %s", err, test.cause)
			}
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("the answer shows in %v", err)
			}
			if n, _, _ := f.seen(); n != test.asked || len(server.Calls()) != 0 {
				t.Errorf("%d token requests and calls %v, want %d and none", n, server.CountCalls(), test.asked)
			}
			f.tokensFrom(nil)
			if _, err := client.Observe(t.Context(), idp.Instance, idp.Login); err != nil {
				t.Errorf("once the endpoint is well again: %v", err)
			}
		})
	}
}

// Zitadel itself refuses the keys here.
func TestRefusedKeys(t *testing.T) {
	server := zitadeltest.Start(t)
	user, _ := server.AddMachine(server.DefaultOrganizationID(), "operator", "IAM_OWNER")
	for reason, key := range map[string][]byte{
		"expired":    server.AddKey(user, time.Now().Add(-time.Hour)),
		"never ours": newKeyFile(t, nil),
	} {
		cfg := configFor(t, server.Addr(), "")
		cfg.Credentials = Credentials{JWTProfile, key}
		_, err := dial(t, cfg).Account(t.Context())
		if idp.CauseOf(err) != idp.BadCredentials || !strings.Contains(fmt.Sprint(err), "invalid_grant") {
			t.Errorf("a key that is %s: %v, want BadCredentials with the OAuth error", reason, err)
		}
	}
}

func TestTokenEndpointDown(t *testing.T) {
	server := zitadeltest.Start(t)
	user, _ := server.AddMachine(server.DefaultOrganizationID(), "operator", "IAM_OWNER")
	cfg := configFor(t, server.Addr(), "")
	cfg.Credentials = Credentials{JWTProfile, server.AddKey(user, time.Now().Add(time.Hour))}
	client := dial(t, cfg)
	server.Stop()
	_, err := client.Account(t.Context())
	if idp.CauseOf(err) != idp.Down || !strings.Contains(fmt.Sprint(err), "connection refused") {
		t.Errorf("got %v, want Down: connection refused", err)
	}
}

func TestWaitingForATokenEndsWithTheContext(t *testing.T) {
	_, f, client := newKeyClient(t)
	f.tokensFrom(hang(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 4 { // one asks, the others wait for it
		group.Go(func() {
			if _, err := client.Observe(ctx, idp.Instance, idp.Login); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want context.Canceled", err)
			}
		})
	}
	eventually(t, "the token request", func() bool { n, _, _ := f.seen(); return n > 0 })
	cancel()
	group.Wait()
}

func TestPersonalAccessTokens(t *testing.T) {
	server, _ := newServer(t)
	_, token := server.AddMachine(server.DefaultOrganizationID(), "operator", "IAM_OWNER")
	if _, err := dial(t, configFor(t, server.Addr(), token+"\n")).Account(t.Context()); err != nil {
		t.Errorf("a token from a file that ends in a newline: %v", err)
	}
	client := dial(t, configFor(t, server.Addr(), token))
	server.RevokeToken(token)
	if _, err := client.Account(t.Context()); idp.CauseOf(err) != idp.BadCredentials {
		t.Errorf("a revoked token: %v, want BadCredentials", err)
	}
}
