package ledger

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/ledger"
	"github.com/neosc/mfa-operator/test/harness"
)

// input and output of one call, as porcupine sees it.
type input struct {
	thing string
	what  what
	read  bool
}

type output struct {
	outcome audit.Outcome // of a record
	refused bool
	used    bool // of a read
	unknown bool // no answer: it may have happened at any time since, or never
}

// sequential is how a thing behaves if one call comes after the other: the
// state is whether it is used up.
var sequential = porcupine.NondeterministicModel{
	Partition: harness.ByThing(func(in any) string { return in.(input).thing }),
	Init:      func() []any { return []any{false} },
	Step: func(state, in, out any) []any {
		used, i, o := state.(bool), in.(input), out.(output)
		after := used
		var want output
		switch {
		case i.read:
			want.used = used
		case i.what == free:
			want.outcome, after = audit.Succeeded, false
		case used && i.what == claimOnly:
			want.refused = true
		case used:
			want.outcome = audit.Replayed
		default:
			want.outcome, after = audit.Succeeded, true
		}
		switch {
		case o.unknown:
			return []any{used, after}
		case o == want:
			return []any{after}
		}
		return nil
	},
	Equal: func(a, b any) bool { return a == b },
}

// unreliable loses answers, holds back what a replica hears of others, and can
// be cut off as if its process had been killed.
type unreliable struct {
	ledger.Store
	dead atomic.Bool
	lost atomic.Int64
}

var (
	errLost = errors.New("the answer was lost")
	errDead = errors.New("the process was killed")
)

func (u *unreliable) Create(ctx context.Context, namespace string, b audit.Batch) error {
	switch dice := rand.IntN(100); {
	case u.dead.Load():
		return errDead
	case dice < 8: // never sent
		u.lost.Add(1)
		return errLost
	case dice < 20: // done, and nobody hears of it
		err := u.Store.Create(ctx, namespace, b)
		if err == nil {
			u.lost.Add(1)
			err = errLost
		}
		return err
	}
	err := u.Store.Create(ctx, namespace, b)
	if u.dead.Load() {
		return errDead
	}
	return err
}

func (u *unreliable) Batch(ctx context.Context, namespace string, sequence int64) (audit.Batch, error) {
	if u.dead.Load() {
		return audit.Batch{}, errDead
	}
	if rand.IntN(100) < 3 {
		return audit.Batch{}, errLost
	}
	return u.Store.Batch(ctx, namespace, sequence)
}

func (u *unreliable) Watch(ctx context.Context, namespace, point string, heard func(ledger.News) error) error {
	return u.Store.Watch(ctx, namespace, point, func(news ledger.News) error {
		if u.dead.Load() {
			return errDead
		}
		if rand.IntN(20) == 0 {
			timer := time.NewTimer(rand.N(300 * time.Millisecond))
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		}
		return heard(news)
	})
}

// history collects what callers saw.
type history struct {
	mu    sync.Mutex
	began time.Time
	ops   []porcupine.Operation
	acked map[string]audit.Record
}

func (h *history) call(client int, in input, do func() ([]audit.Record, output, error)) {
	called := time.Since(h.began).Nanoseconds()
	records, out, err := do()
	returned := time.Since(h.began).Nanoseconds()
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case errors.Is(err, errUsed):
		out = output{refused: true}
	case err != nil && in.read:
		return // a read that failed says nothing
	case err != nil:
		// Also ErrUnavailable, which says that nothing happened: to take it for
		// unknown is to demand less, and it need not be told apart here.
		out, returned = output{unknown: true}, math.MaxInt64
	}
	for _, r := range records {
		h.acked[r.ID] = r
	}
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Call: called, Output: out, Return: returned})
}

