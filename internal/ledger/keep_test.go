package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
)

// days makes a ledger with one batch a day and keeps it each time.
func (r *replica) days(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		r.must(t, wish{Thing: fmt.Sprint("day-", i)})
		for range 2 { // what the first sees is old enough for the second
			if _, err := r.Keep(t.Context(), ns); err != nil {
				t.Fatal(err)
			}
			pass(6 * time.Minute)
		}
		pass(24*time.Hour - 12*time.Minute)
	}
}

func TestRetentionByAge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		a := start(t, m, "a")
		a.must(t, wish{Thing: "code"})
		a.days(t, 60)
		obj, err := a.Keep(t.Context(), ns)
		if err != nil {
			t.Fatal(err)
		}
		left := m.sequences(ns)
		if len(left) < 30 || len(left) > 33 {
			t.Errorf("of 61 days %d batches are left: %v", len(left), left)
		}
		if floor := obj.Status.Floor.Sequence; left[0] != floor+1 || obj.Status.Removed != floor {
			t.Errorf("the floor is %d, removed %d, the oldest %d", floor, obj.Status.Removed, left[0])
		}
		if n := len(m.snapshots); n != 1 {
			t.Errorf("%d snapshots", n)
		}
		// What is left can be verified from the floor on, and nothing is forgotten.
		head, err := Oldest(t.Context(), m, ns)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ReadAll(t.Context(), m, ns, head, func(audit.Batch) error { return nil }); err != nil {
			t.Error(err)
		}
		if got := start(t, m, "b").must(t, wish{Thing: "code"}); got.Outcome != audit.Replayed {
			t.Errorf("a claim of two months ago: %+v", got)
		}
	})
}

func TestRetentionByBytes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		a := start(t, m, "a")
		a.must(t, wish{Thing: "code"})
		m.ledgers[ns].Spec.Retention.MaxMebibytes = 1
		for i := range 200 {
			a.must(t, wish{Thing: fmt.Sprint(i), Size: 15_000})
			if i%3 == 0 {
				if _, err := a.Keep(t.Context(), ns); err != nil {
					t.Fatal(err)
				}
			}
			pass(time.Minute)
		}
		obj, err := a.Keep(t.Context(), ns)
		if err != nil {
			t.Fatal(err)
		}
		bytes := 0
		for _, s := range m.sequences(ns) {
			bytes += batchSize(m.batches[ns+"/"+Name(s)])
		}
		if int64(bytes) != obj.Status.Bytes {
			t.Errorf("the status says %d bytes, there are %d", obj.Status.Bytes, bytes)
		}
		if bytes > 1<<20 || bytes < 1<<19 {
			t.Errorf("of 3 MB %d bytes are left", bytes)
		}
	})
}

func TestWhatIsYoungOrNotExportedStays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		s := &slowSink{}
		s.broken.Store(true)
		a := start(t, m, "a", s)
		a.must(t, wish{Thing: "code"})
		m.ledgers[ns].Spec.Retention.MaxAgeDays = 0 // all of it may go
		keep := func() *v1alpha1.MFALedger {
			t.Helper()
			obj, err := a.Keep(t.Context(), ns)
			if err != nil && !errors.Is(err, audit.ErrSink) {
				t.Fatal(err)
			}
			return obj
		}
		for range 10 {
			keep()
			pass(time.Minute)
		}
		if _, err := a.Keep(t.Context(), ns); !errors.Is(err, audit.ErrSink) {
			t.Errorf("a sink that takes nothing: %v", err)
		}
		if floor := keep().Status.Floor.Sequence; floor != 0 {
			t.Errorf("the floor is %d, and no sink has it", floor)
		}
		s.broken.Store(false)
		pass(2 * time.Minute)
		a.must(t, wish{Thing: "young"})
		keep()
		keep()
		if floor := keep().Status.Floor.Sequence; floor != 1 {
			t.Errorf("the floor is %d", floor)
		}
		if left := m.sequences(ns); !slices.Equal(left, []int64{2}) {
			t.Errorf("left are %v: what is younger than five minutes stays", left)
		}
		pass(time.Second) // the sink is served beside
		if got := s.got(); !slices.Equal(got, []int64{1, 2}) {
			t.Errorf("the sink got %v", got)
		}
	})
}

