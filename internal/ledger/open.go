package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
)

// opened is a ledger read to its end.
type opened[V any] struct {
	state  *state[V]
	limit  limit
	unborn instant
	read   int // batches read
}

// opener reads a ledger to its end. What it has read it keeps when it is cut off,
// and goes on from there: else a ledger that takes longer than one try has time for
// would never open.
type opener[V any] struct {
	namespace string
	store     Store
	clock     *clock
	meaning   meaning[V]

	opening
	wants  ask
	ledger *v1alpha1.MFALedger
	holes  int // how often a batch was missing before one that was there
	result opened[V]
}

func newOpener[V any](namespace string, store Store, c *clock, m meaning[V]) *opener[V] {
	o := &opener[V]{namespace: namespace, store: store, clock: c, meaning: m}
	o.wants = o.begin()
	return o
}

// open reads on to the end. A ledger that is not there yet is created. After
// ErrUnavailable it may be called again; after any other error, begin anew.
func (o *opener[V]) open(ctx context.Context) (opened[V], error) {
	tail := &tail{namespace: o.namespace, store: o.store, clock: o.clock}
	defer tail.stop()
	for done := false; !done; {
		r, again, err := o.ask(ctx, tail)
		if err != nil {
			return opened[V]{}, err
		}
		if again {
			o.wants = o.begin()
			continue
		}
		o.wants, done = o.step(r)
	}
	if head := o.result.state.head; head.Sequence < o.ledger.Status.Head.Sequence {
		return opened[V]{}, fmt.Errorf("%w: it ends with batch %d, but batch %d has been seen", audit.ErrBroken,
			head.Sequence, o.ledger.Status.Head.Sequence)
	}
	o.result.unborn = o.proof
	return o.result, nil
}

// ask asks what is wanted, and folds what it gets. again: what was read does not
// fit together, and has to be read anew.
func (o *opener[V]) ask(ctx context.Context, tail *tail) (r reply, again bool, err error) {
	switch o.wants {
	case askFloor:
		obj, err := findLedger(ctx, o.namespace, o.store)
		if err != nil {
			return r, false, err
		}
		if o.ledger == nil || !o.ended {
			o.ledger, o.result.limit = obj, limitOf(obj, o.clock.boot())
			o.result.state, o.result.read = newState[V](string(obj.UID)), 0
		}
		r.floor = obj.Status.Floor.Sequence
		if obj.UID != o.ledger.UID {
			r.floor = aboveAll
		}
		if cp := obj.Status.Checkpoint; cp != nil {
			r.checkpoint = cp.Sequence
		}
	case askSnapshot:
		s, err := readSnapshot[V](ctx, o.namespace, o.store, o.ledger)
		switch {
		case errors.Is(err, errAbsent):
			r.answer = answerAbsent
		case err != nil:
			return r, false, unavailable(err)
		default:
			o.result.state = s
		}
	default: // askBatch
		batch, sent, err := tail.read(ctx, o.next)
		r.sent = sent
		switch {
		case errors.Is(err, errAbsent):
			r.answer = answerAbsent
			hole, err := tail.beyond(ctx, o.next)
			if err != nil {
				return r, false, unavailable(err)
			}
			if hole {
				if o.holes++; o.holes > 2 { // the first may have come between two reads
					return r, false, fmt.Errorf("%w: batch %d is missing, and later ones are there", audit.ErrBroken, o.next)
				}
				return r, true, nil
			}
		case err != nil:
			return r, false, unavailable(err)
		default:
			if err := o.result.state.follow(batch, o.meaning); err != nil {
				return r, false, err
			}
			o.result.read++
		}
	}
	return r, false, nil
}

// findLedger reads the MFALedger, and creates it if there is none. Where there
// are batches, it has been removed, and with it the floor: nobody may go on. It is
// looked for again then, for another writer may just have made it, and appended.
func findLedger(ctx context.Context, namespace string, store Store) (*v1alpha1.MFALedger, error) {
	for batches := false; ; {
		var obj *v1alpha1.MFALedger
		err := persist(ctx, func(ctx context.Context) (err error) {
			obj, err = store.Ledger(ctx, namespace)
			return err
		})
		if err == nil {
			return obj, nil
		}
		if !errors.Is(err, errAbsent) {
			return nil, unavailable(err)
		}
		if batches {
			return nil, fmt.Errorf("%w: there are batches, but no MFALedger", audit.ErrBroken)
		}
		if err := persist(ctx, func(ctx context.Context) (err error) {
			batches, err = store.Any(ctx, namespace)
			return err
		}); err != nil {
			return nil, unavailable(err)
		}
		if batches {
			continue
		}
		if err := store.CreateLedger(ctx, namespace); err != nil {
			return nil, unavailable(err)
		}
	}
}

// unavailable says that a read, or a preparation, did not succeed.
func unavailable(err error) error {
	var no *refusal
	switch {
	case errors.Is(err, audit.ErrBroken):
		return err
	case errors.As(err, &no):
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// tail reads batches in order, several at once.
type tail struct {
	namespace string
	store     Store
	clock     *clock
	ahead     map[int64]chan tailRead
	width     int64
	cancel    context.CancelFunc
}

type tailRead struct {
	batch audit.Batch
	sent  instant
	err   error
}

// The number of batches read at once: few at first, since often there is
// nothing to read.
const (
	firstWidth = 4
	lastWidth  = 32
)

// read returns the batch of that sequence. Batches are asked for in order, or
// from an earlier one again.
func (t *tail) read(ctx context.Context, sequence int64) (audit.Batch, instant, error) {
	if t.ahead[sequence] == nil {
		t.stop()
		ctx, t.cancel = context.WithCancel(ctx)
		t.width = min(max(2*t.width, firstWidth), lastWidth)
		t.ahead = make(map[int64]chan tailRead, t.width)
		for s := sequence; s < sequence+t.width; s++ {
			got := make(chan tailRead, 1)
			t.ahead[s] = got
			go func() { got <- t.one(ctx, s) }()
		}
	}
	got := <-t.ahead[sequence]
	delete(t.ahead, sequence)
	return got.batch, got.sent, got.err
}

func (t *tail) one(ctx context.Context, sequence int64) (got tailRead) {
	got.err = persist(ctx, func(ctx context.Context) (err error) {
		got.sent = t.clock.boot()
		got.batch, err = t.store.Batch(ctx, t.namespace, sequence)
		return err
	})
	return got
}

// beyond tells whether one of the next few batches is there. What was read
// ahead is spent by that.
func (t *tail) beyond(ctx context.Context, sequence int64) (bool, error) {
	defer t.stop()
	for s := sequence + 1; s <= sequence+firstWidth || t.ahead[s] != nil; s++ {
		if _, _, err := t.read(ctx, s); err == nil || !errors.Is(err, errAbsent) {
			return err == nil, err
		}
	}
	return false, nil
}

func (t *tail) stop() {
	if t.cancel != nil {
		t.cancel()
	}
	t.ahead = nil
}
