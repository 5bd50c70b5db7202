package mfaapi

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/onsi/gomega"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/test/harness"
)

// shown is something right that is shown, as porcupine sees it: what may be used once
// is a thing, and of a TOTP app, whose steps are used up in order, the app is.
type shown struct {
	thing string
	step  int64 // of the app; of other things 1
}

// told is what whoever showed it was told.
type told int

const (
	accepted told = iota
	refused
	nothing // 503, or no answer: it may have been accepted, at any time since, or never
)

// onceEach is how verification behaves if one request comes after the other: the
// state is the last step that was used up.
var onceEach = porcupine.NondeterministicModel{
	Partition: harness.ByThing(func(in any) string { return in.(shown).thing }),
	Init:      func() []any { return []any{int64(0)} },
	Step: func(state, in, out any) []any {
		used, step := state.(int64), in.(shown).step
		after := max(used, step)
		switch {
		case out == nothing:
			return []any{used, after}
		case out == accepted && step > used, out == refused && step <= used:
			return []any{after}
		}
		return nil
	},
	Equal: func(a, b any) bool { return a == b },
}

// A check that cannot fail proves nothing: these histories must be told apart.
func TestTheCheckFindsWhatIsAcceptedTwice(t *testing.T) {
	op := func(call, ret, step int64, out told) porcupine.Operation {
		return porcupine.Operation{Input: shown{"ann", step}, Call: call, Output: out, Return: ret}
	}
	for _, c := range []struct {
		reason string
		ops    []porcupine.Operation
		want   bool
	}{
		{"once, and then refused", []porcupine.Operation{op(1, 2, 1, accepted), op(3, 4, 1, refused)}, true},
		{"at the same time, either may be first", []porcupine.Operation{op(1, 4, 1, refused), op(2, 3, 1, accepted)}, true},
		{"accepted twice", []porcupine.Operation{op(1, 3, 1, accepted), op(2, 4, 1, accepted)}, false},
		{"refused before anybody was accepted", []porcupine.Operation{op(1, 2, 1, refused), op(3, 4, 1, accepted)}, false},
		{"refused, and nobody ever accepted", []porcupine.Operation{op(1, 2, 1, refused)}, false},
		{"it was accepted by whoever got no answer", []porcupine.Operation{op(1, math.MaxInt64, 1, nothing), op(2, 3, 1, refused)}, true},
		{"accepted late by whoever got no answer, and by another", []porcupine.Operation{op(1, math.MaxInt64, 1, nothing), op(2, 3, 1, refused), op(4, 5, 1, accepted)}, false},
		{"the step before the one that is used up", []porcupine.Operation{op(1, 2, 2, accepted), op(3, 4, 1, accepted)}, false},
		{"the step after it", []porcupine.Operation{op(1, 2, 1, accepted), op(3, 4, 2, accepted)}, true},
	} {
		if got := porcupine.CheckOperations(onceEach.ToModel(), c.ops); got != c.want {
			t.Errorf("%s: %t", c.reason, got)
		}
	}
}

// proof is a body to send, again and again.
type proof struct {
	shown
	user string
	body object
}

// history is what those who sent something were told.
type history struct {
	began time.Time
	mu    sync.Mutex
	ops   []porcupine.Operation
	odd   []string
	count map[told]int
}

// send shows something to a replica.
func (h *history) send(a *app, client int, url string, p proof) told {
	called := time.Since(h.began).Nanoseconds()
	got, err := a.to(url, http.MethodPost, p.user, "/verifications", p.body)
	returned := time.Since(h.began).Nanoseconds()
	h.mu.Lock()
	defer h.mu.Unlock()
	out := nothing
	switch {
	case err == nil && got.status == http.StatusCreated:
		out = accepted
	case err == nil && got.status == http.StatusForbidden:
		out = refused
	case err == nil && got.status != http.StatusServiceUnavailable:
		h.odd = append(h.odd, fmt.Sprintf("%s of %s: %d %s", p.thing, p.user, got.status, got.raw))
	}
	if out == nothing {
		returned = math.MaxInt64
	}
	h.count[out]++
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: p.shown, Call: called, Output: out, Return: returned})
	return out
}

