package ledger

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// Whose turn it is, and from when on somebody else may try.
func TestTurns(t *testing.T) {
	const slot = 10 * time.Millisecond
	at := func(ms int) instant { return instant(time.Duration(ms) * time.Millisecond) }
	type batch struct {
		writer string
		at     int
	}
	for _, test := range []struct {
		why    string
		heard  []batch
		begins map[string]int
	}{
		{why: "nobody has written yet", begins: map[string]int{"a": 0}},
		{why: "who is alone never waits", heard: []batch{{"a", 1}, {"a", 5}}, begins: map[string]int{"a": 5}},
		{why: "two take turns", heard: []batch{{"b", 1}, {"a", 5}}, begins: map[string]int{"b": 5, "a": 15}},
		{why: "three go round", heard: []batch{{"a", 1}, {"b", 5}, {"c", 9}}, begins: map[string]int{"a": 9, "b": 19, "c": 29}},
		{why: "and on from the middle", heard: []batch{{"c", 1}, {"a", 5}, {"b", 9}}, begins: map[string]int{"c": 9, "a": 19, "b": 29}},
		{why: "who was never heard of has a place by name", heard: []batch{{"a", 1}, {"c", 5}}, begins: map[string]int{"b": 15, "a": 5}},
		{why: "whom nothing is heard of for two rounds is waited for no more", heard: []batch{{"b", 1}, {"a", 42}}, begins: map[string]int{"a": 42}},
		{why: "but until then", heard: []batch{{"b", 1}, {"a", 41}}, begins: map[string]int{"a": 51}},
	} {
		for writer, want := range test.begins {
			var turns turns
			for _, b := range test.heard {
				turns.saw(b.writer, at(b.at))
			}
			if got := turns.begins(writer, slot); got != at(want) {
				t.Errorf("%s: %s begins at %s, want %d ms", test.why, writer, time.Duration(got), want)
			}
		}
	}
}

// Writers that are all at it get the same share of the batches, and hardly try in
// vain; what each has to wait is known.
func TestWritersTakeTurns(t *testing.T) {
	const writers, callers, length = 3, 20, 3 * time.Second
	bubble(t, func(t *testing.T) {
		m := newMemory()
		m.setFault(func(op string, _ int64, do func() error) error {
			err := do()
			if op == "Create" { // the answer comes later than the news
				pass(5 * time.Millisecond)
			}
			return err
		})
		end := time.Now().Add(length)
		var (
			mu      sync.Mutex
			longest time.Duration
			all     sync.WaitGroup
		)
		for i := range writers {
			r := start(t, m, fmt.Sprint("writer-", i))
			for c := range callers {
				all.Go(func() {
					for n := 0; time.Now().Before(end); n++ {
						began := time.Now()
						if _, err := r.Append(t.Context(), ns, wish{Thing: fmt.Sprint(i, c, n), Who: "x"}); err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						longest = max(longest, time.Since(began))
						mu.Unlock()
					}
				})
			}
		}
		all.Wait()
		batches := verify(t, m)
		of := map[string]int{}
		for _, b := range batches {
			of[b.Writer]++
		}
		share := len(batches) / writers
		for writer, n := range of {
			if n < share*8/10 || n > share*12/10 {
				t.Errorf("%s has %d of %d batches", writer, n, len(batches))
			}
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if vain := m.calls["Create"] - len(batches); len(of) != writers || vain > len(batches)/10 || longest > time.Second {
			t.Errorf("%v: %d creates for %d batches, the longest wait %s", of, m.calls["Create"], len(batches), longest)
		}
		t.Logf("%v, %d creates, the longest wait %s", of, m.calls["Create"], longest)
	})
}
