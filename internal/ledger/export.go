package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	k8swait "k8s.io/apimachinery/pkg/util/wait"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/metrics"
)

// Sink takes the batches of ledgers out of the cluster.
type Sink interface {
	// Name says which, in logs.
	Name() string
	// Deliver takes one batch. It returns nil only once the batch is where it
	// belongs; a batch may come again, under the same ids.
	Deliver(ctx context.Context, namespace string, b audit.Batch) error
}

// The pauses between two tries to deliver a batch.
const (
	firstDelivery = time.Second
	lastDelivery  = time.Minute
)

// exporter delivers one ledger to the sinks, batch by batch, in order.
type exporter struct {
	sinks []Sink
	ended chan struct{}

	// Under the ledger's lock.
	done    audit.Head // the last batch every sink has taken
	bytes   int64
	failure error // why the next one is not, yet
}

// export starts the exporter, from what the status says has been taken.
func (l *ledger[V]) export(ctx context.Context, head audit.Head, status *v1alpha1.MFALedgerStatus) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.exporter != nil || len(l.config.Sinks) == 0 {
		return
	}
	from := status.Floor
	if status.Exported != nil && status.Exported.Sequence >= from.Sequence {
		from = *status.Exported
	}
	head = audit.Start(head.Ledger)
	if from.Sequence > 0 {
		head.Sequence, head.Hash, head.Time = from.Sequence, from.Hash, from.Time.UTC()
	}
	e := &exporter{sinks: l.config.Sinks, ended: make(chan struct{}), done: head, bytes: from.Bytes}
	l.exporter = e
	go func() {
		defer close(e.ended)
		e.run(ctx, l.namespace, l.store, l.clock.now, func(head audit.Head, bytes int64, failure error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			e.done, e.bytes, e.failure = head, e.bytes+bytes, failure
			if failure != nil {
				l.log.Error(failure, "A sink does not take a batch; trying again", "batch", head.Sequence+1)
			}
		})
	}()
}

// exported is how far the sinks have come; nil: there are none. The error says
// why they come no further.
func (l *ledger[V]) exported() (*v1alpha1.LedgerPoint, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.exporter == nil {
		return nil, nil
	}
	p := point(l.exporter.done, l.exporter.bytes)
	return &p, l.exporter.failure
}

// run delivers until ctx ends. note hears of every batch that is delivered, and
// of every failure to.
func (e *exporter) run(ctx context.Context, namespace string, store Store, now func() time.Time, note func(audit.Head, int64, error)) {
	head := e.done
	for ctx.Err() == nil {
		err := Follow(ctx, store, namespace, head, func(b audit.Batch) error {
			for _, sink := range e.sinks {
				for pause := firstDelivery; ; pause = min(2*pause, lastDelivery) {
					err := sink.Deliver(ctx, namespace, b)
					if err == nil {
						metrics.LedgerExports.WithLabelValues(sink.Name(), "Delivered").Inc()
						break
					}
					metrics.LedgerExports.WithLabelValues(sink.Name(), "Failed").Inc()
					note(head, 0, fmt.Errorf("delivering to %s: %w", sink.Name(), err))
					if wait(ctx, k8swait.Jitter(pause, 0.25)); ctx.Err() != nil {
						return ctx.Err()
					}
				}
			}
			head = b.Head()
			metrics.LedgerExportLag.Observe(now().Sub(head.Time).Seconds())
			note(head, int64(batchSize(b)), nil)
			return nil
		})
		if err != nil && ctx.Err() == nil {
			note(head, 0, fmt.Errorf("reading what is to be exported: %w", err))
			wait(ctx, lastDelivery/4)
		}
	}
}

// Follow calls heard for every batch after a head, in order and with its chain
// checked, and waits for more until ctx ends or heard returns an error. It
// returns audit.ErrBroken if the chain does not hold, also when the batch after
// the head has been removed by retention.
func Follow(ctx context.Context, store Store, namespace string, after audit.Head, heard func(audit.Batch) error) error {
	f := &follower{store: store, namespace: namespace, head: after, heard: heard}
	for pause := firstPause; ; pause = wait(ctx, pause) {
		before := f.head.Sequence
		err := f.once(ctx)
		var no *refusal
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case f.end != nil:
			return f.end
		case errors.As(err, &no):
			return unavailable(err)
		case f.head.Sequence > before:
			pause = firstPause
		}
	}
}

type follower struct {
	store     Store
	namespace string
	head      audit.Head
	heard     func(audit.Batch) error
	end       error // why there is no going on
}

// once catches up by name and goes on by watch, until that is interrupted.
func (f *follower) once(ctx context.Context) error {
	point, err := f.store.Now(ctx, f.namespace)
	if err != nil {
		return err
	}
	for {
		b, err := f.store.Batch(ctx, f.namespace, f.head.Sequence+1)
		if errors.Is(err, errAbsent) {
			break
		} else if err != nil {
			return err
		}
		if err := f.next(b); err != nil {
			return err
		}
	}
	obj, err := f.store.Ledger(ctx, f.namespace)
	switch {
	case errors.Is(err, errAbsent): // nothing has been appended yet
	case err != nil:
		return err
	case obj.Status.Floor.Sequence > f.head.Sequence:
		f.end = fmt.Errorf("%w: batch %d has been removed by retention, the oldest is %d",
			audit.ErrBroken, f.head.Sequence+1, obj.Status.Floor.Sequence+1)
		return f.end
	}
	return f.store.Watch(ctx, f.namespace, point, func(news News) error {
		switch {
		case news.Removed || news.Sequence <= f.head.Sequence:
			return nil
		case news.Sequence > f.head.Sequence+1:
			return errGap
		}
		b, err := news.Batch()
		if err != nil {
			return err
		}
		return f.next(b)
	})
}

func (f *follower) next(b audit.Batch) error {
	head, err := f.head.Follow(b)
	if err == nil {
		err = f.heard(b)
	}
	if err != nil {
		f.end = err
		return err
	}
	f.head = head
	return nil
}
