package zitadel

import (
	"context"
	"sync"

	"google.golang.org/grpc/status"

	"github.com/neosc/mfa-operator/internal/idp"
)

// turn is a mutex whose waiters give up with their context.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

// take fails with the gRPC status of a context that ends first.
func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

func (t turn) release() { <-t }

// turns holds one turn per scope. Concurrent writers to one aggregate fail
// each other at the server, so we queue up here instead. It is never emptied:
// there are as many entries as organizations this client ever wrote to.
type turns struct {
	mu sync.Mutex
	of map[idp.Scope]turn
}

func (t *turns) forScope(s idp.Scope) turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil {
		t.of = map[idp.Scope]turn{}
	}
	if t.of[s] == nil {
		t.of[s] = newTurn()
	}
	return t.of[s]
}
