package ledger

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"testing"
	"time"
)

// The model: two writers that run the very state machines of protocol.go, an
// API server, and a retention that removes what it may. Requests are sent, take
// effect and are answered at separate moments; between any two of these
// anything else may happen, minutes may pass (which is what it means that a
// writer sleeps), answers may be lost, a create may take effect after its
// writer has given it up, and a writer may crash. All orders are tried.
//
// Each writer wants to claim the same thing, and then something else. It must
// never be told twice that the claim was accepted, and whoever is told anything
// must have known the ledger as it is.

const modelBatches = 3 // sequences 1 to 3: as many as the writers append

// Time has no end: it is always modelNow, and when a minute passes everything
// grows older. How much older than it takes to matter makes no difference.
const (
	modelNow     = instant(10 * time.Minute)
	modelOld     = instant(8 * time.Minute) // longer ago than a writer trusts
	modelOldBorn = int8(2)                  // minutes: as old as retention asks for
)

// modelBatch is a batch: whose it is, and whether it accepts the claim.
type modelBatch struct {
	id      int8 // 0: none
	accepts bool
}

type modelPhase int8

const (
	modelClosed modelPhase = iota
	modelOpening
	modelIdle
	modelTurn
)

type modelStage int8

const (
	modelQuiet    modelStage = iota
	modelSent                // on the way to the API server
	modelAnswered            // on the way back
)

// modelWriter is one replica.
type modelWriter struct {
	phase   modelPhase
	history [modelBatches + 1]modelBatch // what it has folded
	head    int8
	turn    turn
	opening opening
	unborn  instant
	draft   modelBatch

	asked ask
	stage modelStage
	reply reply
	found modelBatch
	// asleep: it looks at the answer no sooner than in a minute. To look at it
	// concerns nobody else, so if no time passes it may as well be at once.
	asleep bool

	todo, made int8
	tried      bool // the claim has been judged
}

// modelWorld is everything there is, comparable so that each is visited once.
type modelWorld struct {
	objects    [modelBatches + 1]modelBatch // what can be read
	first      [modelBatches + 1]modelBatch // what was created first under each name: the ledger
	age        [modelBatches + 1]int8       // of the first ones, in minutes
	floor      int8
	checkpoint int8
	writers    [2]modelWriter
	late       [2]struct { // a create whose writer does not listen any more
		sequence int8
		batch    modelBatch
	}
	lost     int8 // answers that may still be lost
	crashes  int8 // of writers, that may still happen
	accepted int8 // how often a writer was told that the claim was accepted
}

// modelRules are what retention and the API server hold to.
type modelRules struct {
	youngest    int8 // minutes
	floorFirst  bool // raise the floor before removing
	floorIsRead bool // answer askFloor truthfully
}

// minute lets a minute pass.
func (w *modelWorld) minute() {
	for s := range w.age {
		if w.first[s].id != 0 {
			w.age[s] = min(w.age[s]+1, modelOldBorn)
		}
	}
	for i := range w.writers {
		m := &w.writers[i]
		m.asleep = false
		for _, at := range []*instant{&m.unborn, &m.turn.unborn, &m.turn.proof, &m.opening.proof, &m.reply.sent} {
			if *at != 0 {
				*at = max(*at-instant(time.Minute), modelOld)
			}
		}
	}
}

// ends is the last batch of the ledger.
func (w *modelWorld) ends() int8 {
	var last int8
	for s := int8(1); s <= modelBatches; s++ {
		if w.first[s].id != 0 {
			last = s
		}
	}
	return last
}

func (w *modelWorld) create(sequence int8, b modelBatch) bool {
	if w.objects[sequence].id != 0 {
		return false
	}
	w.objects[sequence] = b
	if w.first[sequence].id == 0 {
		w.first[sequence] = b
	}
	return true
}

type modelStep struct {
	name string
	to   modelWorld
	err  error
}