type slowSink struct {
	broken atomic.Bool
	taken  atomic.Pointer[[]int64]
}

func (s *slowSink) Name() string { return "slow" }

func (s *slowSink) Deliver(_ context.Context, _ string, b audit.Batch) error {
	if s.broken.Load() {
		return errors.New("503")
	}
	taken := append(slices.Clone(s.got()), b.Sequence)
	s.taken.Store(&taken)
	return nil
}

func (s *slowSink) got() []int64 {
	if p := s.taken.Load(); p != nil {
		return *p
	}
	return nil
}

// Another process takes the export up where it was noted, and may send again
// what was sent since.
func TestExportGoesOnAfterARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		first, second := &slowSink{}, &slowSink{}
		a := start(t, m, "a", first)
		for i := range 3 {
			a.must(t, wish{Thing: fmt.Sprint(i)})
		}
		for range 2 { // the first starts the export, the second notes how far it came
			if _, err := a.Keep(t.Context(), ns); err != nil {
				t.Fatal(err)
			}
			pass(time.Minute)
		}
		a.must(t, wish{Thing: "more"})
		pass(time.Second)
		a.stop()
		b := start(t, m, "b", second)
		b.must(t, wish{Thing: "last"})
		if _, err := b.Keep(t.Context(), ns); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		if got := first.got(); !slices.Equal(got, []int64{1, 2, 3, 4}) {
			t.Errorf("before the restart: %v", got)
		}
		if got := second.got(); !slices.Equal(got, []int64{4, 5}) {
			t.Errorf("after it: %v", got)
		}
	})
}

func TestOpeningReadsTheTailOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		a := start(t, m, "a")
		for i := range 600 {
			a.must(t, wish{Thing: fmt.Sprint(i)})
		}
		if _, err := a.Keep(t.Context(), ns); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			a.must(t, wish{Thing: fmt.Sprint("tail-", i)})
		}
		a.stop()
		m.mu.Lock()
		m.calls = map[string]int{}
		m.mu.Unlock()
		b := start(t, m, "b")
		for _, thing := range []string{"0", "599", "tail-19"} {
			if got := b.must(t, wish{Thing: thing}); got.Outcome != audit.Replayed {
				t.Errorf("%s is forgotten", thing)
			}
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if n := m.calls["Batch"]; n > 20+2*lastWidth {
			t.Errorf("to read 20 batches took %d reads", n)
		}
	})
}

func TestCheckpointsForgetWhatHasExpired(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		a := start(t, m, "a")
		a.must(t, wish{Thing: "brief-1"})
		pass(2 * time.Hour)
		for i := range checkpointEvery {
			a.must(t, wish{Thing: fmt.Sprint(i)})
		}
		if _, err := a.Keep(t.Context(), ns); err != nil {
			t.Fatal(err)
		}
		a.stop()
		if err := start(t, m, "b").Read(t.Context(), ns, func(s audit.State[claimed]) {
			if s.Get("brief-1").By != "" || s.Get("0").By == "" {
				t.Error("the checkpoint holds what has expired, or lacks what has not")
			}
		}); err != nil {
			t.Fatal(err)
		}
	})
}

