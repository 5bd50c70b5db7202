package mfauser

import (
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// rooms hold what is remembered of each user besides the status. Nothing in it
// is needed after a restart.
type rooms struct {
	mu sync.Mutex
	of map[client.ObjectKey]*room
	// resolving leads from a person to the users that are just being found out to
	// be them, so that events are not lost before the status names the person.
	resolving map[person]map[client.ObjectKey]bool
	// sessionOf leads from a session to its person: only the first events of a
	// session tell whose it is.
	sessionOf map[session]string
}

// person is a user of Zitadel.
type person struct{ connection, userID string }

type session struct{ connection, id string }

// room is what is remembered of one user.
type room struct {
	// heard is the sequence that is being settled, since when, and next when to
	// read again for it.
	heard       int64
	since, next time.Time
	// sessionsStale: sessions began or ended since they were read at sessionsRead.
	sessionsStale bool
	sessionsRead  time.Time

	// namesRead: the names of a local user's factors were read since they last
	// changed. looked is when the ledger was last read, told when the status last
	// got what changes with every verification.
	namesRead    bool
	looked, told time.Time
}

// mostSessions bounds how many sessions are remembered. Of those beyond, the end
// is noticed at the next complete reading.
const mostSessions = 200_000

func (s *rooms) room(key client.ObjectKey) *room {
	if s.of == nil {
		s.of = map[client.ObjectKey]*room{}
	}
	if s.of[key] == nil {
		s.of[key] = &room{}
	}
	return s.of[key]
}

func (s *rooms) forget(key client.ObjectKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.of, key)
	for p, keys := range s.resolving {
		if delete(keys, key); len(keys) == 0 {
			delete(s.resolving, p)
		}
	}
}

// resolve notes that key is about to be known as a person.
func (s *rooms) resolve(key client.ObjectKey, p person) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.resolving == nil {
		s.resolving = map[person]map[client.ObjectKey]bool{}
	}
	if s.resolving[p] == nil {
		s.resolving[p] = map[client.ObjectKey]bool{}
	}
	s.resolving[p][key] = true
}

// resolved notes that the status of key names the person.
func (s *rooms) resolved(key client.ObjectKey, p person) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if keys := s.resolving[p]; keys != nil {
		if delete(keys, key); len(keys) == 0 {
			delete(s.resolving, p)
		}
	}
}

func (s *rooms) resolvingAs(p person) []client.ObjectKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []client.ObjectKey
	for key := range s.resolving[p] {
		keys = append(keys, key)
	}
	return keys
}

// nextReading says when to read again a user of whom something was heard; the
// zero time is at once.
func (s *rooms) nextReading(key client.ObjectKey, heard int64) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.room(key); one.heard == heard {
		return one.next
	}
	return time.Time{}
}

// settling says, after a reading of a user of whom something was heard, when to
// read again, or that the reading is known to include it. Zitadel's reads may
// stay behind its events, so they are repeated soon, and once more after the lag.
func (s *rooms) settling(key client.ObjectKey, heard int64, now time.Time, lag time.Duration) (next time.Time, settled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.room(key)
	first := one.heard != heard || one.since.IsZero()
	if first {
		one.heard, one.since = heard, now
	}
	end := one.since.Add(lag)
	switch {
	case !now.Before(end):
		one.since, one.next = time.Time{}, time.Time{}
		return time.Time{}, true
	case first:
		one.next = earliest(now.Add(soon), end)
	default:
		one.next = end
	}
	return one.next, false
}

// soon is the pause before the second reading: nearly always long enough.
const soon = 2 * time.Second

// sessionsPause is the shortest pause between two readings of one user's
// sessions that nothing else asks for: a morning on which everybody signs in must
// not use up the rate limit.
const sessionsPause = time.Minute

// sessionsDue says whether to read the sessions, or else when.
func (s *rooms) sessionsDue(key client.ObjectKey, now time.Time) (due bool, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.room(key)
	if !one.sessionsStale {
		return false, time.Time{}
	}
	at = one.sessionsRead.Add(sessionsPause)
	return !now.Before(at), at
}

// sessionsReading notes that sessions are about to be read.
func (s *rooms) sessionsReading(key client.ObjectKey, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.room(key)
	one.sessionsStale, one.sessionsRead = false, now
}

func (s *rooms) sessionsChanged(key client.ObjectKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room(key).sessionsStale = true
}

// activityPause is the shortest pause between two writes of what changes with
// every verification, and of two looks at it: a login must not cost a write.
const activityPause = time.Minute

// nextLook says when to look at a local user of whom the ledger told something;
// urgent is what must not wait.
func (s *rooms) nextLook(key client.ObjectKey, urgent bool, now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.room(key)
	if urgent {
		one.namesRead = false
		return now
	}
	return one.looked.Add(activityPause)
}

// looking notes that the ledger is about to be read, and tells whether names have
// to be read, too.
func (s *rooms) looking(key client.ObjectKey, now time.Time) (names bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.room(key)
	one.looked = now
	names, one.namesRead = !one.namesRead, true
	return names
}

// namesChanged notes that names are not known after all.
func (s *rooms) namesChanged(key client.ObjectKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room(key).namesRead = false
}

// mayTell says whether the status may get what changes with every verification
// now, or else when.
func (s *rooms) mayTell(key client.ObjectKey, now time.Time) (at time.Time, may bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.room(key)
	if at := one.told.Add(activityPause); now.Before(at) {
		return at, false
	}
	one.told = now
	return time.Time{}, true
}

// belongs notes whose session it is.
func (s *rooms) belongs(id session, userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessionOf == nil {
		s.sessionOf = map[session]string{}
	}
	if len(s.sessionOf) < mostSessions {
		s.sessionOf[id] = userID
	}
}

// whose tells whose session it is, empty if not known. A session that has ended
// is forgotten.
func (s *rooms) whose(id session, ended bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	userID := s.sessionOf[id]
	if ended {
		delete(s.sessionOf, id)
	}
	return userID
}
