package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
)

const ns = "team"

// replica is one process: its ledgers, and clocks that can be moved.
type replica struct {
	*Ledgers[claimed, wish]
	slept atomic.Int64 // by how much its boot clock is ahead of time.Now
	wrong atomic.Int64 // by how much its wall clock is
	stop  func()       // and wait until it has
}

func start(t *testing.T, store Store, writer string, sinks ...Sink) *replica {
	t.Helper()
	r := &replica{}
	began := time.Now()
	l, err := New(Config{
		Store: store, Writer: writer, Sinks: sinks,
		Clock: func() time.Time { return time.Now().Add(time.Duration(r.wrong.Load())) },
		Boot:  func() time.Duration { return time.Hour + time.Since(began) + time.Duration(r.slept.Load()) },
	}, claims{})
	if err != nil {
		t.Fatal(err)
	}
	r.Ledgers = l
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Start(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	t.Cleanup(r.stop)
	<-l.Started()
	return r
}

func (r *replica) must(t *testing.T, w wish) audit.Record {
	t.Helper()
	records, err := r.Append(t.Context(), ns, w)
	if err != nil {
		t.Fatalf("appending %+v: %v", w, err)
	}
	if len(records) != 1 {
		t.Fatalf("appending %+v: %d records", w, len(records))
	}
	return records[0]
}

// verify follows the whole chain that is in the store, from the start.
func verify(t *testing.T, m *memory) []audit.Batch {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	head := audit.Start(string(m.ledgers[ns].UID))
	var out []audit.Batch
	for _, s := range m.sequences(ns) {
		b := m.batches[ns+"/"+Name(s)]
		var err error
		if head, err = head.Follow(b); err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

// bubble runs a test in which time passes only when everybody waits.
func bubble(t *testing.T, test func(t *testing.T)) { t.Helper(); synctest.Test(t, test) }

// pass lets time pass in a bubble.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // It is not real time, and what it lets happen has happened when it returns.
}

func TestAppendAnswersWithWhatIsInTheLedger(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		a := start(t, m, "a")
		first := a.must(t, wish{Thing: "code", Who: "x"})
		second := a.must(t, wish{Thing: "code", Who: "y"})
		if first.Outcome != audit.Succeeded || second.Outcome != audit.Replayed {
			t.Errorf("the first try %s, the second %s", first.Outcome, second.Outcome)
		}
		batches := verify(t, m)
		if len(batches) != 2 || batches[0].Records[0].ID != first.ID || !batches[1].Records[0].Time.Equal(second.Time) {
			t.Errorf("the store holds %+v, the answers were %+v and %+v", batches, first, second)
		}
		if first.ID != "1-0" || second.ID != "2-0" {
			t.Errorf("ids %s and %s", first.ID, second.ID)
		}
	})
}

// Whoever does not wait for an answer keeps nobody from being told of what was recorded.
func TestAWitnessIsToldThoughNobodyWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		a := start(t, m, "a")
		a.must(t, wish{Thing: "opens"})
		ctx, hangUp := context.WithCancel(t.Context())
		m.setFault(func(op string, _ int64, do func() error) error {
			if op == "Create" {
				hangUp()
				pass(time.Second)
			}
			return do()
		})
		heard := make(chan audit.Record, 2)
		if _, err := a.Append(ctx, ns, wish{Thing: "code", Heard: heard}); !errors.Is(err, context.Canceled) {
			t.Errorf("who hung up got %v", err)
		}
		if _, err := a.Append(t.Context(), ns, wish{Thing: "code", Unless: true, Heard: heard}); !errors.Is(err, errUsed) {
			t.Errorf("who is refused got %v", err)
		}
		held := verify(t, m)
		if len(heard) != 1 || len(held) != 2 {
			t.Fatalf("told of %d, and %d batches are held", len(heard), len(held))
		}
		if got, want := <-heard, held[1].Records[0]; got.ID != want.ID || !got.Time.Equal(want.Time) {
			t.Errorf("told of %+v, held is %+v", got, want)
		}
	})
}

func TestABatchCollectsWhileAnotherIsUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		a := start(t, m, "a")
		a.must(t, wish{Thing: "opens"})
		m.setFault(func(op string, _ int64, do func() error) error {
			if op == "Create" {
				pass(20 * time.Millisecond)
			}
			return do()
		})
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() { a.must(t, wish{Thing: fmt.Sprint(i)}) })
		}
		all.Wait()
		var sizes []int
		for _, b := range verify(t, m)[1:] {
			sizes = append(sizes, len(b.Records))
		}
		if len(sizes) > 2 {
			t.Errorf("100 attempts at once took batches of %v", sizes)
		}
	})
}

func TestTheSameThingIsClaimedOnce(t *testing.T) {
	for _, watching := range []bool{true, false} {
		t.Run(fmt.Sprint("watching=", watching), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := newMemory()
				m.setFault(func(op string, _ int64, do func() error) error {
					if op == "Watch" && !watching {
						return errors.New("no watch")
					}
					if op == "Create" {
						pass(time.Millisecond) // lets the others in between
					}
					return do()
				})
				replicas := []*replica{start(t, m, "a"), start(t, m, "b"), start(t, m, "c")}
				var all sync.WaitGroup
				won := make([]atomic.Int32, 40)
				for i := range won {
					for _, r := range replicas {
						for range 3 {
							all.Go(func() {
								if r.must(t, wish{Thing: fmt.Sprint(i), Who: r.config.Writer}).Outcome == audit.Succeeded {
									won[i].Add(1)
								}
							})
						}
					}
				}
				all.Wait()
				for i := range won {
					if n := won[i].Load(); n != 1 {
						t.Errorf("thing %d was claimed %d times", i, n)
					}
				}
				records := 0
				for _, b := range verify(t, m) {
					records += len(b.Records)
				}
				if records != 40*9 {
					t.Errorf("%d attempts are in the ledger as %d records", 40*9, records)
				}
			})
		})
	}
}

func TestAnAnswerThatIsLost(t *testing.T) {
	lost := errors.New("connection reset")
	for _, c := range []struct {
		reason string
		fault  func(op string, tries int, do func() error) error
		want   error
		stored int // batches afterwards, without the first
	}{
		{"it was created: found by reading back", func(op string, tries int, do func() error) error {
			err := do()
			if op == "Create" && tries == 1 {
				return lost
			}
			return err
		}, nil, 1},
		{"it was not created: created again", func(op string, tries int, do func() error) error {
			if op == "Create" && tries <= 3 {
				return lost
			}
			return do()
		}, nil, 1},
		{"it was created, and nothing can be read: unknown", func(op string, _ int, do func() error) error {
			err := do()
			if op == "Create" || op == "Batch" || op == "Watch" {
				return lost
			}
			return err
		}, ErrUnknown, 1},
		{"it was not created, and nothing can be read: unknown", func(op string, _ int, do func() error) error {
			if op == "Create" || op == "Batch" {
				return lost
			}
			return do()
		}, ErrUnknown, 0},
		{"the API server is gone, later it was not created", func(op string, _ int, do func() error) error {
			if op == "Create" {
				return lost
			}
			return do()
		}, ErrUnknown, 0},
	} {
		t.Run(c.reason, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := newMemory()
				a := start(t, m, "a")
				a.must(t, wish{Thing: "opens"})
				var tries atomic.Int32
				m.setFault(func(op string, _ int64, do func() error) error {
					if op == "Create" {
						tries.Add(1)
					}
					return c.fault(op, int(tries.Load()), do)
				})
				began := time.Now()
				_, err := a.Append(t.Context(), ns, wish{Thing: "code", Who: "x"})
				if !errors.Is(err, c.want) {
					t.Fatalf("got the error %v, want %v", err, c.want)
				}
				if took := time.Since(began); took > 11*time.Second {
					t.Errorf("it took %s", took)
				}
				if got := len(verify(t, m)) - 1; got != c.stored {
					t.Errorf("%d batches were stored, want %d", got, c.stored)
				}
				// Whatever had become of it, what comes next is right.
				m.setFault(nil)
				want := audit.Succeeded
				if c.stored == 1 {
					want = audit.Replayed
				}
				if got := a.must(t, wish{Thing: "code", Who: "x"}).Outcome; got != want {
					t.Errorf("afterwards the same claim %s, want %s", got, want)
				}
				verify(t, m)
			})
		})
	}
}

