package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/neosc/mfa-operator/internal/audit"
)

// Oldest is the head that the oldest batch which is kept follows: the floor, or
// the start.
func Oldest(ctx context.Context, store Store, namespace string) (audit.Head, error) {
	obj, err := store.Ledger(ctx, namespace)
	if errors.Is(err, errAbsent) {
		any, anyErr := store.Any(ctx, namespace)
		if anyErr != nil {
			return audit.Head{}, unavailable(anyErr)
		}
		if !any {
			return audit.Head{}, fmt.Errorf("namespace %s has no ledger: nothing has been recorded in it", namespace)
		}
		// It may have been made between the two reads.
		if obj, err = store.Ledger(ctx, namespace); errors.Is(err, errAbsent) {
			return audit.Head{}, fmt.Errorf("%w: there are batches, but no MFALedger", audit.ErrBroken)
		}
	}
	if err != nil {
		return audit.Head{}, unavailable(err)
	}
	head := audit.Start(string(obj.UID))
	if floor := obj.Status.Floor; floor.Sequence > 0 {
		head.Sequence, head.Hash, head.Time = floor.Sequence, floor.Hash, floor.Time.UTC()
	}
	return head, nil
}

// ReadAll calls heard for every batch after a head, in order and with the chain
// checked, up to the last, and returns where the ledger ends. A ledger that ends
// before a place it is known to have reached, by the MFALedger's head, checkpoint
// or exported, or that has another batch there, is broken.
func ReadAll(ctx context.Context, store Store, namespace string, after audit.Head, heard func(audit.Batch) error) (audit.Head, error) {
	obj, err := store.Ledger(ctx, namespace)
	if err != nil {
		return after, unavailable(err)
	}
	known := map[int64]string{obj.Status.Head.Sequence: obj.Status.Head.Hash}
	if cp := obj.Status.Checkpoint; cp != nil {
		known[cp.Sequence] = cp.Hash
	}
	if exported := obj.Status.Exported; exported != nil {
		known[exported.Sequence] = exported.Hash
	}
	head := after
	tail := &tail{namespace: namespace, store: store, clock: &clock{boot: bootTime}}
	defer tail.stop()
	for holes := 0; ; {
		b, _, err := tail.read(ctx, head.Sequence+1)
		if errors.Is(err, errAbsent) {
			hole, err := tail.beyond(ctx, head.Sequence+1)
			if err != nil {
				return head, unavailable(err)
			}
			if !hole {
				break
			}
			if holes++; holes > 2 { // the first may have come between two reads
				return head, fmt.Errorf("%w: batch %d is missing, and later ones are there", audit.ErrBroken, head.Sequence+1)
			}
			continue
		} else if err != nil {
			return head, unavailable(err)
		}
		following, err := head.Follow(b)
		if err != nil {
			return head, err
		}
		if hash := known[b.Sequence]; hash != "" && hash != b.Hash {
			return head, fmt.Errorf("%w: batch %d is another one than has been seen there", audit.ErrBroken, b.Sequence)
		}
		if err := heard(b); err != nil {
			return head, err
		}
		head, holes = following, 0
	}
	for sequence := range known {
		if sequence > head.Sequence {
			return head, fmt.Errorf("%w: it ends with batch %d, but batch %d has been seen", audit.ErrBroken, head.Sequence, sequence)
		}
	}
	return head, nil
}
