package zitadel

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

func connect(t *testing.T, pool *Pool, cfg Config) *Client {
	t.Helper()
	if _, err := pool.Connect(t.Context(), "default", cfg); err != nil {
		t.Fatal(err)
	}
	client, ok := pool.Client("default")
	if !ok {
		t.Fatal("a connected pool has no client")
	}
	return client
}

func newPool(t *testing.T) *Pool {
	pool := &Pool{}
	t.Cleanup(pool.Close)
	return pool
}

func TestPoolKeepsTheClientOfAConfig(t *testing.T) {
	server, pool := zitadeltest.Start(t), newPool(t)
	cfg := configFor(t, server.Addr(), server.OwnerToken())
	if client, ok := pool.Client("default"); ok {
		t.Errorf("a new pool has %v", client)
	}
	first := connect(t, pool, cfg)
	if again := connect(t, pool, cfg); again != first {
		t.Error("the same config made another client")
	}
	server.Inject(zitadeltest.Fault{Method: authAPI + "GetMyUser", Code: codes.Unauthenticated, Times: 1})
	if _, err := pool.Connect(t.Context(), "default", cfg); idp.CauseOf(err) != idp.BadCredentials {
		t.Errorf("got %v, want what Account found out", err)
	}
	if client, ok := pool.Client("default"); !ok || client != first {
		t.Error("a failed check must not take the client away")
	}
	account, err := pool.Connect(t.Context(), "default", cfg)
	if err != nil || account.UserID != server.OwnerID() {
		t.Errorf("got %+v, %v, want the owner", account, err)
	}
}

func TestPoolRotation(t *testing.T) {
	server, pool := zitadeltest.Start(t), newPool(t)
	user, token := server.AddMachine(server.DefaultOrganizationID(), "operator", "IAM_OWNER")
	cfg := configFor(t, server.Addr(), token)
	first := connect(t, pool, cfg)

	for reason, bad := range map[string]Credentials{
		"unknown token": pat(canary),
		"no token":      pat(""),
		"expired key":   {JWTProfile, server.AddKey(user, time.Now().Add(-time.Hour))},
		"not a key":     {JWTProfile, []byte(canary)},
	} {
		cfg.Credentials = bad
		_, err := pool.Connect(t.Context(), "default", cfg)
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v, want an error that does not show it", reason, err)
		}
		if client, _ := pool.Client("default"); client != first {
			t.Fatalf("%s: the previous client must stay in use", reason)
		}
	}
	if _, err := first.Account(t.Context()); err != nil {
		t.Errorf("the previous client: %v", err)
	}

	cfg.Credentials = Credentials{JWTProfile, server.AddKey(user, time.Now().Add(time.Hour))}
	if connect(t, pool, cfg) == first {
		t.Error("a good key must make a new client")
	}
	if _, err := first.Account(t.Context()); err != nil {
		t.Errorf("the replaced client still has work to finish: %v", err)
	}
}

func TestPoolClosesReplacedClients(t *testing.T) {
	server, pool := zitadeltest.Start(t), newPool(t)
	pool.farewell = time.Millisecond
	cfg := configFor(t, server.Addr(), server.OwnerToken())
	first := connect(t, pool, cfg)
	cfg.Burst++
	second := connect(t, pool, cfg)
	closed := func(c *Client) func() bool {
		return func() bool { _, err := c.Account(t.Context()); return idp.CauseOf(err) == idp.Down }
	}
	eventually(t, "the end of the replaced client", closed(first))
	pool.Forget("default")
	pool.Forget("default")
	if _, ok := pool.Client("default"); ok {
		t.Error("a forgotten connection has a client")
	}
	eventually(t, "the end of the forgotten client", closed(second))

	third := connect(t, pool, cfg)
	pool.farewell = time.Hour
	cfg.Burst++
	fourth := connect(t, pool, cfg)
	pool.Close()
	if !closed(third)() || !closed(fourth)() {
		t.Error("Close must not wait for farewells")
	}
	if _, err := pool.Connect(t.Context(), "default", cfg); !errors.Is(err, idp.ErrUnreachable) {
		t.Errorf("a closed pool: %v, want ErrUnreachable", err)
	}
}

func TestPoolOfManyConnections(t *testing.T) {
	server, pool := zitadeltest.Start(t), newPool(t)
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			name, cfg := fmt.Sprint("connection ", i%4), configFor(t, server.Addr(), server.OwnerToken())
			cfg.Burst += i % 3
			if _, err := pool.Connect(t.Context(), name, cfg); err != nil {
				t.Error(err)
			}
			if client, ok := pool.Client(name); ok {
				if _, err := client.Observe(t.Context(), idp.Instance, idp.Login); err != nil {
					t.Error(err)
				}
			}
			if i%5 == 0 {
				pool.Forget(name)
			}
		})
	}
	group.Wait()
}
