package ledger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/metrics"
)

// run appends batch after batch until ctx ends.
func (l *ledger[V]) run(ctx context.Context) {
	defer close(l.stopped)
	var pending []*request[V] // what did not fit into the batch before
	for {
		pending = l.collect(ctx, pending)
		if ctx.Err() != nil {
			finish(pending, fmt.Errorf("%w: shutting down", ErrUnavailable))
			return
		}
		l.working.Store(int64(l.clock.boot()))
		// A batch under way is finished even if we are told to stop.
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.config.Patience)
		pending = l.settle(patience, pending)
		cancel()
		l.working.Store(0)
	}
}

// collect waits for requests and takes those there are. When the batch before was
// answered to several callers, or others were waiting by then, all of these may be
// about to be here: it waits for as many, at most about as long as an append takes.
// Callers would otherwise fall into groups that take turns, each with a small batch.
func (l *ledger[V]) collect(ctx context.Context, pending []*request[V]) []*request[V] {
	if len(pending) == 0 {
		select {
		case r := <-l.waiting:
			pending = append(pending, r)
		case <-ctx.Done():
			return nil
		}
	}
	var lingered <-chan time.Time
	if l.company > 1 {
		timer := time.NewTimer(l.linger())
		defer timer.Stop()
		lingered = timer.C
	}
	for len(pending) < maxRecords {
		select {
		case r := <-l.waiting:
			pending = append(pending, r)
			continue
		default:
		}
		if lingered == nil || len(pending) >= l.company {
			return pending
		}
		select {
		case r := <-l.waiting:
			pending = append(pending, r)
		case <-lingered:
			lingered = nil
		case <-ctx.Done():
			return pending
		}
	}
	return pending
}

// linger is how long a batch waits for company.
func (l *ledger[V]) linger() time.Duration { return min(max(l.took, shortest), longest) }

// settle answers the requests it takes into one batch and returns the others.
func (l *ledger[V]) settle(ctx context.Context, requests []*request[V]) (rest []*request[V]) {
	for {
		ctx := asked(ctx, requests)
		if err := l.ensureOpen(ctx); err != nil {
			finish(requests, err)
			return rest
		}
		requests = l.awaitTurn(ctx, requests)
		d, ok := l.draft(requests, l.checkRoom(ctx))
		if !ok { // closed meanwhile, by a batch that does not follow
			continue
		}
		requests, rest = d.requests, append(d.left, rest...)
		if len(requests) == 0 {
			return rest
		}
		v, err := l.claim(ctx, d)
		switch v {
		case won, current:
			l.company = len(d.requests) + len(rest) + len(l.waiting)
			l.answer(d.requests)
			return rest
		case lost, behind:
			if ctx.Err() == nil {
				continue // judge again
			}
			finish(requests, fmt.Errorf("%w: other writers were faster: %w", ErrUnavailable, ctx.Err()))
			return rest
		case refused:
			recording, others := d.split()
			finish(recording, fmt.Errorf("%w: %w", ErrRefused, err))
			if requests = others; len(requests) == 0 {
				return rest
			}
		case unknown:
			recording, others := d.split()
			finish(recording, fmt.Errorf("%w: %w", ErrUnknown, err))
			finish(others, fmt.Errorf("%w: %w", ErrUnavailable, err))
			return rest
		default: // helpless
			finish(requests, fmt.Errorf("%w: %w", ErrUnavailable, err))
			return rest
		}
	}
}

// awaitTurn leaves the next batch to other writers as long as it is their turn, and
// takes in who comes meanwhile. Who only looks needs no turn.
func (l *ledger[V]) awaitTurn(ctx context.Context, requests []*request[V]) []*request[V] {
	if !slices.ContainsFunc(requests, func(r *request[V]) bool { return r.look == nil }) {
		return requests
	}
	for len(requests) < maxRecords {
		grown := l.growing()
		rest := l.turn().since(l.clock.boot())
		if rest <= 0 {
			break
		}
		timer := time.NewTimer(rest)
		select {
		case r := <-l.waiting:
			requests = append(requests, r)
		case <-grown: // another's turn now
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			break
		}
	}
	return requests
}

func finish[V any](requests []*request[V], err error) {
	for _, r := range requests {
		r.answer(err)
	}
}

// draft is a batch that has been judged and not been claimed yet.
type draft[V any] struct {
	next     int64 // the sequence it was judged for
	batch    audit.Batch
	requests []*request[V] // that are in it
	left     []*request[V] // that did not fit
}

