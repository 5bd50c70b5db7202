package ledger

import "errors"

// What callers are told, besides ErrClock, audit.ErrInvalid, audit.ErrBroken,
// the refusals of their own fold, and the end of their context, after which the
// outcome is unknown too.
var (
	// ErrUnavailable: the API server could not be reached, or too many writers
	// were faster. Nothing was recorded; try again.
	ErrUnavailable = errors.New("the ledger is not available")
	// ErrUnknown: the API server's answer was lost. It may have been recorded,
	// or may not.
	ErrUnknown = errors.New("it is not known whether this was recorded")
	// ErrRefused: the API server will not have the batch: a quota, an admission
	// rule, a missing right, a namespace that is being deleted. Nothing was
	// recorded.
	ErrRefused = errors.New("the API server refuses to record this")
	// ErrFull: the ledger holds twice what may be kept, because retention cannot
	// remove anything. Nothing was recorded.
	ErrFull = errors.New("the ledger is full")
)