func TestTheAPIServerRefuses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		a := start(t, m, "a")
		a.must(t, wish{Thing: "used"})
		quota := errors.New("exceeded quota")
		m.setFault(func(op string, _ int64, do func() error) error {
			if op == "Create" {
				return &refusal{quota}
			}
			return do()
		})
		var all sync.WaitGroup
		all.Go(func() {
			_, err := a.Append(t.Context(), ns, wish{Thing: "new"})
			if !errors.Is(err, ErrRefused) || !errors.Is(err, quota) {
				t.Errorf("got the error %v", err)
			}
		})
		all.Go(func() { // in the same batch, and needs no write
			_, err := a.Append(t.Context(), ns, wish{Thing: "used", Unless: true})
			if !errors.Is(err, errUsed) {
				t.Errorf("got the error %v", err)
			}
		})
		all.Wait()
		m.setFault(nil)
		if got := a.must(t, wish{Thing: "new"}).Outcome; got != audit.Succeeded {
			t.Errorf("what was refused counts: %s", got)
		}
	})
}

func TestARefusalRestsOnTheCurrentState(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		m.setFault(func(op string, _ int64, do func() error) error {
			if op == "Watch" {
				return errors.New("no watch")
			}
			return do()
		})
		a, b := start(t, m, "a"), start(t, m, "b")
		a.must(t, wish{Thing: "lock", Who: "x"})
		if _, err := b.Append(t.Context(), ns, wish{Thing: "lock", Unless: true}); !errors.Is(err, errUsed) {
			t.Fatalf("b does not see the lock: %v", err)
		}
		a.must(t, wish{Thing: "lock", Free: true})
		if _, err := b.Append(t.Context(), ns, wish{Thing: "lock", Who: "y", Unless: true}); err != nil {
			t.Errorf("b refuses by what it knew before: %v", err)
		}
		if err := a.Read(t.Context(), ns, func(s audit.State[claimed]) {
			if got := s.Get("lock").By; got != "y" {
				t.Errorf("a reads that %q has it", got)
			}
		}); err != nil {
			t.Error(err)
		}
	})
}

func TestAnEventOfAnotherSystemIsRecordedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		a, b := start(t, m, "a"), start(t, m, "b")
		event := func(aggregate string, sequence int64) audit.Record {
			return audit.Record{
				Action: audit.SSOLogin, Outcome: audit.Succeeded, Subject: "u",
				Origin: &audit.Origin{Aggregate: aggregate, Sequence: sequence},
			}
		}
		for _, r := range []*replica{a, b, a} {
			if err := r.Record(t.Context(), ns, event("one", 1), event("one", 1), event("one", 2), event("two", 1)); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Record(t.Context(), ns, event("one", 2), event("one", 3)); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, batch := range verify(t, m) {
			for _, r := range batch.Records {
				got = append(got, fmt.Sprint(r.Origin.Aggregate, r.Origin.Sequence))
			}
		}
		if want := []string{"one1", "one2", "two1", "one3"}; !slices.Equal(got, want) {
			t.Errorf("recorded %v, want %v", got, want)
		}
	})
}