// Only one replica takes checkpoints. The others must not keep for ever what has
// expired, nor lose anything else by forgetting it.
func TestReplicasForgetWhatHasExpired(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		a, b := start(t, m, "a"), start(t, m, "b")
		const old, lasting = 3 * pruneEvery, 10
		for i := range old {
			a.must(t, wish{Thing: fmt.Sprint("brief-", i)})
		}
		for i := range lasting {
			b.must(t, wish{Thing: fmt.Sprint("lasting-", i)})
		}
		pass(2 * time.Hour)
		const fresh = old + lasting + pruneEvery
		for i := range fresh {
			a.must(t, wish{Thing: fmt.Sprint("brief-again-", i)})
		}
		for name, r := range map[string]*replica{"which appends": a, "which follows": b} {
			if r.must(t, wish{Thing: "lasting-3"}).Outcome != audit.Replayed || r.must(t, wish{Thing: "brief-again-0"}).Outcome != audit.Replayed {
				t.Errorf("the replica %s forgot what has not expired", name)
			}
			led, err := r.take(ns)
			if err != nil {
				t.Fatal(err)
			}
			if got := len(led.state.values); got != lasting+fresh {
				t.Errorf("the replica %s knows %d things, want %d", name, got, lasting+fresh)
			}
			r.giveBack(led)
		}
		// It is the same as if it had been there.
		if a.must(t, wish{Thing: "brief-7"}).Outcome != audit.Succeeded || b.must(t, wish{Thing: "brief-7"}).Outcome != audit.Replayed {
			t.Error("what was forgotten cannot be used once more, or twice")
		}
	})
}

func TestAMapGivesItsMemoryBack(t *testing.T) {
	m := map[string]int{"a": 1, "b": 2, "c": 3, "d": 4}
	most := without(m, func(key string, _ int) bool { return key == "a" })
	few := without(most, func(key string, _ int) bool { return key != "d" })
	m["d"] = 5
	if most["d"] != 5 || few["d"] != 4 || len(few) != 1 {
		t.Errorf("left are %v, to be in the same map, and %v, to be in a new one", most, few)
	}
}

func TestALargeStateIsKeptInParts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		s := newState[string]("uid-1")
		for i := range 60_000 { // digests do not compress
			s.values[fmt.Sprint(i)] = digest([]byte(fmt.Sprint(i)))
		}
		s.head.Sequence, s.head.Time = 9, time.Date(2026, 11, 26, 1, 0, 0, 0, time.UTC)
		s.origins["one"] = origin{7, s.head.Time.Add(-originsKept)}
		s.origins["old"] = origin{8, s.head.Time.Add(-originsKept - time.Second)}
		data, err := s.encode(func(string, string, time.Time) bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		parts, err := writeSnapshot(t.Context(), ns, m, 9, data)
		if err != nil || parts < 4 { // the fourth is changed below
			t.Fatalf("%d parts, %v", parts, err)
		}
		obj := &v1alpha1.MFALedger{}
		obj.UID = "uid-1"
		obj.Status.Checkpoint = &v1alpha1.LedgerCheckpoint{LedgerPoint: point(s.head, 0), Parts: int32(parts), Digest: digest(data)}
		back, err := readSnapshot[string](t.Context(), ns, m, obj)
		if err != nil {
			t.Fatal(err)
		}
		if len(back.values) != len(s.values) || back.values["77"] != s.values["77"] || len(back.origins) != 1 || back.origins["one"] != s.origins["one"] || back.head != s.head {
			t.Error("what was read is not what was written")
		}
		name := snapshotName(9, digest(data), 3)
		m.snapshots[ns+"/"+name][100]++
		if _, err := readSnapshot[string](t.Context(), ns, m, obj); !errors.Is(err, audit.ErrBroken) {
			t.Errorf("a part that was changed: %v", err)
		}
	})
}

func TestAFullLedgerTakesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		a := start(t, m, "a")
		a.must(t, wish{Thing: "code"})
		m.ledgers[ns].Spec.Retention.MaxMebibytes = 1
		a.stop()
		a = start(t, m, "b")
		var err error
		n := 0
		for ; n < 300 && err == nil; n++ {
			_, err = a.Append(t.Context(), ns, wish{Thing: fmt.Sprint(n), Size: 15_000})
		}
		if !errors.Is(err, ErrFull) {
			t.Fatalf("after %d records: %v", n, err)
		}
		if err := a.Read(t.Context(), ns, func(audit.State[claimed]) {}); err != nil {
			t.Errorf("reading: %v", err)
		}
		for range 3 { // retention makes room, and it goes on
			if _, err := a.Keep(t.Context(), ns); err != nil {
				t.Fatal(err)
			}
			pass(6 * time.Minute)
		}
		a.must(t, wish{Thing: "again"})
	})
}