// steps are all worlds that may come next.
func (w modelWorld) steps(rules modelRules) []modelStep {
	var out []modelStep
	add := func(name string, change func(*modelWorld) error) {
		next := w
		err := change(&next)
		out = append(out, modelStep{name, next, err})
	}
	add("a minute passes", func(n *modelWorld) error { n.minute(); return nil })
	for floor := w.floor + 1; floor <= w.ends() && w.age[floor] >= rules.youngest; floor++ {
		if rules.floorFirst {
			add(fmt.Sprint("the floor rises to ", floor), func(n *modelWorld) error {
				n.floor, n.checkpoint = floor, n.ends()
				return nil
			})
		}
	}
	for s := int8(1); s <= modelBatches; s++ {
		may := s <= w.floor || !rules.floorFirst && w.first[s].id != 0 && w.age[s] >= rules.youngest
		if may && w.objects[s].id != 0 && w.objects[s] == w.first[s] {
			add(fmt.Sprint("retention removes ", s), func(n *modelWorld) error {
				n.objects[s], n.checkpoint = modelBatch{}, n.ends()
				return nil
			})
		}
	}
	for i := range w.late {
		if late := w.late[i]; late.sequence != 0 {
			add(fmt.Sprint("a late create of ", late.sequence, " takes effect"), func(n *modelWorld) error {
				n.create(late.sequence, late.batch)
				n.late[i].sequence, n.late[i].batch = 0, modelBatch{}
				return nil
			})
		}
	}
	for i := range w.writers {
		name := string(rune('A' + i))
		self := &w.writers[i]
		switch self.stage {
		case modelQuiet:
			switch {
			case self.phase == modelClosed && self.todo > 0:
				add(name+" opens", func(n *modelWorld) error {
					me := &n.writers[i]
					*me = modelWriter{phase: modelOpening, todo: me.todo, made: me.made, tried: me.tried}
					me.send(me.opening.begin())
					return nil
				})
			case self.phase == modelIdle && self.todo > 0 && self.head < modelBatches:
				add(name+" judges and creates", func(n *modelWorld) error { n.writers[i].judge(i); return nil })
			}
			if next := self.head + 1; self.phase == modelIdle && next <= modelBatches && w.first[next].id != 0 {
				add(fmt.Sprint(name, " hears of ", next), func(n *modelWorld) error { n.writers[i].fold(next, n.first[next]); return nil })
			}
		case modelSent:
			add(name+"'s request takes effect, and is answered", func(n *modelWorld) error {
				n.writers[i].effect(n, rules)
				return n.writers[i].receive(n)
			})
			add(name+"'s request takes effect", func(n *modelWorld) error {
				me := &n.writers[i]
				me.effect(n, rules)
				me.stage, me.asleep = modelAnswered, true
				return nil
			})
			if w.lost > 0 && self.asked == askCreate {
				sequence := int8(self.turn.next)
				add(name+"'s create is lost", func(n *modelWorld) error { n.writers[i].unclear(n); return nil })
				add(name+"'s create takes effect, its answer is lost", func(n *modelWorld) error {
					n.create(sequence, self.draft)
					n.writers[i].unclear(n)
					return nil
				})
				if w.late[i].sequence == 0 {
					add(name+"'s create is late", func(n *modelWorld) error {
						n.late[i].sequence, n.late[i].batch = sequence, self.draft
						n.writers[i].unclear(n)
						return nil
					})
				}
			}
			if w.lost > 0 && self.asked != askCreate {
				add(name+" gives up", func(n *modelWorld) error {
					n.lost--
					n.writers[i].reply.answer = answerGaveUp
					return n.writers[i].receive(n)
				})
			}
		case modelAnswered:
			if self.asleep {
				break
			}
			add(name+" looks at the answer", func(n *modelWorld) error { return n.writers[i].receive(n) })
		}
		// What a crash leaves behind is a create on its way, or a batch nobody waits
		// for. At any other time it is nothing but to open again.
		if w.crashes > 0 && self.phase == modelTurn && (self.asked == askCreate || self.turn.created) {

			add(name+" crashes", func(n *modelWorld) error {
				me := &n.writers[i]
				if me.stage == modelSent && me.asked == askCreate && n.late[i].sequence == 0 {
					n.late[i].sequence, n.late[i].batch = int8(me.turn.next), me.draft
				}
				*me = modelWriter{todo: me.todo, made: me.made, tried: me.tried}
				n.crashes--
				return nil
			})
		}
	}
	return out
}