// Whoever does something once because of a record rests on that.
func TestOneOfManyGetsTheNewRecord(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		replicas := []*replica{start(t, m, "a"), start(t, m, "b"), start(t, m, "c")}
		event := audit.Record{
			Action: audit.MFAReset, Outcome: audit.Succeeded, Subject: "u", Origin: &audit.Origin{Aggregate: "reset", Sequence: 1},
		}
		var all sync.WaitGroup
		var mu sync.Mutex
		var got []audit.Record
		for i := range 12 {
			all.Go(func() {
				recorded, err := replicas[i%len(replicas)].RecordNew(t.Context(), ns, event)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				got = append(got, recorded...)
			})
		}
		all.Wait()
		held := verify(t, m)
		if len(got) != 1 || len(held) != 1 || got[0].ID != held[0].Records[0].ID || !got[0].Time.Equal(held[0].Records[0].Time) {
			t.Errorf("new to somebody: %+v, held: %+v", got, held)
		}
	})
}

func TestWhatIsTooMuchOrInvalid(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		a := start(t, m, "a")
		a.must(t, wish{Thing: "opens"})
		good := audit.Record{Action: audit.PolicyApplied, Outcome: audit.Succeeded, Subject: "p"}
		long, unknown := good, good
		long.UserAgent = strings.Repeat("x", audit.MaxUserAgent+1)
		unknown.Action = "Bake"
		for _, c := range []struct {
			reason  string
			records []audit.Record
		}{
			{"a field is too long", []audit.Record{long}},
			{"an action that does not exist", []audit.Record{unknown}},
			{"one of two is invalid, so neither is recorded", []audit.Record{good, long}},
			{"more records than a batch has", slices.Repeat([]audit.Record{good}, maxRecords+1)},
		} {
			if err := a.Record(t.Context(), ns, c.records...); !errors.Is(err, audit.ErrInvalid) {
				t.Errorf("%s: got the error %v", c.reason, err)
			}
		}
		if n := len(verify(t, m)); n != 1 {
			t.Errorf("%d batches", n)
		}
		// Many large ones at once make several batches, each within its bounds.
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() { a.must(t, wish{Thing: fmt.Sprint(i), Size: 10_000}) })
		}
		all.Wait()
		batches := verify(t, m)
		if len(batches) < 4 {
			t.Errorf("1 MB of records made %d batches", len(batches))
		}
		for _, b := range batches {
			if size := batchSize(b); size > maxBytes {
				t.Errorf("batch %d has %d bytes", b.Sequence, size)
			}
		}
	})
}

func TestRecordTimeNeverRunsBackwards(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		a, b := start(t, m, "a"), start(t, m, "b")
		first := a.must(t, wish{Thing: "1"})
		b.wrong.Store(int64(-4 * time.Second))
		if second := b.must(t, wish{Thing: "2"}); !second.Time.Equal(first.Time) {
			t.Errorf("four seconds behind: recorded at %s, after %s", second.Time, first.Time)
		}
		b.wrong.Store(int64(-6 * time.Second))
		if _, err := b.Append(t.Context(), ns, wish{Thing: "3"}); !errors.Is(err, ErrClock) {
			t.Errorf("six seconds behind: got the error %v", err)
		}
		if err := b.Read(t.Context(), ns, func(audit.State[claimed]) {}); err != nil {
			t.Errorf("reading needs no clock: %v", err)
		}
		// The API server's clock is what tells that ours is ahead.
		a.clock.heard(time.Now(), time.Now(), time.Now().Add(-10*time.Second))
		if _, err := a.Append(t.Context(), ns, wish{Thing: "3"}); !errors.Is(err, ErrClock) {
			t.Errorf("ahead of the API server: got the error %v", err)
		}
		a.clock.heard(time.Now(), time.Now(), time.Now())
		a.must(t, wish{Thing: "3"})
		verify(t, m)
	})
}