// The same codes, assertions and recovery codes, over and over, to three replicas that
// are processes of their own, while those are killed, and the API server and etcd, too:
// whatever people were told, it is what they could have been told if one request had
// come after the other, and nothing had ever failed but by saying so.
func TestOnceWhateverIsKilled(t *testing.T) {
	// It goes on until that many have been killed, as long as that takes.
	const people, senders, mostKills, mostRestarts, longest = 12, 24, 5, 2, 3 * time.Minute
	s, stop, err := startSite(layout{replicas: replicas, forked: true})
	if err != nil {
		t.Fatal(err)
	}
	var current [replicas]atomic.Pointer[harness.Webhook]
	t.Cleanup(func() {
		for i := range current {
			if w := current[i].Load(); w != nil {
				if err := w.Stop(); err != nil {
					t.Error(err)
				}
			}
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("log of the replicas:\n%s", s.logs)
		}
	})
	w := newWorldOn(t, s)
	users := w.arm(0, people)
	var once []proof // what can be used once, and does not age within this test
	for _, u := range users {
		once = append(once, proof{shown{"assertion of " + u.name, 1}, u.name, u.proofs["WebAuthn"]})
		for i, code := range u.codes {
			once = append(once, proof{shown{fmt.Sprint("recovery code ", i, " of ", u.name), 1}, u.name, object{"method": "RecoveryCodes", "code": code}})
		}
	}

	h := &history{began: time.Now(), count: map[told]int{}}
	for _, u := range users {
		h.ops = append(h.ops, porcupine.Operation{Input: shown{"app of " + u.name, u.step}, Call: -2, Output: accepted, Return: -1})
	}
	for i := range current {
		current[i].Store(s.replicas[i])
	}
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	var all sync.WaitGroup
	for c := range senders {
		all.Go(func() {
			for ctx.Err() == nil {
				p := once[rand.IntN(len(once))]
				if c%4 == 0 { // the code of now: old ones are refused, whether or not they were used
					u := users[rand.IntN(len(users))]
					step := time.Now().Unix() / 30
					p = proof{shown{"app of " + u.name, step}, u.name, object{"method": "TOTP", "code": u.seed.at(step)}}
				}
				if h.send(w.app, c, current[rand.IntN(replicas)].Load().URL, p) == nothing {
					pause(ctx, 300*time.Millisecond) // what is started again needs the machine more
				}
			}
		})
	}
	var kills, restarts atomic.Int32
	count := func(one *atomic.Int32) {
		one.Add(1)
		if kills.Load() >= mostKills && restarts.Load() >= mostRestarts {
			cancel()
		}
	}
	all.Go(func() {
		for generation := 1; pause(ctx, 2*time.Second); generation++ {
			i := rand.IntN(replicas)
			if err := current[i].Load().Stop(); err != nil {
				t.Error(err)
			}
			count(&kills)
			for ready := false; !ready && ctx.Err() == nil; { // without an API server it does not get far
				next, err := harness.ForkWebhook(s.kubeconfig, s.logs, append(slices.Clone(flags), fmt.Sprintf("--pod-name=webhook-%d-%d", i, generation))...)
				if err != nil {
					t.Error(err)
					return
				}
				current[i].Store(next)
				ready = next.AwaitReady(ctx) == nil
				if !ready {
					if err := next.Stop(); err != nil {
						t.Error(err)
					}
				}
			}
		}
	})
	all.Go(func() {
		for pause(ctx, 8*time.Second) {
			if err := s.restart(restarts.Load()%2 == 1); err != nil {
				t.Error(err)
				return
			}
			count(&restarts)
		}
	})
	all.Wait()
	w.Expect(h.odd).To(gomega.BeEmpty())
	w.Expect(kills.Load()).To(gomega.BeNumerically(">=", mostKills))
	w.Expect(restarts.Load()).To(gomega.BeNumerically(">=", mostRestarts))

	// When all is well again, everything that nobody was told of is found out.
	for i := range current {
		next := current[i].Load()
		if !next.Ready(w.ctx) {
			w.Expect(next.Stop()).To(gomega.Succeed())
			next, err = harness.ForkWebhook(s.kubeconfig, s.logs, append(slices.Clone(flags), fmt.Sprintf("--pod-name=webhook-%d-last", i))...)
			w.Expect(err).NotTo(gomega.HaveOccurred())
			current[i].Store(next)
			w.Expect(next.AwaitReady(w.ctx)).To(gomega.Succeed())
		}
	}
	for _, p := range once {
		w.Eventually(func() told { return h.send(w.app, senders, current[rand.IntN(replicas)].Load().URL, p) }).ShouldNot(gomega.Equal(nothing), p.thing)
	}
	w.Expect(h.odd).To(gomega.BeEmpty())

	t.Logf("%d requests: %d accepted, %d refused, %d without an answer; %d replicas killed, %d restarts of the control plane",
		len(h.ops), h.count[accepted], h.count[refused], h.count[nothing], kills.Load(), restarts.Load())
	harness.Linearizable(t, onceEach, h.ops)
	w.Expect([]int{h.count[accepted], h.count[refused], h.count[nothing]}).To(gomega.HaveEach(gomega.BeNumerically(">", 0)), "or it means nothing")

	// And so it is in etcd: what can be used once has one success, and no code two.
	claims, methods := map[string]int{}, map[string]int{}
	for _, r := range w.trail(audit.Verification, audit.RecoveryCodeUsed) {
		if r.Outcome == audit.Succeeded {
			claims[r.Subject+" "+r.Claim]++
			methods[r.Method]++
		}
	}
	w.Expect(claims).To(gomega.HaveEach(1))
	delete(methods, "TOTP")
	w.Expect(methods).To(gomega.Equal(map[string]int{"WebAuthn": people, "RecoveryCodes": len(once) - people}))
}

// restart kills the API server, or etcd, and starts it again.
func (s *site) restart(etcd bool) error {
	server := s.env.ControlPlane.GetAPIServer()
	stop, start, grace := server.Stop, server.Start, &server.StopTimeout
	if etcd {
		e := s.env.ControlPlane.Etcd
		stop, start, grace = e.Stop, e.Start, &e.StopTimeout
	}
	usual := *grace
	*grace = 50 * time.Millisecond // so short that it is a kill, which it calls an error
	_ = stop()
	*grace = usual
	return start()
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