// draft judges requests one after the other, each as if those before it had
// been recorded. Requests that need no claim are answered here: callers who are
// gone, records that are invalid, and all that would record if notNow is an
// error.
func (l *ledger[V]) draft(requests []*request[V], notNow error) (*draft[V], bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	s := l.state
	if s == nil {
		return nil, false
	}
	at, err := l.clock.recordTime(s.head.Time)
	if err != nil {
		notNow = err
	}
	d := &draft[V]{next: s.head.Sequence + 1, batch: audit.Batch{
		Ledger: s.head.Ledger, Writer: l.config.Writer, Nonce: rand.Text(), Records: make([]audit.Record, 0, len(requests)),
	}}
	values, origins := over(s.values), over(s.origins)
	size := batchOverhead
	for i, r := range requests {
		r.refusal, r.records = nil, nil
		if r.ctx.Err() != nil {
			r.answer(context.Cause(r.ctx))
			continue
		}
		if r.look != nil {
			d.requests = append(d.requests, r)
			continue
		}
		if notNow != nil {
			r.answer(notNow)
			continue
		}
		records, err := r.wanted(values, origins, at)
		if errors.Is(err, audit.ErrInvalid) {
			r.answer(err)
			continue
		}
		bytes := 0
		for i := range records {
			bytes += recordSize(records[i])
		}
		if len(d.batch.Records) > 0 && (size+bytes > maxBytes || len(d.batch.Records)+len(records) > maxRecords) {
			d.left = requests[i:]
			break
		}
		if batchOverhead+bytes > maxBytes || len(records) > maxRecords {
			r.answer(fmt.Errorf("%w: %d records with %d bytes are too much for one batch", audit.ErrInvalid, len(records), bytes))
			continue
		}
		size += bytes
		r.refusal = err
		from := len(d.batch.Records)
		for _, record := range records {
			record.Time, record.ID = at, audit.RecordID(d.next, len(d.batch.Records))
			l.meaning.apply(values, record)
			if record.Origin != nil {
				origins.Set(record.Origin.Aggregate, origin{record.Origin.Sequence, at})
			}
			d.batch.Records = append(d.batch.Records, record)
		}
		r.records = d.batch.Records[from:len(d.batch.Records):len(d.batch.Records)]
		d.requests = append(d.requests, r)
	}
	if len(d.batch.Records) > 0 {
		d.batch.Seal(s.head, at)
	}
	return d, true
}

// wanted returns the records a request wants appended.
func (r *request[V]) wanted(values audit.State[V], origins audit.State[origin], at time.Time) ([]audit.Record, error) {
	records := r.given
	if r.judge != nil {
		var err error
		if records, err = r.judge(values, at); err != nil {
			return nil, err
		}
	}
	kept := make([]audit.Record, 0, len(records))
	taken := map[string]int64{}
	for _, record := range records {
		if err := record.Check(); err != nil {
			return nil, err
		}
		if o := record.Origin; o != nil {
			if o.Sequence <= max(origins.Get(o.Aggregate).Sequence, taken[o.Aggregate]) {
				continue
			}
			taken[o.Aggregate] = o.Sequence
		}
		kept = append(kept, record)
	}
	return kept, nil
}

// split parts the requests that have records in the batch from the others.
func (d *draft[V]) split() (recording, others []*request[V]) {
	for _, r := range d.requests {
		if len(r.records) > 0 {
			recording = append(recording, r)
		} else {
			others = append(others, r)
		}
	}
	return recording, others
}

// answer answers every request, now that the state they rest on is shown to be
// current.
func (l *ledger[V]) answer(requests []*request[V]) {
	for _, r := range requests {
		err := r.refusal
		if r.look != nil && !l.peek(r.look) {
			err = fmt.Errorf("%w: it is being opened again", ErrUnavailable)
		}
		if r.recorded != nil && len(r.records) > 0 {
			r.recorded(r.records)
		}
		r.answer(err)
	}
}

// claim carries out one turn for a draft.
func (l *ledger[V]) claim(ctx context.Context, d *draft[V]) (verdict, error) {
	t := turn{next: d.next, write: len(d.batch.Records) > 0, unborn: l.unborn}
	ctx, end := d.traced(ctx)
	var (
		v     verdict
		other audit.Batch
		err   error
	)
	began, pause := l.clock.boot(), firstPause
	for a := t.begin(); ; {
		var r reply
		if r, err = l.ask(ctx, a, t.next, d.batch, &other); err != nil {
			l.log.V(1).Info("Asking the API server", "batch", t.next, "error", err.Error())
		}
		if r.answer == answerUnclear {
			pause = wait(ctx, pause)
			r.now = l.clock.boot()
		}
		if a, v = t.step(r); v != undecided {
			break
		}
	}
	l.unborn = t.unborn
	took := l.clock.boot().since(began)
	count(v, d.batch.Records, took)
	end(v)
	switch v {
	case won:
		l.took = took
		l.fold(d.batch)
	case lost:
		l.fold(other)
	case behind:
		l.log.Info("What is known of the ledger ends below its floor; opening it again", "head", d.next-1)
		l.forget()
	case unknown:
		if err == nil {
			l.log.Info("A batch was created under a name that had been used and removed; it was removed again", "batch", t.next)
			l.forget()
			err = errors.New("this process was stopped for too long")
		}
	default:
	}
	return v, err
}

// fold folds a batch that was won or lost to. If it does not follow, the
// ledger is closed, and opening it says what is wrong.
func (l *ledger[V]) fold(b audit.Batch) {
	if err := l.hear(b); err != nil {
		l.log.Error(err, "A batch does not follow what is known of the ledger; opening it again")
	}
}

