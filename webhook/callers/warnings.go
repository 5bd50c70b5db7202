package callers

import (
	"context"
	"slices"
	"sync"
)

// warned is code 299 of the Warning header, the only one that an API server sends.
const warned = 299

type warningsKey struct{}

// Warnings is what an API server has to say of requests that succeed, each thing once.
type Warnings struct {
	mu   sync.Mutex
	said []string
}

// Heard returns a context in which w hears what an API server says of requests by a
// client that OnBehalf configured.
func (w *Warnings) Heard(ctx context.Context) context.Context {
	return context.WithValue(ctx, warningsKey{}, w)
}

// Said lists what has been heard.
func (w *Warnings) Said() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.said)
}

// hearing is a rest.WarningHandlerWithContext.
type hearing struct{}

// HandleWarningHeaderWithContext implements rest.WarningHandlerWithContext.
func (hearing) HandleWarningHeaderWithContext(ctx context.Context, code int, _, text string) {
	w, listens := ctx.Value(warningsKey{}).(*Warnings)
	if !listens || code != warned || text == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.said, text) {
		w.said = append(w.said, text)
	}
}