// The case the fence is for: a writer stops, retention frees the very name it
// is about to create, and it goes on.
func TestAWriterThatSleptAcrossRetention(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		sleeper, awake := start(t, m, "sleeper"), start(t, m, "awake")
		sleeper.must(t, wish{Thing: "opens"})

		// The sleeper judges the claim, and stops right before its create.
		asleep, wake := make(chan struct{}), make(chan struct{})
		m.setFault(func(op string, sequence int64, do func() error) error {
			if op == "Create" && sequence == 2 {
				m.setFault(nil)
				close(asleep)
				<-wake
			}
			return do()
		})
		answered := make(chan error, 1)
		var records []audit.Record
		go func() {
			var err error
			records, err = sleeper.Append(context.Background(), ns, wish{Thing: "code", Who: "sleeper"})
			answered <- err
		}()
		<-asleep

		// Meanwhile the same claim is accepted elsewhere, under that name, and all
		// of it grows old and is removed.
		if got := awake.must(t, wish{Thing: "code", Who: "awake"}); got.ID != "2-0" || got.Outcome != audit.Succeeded {
			t.Fatalf("awake: %+v", got)
		}
		awake.must(t, wish{Thing: "more"})
		m.ledgers[ns].Spec.Retention.MaxAgeDays = 0 // nothing is kept that may go
		for range 3 {
			if _, err := awake.Keep(t.Context(), ns); err != nil {
				t.Fatal(err)
			}
			pass(6 * time.Minute)
		}
		m.mu.Lock()
		left, floor := m.sequences(ns), m.ledgers[ns].Status.Floor.Sequence
		m.mu.Unlock()
		if floor != 3 || len(left) != 0 {
			t.Fatalf("retention left %v, floor %d", left, floor)
		}

		close(wake)
		err := <-answered
		if err == nil {
			t.Fatalf("the sleeper was answered %+v: the claim was accepted twice", records)
		}
		if !errors.Is(err, ErrUnknown) {
			t.Errorf("the sleeper got the error %v", err)
		}
		m.mu.Lock()
		left = m.sequences(ns)
		m.mu.Unlock()
		if len(left) != 0 {
			t.Errorf("what the sleeper created is still there: %v", left)
		}
		if got := sleeper.must(t, wish{Thing: "code", Who: "sleeper"}); got.Outcome != audit.Replayed || got.ID != "4-0" {
			t.Errorf("asked again, the sleeper says %+v", got)
		}
		if got := awake.must(t, wish{Thing: "code", Who: "awake"}); got.Outcome != audit.Replayed || got.ID != "5-0" {
			t.Errorf("awake says %+v", got)
		}
	})
}

// A replica whose state ends below the floor finds neither its next batch nor
// anything else; it must not take that for the end of the ledger.
func TestAReaderThatSleptAcrossRetention(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		m.setFault(func(op string, _ int64, do func() error) error {
			if op == "Now" { // nobody hears of anybody
				return errors.New("no watch")
			}
			return do()
		})
		sleeper, awake := start(t, m, "sleeper"), start(t, m, "awake")
		sleeper.must(t, wish{Thing: "opens"})
		awake.must(t, wish{Thing: "code", Who: "awake"})
		m.ledgers[ns].Spec.Retention.MaxAgeDays = 0
		for range 3 {
			if _, err := awake.Keep(t.Context(), ns); err != nil {
				t.Fatal(err)
			}
			pass(6 * time.Minute)
		}
		if err := sleeper.Read(t.Context(), ns, func(s audit.State[claimed]) {
			if got := s.Get("code").By; got != "awake" {
				t.Errorf("the sleeper reads that %q used the code", got)
			}
		}); err != nil {
			t.Error(err)
		}
	})
}

func TestTooManyWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		a := start(t, m, "a")
		a.must(t, wish{Thing: "opens"})
		blocked, release := make(chan struct{}, 1), make(chan struct{})
		m.setFault(func(op string, _ int64, do func() error) error {
			if op == "Create" {
				select {
				case blocked <- struct{}{}:
				default:
				}
				<-release
			}
			return do()
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var all sync.WaitGroup
		var turnedAway, unanswered atomic.Int32
		for i := range maxWaiting + 100 {
			all.Go(func() {
				_, err := a.Append(ctx, ns, wish{Thing: fmt.Sprint(i)})
				switch {
				case errors.Is(err, ErrUnavailable):
					turnedAway.Add(1)
				case errors.Is(err, context.DeadlineExceeded):
					unanswered.Add(1)
				default:
					t.Errorf("got the error %v", err)
				}
			})
			if i == 0 {
				<-blocked // in flight: the others wait behind it
			}
		}
		all.Wait()
		if turnedAway.Load() != 99 || unanswered.Load() != maxWaiting+1 {
			t.Errorf("%d were turned away and %d not answered in time", turnedAway.Load(), unanswered.Load())
		}
		close(release)
		a.must(t, wish{Thing: "after"})
		// Nobody waits for them any more, so those that waited are not recorded.
		records := 0
		for _, b := range verify(t, m) {
			records += len(b.Records)
		}
		if records != 3 {
			t.Errorf("%d records, want that which opened it, the one in flight and the last", records)
		}
	})
}

func TestOpeningFindsTampering(t *testing.T) {
	edit := func(b audit.Batch, change func(*audit.Batch)) audit.Batch {
		b.Records = slices.Clone(b.Records)
		change(&b)
		return b
	}
	for _, c := range []struct {
		reason string
		tamper func(m *memory, key func(int64) string)
	}{
		{"a record is edited", func(m *memory, key func(int64) string) {
			m.batches[key(4)] = edit(m.batches[key(4)], func(b *audit.Batch) { b.Records[0].Actor = "somebody else" })
		}},
		{"a record is edited and the hash made to fit", func(m *memory, key func(int64) string) {
			m.batches[key(4)] = edit(m.batches[key(4)], func(b *audit.Batch) { b.Records[0].Actor = "somebody else"; b.Hash = b.Sum() })
		}},
		{"a batch in the middle is removed", func(m *memory, key func(int64) string) { delete(m.batches, key(4)) }},
		{"the last batch is removed, and had been seen", func(m *memory, key func(int64) string) {
			m.ledgers[ns].Status.Head.Sequence = 8
			delete(m.batches, key(8))
		}},
		{"two batches change places", func(m *memory, key func(int64) string) {
			m.batches[key(4)], m.batches[key(5)] = m.batches[key(5)], m.batches[key(4)]
		}},
		{"the MFALedger is removed", func(m *memory, _ func(int64) string) { delete(m.ledgers, ns) }},
		{"the MFALedger is replaced", func(m *memory, _ func(int64) string) { m.ledgers[ns].UID = "another" }},
	} {
		t.Run(c.reason, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := newMemory()
				a := start(t, m, "a")
				for i := range 8 {
					a.must(t, wish{Thing: fmt.Sprint(i)})
				}
				a.stop()
				m.mu.Lock()
				c.tamper(m, func(s int64) string { return ns + "/" + Name(s) })
				before := len(m.sequences(ns))
				m.mu.Unlock()
				b := start(t, m, "b")
				if _, err := b.Append(t.Context(), ns, wish{Thing: "code"}); !errors.Is(err, audit.ErrBroken) {
					t.Errorf("got the error %v", err)
				}
				if after := len(m.sequences(ns)); after != before {
					t.Error("it went on all the same")
				}
			})
		})
	}
}

func TestANamespaceThatIsMadeAnew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		a := start(t, m, "a")
		a.must(t, wish{Thing: "code", Who: "x"})
		pass(time.Second) // it follows by now
		m.mu.Lock()
		for _, s := range m.sequences(ns) {
			b := m.batches[ns+"/"+Name(s)]
			delete(m.batches, ns+"/"+Name(s))
			m.tell(memoryEvent{ns, b, true})
		}
		delete(m.ledgers, ns)
		m.mu.Unlock()
		synctest.Wait()
		if got := a.must(t, wish{Thing: "code", Who: "x"}); got.Outcome != audit.Succeeded || got.ID != "1-0" {
			t.Errorf("in the new namespace: %+v", got)
		}
		verify(t, m)
	})
}

