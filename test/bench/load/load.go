// Package load is how benchmarks that have callers measure: each as the others
// do, so that figures of one run can be set against each other.
package load

import (
	"context"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Figures are what was measured: calls per second, and how long they took.
type Figures struct {
	PerSecond, P50ms, P99ms float64
	// Calls are all that were made, those to warm up too.
	Calls int
}

// Length is how long each measurement takes, after a second to warm up. What
// ends within counts.
func Length(b *testing.B) time.Duration {
	seconds := 5
	if text := os.Getenv("BENCH_SECONDS"); text != "" {
		var err error
		seconds, err = strconv.Atoi(text)
		if err != nil {
			b.Fatal(err)
		}
	}
	return time.Duration(seconds) * time.Second
}

// Measure has callers call do, one call after the other each, and logs how often
// and how long under this name.
func Measure(b *testing.B, name string, callers int, do func(ctx context.Context, caller, n int) error) Figures {
	b.Helper()
	var (
		warm    = time.Now().Add(time.Second)
		end     = warm.Add(Length(b))
		mu      sync.Mutex
		took    []time.Duration
		calls   int
		all     sync.WaitGroup
		failure atomic.Pointer[error]
	)
	for c := range callers {
		all.Go(func() {
			var mine []time.Duration
			n := 0
			for ; failure.Load() == nil; n++ {
				began := time.Now()
				if !began.Before(end) {
					break
				}
				if err := do(b.Context(), c, n); err != nil {
					failure.Store(&err)
					return
				}
				if done := time.Now(); done.After(warm) && !done.After(end) {
					mine = append(mine, done.Sub(began))
				}
			}
			mu.Lock()
			took = append(took, mine...)
			calls += n
			mu.Unlock()
		})
	}
	all.Wait()
	if err := failure.Load(); err != nil {
		b.Fatalf("%s with %d callers: %v", name, callers, *err)
	}
	if len(took) == 0 {
		b.Fatalf("%s with %d callers: nothing in %s", name, callers, Length(b))
	}
	slices.Sort(took)
	b.Logf("%s, %d callers: %d in %s, longest %s", name, callers, len(took), Length(b), took[len(took)-1])
	ms := func(share float64) float64 {
		return Round(float64(took[int(share*float64(len(took)-1))].Microseconds()) / 1000)
	}
	return Figures{PerSecond: Round(float64(len(took)) / Length(b).Seconds()), P50ms: ms(0.5), P99ms: ms(0.99), Calls: calls}
}

// Round rounds to two decimals.
func Round(f float64) float64 { return float64(int64(f*100+0.5)) / 100 }
