package ledger

import "time"

// The two times that keep a writer which slept from taking a name again that
// retention has freed. A name is removed no sooner than youngest after it was
// seen to exist, and after the floor has been raised past it. A writer trusts
// that a name is new only for trust after it last knew so; beyond that it asks
// for the floor. Both are measured on clocks that go on while a machine sleeps,
// each by whom it concerns, and never compared with each other: all that must
// hold is that trust is shorter, by more than such clocks differ in pace.
const (
	trust    = time.Minute
	youngest = 5 * time.Minute
)

// instant is a point on the boot-time clock of this machine.
type instant time.Duration

func (i instant) since(earlier instant) time.Duration { return time.Duration(i - earlier) }

// ask is what a step wants to know from the API server.
type ask int

const (
	askNothing  ask = iota // a verdict has been reached
	askCreate              // create the batch under its name
	askBatch               // read the batch of that name
	askFloor               // read the floor
	askRemove              // remove the batch we created: its name was not new
	askSnapshot            // read the state at the checkpoint
)

// answer is what the API server said.
type answer int

const (
	answerMade    answer = iota // created, or removed, or read
	answerExists                // not created: the name is taken
	answerRefused               // not created, and it never will be like this
	answerUnclear               // created or not, nobody can say
	answerOurs                  // read: it is the batch we tried to create
	answerOther                 // read: it is another writer's
	answerAbsent                // read: there is none of that name
	answerGaveUp                // nothing could be learned in the time there was
)

// reply is an answer with what belongs to it.
type reply struct {
	answer answer
	// floor and checkpoint answer askFloor. A ledger that is gone, or has been
	// replaced by another one, counts as a floor above everything.
	floor, checkpoint int64
	// sent is when the request was sent; now is when its answer was looked at.
	sent, now instant
}

// verdict is how a turn ended.
type verdict int

const (
	undecided verdict = iota
	won               // our batch is in the ledger
	lost              // another writer's batch has the place: fold it, judge again
	current           // nothing was written, and nobody else has written either
	behind            // what we know ends below the floor: open again
	refused           // the API server will not have the batch; nothing was written
	unknown           // whether the batch is in the ledger cannot be said
	helpless          // nothing was to be written, and nothing could be learned
)

// turn is one try to append under the next name or, if nothing is to be
// written, to show that there is nothing under it. It is a state machine
// without input or output, so that a test can drive it through every order of
// events there is.
type turn struct {
	next  int64 // the name: the sequence after our head
	write bool  // false: only show that nothing is there
	// unborn is when next, and with it every later name, was last known never
	// to have been used. A turn that ends well moves it forward.
	unborn instant

	asked   ask
	tried   bool    // something was sent at the time proof
	proof   instant // when that was sent which, if all ends well, showed the name to be new
	created bool    // there is a batch of ours
	other   bool    // there is a batch of somebody else's
	unsure  bool    // a create ended unclear
}

// begin says what to ask first.
func (t *turn) begin() ask {
	t.asked = askBatch
	if t.write {
		t.asked = askCreate
	}
	return t.asked
}

// step takes the reply to what was asked last, and says what to ask next or how
// the turn ended.
func (t *turn) step(r reply) (ask, verdict) {
	next, v := t.decide(r)
	t.asked = next
	if v == won || v == current {
		t.unborn = t.proof
	}
	return next, v
}

func (t *turn) decide(r reply) (ask, verdict) {
	if r.answer == answerGaveUp {
		if t.write {
			return askNothing, unknown
		}
		return askNothing, helpless
	}
	switch t.asked {
	case askCreate:
		if !t.tried { // nobody had a later name before we had this one
			t.tried, t.proof = true, r.sent
		}
		switch r.answer {
		case answerMade:
			return t.ours(r)
		case answerRefused:
			if t.unsure { // this one was refused, an earlier one may not have been
				return askNothing, unknown
			}
			return askNothing, refused
		case answerUnclear:
			t.unsure = true
		default:
		}
		return askBatch, undecided
	case askBatch:
		switch {
		case r.answer == answerOurs:
			return t.ours(r)
		case r.answer == answerOther:
			t.other = true
			if r.now.since(t.unborn) <= trust {
				return askNothing, lost
			}
			return askFloor, undecided // it, too, may have the name of one that was removed
		case t.unsure: // not there, at least not yet: the same batch again
			return askCreate, undecided
		case t.write: // it was there a moment ago
			return askNothing, behind
		}
		t.proof = r.sent
		if r.now.since(t.unborn) <= trust {
			return askNothing, current
		}
		return askFloor, undecided
	case askFloor:
		switch {
		case r.floor < t.next && t.created:
			return askNothing, won
		case r.floor < t.next && t.other:
			return askNothing, lost
		case r.floor < t.next:
			return askNothing, current
		case t.created:
			return askRemove, undecided
		}
		return askNothing, behind
	default: // askRemove
		return askNothing, unknown
	}
}

// ours goes on once a batch of ours has been found under the name: if it is
// long since the name was known to be new, it may have been used and removed.
//
// A batch at or below the floor is not judged again. The pause may just as well
// have come between our create and this look, and then the batch was rightly
// appended, is part of the checkpoint, and would count twice.
func (t *turn) ours(r reply) (ask, verdict) {
	t.created = true
	if r.now.since(t.unborn) <= trust {
		return askNothing, won
	}
	return askFloor, undecided
}

// opening finds the end of a ledger: the checkpoint, then batch by batch until
// there is none, then the floor once more. If it has come up to what was read,
// that may have been removed, or have been a batch under a name that was used
// again: all is read again.
type opening struct {
	start int64   // the checkpoint
	next  int64   // the batch wanted
	proof instant // when that was asked which found nothing
	asked ask
	ended bool // nothing was found under next
}

func (o *opening) begin() ask {
	*o = opening{asked: askFloor}
	return o.asked
}

// step takes the reply to what was asked last, and says what to ask next;
// askNothing once the ledger is open, or was given up. After askSnapshot and
// askBatch the caller folds what it got.
func (o *opening) step(r reply) (ask, bool) {
	if r.answer == answerGaveUp {
		o.asked = askNothing
		return askNothing, false
	}
	switch o.asked {
	case askFloor:
		switch {
		case o.ended && r.floor <= o.start:
			o.asked = askNothing
			return askNothing, true
		case o.ended:
			return o.begin(), false
		}
		o.start, o.next = r.checkpoint, r.checkpoint+1
		o.asked = askBatch
		if r.checkpoint > 0 {
			o.asked = askSnapshot
		}
	case askSnapshot:
		if r.answer == answerAbsent { // a newer one has replaced it
			return o.begin(), false
		}
		o.asked = askBatch
	default: // askBatch
		if r.answer == answerAbsent {
			o.ended, o.proof, o.asked = true, r.sent, askFloor
			break
		}
		o.next++
	}
	return o.asked, false
}