func (m *modelWriter) send(a ask) {
	m.asked, m.stage = a, modelSent
	m.reply = reply{sent: modelNow}
}

// judge drafts a batch: the claim, if it is not taken in what we know.
func (m *modelWriter) judge(writer int) {
	m.made++
	m.draft = modelBatch{id: int8(writer+1)<<4 | m.made, accepts: !m.tried && !m.claimed()}
	m.phase = modelTurn
	m.turn = turn{next: int64(m.head) + 1, write: true, unborn: m.unborn}
	m.send(m.turn.begin())
}

func (m *modelWriter) claimed() bool {
	for _, b := range m.history {
		if b.accepts {
			return true
		}
	}
	return false
}

func (m *modelWriter) fold(sequence int8, b modelBatch) {
	if sequence == m.head+1 {
		m.head, m.history[sequence] = sequence, b
	}
}

func (m *modelWriter) unclear(w *modelWorld) {
	w.lost--
	m.reply.answer, m.stage, m.asleep = answerUnclear, modelAnswered, false
}

// effect is what the API server does with the request.
func (m *modelWriter) effect(w *modelWorld, rules modelRules) {
	sequence := int8(m.turn.next)
	if m.phase == modelOpening {
		sequence = int8(m.opening.next)
	}
	switch m.asked {
	case askCreate:
		m.reply.answer = answerExists
		if w.create(sequence, m.draft) {
			m.reply.answer = answerMade
		}
	case askBatch:
		switch {
		case sequence > modelBatches || w.objects[sequence].id == 0:
			m.reply.answer = answerAbsent
		case m.phase == modelTurn && w.objects[sequence] == m.draft:
			m.reply.answer = answerOurs
		default:
			m.reply.answer, m.found = answerOther, w.objects[sequence]
		}
	case askFloor:
		m.reply.floor, m.reply.checkpoint = int64(w.floor), int64(w.checkpoint)
		if !rules.floorIsRead {
			m.reply.floor = 0
		}
	case askSnapshot:
		if m.opening.next != int64(w.checkpoint)+1 {
			m.reply.answer = answerAbsent
		}
	default: // askRemove
		w.objects[sequence] = modelBatch{}
	}
}

// receive gives the answer to the state machine.
func (m *modelWriter) receive(w *modelWorld) error {
	m.reply.now = modelNow
	r, asked := m.reply, m.asked
	m.stage, m.reply, m.asked = modelQuiet, reply{}, askNothing
	if m.phase == modelOpening {
		return m.openStep(w, asked, r)
	}
	a, v := m.turn.step(r)
	if v == undecided {
		m.send(a)
		return nil
	}
	sequence := int8(m.turn.next)
	m.unborn = m.turn.unborn
	m.phase = modelIdle
	switch v {
	case won:
		if m.draft != w.first[sequence] {
			return fmt.Errorf("batch %d was answered, but is not the ledger's", sequence)
		}
		m.fold(sequence, m.draft)
		for s := int8(1); s < sequence; s++ {
			if m.history[s] != w.first[s] {
				return fmt.Errorf("batch %d was answered by somebody who takes %v for batch %d, which is %v", sequence, m.history[s], s, w.first[s])
			}
		}
		m.todo--
		m.tried = true
		if m.draft.accepts {
			if w.accepted++; w.accepted > 1 {
				return fmt.Errorf("the claim was accepted twice")
			}
		}
	case lost:
		m.fold(sequence, m.found)
	case behind:
		m.phase = modelClosed
	case unknown: // the caller is told so, and does not come back
		m.todo--
		m.tried = true
		if asked == askRemove {
			m.phase = modelClosed
		}
	default:
		return fmt.Errorf("verdict %d", v)
	}
	m.draft, m.found, m.turn = modelBatch{}, modelBatch{}, turn{}
	return nil
}