// Four replicas with 64 callers each, answers that get lost, watches that lag,
// processes that are killed, an API server and an etcd that are restarted:
// whatever callers saw, it is what they could have seen one after the other.
func TestLinearizable(t *testing.T) {
	const (
		replicas = 4
		callers  = 64
		thingsN  = 400
		longest  = 3 * time.Minute
	)
	namespace := newNamespace(t)
	real, err := ledger.NewStore(cluster.env.Config, nil)
	ok(t, err)

	h := &history{began: time.Now(), acked: map[string]audit.Record{}}
	var current [replicas]atomic.Pointer[replica]
	var stores [replicas]atomic.Pointer[unreliable]
	var lost atomic.Int64
	boot := func(i, generation int) {
		s := &unreliable{Store: real}
		stores[i].Store(s)
		current[i].Store(start(t, fmt.Sprintf("replica-%d-%d", i, generation), s))
	}
	for i := range replicas {
		boot(i, 0)
	}

	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	var all sync.WaitGroup
	for i := range replicas {
		for c := range callers {
			all.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					one(ctx, h, i*callers+c, current[i].Load(), namespace, thingsN)
				}
			})
		}
	}
	var kills atomic.Int64
	restarts := 0 // of the API server and of etcd, in turn
	// It goes on until that much has happened, as long as that takes.
	enough := func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.acked) >= 1000 && lost.Load() >= 10 && kills.Load() >= 5 && restarts >= 2
	}
	all.Go(func() { // kills a process now and then
		for generation := 1; pause(ctx, 3*time.Second); generation++ {
			i := rand.IntN(replicas)
			stores[i].Load().dead.Store(true)
			lost.Add(stores[i].Load().lost.Load())
			current[i].Load().kill()
			boot(i, generation)
			kills.Add(1)
		}
	})
	all.Go(func() {
		for pause(ctx, 5*time.Second) {
			if enough() {
				cancel()
				return
			}
			server := cluster.env.ControlPlane.GetAPIServer()
			if restarts%2 == 0 {
				// The grace is so short that it is a kill.
				server.StopTimeout = 50 * time.Millisecond
				if err := server.Stop(); err != nil {
					t.Logf("stopping the API server: %v", err)
				}
				server.StopTimeout = 30 * time.Second
				if err := server.Start(); err != nil {
					t.Errorf("starting the API server: %v", err)
				}
			} else {
				etcd := cluster.env.ControlPlane.Etcd
				etcd.StopTimeout = 50 * time.Millisecond
				if err := etcd.Stop(); err != nil {
					t.Logf("stopping etcd: %v", err)
				}
				etcd.StopTimeout = 30 * time.Second
				if err := etcd.Start(); err != nil {
					t.Errorf("starting etcd: %v", err)
				}
			}
			restarts++
		}
	})
	all.Wait()
	for i := range replicas {
		lost.Add(stores[i].Load().lost.Load())
	}

	stored := follow(t, namespace)
	for id, r := range h.acked {
		if got := stored[id]; got.Subject != r.Subject || got.Outcome != r.Outcome || got.Actor != r.Actor {
			t.Errorf("acknowledged %+v, in etcd is %+v", r, got)
		}
	}
	unknown := 0
	for _, op := range h.ops {
		if op.Output.(output).unknown {
			unknown++
		}
	}
	t.Logf("%d calls, %d acknowledged, %d without an answer; %d records in etcd; %d answers lost, %d replicas killed, %d restarts of the control plane",
		len(h.ops), len(h.acked), unknown, len(stored), lost.Load(), kills.Load(), restarts)
	if !enough() {
		t.Error("too little happened for this to mean anything")
	}
	harness.Linearizable(t, sequential, h.ops)
}

func one(ctx context.Context, h *history, client int, r *replica, namespace string, thingsN int) {
	in := input{thing: fmt.Sprint("thing-", rand.IntN(thingsN))}
	switch dice := rand.IntN(100); {
	case dice < 55:
		in.what = claim
	case dice < 75:
		in.what = claimOnly
	case dice < 90:
		in.what = free
	default:
		in.read = true
	}
	callCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	h.call(client, in, func() ([]audit.Record, output, error) {
		if in.read {
			var out output
			err := r.Read(callCtx, namespace, func(s audit.State[string]) { out.used = s.Get(in.thing) != "" })
			return nil, out, err
		}
		records, err := r.Append(callCtx, namespace, try{Thing: in.thing, Who: fmt.Sprint("caller-", client), What: in.what})
		if err != nil {
			if !errors.Is(err, errUsed) {
				pause(ctx, 20*time.Millisecond)
			}
			return nil, output{}, err
		}
		return records, output{outcome: records[0].Outcome}, nil
	})
}

// pause waits, and tells whether there is more time.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// A check that cannot fail proves nothing: these histories must be refused.
func TestTheCheckFindsWhatIsNotLinearizable(t *testing.T) {
	op := func(call, ret int64, in input, out output) porcupine.Operation {
		return porcupine.Operation{Input: in, Call: call, Output: out, Return: ret}
	}
	a := input{thing: "a"}
	for _, c := range []struct {
		reason string
		ops    []porcupine.Operation
		want   bool
	}{
		{"one after the other", []porcupine.Operation{
			op(1, 2, a, output{outcome: audit.Succeeded}), op(3, 4, a, output{outcome: audit.Replayed}),
		}, true},
		{"accepted twice", []porcupine.Operation{
			op(1, 3, a, output{outcome: audit.Succeeded}), op(2, 4, a, output{outcome: audit.Succeeded}),
		}, false},
		{"a read that does not see what was answered before", []porcupine.Operation{
			op(1, 2, a, output{outcome: audit.Succeeded}), op(3, 4, input{thing: "a", read: true}, output{}),
		}, false},
		{"refused although it was free", []porcupine.Operation{op(1, 2, input{thing: "a", what: claimOnly}, output{refused: true})}, false},
		{"one without an answer may have happened late", []porcupine.Operation{
			op(1, math.MaxInt64, a, output{unknown: true}), op(2, 3, a, output{outcome: audit.Succeeded}),
		}, true},
	} {
		if got := porcupine.CheckOperations(sequential.ToModel(), c.ops); got != c.want {
			t.Errorf("%s: %t", c.reason, got)
		}
	}
}
