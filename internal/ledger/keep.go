package ledger

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"golang.org/x/sync/errgroup"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
)

const (
	// A new checkpoint is due after so many batches, or bytes; readers start there.
	checkpointEvery = 256
	checkpointBytes = 4 << 20
	// maxMarks bounds status.marks; markEvery parts what is kept, in bytes and in
	// age, so that the floor can be raised in small steps.
	maxMarks  = 128
	markEvery = 64
	// maxSweep bounds how many batches one pass removes, sweepers how many at once.
	maxSweep = 20000
	sweepers = 8
)

// sighting notes that a batch was seen to exist.
type sighting struct {
	sequence int64
	at       instant
}

// Keep looks after one ledger: it takes a checkpoint when one is due, raises the
// floor by the MFALedger's retention, and removes what lies below it. Only one
// process at a time should do so, but nothing breaks if two do. It returns the
// MFALedger as it now is. To be called every minute or so.
//
// The order is what makes it safe: the snapshot, then the status that names it
// and the floor, then the removals.
func (l *Ledgers[V, A]) Keep(ctx context.Context, namespace string) (*v1alpha1.MFALedger, error) {
	led, err := l.take(namespace)
	if err != nil {
		return nil, err
	}
	defer l.giveBack(led)
	return led.keep(ctx)
}

func (l *ledger[V]) keep(ctx context.Context) (*v1alpha1.MFALedger, error) {
	l.keeping.Lock()
	defer l.keeping.Unlock()
	s, err := l.clone(ctx)
	if err != nil {
		return nil, err
	}
	obj, err := l.store.Ledger(ctx, l.namespace)
	if err != nil {
		return nil, unavailable(err)
	}
	if string(obj.UID) != s.head.Ledger {
		l.forget()
		return nil, fmt.Errorf("%w: the ledger has been replaced by another one", ErrUnavailable)
	}
	before := obj.Status.DeepCopy()
	l.export(l.life, s.head, &obj.Status)
	exported, sinkErr := l.exported()
	if exported == nil {
		obj.Status.Exported = nil
	} else if obj.Status.Exported == nil || exported.Sequence > obj.Status.Exported.Sequence {
		obj.Status.Exported = exported
	}
	plan := planKeep(obj, s.head, s.bytes, l.settled(s.head.Sequence), l.clock.now())
	if plan.checkpoint {
		if obj.Status.Checkpoint, err = l.checkpoint(ctx, s); err != nil {
			return nil, unavailable(err)
		}
	}
	plan.apply(&obj.Status)
	if !equality.Semantic.DeepEqual(before, &obj.Status) {
		if err := l.store.UpdateLedgerStatus(ctx, obj); err != nil {
			return nil, unavailable(err)
		}
	}
	if plan.checkpoint {
		if err := removeSnapshots(ctx, l.namespace, l.store, obj.Status.Checkpoint); err != nil {
			return obj, unavailable(err)
		}
	}
	if err := l.sweep(ctx, obj); err != nil {
		return obj, err
	}
	if sinkErr != nil {
		return obj, fmt.Errorf("%w: %w", audit.ErrSink, sinkErr)
	}
	return obj, nil
}

// clone returns a copy of the state, current when the call began.
func (l *ledger[V]) clone(ctx context.Context) (*state[V], error) {
	var s *state[V]
	r := newRequest[V](ctx)
	r.look = func(current *state[V]) { s = current.clone() }
	err := l.do(ctx, r)
	return s, err
}

// settled notes that a batch exists, and returns the last one that was seen to
// exist long enough ago to be removed.
func (l *ledger[V]) settled(head int64) int64 {
	now := l.clock.boot()
	if n := len(l.seen); n == 0 || l.seen[n-1].sequence < head {
		l.seen = append(l.seen, sighting{head, now})
	}
	old := 0
	for i, s := range l.seen {
		if now.since(s.at) >= youngest {
			old = i + 1
		}
	}
	if old == 0 {
		return 0
	}
	l.seen = l.seen[old-1:] // of the old ones the last says it all
	return l.seen[0].sequence
}

