package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
)

// ledger is the ledger of one namespace, as this replica has it. Two loops work
// on it: run appends, follow listens to other writers.
type ledger[V any] struct {
	namespace string
	meaning   meaning[V]
	store     Store
	clock     *clock
	config    *Config
	log       logr.Logger

	life    context.Context // ends when the ledger is closed
	waiting chan *request[V]
	stop    context.CancelFunc
	stopped chan struct{} // closed when run has ended
	working atomic.Int64  // when run began with what it is at, as an instant; 0: it waits

	// Of Ledgers, under its lock.
	users int
	used  instant

	// Of run.
	opener  *opener[V]    // what was read when opening was cut off; nil: nothing
	unborn  instant       // when the name after the head was last known never to have been used
	company int           // how many callers there were when the last batch was answered, it and those who waited
	took    time.Duration // how long the last append took

	// Of keep.
	keeping sync.Mutex
	seen    []sighting // in order

	mu       sync.RWMutex
	state    *state[V] // nil: not open
	limit    limit
	turns    turns
	exporter *exporter     // nil: not started
	grown    chan struct{} // closed when the next batch has been folded, or it was opened; nil: nobody waits
}

// request is one caller's wish: to record what judge says, to record what is
// given, or to look.
type request[V any] struct {
	ctx   context.Context
	judge func(audit.State[V], time.Time) ([]audit.Record, error)
	given []audit.Record
	look  func(*state[V]) // must not keep or change it
	// recorded, if not nil, is called with what was recorded.
	recorded func([]audit.Record)

	refusal error          // judge's, until the state it rests on is shown to be current
	records []audit.Record // what was recorded
	err     error
	done    chan struct{}
}

func newRequest[V any](ctx context.Context) *request[V] {
	return &request[V]{ctx: ctx, done: make(chan struct{})}
}

func (r *request[V]) answer(err error) {
	r.err = err
	close(r.done)
}

// do waits its turn and for the answer.
func (l *ledger[V]) do(ctx context.Context, r *request[V]) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case l.waiting <- r:
	case <-ctx.Done():
		return fmt.Errorf("%w: too many are waiting: %w", ErrUnavailable, context.Cause(ctx))
	case <-l.stopped:
		return fmt.Errorf("%w: shutting down", ErrUnavailable)
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		// The loop may be writing r at this moment: the caller gets nothing of it.
		return context.Cause(ctx)
	case <-l.stopped:
	}
	select {
	case <-r.done:
		return r.err
	default: // it came after the loop had gone
		return fmt.Errorf("%w: shutting down", ErrUnavailable)
	}
}

// peek shows the state if the ledger is open.
func (l *ledger[V]) peek(look func(*state[V])) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.state == nil {
		return false
	}
	look(l.state)
	return true
}

// head is where the ledger ends as far as this replica knows.
func (l *ledger[V]) head() (audit.Head, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.state == nil {
		return audit.Head{}, false
	}
	return l.state.head, true
}

// hear folds a batch that is in the ledger. One that has been folded already is
// passed over; the others must come in order.
func (l *ledger[V]) hear(b audit.Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == nil || b.Sequence <= l.state.head.Sequence {
		return nil
	}
	if err := l.state.follow(b, l.meaning); err != nil {
		// It may be this state that is wrong: what is true is found by opening.
		l.state = nil
		return err
	}
	l.turns.saw(b.Writer, l.clock.boot())
	l.tellGrown()
	return nil
}

// tellGrown wakes who waits for the ledger to grow, or to be opened. It is called
// under the lock.
func (l *ledger[V]) tellGrown() {
	if l.grown != nil {
		close(l.grown)
		l.grown = nil
	}
}

// growing returns a channel that is closed when the next batch is folded, or the
// ledger is opened.
func (l *ledger[V]) growing() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.grown == nil {
		l.grown = make(chan struct{})
	}
	return l.grown
}

// turn is when this writer's turn to append begins.
func (l *ledger[V]) turn() instant {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.turns.begins(l.config.Writer, slotOf(l.took))
}

// forget closes the ledger; the next batch opens it again.
func (l *ledger[V]) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = nil
}

// ensureOpen opens the ledger if it is not.
func (l *ledger[V]) ensureOpen(ctx context.Context) error {
	if _, ok := l.head(); ok {
		return nil
	}
	began := l.clock.boot()
	if l.opener == nil {
		l.opener = newOpener(l.namespace, l.store, l.clock, l.meaning)
	}
	opened, err := l.opener.open(ctx)
	if !errors.Is(err, ErrUnavailable) {
		l.opener = nil
	}
	if err != nil {
		return err
	}
	l.unborn = opened.unborn
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state, l.limit = opened.state, opened.limit
	l.tellGrown()
	l.log.Info("Opened the ledger", "head", opened.state.head.Sequence, "read", opened.read,
		"seconds", l.clock.boot().since(began).Seconds())
	return nil
}

// known tells whose batch is at the head, if the head has that sequence.
func (l *ledger[V]) known(sequence int64) (ok bool, writer, nonce string) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.state == nil || l.state.head.Sequence != sequence {
		return false, "", ""
	}
	return true, l.state.writer, l.state.nonce
}

// limit is what stops a ledger that retention cannot keep small.
type limit struct {
	keep    int64   // bytes that retention keeps
	removed int64   // bytes that retention has removed
	asked   instant // when that was read
}

// askAgain is how long a full ledger is taken to stay full.
const askAgain = 5 * time.Second

func limitOf(obj *v1alpha1.MFALedger, now instant) limit {
	return limit{keep: int64(obj.Spec.Retention.MaxMebibytes) << 20, removed: obj.Status.Floor.Bytes, asked: now}
}

// full tells whether the ledger holds more than twice what it should.
func (l limit) full(appended int64) bool { return appended-l.removed > 2*l.keep }
