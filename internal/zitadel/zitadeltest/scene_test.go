package zitadeltest_test

import (
	"context"
	"sync"
	"testing"
	"time"

	messagepb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/message"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// as makes the calls of a context with a token, and about an organization if one is given.
func as(ctx context.Context, token string, org ...string) context.Context {
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	if len(org) > 0 {
		ctx = metadata.AppendToOutgoingContext(ctx, "x-zitadel-orgid", org[0])
	}
	return ctx
}

// wantRefusal checks the code and the error id, "" for none.
func wantRefusal(t *testing.T, reason string, err error, code codes.Code, id string) {
	t.Helper()
	if status.Code(err) != code || errorID(err) != id {
		t.Errorf("%s: got %v with id %q, want %v with id %q: %v", reason, status.Code(err), errorID(err), code, id, err)
	}
}

func errorID(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if d, ok := detail.(*messagepb.ErrorDetail); ok {
			return d.GetId()
		}
	}
	return ""
}

// eventually polls until the condition holds.
func eventually(t *testing.T, reason string, condition func() bool) {
	t.Helper()
	deadline := time.After(5 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within 5 s: %s", reason)
		}
	}
}

// testClock is a clock tests move.
type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
