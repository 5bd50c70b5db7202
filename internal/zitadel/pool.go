package zitadel

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/neosc/mfa-operator/internal/idp"
)

// farewell is how long a replaced client stays open, for calls under way and
// for whoever has just asked for it: reading back takes at most 15 s, and few
// calls come before it.
const farewell = time.Minute

// Pool holds the clients of all connections by name, so that all reconcilers
// share one rate limit, one token and one queue of writes per connection. The
// zero Pool is ready for use, by many goroutines.
type Pool struct {
	mu      sync.Mutex
	clients map[string]pooled
	// leaving has the replaced clients, each with the timer that closes it.
	leaving map[*Client]*time.Timer
	closed  bool
	// farewell replaces the constant in tests.
	farewell time.Duration
}

type pooled struct {
	client      *Client
	fingerprint [sha256.Size]byte
}

// Connect makes name stand for a client with this Config and returns the
// account it acts as. A new Config is proven with Account before anybody uses
// it: if that fails, whoever works with the previous client goes on doing so.
// The same Config as before keeps its client and only asks for the account.
// The errors are those of Dial and Client.Account.
func (p *Pool) Connect(ctx context.Context, name string, cfg Config) (idp.Account, error) {
	fingerprint := cfg.fingerprint()
	p.mu.Lock()
	current, connected := p.clients[name]
	p.mu.Unlock()
	if connected && current.fingerprint == fingerprint {
		return current.client.Account(ctx)
	}

	candidate, err := Dial(cfg)
	if err != nil {
		return idp.Account{}, err
	}
	account, err := candidate.Account(ctx)
	if err != nil {
		_ = candidate.Close() // it never did anything worth waiting for
		return idp.Account{}, err
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = candidate.Close()
		return idp.Account{}, &idp.Error{Cause: idp.Down, Doing: "connecting to " + cfg.Domain, Detail: "we are shutting down"}
	}
	p.dismiss(name)
	if p.clients == nil {
		p.clients = map[string]pooled{}
	}
	p.clients[name] = pooled{candidate, fingerprint}
	return account, nil
}

// Client returns the client that name stands for, false if there is none. Ask
// anew for every piece of work: it is closed a minute after it was replaced.
func (p *Pool) Client(name string) (*Client, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	member, ok := p.clients[name]
	return member.client, ok
}

// Forget drops the client that name stands for, if any.
func (p *Pool) Forget(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dismiss(name)
}

// Close closes all clients at once. Connect fails from then on.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for name := range p.clients {
		p.dismiss(name)
	}
	for client, timer := range p.leaving {
		timer.Stop()
		_ = client.Close()
	}
	p.leaving = nil
}

// dismiss removes a client, and closes it when its farewell is over. The
// caller holds the lock.
func (p *Pool) dismiss(name string) {
	member, ok := p.clients[name]
	if !ok {
		return
	}
	delete(p.clients, name)
	if p.leaving == nil {
		p.leaving = map[*Client]*time.Timer{}
	}
	after := p.farewell
	if after == 0 {
		after = farewell
	}
	p.leaving[member.client] = time.AfterFunc(after, func() {
		_ = member.client.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.leaving, member.client)
	})
}

// Format makes every verb of package fmt print no more than what a Pool is:
// what is reachable from it includes credentials.
func (p *Pool) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("pool of Zitadel clients")) }
