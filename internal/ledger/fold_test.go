package ledger

import (
	"errors"
	"fmt"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
)

// wish is an attempt of the tests: to use something up, which only the first
// may; or, with Locked, to be refused while it is used up.
type wish struct {
	Thing string
	Who   string
	// Unless refuses, without a record, if Thing is used up.
	Unless bool
	// Free makes Thing new again.
	Free bool
	// Size is how much the record carries besides.
	Size int
	// Heard, if not nil, gets what was recorded.
	Heard chan audit.Record
}

// Recorded implements audit.Witness.
func (w wish) Recorded(records []audit.Record) {
	if w.Heard != nil {
		w.Heard <- records[0]
	}
}

var errUsed = errors.New("it is used up")

// claims is the fold of the tests: by thing, who used it up.
type claims struct{}

type claimed struct {
	By string    `json:"by"`
	At time.Time `json:"at"`
}

func (claims) Check(state audit.State[claimed], w wish, _ time.Time) ([]audit.Record, error) {
	r := audit.Record{Action: audit.Verification, Outcome: audit.Succeeded, Subject: w.Thing, Actor: w.Who, Claim: w.Thing}
	if w.Who == "" {
		r.Actor = "somebody"
	}
	used := state.Get(w.Thing).By != ""
	switch {
	case w.Free:
		r.Action, r.Claim = audit.UserUnlocked, ""
	case used && w.Unless:
		return nil, fmt.Errorf("%s: %w", w.Thing, errUsed)
	case used:
		r.Outcome, r.Claim = audit.Replayed, ""
	}
	for rest := w.Size; rest > 0; rest -= audit.MaxDetailValue {
		value := make([]byte, min(rest, audit.MaxDetailValue))
		for i := range value {
			value[i] = 'x'
		}
		r.Details = append(r.Details, audit.Detail{Name: "filling", Value: string(value)})
	}
	return []audit.Record{r}, nil
}

func (claims) Apply(state audit.Entries[claimed], r audit.Record) {
	switch {
	case r.Action == audit.UserUnlocked:
		state.Delete(r.Subject)
	case r.Claim != "":
		state.Set(r.Claim, claimed{By: r.Actor, At: r.Time})
	}
}

// Expired: things whose name begins with brief may be forgotten after an hour.
func (claims) Expired(key string, value claimed, at time.Time) bool {
	return len(key) > 5 && key[:5] == "brief" && at.Sub(value.At) > time.Hour
}
