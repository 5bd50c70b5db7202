package mfa

import (
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
)

// Attempt is something to be judged against the state and recorded.
type Attempt interface {
	judge(state audit.State[Entry], now time.Time) ([]audit.Record, error)
}

// Fold gives the records of a ledger their meaning for local verification.
// Every process that appends to the ledgers of a cluster has this fold, for
// checkpoints hold its state.
type Fold struct{}

var _ audit.Fold[Entry, Attempt] = Fold{}

// Check implements audit.Fold.
func (Fold) Check(state audit.State[Entry], attempt Attempt, now time.Time) ([]audit.Record, error) {
	return attempt.judge(state, now)
}

// Apply implements audit.Fold.
func (Fold) Apply(state audit.Entries[Entry], record audit.Record) {}

// Expired implements audit.Fold.
func (Fold) Expired(key string, value Entry, at time.Time) bool { return false }
