package ledger

import (
	"maps"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
)

// state is what a ledger's records have come to, up to its head.
type state[V any] struct {
	head audit.Head
	// nonce is that of the batch at the head, with its writer.
	writer, nonce string
	// bytes is about how much all batches ever appended take as JSON.
	bytes int64
	// values are the fold's.
	values map[string]V
	// origins hold the last sequence taken of each aggregate, for originsKept.
	origins map[string]origin
	// due is how many more records are folded until expired entries are looked for.
	due int
}

// meaning is what a fold says of records and entries. It judges nothing.
type meaning[V any] struct {
	apply   func(state audit.Entries[V], record audit.Record)
	expired func(key string, value V, at time.Time) bool
}

// pruneEvery is how many records are folded at least before expired entries are
// looked for.
const pruneEvery = 1024

func newState[V any](ledger string) *state[V] {
	return &state[V]{head: audit.Start(ledger), values: map[string]V{}, origins: map[string]origin{}, due: pruneEvery}
}

// follow folds one batch, if it is the next one and its chain holds. Only one
// replica takes checkpoints, but all would fill with what has expired; so each
// forgets it on the way. There are as many records between two searches as there
// were entries after the last one: each record pays for one entry looked at.
func (s *state[V]) follow(b audit.Batch, m meaning[V]) error {
	head, err := s.head.Follow(b)
	if err != nil {
		return err
	}
	entries := entriesOf[V](s.values)
	for _, r := range b.Records {
		m.apply(entries, r)
		if r.Origin != nil {
			s.origins[r.Origin.Aggregate] = origin{max(s.origins[r.Origin.Aggregate].Sequence, r.Origin.Sequence), r.Time}
		}
	}
	s.head, s.writer, s.nonce = head, b.Writer, b.Nonce
	s.bytes += int64(batchSize(b))
	if s.due -= len(b.Records); s.due <= 0 {
		s.prune(m.expired)
	}
	return nil
}

// origin is the last that was taken of an aggregate, and when.
type origin struct {
	Sequence int64     `json:"n"`
	Time     time.Time `json:"t"`
}

// originsKept is how long a ledger knows an aggregate it has heard nothing more
// of. Each session at the identity provider is one, so they cannot be kept for
// ever. What is told again is told again at once, by the next process; that one
// may be late by days if nobody starts it.
const originsKept = 48 * time.Hour

// prune forgets what does not matter any more at the head.
func (s *state[V]) prune(expired func(key string, value V, at time.Time) bool) {
	at := s.head.Time
	s.values = without(s.values, func(key string, value V) bool { return expired(key, value, at) })
	s.origins = without(s.origins, func(_ string, o origin) bool { return at.Sub(o.Time) > originsKept })
	s.due = max(pruneEvery, len(s.values)+len(s.origins))
}

// without deletes from a map. It returns another one when little is left, since
// a map never gives its memory back.
func without[V any](m map[string]V, gone func(key string, value V) bool) map[string]V {
	before := len(m)
	maps.DeleteFunc(m, gone)
	if 2*len(m) >= before {
		return m
	}
	small := make(map[string]V, len(m))
	maps.Copy(small, m)
	return small
}

// clone copies the maps; the values are never changed in place.
func (s *state[V]) clone() *state[V] {
	c := *s
	c.values, c.origins = maps.Clone(s.values), maps.Clone(s.origins)
	return &c
}

// entriesOf lets a fold change a map.
type entriesOf[V any] map[string]V

func (e entriesOf[V]) Get(key string) V        { return e[key] }
func (e entriesOf[V]) Set(key string, value V) { e[key] = value }
func (e entriesOf[V]) Delete(key string)       { delete(e, key) }

// layer shows a map with changes that are not in it yet: what the state would
// be if the batch that is being judged were in the ledger.
type layer[V any] struct {
	base map[string]V
	over map[string]change[V]
}

type change[V any] struct {
	value   V
	deleted bool
}

func over[V any](base map[string]V) *layer[V] {
	return &layer[V]{base: base, over: map[string]change[V]{}}
}

func (l *layer[V]) Get(key string) V {
	if c, ok := l.over[key]; ok {
		return c.value // the zero value if it was deleted
	}
	return l.base[key]
}

func (l *layer[V]) Set(key string, value V) { l.over[key] = change[V]{value: value} }
func (l *layer[V]) Delete(key string)       { l.over[key] = change[V]{deleted: true} }
