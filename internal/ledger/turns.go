package ledger

import (
	"maps"
	"slices"
	"time"
)

// turns has writers who are at it together take turns, in the order of their names.
// Otherwise all would try for every batch, all but one in vain, and whoever has won
// would try again before the others have heard of it.
type turns struct {
	// last is whose batch is at the head.
	last string
	// heard is when a batch of each writer was last heard of. Of the last it is the
	// newest.
	heard map[string]instant
}

// The bounds of a slot: how long the next in turn has until the one after tries.
const (
	shortestSlot = 4 * time.Millisecond
	longestSlot  = 250 * time.Millisecond
)

// slotOf is the slot where an append takes so long: some more than that, for the
// news of it has to arrive.
func slotOf(took time.Duration) time.Duration {
	return min(max(took+took/2, shortestSlot), longestSlot)
}

// saw notes whose batch is at the head now.
func (t *turns) saw(writer string, now instant) {
	if t.heard == nil {
		t.heard = map[string]instant{}
	}
	t.last, t.heard[writer] = writer, now
}

// begins says from when on a writer may try for the batch after the head. Nobody
// waits who is alone; and somebody who is at it no more is waited for until two
// rounds are over without them.
func (t *turns) begins(writer string, slot time.Duration) instant {
	now, known := t.heard[t.last]
	if !known {
		return 0
	}
	round := time.Duration(len(t.heard)) * slot
	maps.DeleteFunc(t.heard, func(_ string, at instant) bool { return now.since(at) > 2*round })
	order := slices.Sorted(maps.Keys(t.heard))
	mine, found := slices.BinarySearch(order, writer)
	if !found {
		order = slices.Insert(order, mine, writer)
	}
	last, _ := slices.BinarySearch(order, t.last)
	before := (mine - last - 1 + len(order)) % len(order)
	return now + instant(time.Duration(before)*slot)
}
