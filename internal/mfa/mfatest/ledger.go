package mfatest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/mfa"
)

// State is a fold's state in memory.
type State map[string]mfa.Entry

// Get implements audit.State.
func (s State) Get(key string) mfa.Entry { return s[key] }

// Set implements audit.Entries.
func (s State) Set(key string, value mfa.Entry) { s[key] = value }

// Delete implements audit.Entries.
func (s State) Delete(key string) { delete(s, key) }

// Pruned returns what matters at a time, as a checkpoint holds it: through
// encoding/json.
func (s State) Pruned(at time.Time) (State, error) {
	out := State{}
	for key, value := range s {
		if (mfa.Fold{}).Expired(key, value, at) {
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		var read mfa.Entry
		if err := json.Unmarshal(text, &read); err != nil {
			return nil, err
		}
		if read.User != nil {
			// What has expired in it is left out by the next record, or reader.
			u := mfa.UserAt(State{"user/x": read}, "x", at)
			read.User = &u
		}
		out[key] = read
	}
	return out, nil
}

// Ledger drives the real fold in memory: one total order per namespace.
type Ledger struct {
	Clock func() time.Time

	mu      sync.Mutex
	states  map[string]State
	lost    map[string]int
	records map[string][]audit.Record
	down    error
	full    error
	deaf    error
}

// NewLedger is an empty one.
func NewLedger(clock func() time.Time) *Ledger {
	return &Ledger{Clock: clock, states: map[string]State{}, lost: map[string]int{}, records: map[string][]audit.Record{}}
}

// Fail makes every call fail with err, until it is called with nil.
func (l *Ledger) Fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = err
}

// FailAppend makes every Append fail with err, until it is called with nil. What is
// there can be read.
func (l *Ledger) FailAppend(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full = err
}

// LoseAnswers makes every Append record and fail with err all the same, as for who
// does not wait, until it is called with nil.
func (l *Ledger) LoseAnswers(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deaf = err
}

// Append implements mfa.Ledger.
func (l *Ledger) Append(ctx context.Context, namespace string, attempt mfa.Attempt) ([]audit.Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := firstOf(ctx.Err(), l.down, l.full); err != nil {
		return nil, fmt.Errorf("appending: %w", err)
	}
	records, err := mfa.Fold{}.Check(l.state(namespace), attempt, l.now(namespace))
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("%w: the fold neither refuses nor records", audit.ErrInvalid)
	}
	if records, err = l.add(namespace, records); err != nil {
		return nil, err
	}
	if witness, ok := attempt.(audit.Witness); ok {
		witness.Recorded(records)
	}
	if l.deaf != nil {
		return nil, fmt.Errorf("appending: %w", l.deaf)
	}
	return records, nil
}

// Record appends records as they are, as the manager does.
func (l *Ledger) Record(namespace string, records ...audit.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.add(namespace, records)
	return err
}

// Read implements mfa.Ledger.
func (l *Ledger) Read(ctx context.Context, namespace string, look func(audit.State[mfa.Entry])) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down != nil || ctx.Err() != nil {
		return fmt.Errorf("reading: %w", firstOf(ctx.Err(), l.down))
	}
	look(l.state(namespace))
	return nil
}

// Head implements mfa.Ledger, as far as that reads it.
func (l *Ledger) Head(ctx context.Context, namespace string, look func(audit.Head)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down != nil || ctx.Err() != nil {
		return fmt.Errorf("reading: %w", firstOf(ctx.Err(), l.down))
	}
	look(audit.Start(fmt.Sprintf("%s-%d", namespace, l.lost[namespace])))
	return nil
}

// Records returns everything recorded in a namespace.
func (l *Ledger) Records(namespace string) []audit.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]audit.Record(nil), l.records[namespace]...)
}

// State returns the state of a namespace.
func (l *Ledger) State(namespace string) State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.state(namespace))
}

// Lose forgets everything about a namespace, as if its ledger had been deleted.
func (l *Ledger) Lose(namespace string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.states, namespace)
	delete(l.records, namespace)
	l.lost[namespace]++
}

func (l *Ledger) state(namespace string) State {
	if l.states[namespace] == nil {
		l.states[namespace] = State{}
	}
	return l.states[namespace]
}

// now never runs backwards.
func (l *Ledger) now(namespace string) time.Time {
	now := l.Clock().UTC().Truncate(time.Microsecond)
	if all := l.records[namespace]; len(all) > 0 && all[len(all)-1].Time.After(now) {
		return all[len(all)-1].Time
	}
	return now
}

// add takes records as the ledger does: checked, dated, and as their text says.
func (l *Ledger) add(namespace string, records []audit.Record) ([]audit.Record, error) {
	now := l.now(namespace)
	taken := make([]audit.Record, len(records))
	for i, r := range records {
		if err := r.Check(); err != nil {
			return nil, err
		}
		r.Time, r.ID = now, audit.RecordID(int64(len(l.records[namespace])+1), i)
		text, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(text, &taken[i]); err != nil {
			return nil, err
		}
	}
	for _, r := range taken {
		(mfa.Fold{}).Apply(l.state(namespace), r)
	}
	l.records[namespace] = append(l.records[namespace], taken...)
	return taken, nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
