package zitadel

import (
	"cmp"
	"slices"
	"time"

	"github.com/neosc/mfa-operator/internal/idp"
)

// pass collects the pages of one pass over the log.
type pass struct {
	since idp.Cursor
	// events are all of this pass, each once, and keys theirs.
	events []idp.Event
	keys   map[idp.EventKey]bool
}

func newPass(since idp.Cursor) *pass {
	return &pass{since: since, keys: map[idp.EventKey]bool{}}
}

// add takes what the pass does not have yet of a page.
func (p *pass) add(page []idp.Event) {
	for _, e := range page {
		if !p.keys[e.Key()] {
			p.keys[e.Key()] = true
			p.events = append(p.events, e)
		}
	}
}

// addCrowd takes events of the instant of the last page, and puts that instant
// back in order: within an aggregate, by sequence.
func (p *pass) addCrowd(crowd []idp.Event, at time.Time) {
	p.add(crowd)
	first := slices.IndexFunc(p.events, func(e idp.Event) bool { return e.At.Equal(at) })
	slices.SortStableFunc(p.events[first:], func(a, b idp.Event) int { return cmp.Compare(a.Sequence, b.Sequence) })
}

// end is the result of a pass that saw the end of the log.
func (p *pass) end() idp.Batch {
	newest := p.since.From
	for _, e := range p.events {
		if e.At.After(newest) {
			newest = e.At
		}
	}
	return p.result(newest.Add(-overlap), idp.MaxSeen)
}

// stop is the result of a pass that ends before the end of the log. It has read
// everything up to complete; of what is later it may have read a part, which is
// left to the next pass.
func (p *pass) stop(complete time.Time, again time.Duration) idp.Batch {
	p.events = slices.DeleteFunc(p.events, func(e idp.Event) bool { return e.At.After(complete) })
	// A pass that has to read all of it again would never come further.
	batch := p.result(complete.Add(-again), min(idp.MaxSeen, len(p.events)/2))
	batch.More = true
	return batch
}

// result has the events that are new, and a cursor that remembers those later
// than from, or at most so many.
func (p *pass) result(from time.Time, most int) idp.Batch {
	if from.Before(p.since.From) {
		from = p.since.From
	}
	if window := p.after(from); len(window) > most {
		slices.SortStableFunc(window, func(a, b idp.Event) int { return b.At.Compare(a.At) })
		from = window[most].At
	}
	batch := idp.Batch{Next: idp.Cursor{From: from}}
	for _, e := range p.after(from) {
		batch.Next.Seen = append(batch.Next.Seen, e.Key())
	}
	before := map[idp.EventKey]bool{}
	for _, key := range p.since.Seen {
		before[key] = true
	}
	for _, e := range p.events {
		if !before[e.Key()] {
			batch.Events = append(batch.Events, e)
		}
	}
	return batch
}

func (p *pass) after(from time.Time) []idp.Event {
	var later []idp.Event
	for _, e := range p.events {
		if e.At.After(from) {
			later = append(later, e)
		}
	}
	return later
}
