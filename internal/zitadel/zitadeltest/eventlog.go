package zitadeltest

import (
	mathrand "math/rand/v2"
	"time"
)

// Kinds of aggregate, as they appear in the event log.
const (
	kindInstance = "instance"
	kindOrg      = "org"
	kindUser     = "user"
	kindSession  = "session"
	kindTarget   = "target"
	// kindExecution has the condition as its id.
	kindExecution = "execution"
)

// aggregate names the object an event belongs to. Sequences are counted per aggregate.
type aggregate struct{ kind, id, owner string }

// change is what one event says: its name, its payload, and what it does to a state. Each area of
// the server declares its own changes next to its commands.
type change interface {
	// eventType is the full event name; policies carry the kind of aggregate in it.
	eventType(kind string) string
	// payload is what ListEvents shows, nil for nothing. It is rendered with encoding/json.
	payload() any
	// apply folds the event into a state. It runs once per view and must not keep references into
	// the other view's rows.
	apply(*state, *event)
}

// event is one entry of the log.
type event struct {
	aggregate
	change
	sequence uint64
	created  time.Time // microseconds; shared by all events of one command
	editor   string
	visible  time.Time // on the wall clock: when the read view may know it
}

func (e *event) name() string { return e.eventType(e.kind) }

// draft is an event not yet written.
type draft struct {
	aggregate
	change
}

type eventLog struct {
	events      []*event
	byAggregate map[string][]*event // by aggregate id, whatever its kind
	sequences   map[aggregateKey]uint64
}

func (l *eventLog) add(e *event) {
	l.events = append(l.events, e)
	l.byAggregate[e.id] = append(l.byAggregate[e.id], e)
}

// last returns the last event of an aggregate.
func (l *eventLog) last(agg aggregate) *event {
	events := l.byAggregate[agg.id]
	for i := len(events) - 1; i >= 0; i-- {
		if events[i].kind == agg.kind {
			return events[i]
		}
	}
	return nil
}

type aggregateKey struct{ kind, id string }

// push writes the events of one command: all at the same instant, into the write view at once and
// into the read view once the lag has passed. It returns the last one, whose sequence and date are
// what commands report.
func (s *Server) push(editor string, agg aggregate, changes ...change) *event {
	drafts := make([]draft, len(changes))
	for i, c := range changes {
		drafts[i] = draft{agg, c}
	}
	return s.pushAll(editor, drafts...)
}

// pushAll is push for a command that touches several aggregates. It returns the last event of the
// first aggregate, the one the command is about.
func (s *Server) pushAll(editor string, drafts ...draft) *event {
	created, visible := s.stamp(), s.visibleFrom()
	var result *event
	for _, d := range drafts {
		key := aggregateKey{d.kind, d.id}
		s.log.sequences[key]++
		e := &event{
			aggregate: d.aggregate, change: d.change,
			sequence: s.log.sequences[key], created: created, editor: editor, visible: visible,
		}
		s.log.add(e)
		e.apply(s.write, e)
		if d.aggregate == drafts[0].aggregate {
			result = e
		}
	}
	for _, e := range s.log.events[len(s.log.events)-len(drafts):] {
		s.tell(e)
	}
	return result
}

// stamp returns the creation date of the next command. Two commands never share one, so that an
// exclusive cursor between them exists even when the clock stands still.
func (s *Server) stamp() time.Time {
	now := s.clock().UTC().Truncate(time.Microsecond)
	if n := len(s.log.events); n > 0 {
		if last := s.log.events[n-1].created; !now.After(last) {
			now = last.Add(time.Microsecond)
		}
	}
	return now
}

// visibleFrom returns when the read view may see an event written now. Projections keep the order
// of the log, so no event overtakes an earlier one.
func (s *Server) visibleFrom() time.Time {
	visible := time.Now().Add(s.lag)
	if s.jitter > 0 {
		visible = visible.Add(mathrand.N(s.jitter))
	}
	if n := len(s.log.events); n > 0 && s.log.events[n-1].visible.After(visible) {
		visible = s.log.events[n-1].visible
	}
	return visible
}