// checkpoint writes a snapshot and returns what to put into the status.
func (l *ledger[V]) checkpoint(ctx context.Context, s *state[V]) (*v1alpha1.LedgerCheckpoint, error) {
	data, err := s.encode(l.meaning.expired)
	if err != nil {
		return nil, err
	}
	parts, err := writeSnapshot(ctx, l.namespace, l.store, s.head.Sequence, data)
	if err != nil {
		return nil, err
	}
	// What a checkpoint leaves out is as good as never there; so free it here too.
	l.mu.Lock()
	if l.state != nil {
		l.state.prune(l.meaning.expired)
	}
	l.mu.Unlock()
	return &v1alpha1.LedgerCheckpoint{LedgerPoint: point(s.head, s.bytes), Parts: int32(parts), Digest: digest(data)}, nil
}

// sweep removes the batches up to the floor that are still there.
func (l *ledger[V]) sweep(ctx context.Context, obj *v1alpha1.MFALedger) error {
	from, to := obj.Status.Removed+1, min(obj.Status.Floor.Sequence, obj.Status.Removed+maxSweep)
	if from > to {
		return nil
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(sweepers)
	for sequence := from; sequence <= to; sequence++ {
		group.Go(func() error { return l.store.Remove(groupCtx, l.namespace, sequence) })
	}
	if err := group.Wait(); err != nil {
		return unavailable(err)
	}
	obj.Status.Removed = to
	if err := l.store.UpdateLedgerStatus(ctx, obj); err != nil {
		return unavailable(err)
	}
	l.log.Info("Removed old batches", "from", from, "to", to)
	return nil
}

func point(h audit.Head, bytes int64) v1alpha1.LedgerPoint {
	return v1alpha1.LedgerPoint{Sequence: h.Sequence, Hash: h.Hash, Time: metav1.MicroTime{Time: h.Time}, Bytes: bytes}
}

// keepPlan is what one pass is going to change.
type keepPlan struct {
	checkpoint bool // take one at the head
	head       v1alpha1.LedgerPoint
	floor      v1alpha1.LedgerPoint
	marks      []v1alpha1.LedgerPoint
}

// planKeep decides what one pass is going to do. settled is the last batch that
// is old enough to be removed.
func planKeep(obj *v1alpha1.MFALedger, head audit.Head, bytes, settled int64, now time.Time) keepPlan {
	status, keep := &obj.Status, obj.Spec.Retention
	maxAge, maxBytes := time.Duration(keep.MaxAgeDays)*24*time.Hour, int64(keep.MaxMebibytes)<<20
	p := keepPlan{head: point(head, bytes), floor: status.Floor, marks: slices.Clone(status.Marks)}

	last := status.Floor
	if n := len(p.marks); n > 0 {
		last = p.marks[n-1]
	}
	if head.Sequence > last.Sequence &&
		(bytes-last.Bytes >= maxBytes/markEvery || head.Time.Sub(last.Time.Time) >= maxAge/markEvery) {
		p.marks = append(p.marks, p.head)
	}
	removable := settled
	if status.Exported != nil {
		removable = min(removable, status.Exported.Sequence)
	}
	for len(p.marks) > 0 {
		mark := p.marks[0]
		tooOld := now.Sub(mark.Time.Time) > maxAge
		tooMany := bytes-p.floor.Bytes > maxBytes
		if mark.Sequence > removable || !tooOld && !tooMany {
			break
		}
		p.floor, p.marks = mark, p.marks[1:]
	}
	if len(p.marks) > maxMarks { // every second one will do
		thin := p.marks[:0]
		for i, mark := range p.marks {
			if i%2 == 1 {
				thin = append(thin, mark)
			}
		}
		p.marks = thin
	}

	var at v1alpha1.LedgerPoint
	if status.Checkpoint != nil {
		at = status.Checkpoint.LedgerPoint
	}
	p.checkpoint = head.Sequence > at.Sequence &&
		(p.floor.Sequence > at.Sequence || head.Sequence-at.Sequence >= checkpointEvery || bytes-at.Bytes >= checkpointBytes)
	return p
}

func (p keepPlan) apply(status *v1alpha1.MFALedgerStatus) {
	status.Head, status.Floor, status.Marks = p.head, p.floor, p.marks
	status.Bytes = p.head.Bytes - p.floor.Bytes
}
