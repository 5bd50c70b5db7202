package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"

	"github.com/neosc/mfa-operator/internal/audit"
)

// Config is what ledgers need. Only REST, or Store, and Writer have to be set.
type Config struct {
	// REST says where the API server is.
	REST *rest.Config
	// Writer names this process in every batch, 1 to 253 characters: the pod.
	Writer string
	// Log gets what an engineer wants to know.
	Log logr.Logger
	// Patience bounds how long one batch is tried for. Unset: 10 s.
	Patience time.Duration
	// Idle is how long a ledger stays open unused. Unset: 10 min.
	Idle time.Duration

	// Sinks get every batch of the ledgers that are kept here; see Keep.
	Sinks []Sink

	// Store, Clock and Boot are for tests. Unset: the API server of REST, the
	// wall clock, the boot-time clock.
	Store Store
	Clock func() time.Time
	Boot  func() time.Duration
}

const (
	// maxWaiting is how many attempts of one namespace may wait; more block
	// their callers.
	maxWaiting = 1024
	// maxRecords and maxBytes bound a batch.
	maxRecords = 2048
	maxBytes   = 256 << 10
	// shortest and longest bound how long a batch waits for company, if the one
	// before had some.
	shortest = 2 * time.Millisecond
	longest  = 10 * time.Millisecond
)

// Ledgers are the ledgers of all namespaces, opened on first use and closed
// when idle. They work while Start runs.
type Ledgers[V, A any] struct {
	fold   audit.Fold[V, A]
	store  Store
	clock  *clock
	config Config

	started chan struct{} // closed by Start

	mu      sync.Mutex
	running context.Context // nil before Start
	ended   bool            // no ledger is opened any more
	open    map[string]*ledger[V]
	loops   sync.WaitGroup
}

// New makes the ledgers whose records mean what the fold says.
func New[V, A any](config Config, fold audit.Fold[V, A]) (*Ledgers[V, A], error) {
	if config.Writer == "" {
		return nil, errors.New("ledger: the config has no writer")
	}
	if config.Log.GetSink() == nil {
		config.Log = logr.Discard()
	}
	config.Patience = cmp.Or(config.Patience, 10*time.Second)
	config.Idle = cmp.Or(config.Idle, 10*time.Minute)
	c := &clock{now: config.Clock, boot: bootTime}
	if c.now == nil {
		c.now = time.Now
	}
	if config.Boot != nil {
		c.boot = func() instant { return instant(config.Boot()) }
	}
	store := config.Store
	if store == nil {
		var err error
		if store, err = NewStore(config.REST, c.watching); err != nil {
			return nil, err
		}
	}
	return &Ledgers[V, A]{
		fold: fold, store: store, clock: c, config: config, started: make(chan struct{}), open: map[string]*ledger[V]{},
	}, nil
}

// Start serves until ctx ends; batches under way are finished. It implements
// manager.Runnable.
func (l *Ledgers[V, A]) Start(ctx context.Context) error {
	l.mu.Lock()
	if l.running != nil {
		l.mu.Unlock()
		return errors.New("ledger: started twice")
	}
	l.running = ctx
	close(l.started)
	l.mu.Unlock()
	tick := time.NewTicker(l.config.Idle / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			l.end()
			return nil
		case <-tick.C:
			l.closeIdle()
		}
	}
}

// end waits for every ledger that was opened; none is opened meanwhile.
func (l *Ledgers[V, A]) end() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.loops.Wait()
}

// Started is closed once the ledgers work.
func (l *Ledgers[V, A]) Started() <-chan struct{} { return l.started }

// NeedLeaderElection tells controller-runtime that every replica works.
func (l *Ledgers[V, A]) NeedLeaderElection() bool { return false }

// Check is the ledgers' part of a liveness check: an error if one of them has been at
// one batch for longer than a limit. Patience bounds every batch, so that should not
// happen, whether or not the API server answers.
func (l *Ledgers[V, A]) Check(limit time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.boot()
	for namespace, led := range l.open {
		if began := instant(led.working.Load()); began != 0 && now.since(began) > limit {
			return fmt.Errorf("the ledger of namespace %s has been at one batch for %s", namespace, now.since(began))
		}
	}
	return nil
}

// asking is how long CheckClock waits for an answer.
const asking = 500 * time.Millisecond

// CheckClock is the ledgers' part of a readiness check: ErrClock if our clock is so far
// from the API server's that nothing would be recorded. It asks that server, which an
// idle process does seldom; if there is no answer within half a second, the last one
// counts.
func (l *Ledgers[V, A]) CheckClock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	if err := l.store.Ask(ctx); err != nil {
		l.config.Log.V(1).Info("Asking the API server for its time", "error", err.Error())
	}
	return l.clock.skewed()
}