// checkRoom says why nothing may be recorded, if the ledger is full.
func (l *ledger[V]) checkRoom(ctx context.Context) error {
	l.mu.RLock()
	s, limit := l.state, l.limit
	l.mu.RUnlock()
	if s == nil || !limit.full(s.bytes) {
		return nil
	}
	if now := l.clock.boot(); now.since(limit.asked) >= askAgain {
		obj, err := l.store.Ledger(ctx, l.namespace)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		limit = limitOf(obj, now)
		l.mu.Lock()
		l.limit = limit
		l.mu.Unlock()
	}
	if limit.full(s.bytes) {
		metrics.LedgerFull.Inc()
		return fmt.Errorf("%w: it holds %d MiB, %d MiB are to be kept", ErrFull, (s.bytes-limit.removed)>>20, limit.keep>>20)
	}
	return nil
}

// ask asks the API server one thing about the batch of that name. What it reads
// goes into found.
func (l *ledger[V]) ask(ctx context.Context, a ask, name int64, ours audit.Batch, found *audit.Batch) (r reply, err error) {
	r.sent = l.clock.boot()
	defer func() { r.now = l.clock.boot() }()
	switch a {
	case askCreate:
		tryOnce, cancel := context.WithTimeout(ctx, l.config.Patience/2)
		defer cancel()
		err = l.store.Create(tryOnce, l.namespace, ours)
		var no *refusal
		switch {
		case err == nil:
			r.answer = answerMade
		case errors.Is(err, errExists):
			r.answer = answerExists
		case errors.As(err, &no):
			r.answer = answerRefused
		default:
			r.answer = answerUnclear
			l.log.Info("The answer to creating a batch was lost", "batch", name, "error", err.Error())
		}
	case askBatch:
		// Whoever was faster is on the way here by watch; that saves a read.
		if ours.Sequence == name {
			l.soon(ctx, name)
		}
		if known, writer, nonce := l.known(name); known {
			r.answer = answerOther
			if writer == ours.Writer && nonce == ours.Nonce {
				r.answer = answerOurs
			}
			return r, nil
		}
		err = persist(ctx, func(ctx context.Context) (err error) {
			r.sent = l.clock.boot()
			*found, err = l.store.Batch(ctx, l.namespace, name)
			return err
		})
		switch {
		case errors.Is(err, errAbsent):
			r.answer, err = answerAbsent, nil
		case err != nil:
			r.answer = answerGaveUp
		case found.Writer == ours.Writer && found.Nonce == ours.Nonce:
			r.answer = answerOurs
		default:
			r.answer = answerOther
		}
	case askFloor:
		ctx, cancel := l.anew(ctx)
		defer cancel()
		r.floor, err = l.floor(ctx)
		if err != nil {
			r.answer = answerGaveUp
		}
	default: // askRemove
		ctx, cancel := l.anew(ctx)
		defer cancel()
		err = persist(ctx, func(ctx context.Context) error { return l.store.Remove(ctx, l.namespace, name) })
		if err != nil {
			r.answer = answerGaveUp
		}
	}
	return r, err
}

// hearsay is how long the watch gets to bring what we lost to.
const hearsay = 10 * time.Millisecond

// soon waits a little for the batch of that name to be folded.
func (l *ledger[V]) soon(ctx context.Context, name int64) {
	grown := l.growing()
	if head, open := l.head(); !open || head.Sequence >= name {
		return
	}
	timer := time.NewTimer(hearsay)
	defer timer.Stop()
	select {
	case <-grown:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// anew gives patience anew. Whoever asks for the floor may have slept, and then
// there is none left.
func (l *ledger[V]) anew(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), l.config.Patience/2)
}

// aboveAll is a floor above every batch.
const aboveAll = 1 << 62

// floor reads the floor of the ledger we have open.
func (l *ledger[V]) floor(ctx context.Context) (floor int64, err error) {
	head, _ := l.head()
	err = persist(ctx, func(ctx context.Context) error {
		obj, err := l.store.Ledger(ctx, l.namespace)
		if err == nil && string(obj.UID) == head.Ledger {
			floor = obj.Status.Floor.Sequence
			return nil
		}
		if err == nil || errors.Is(err, errAbsent) { // another one, or none any more
			floor = aboveAll
			return nil
		}
		return err
	})
	return floor, err
}

// persist repeats a read, or a removal, until it is answered.
func persist(ctx context.Context, do func(context.Context) error) error {
	for pause := firstPause; ; pause = wait(ctx, pause) {
		err := do(ctx)
		var no *refusal
		if err == nil || errors.Is(err, errAbsent) || errors.As(err, &no) || ctx.Err() != nil {
			return err
		}
	}
}

// The pauses between tries.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = 500 * time.Millisecond
)

// wait waits, unless ctx ends, and returns how long to wait next time.
func wait(ctx context.Context, pause time.Duration) time.Duration {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return min(2*pause, lastPause)
}