func (m *modelWriter) openStep(w *modelWorld, asked ask, r reply) error {
	wanted := int8(m.opening.next)
	a, done := m.opening.step(r)
	switch {
	case asked == askFloor && !m.opening.ended:
		m.history, m.head = [modelBatches + 1]modelBatch{}, 0
	case asked == askSnapshot && r.answer == answerMade:
		for s := int8(1); s < wanted; s++ {
			m.fold(s, w.first[s])
		}
	case asked == askBatch && r.answer == answerOther:
		m.fold(wanted, m.found)
		m.found = modelBatch{}
	}
	switch {
	case done:
		m.phase, m.unborn = modelIdle, m.opening.proof
		m.opening = opening{}
	case a == askNothing:
		*m = modelWriter{todo: m.todo, made: m.made, tried: m.tried}
	default:
		m.send(a)
	}
	return nil
}

// explore visits every world and returns the way to the first that is wrong.
// Worlds are told apart by 128 bits of hash.
func explore(rules modelRules, start modelWorld, most int) (visited int, wrong error) {
	type key [2]uint64
	type origin struct {
		from key
		step int
	}
	seeds := [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
	keyOf := func(w modelWorld) key {
		return key{maphash.Comparable(seeds[0], w), maphash.Comparable(seeds[1], w)}
	}
	first := keyOf(start)
	came := map[key]origin{first: {}}
	stack := []modelWorld{start}
	for len(stack) > 0 {
		w := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		self := keyOf(w)
		for i, s := range w.steps(rules) {
			if s.err != nil {
				var way []int
				for at := self; at != first; at = came[at].from {
					way = append(way, came[at].step)
				}
				var names []string
				at := start
				for _, step := range slices.Backward(way) {
					next := at.steps(rules)[step]
					names, at = append(names, next.name), next.to
				}
				return len(came), fmt.Errorf("%s\n%s: %w", strings.Join(names, "\n"), s.name, s.err)
			}
			next := keyOf(s.to)
			if _, seen := came[next]; !seen {
				if len(came) >= most {
					return len(came), nil
				}
				came[next] = origin{self, i}
				stack = append(stack, s.to)
			}
		}
	}
	return len(came), nil
}

const most = 5_000_000 // states; more than there are

// realRules are stricter than those in force: retention needs five times as
// long as a writer trusts, here twice as long has to do.
var realRules = modelRules{youngest: 2, floorFirst: true, floorIsRead: true}

func modelStart(todo [2]int8, lost, crashes int8) modelWorld {
	w := modelWorld{lost: lost, crashes: crashes}
	for i := range w.writers {
		w.writers[i].todo = todo[i]
	}
	return w
}

func TestNoOrderOfEventsForksTheLedger(t *testing.T) {
	for _, c := range []struct {
		reason        string
		todo          [2]int8
		lost, crashes int8
		long          bool
	}{
		{"both claim", [2]int8{1, 1}, 0, 0, false},
		{"both claim, one goes on", [2]int8{1, 2}, 0, 0, true},
		{"an answer is lost", [2]int8{1, 1}, 1, 0, true},
		{"a writer crashes", [2]int8{1, 1}, 0, 1, true},
	} {
		t.Run(c.reason, func(t *testing.T) {
			if c.long && (testing.Short() || raceDetector) {
				t.Skip("takes minutes when it is watched for races, of which it has none: it is one goroutine")
			}
			t.Parallel()
			began := time.Now()
			visited, wrong := explore(realRules, modelStart(c.todo, c.lost, c.crashes), most)
			if wrong != nil {
				t.Fatalf("after %d states:\n%v", visited, wrong)
			}
			if visited >= most {
				t.Fatalf("not all explored: %d states were not enough", visited)
			}
			t.Logf("%d states, %s", visited, time.Since(began).Round(time.Millisecond))
		})
	}
}

// What the model must find, or its silence above would mean nothing.
func TestTheModelFindsWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		reason string
		rules  modelRules
	}{
		{"retention removes what is younger than a writer trusts", modelRules{youngest: 1, floorFirst: true, floorIsRead: true}},
		{"retention removes before it raises the floor", modelRules{youngest: 2, floorFirst: false, floorIsRead: true}},
		{"a writer that slept does not learn the floor", modelRules{youngest: 2, floorFirst: true, floorIsRead: false}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			visited, wrong := explore(c.rules, modelStart([2]int8{1, 2}, 0, 0), most)
			if wrong == nil {
				t.Fatalf("%d states, and nothing found", visited)
			}
			t.Logf("found after %d states:\n%v", visited, wrong)
		})
	}
}