// Append judges an attempt and appends what follows from it. The records it
// returns are in the ledger; they, not the error, say whether the attempt was
// right. An error of the fold's Check comes back as it is; for others see
// ErrUnavailable and its neighbours.
//
// When ctx ends first, the attempt may or may not be recorded. An audit.Witness is
// told if it was.
func (l *Ledgers[V, A]) Append(ctx context.Context, namespace string, attempt A) ([]audit.Record, error) {
	r := newRequest[V](ctx)
	r.judge = func(state audit.State[V], now time.Time) ([]audit.Record, error) {
		records, err := l.fold.Check(state, attempt, now)
		if err == nil && len(records) == 0 {
			err = fmt.Errorf("%w: the fold neither refuses nor records", audit.ErrInvalid)
		}
		return records, err
	}
	if witness, ok := any(attempt).(audit.Witness); ok {
		r.recorded = witness.Recorded
	}
	if err := l.do(ctx, namespace, r); err != nil {
		return nil, err
	}
	return r.records, nil
}

// Record appends records as they are, all in one batch. Those that tell of an
// event that is in the ledger already are left out.
func (l *Ledgers[V, A]) Record(ctx context.Context, namespace string, records ...audit.Record) error {
	_, err := l.RecordNew(ctx, namespace, records...)
	return err
}

// RecordNew is Record for who does something once because of it: it returns those that
// were not left out, as they are in the ledger. Of all who record one event, one gets
// it, at most: none, if the answer is lost.
func (l *Ledgers[V, A]) RecordNew(ctx context.Context, namespace string, records ...audit.Record) ([]audit.Record, error) {
	if len(records) == 0 {
		return nil, nil
	}
	r := newRequest[V](ctx)
	r.given = records
	if err := l.do(ctx, namespace, r); err != nil {
		return nil, err
	}
	return r.records, nil
}

// Read shows the state, with everything in it that was answered before Read was
// called. What look gets is valid until it returns; the values in it for ever.
func (l *Ledgers[V, A]) Read(ctx context.Context, namespace string, look func(audit.State[V])) error {
	r := newRequest[V](ctx)
	r.look = func(s *state[V]) { look(entriesOf[V](s.values)) }
	return l.do(ctx, namespace, r)
}

// Head shows where the ledger ends, after everything that was answered before
// Head was called.
func (l *Ledgers[V, A]) Head(ctx context.Context, namespace string, look func(audit.Head)) error {
	r := newRequest[V](ctx)
	r.look = func(s *state[V]) { look(s.head) }
	return l.do(ctx, namespace, r)
}

// Follow calls heard for every batch after a head, in order, until ctx ends or
// heard returns an error; see the function Follow.
func (l *Ledgers[V, A]) Follow(ctx context.Context, namespace string, after audit.Head, heard func(audit.Batch) error) error {
	return Follow(ctx, l.store, namespace, after, heard)
}

// Peek shows the state as far as this replica has heard; usually that lags
// behind by milliseconds. Only for showing, never for deciding.
func (l *Ledgers[V, A]) Peek(ctx context.Context, namespace string, look func(audit.State[V])) error {
	led, err := l.take(namespace)
	if err != nil {
		return err
	}
	defer l.giveBack(led)
	r := newRequest[V](ctx)
	r.look = func(s *state[V]) { look(entriesOf[V](s.values)) }
	if led.peek(r.look) {
		return nil
	}
	return led.do(ctx, r)
}

func (l *Ledgers[V, A]) do(ctx context.Context, namespace string, r *request[V]) error {
	led, err := l.take(namespace)
	if err != nil {
		return err
	}
	defer l.giveBack(led)
	ctx, end := r.traced(ctx, namespace)
	defer end()
	return led.do(ctx, r)
}

// take finds or opens a ledger, which stays open until it is given back.
func (l *Ledgers[V, A]) take(namespace string) (*ledger[V], error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running == nil || l.ended {
		return nil, fmt.Errorf("%w: not running", ErrUnavailable)
	}
	led := l.open[namespace]
	if led == nil {
		ctx, stop := context.WithCancel(l.running) //nolint:gosec // Called when the ledger is closed.
		led = &ledger[V]{
			namespace: namespace, meaning: meaning[V]{l.fold.Apply, l.fold.Expired}, store: l.store, clock: l.clock, config: &l.config,
			log: l.config.Log.WithValues("namespace", namespace), waiting: make(chan *request[V], maxWaiting),
			stopped: make(chan struct{}), stop: stop, life: ctx,
		}
		l.open[namespace] = led
		l.loops.Go(func() { led.run(ctx) })
		l.loops.Go(func() { led.follow(ctx) })
	}
	led.users++
	return led, nil
}

func (l *Ledgers[V, A]) giveBack(led *ledger[V]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	led.users--
	led.used = l.clock.boot()
}

func (l *Ledgers[V, A]) closeIdle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for namespace, led := range l.open {
		if led.users == 0 && l.clock.boot().since(led.used) >= l.config.Idle {
			led.stop()
			delete(l.open, namespace)
		}
	}
}
