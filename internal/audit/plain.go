package audit

import "time"

// Plain is the fold of records that mean nothing beyond themselves: an attempt
// is the record it asks for, and there is no state.
//
// Every process that appends to the ledgers of a cluster must have the same
// fold, for checkpoints hold its state: who reads one with another fold loses
// what that one had kept.
type Plain struct{}

// Check implements Fold.
func (Plain) Check(_ State[struct{}], attempt Record, _ time.Time) ([]Record, error) {
	return []Record{attempt}, nil
}

// Apply implements Fold.
func (Plain) Apply(Entries[struct{}], Record) {}

// Expired implements Fold.
func (Plain) Expired(string, struct{}, time.Time) bool { return true }
