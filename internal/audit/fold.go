package audit

import "time"

// State is a fold's state as it may be read: values by key. Get returns the
// zero value for a key that is not there.
//
// Values are never changed in place: whoever got one may keep it.
type State[V any] interface {
	Get(key string) V
}

// Entries is a fold's state as Apply may change it.
type Entries[V any] interface {
	State[V]
	// Set puts a value in place of another one.
	Set(key string, value V)
	// Delete removes a key; removing one that is not there does nothing.
	Delete(key string)
}

// Fold gives the records of a ledger their meaning. V is the value kept under
// a key, for example what is known of one user; it must survive encoding/json,
// since checkpoints hold it. A is one attempt to do something.
//
// A fold is pure: the same calls give the same results in every replica. It is
// called by one goroutine at a time for each ledger, but for many ledgers at
// once, so it holds no state of its own.
type Fold[V, A any] interface {
	// Check judges an attempt at the time now, the record time if it is recorded.
	// It returns the records to append, at least one, also when the attempt
	// failed: the answer to the caller is what the records say. Or it returns an
	// error, the refusal: nothing is recorded and the caller gets that very
	// error. It may be called several times for one attempt, as other writers
	// win; only the last call counts.
	Check(state State[V], attempt A, now time.Time) ([]Record, error)

	// Apply folds one record that is in the ledger into the state. It depends on
	// nothing but its arguments, and passes over actions it does not know: a
	// newer replica may have written them.
	Apply(state Entries[V], record Record)

	// Expired tells that an entry does not matter any more at the given record
	// time, so that a checkpoint leaves it out, and replicas forget it, each at a
	// time of its own. A key left out reads as the zero value afterwards, so Check
	// and Apply must treat both alike. It is called for every entry there is.
	Expired(key string, value V, at time.Time) bool
}

// Witness is an attempt that is told what was recorded of it.
type Witness interface {
	// Recorded is called once the records are in the ledger, as they are there, also if
	// whoever made the attempt does not wait for the answer any more. It must not block:
	// the answer comes after it. If it is not known whether they are in the ledger, or the
	// attempt was refused, it is not called.
	Recorded(records []Record)
}