func TestLedgersCloseWhenIdle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		a := start(t, m, "a")
		a.must(t, wish{Thing: "1"})
		pass(time.Hour)
		a.mu.Lock()
		open := len(a.open)
		a.mu.Unlock()
		if open != 0 {
			t.Errorf("%d ledgers are open after an hour of nothing", open)
		}
		if got := a.must(t, wish{Thing: "1"}); got.Outcome != audit.Replayed {
			t.Errorf("opened again it has forgotten: %+v", got)
		}
	})
}

func TestStoppedMeansUnavailable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		a := start(t, m, "a")
		a.must(t, wish{Thing: "1"})
		a.stop()
		if _, err := a.Append(t.Context(), ns, wish{Thing: "2"}); !errors.Is(err, ErrUnavailable) {
			t.Errorf("got the error %v", err)
		}
	})
}

// An API server that does not answer is no reason to restart: patience ends what waits
// for it. A store that never returns is.
func TestALedgerThatIsStuckIsFound(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		a := start(t, m, "a")
		a.must(t, wish{Thing: "opens"})
		if err := a.Check(time.Minute); err != nil {
			t.Errorf("a ledger that waits for work: %v", err)
		}
		freed := make(chan struct{})
		m.setFault(func(op string, _ int64, do func() error) error {
			if op == "Create" {
				<-freed
			}
			return do()
		})
		answered := make(chan error, 1)
		go func() {
			_, err := a.Append(context.Background(), ns, wish{Thing: "stuck"})
			answered <- err
		}()
		pass(30 * time.Second)
		if err := a.Check(time.Minute); err != nil {
			t.Errorf("after half a minute: %v", err)
		}
		pass(time.Minute)
		if err := a.Check(time.Minute); err == nil || !strings.Contains(err.Error(), ns) {
			t.Errorf("after a minute and a half: %v", err)
		}
		m.setFault(nil)
		close(freed)
		if err := <-answered; err != nil && !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrUnknown) {
			t.Errorf("who waited is told %v", err)
		}
		verify(t, m)
		pass(time.Second)
		if err := a.Check(time.Minute); err != nil {
			t.Errorf("after it went on: %v", err)
		}
	})
}

// Two writers open a new ledger at once: one makes it and appends between two reads of
// the other.
func TestALedgerThatIsMadeMeanwhileIsNotBroken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		a, b := start(t, m, "a"), start(t, m, "b")
		m.setFault(func(op string, _ int64, do func() error) error {
			if op == "Any" {
				m.setFault(nil)
				b.must(t, wish{Thing: "first"})
			}
			return do()
		})
		a.must(t, wish{Thing: "second"})
		if n := len(verify(t, m)); n != 2 {
			t.Errorf("%d batches", n)
		}
	})
}

// A ledger that takes longer to open than one call has time for opens all the
// same: each call goes on where the one before was cut off.
func TestOpeningGoesOnWhereItWasCutOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		a := start(t, m, "a")
		const batches = 1000
		for i := range batches {
			a.must(t, wish{Thing: fmt.Sprint("code ", i), Who: "x"})
		}
		a.stop()
		m.setFault(func(op string, _ int64, do func() error) error {
			if op == "Batch" {
				pass(time.Second) // 32 at once: about 250 until patience is over
			}
			return do()
		})
		m.mu.Lock()
		m.calls["Batch"] = 0
		m.mu.Unlock()
		b := start(t, m, "b")
		tries := 0
		for {
			tries++
			records, err := b.Append(t.Context(), ns, wish{Thing: "code 0", Who: "y"})
			if err == nil {
				if records[0].Outcome != audit.Replayed {
					t.Errorf("%+v, want it to know what it has read in the first try", records[0])
				}
				break
			}
			if !errors.Is(err, ErrUnavailable) || tries > 10 {
				t.Fatalf("try %d: %v", tries, err)
			}
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if tries < 3 || m.calls["Batch"] > batches+tries*2*lastWidth {
			t.Errorf("%d tries, %d reads of %d batches", tries, m.calls["Batch"], batches)
		}
	})
}
