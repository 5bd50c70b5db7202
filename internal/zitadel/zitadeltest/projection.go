package zitadeltest

import "time"

// state is what a sequence of events adds up to. The server holds two: s.write, which every event
// enters at once, and the read view, which trails behind. Both use the same rows and the same fold.
type state struct {
	instanceID string

	orgs    map[string]orgRow
	users   map[string]userRow
	members map[memberKey]memberRow
	pats    map[string]patRow
	keys    map[string]keyRow
	indexes
	factors  map[string]userFactors
	sessions map[string]sessionRow

	targets        map[string]targetRow
	targetsRemoved map[string]time.Time
	executions     map[string]executionRow

	login        map[string]policyRow[loginPolicy]
	loginLists   map[string]loginLists
	loginFactors map[factorKey]bool
	lockout      map[string]policyRow[lockoutPolicy]
	complexity   map[string]policyRow[complexityPolicy]
	age          map[string]policyRow[agePolicy]
	notification map[string]policyRow[notificationPolicy]
}

func newState(instanceID string) *state {
	return &state{
		instanceID: instanceID,
		orgs:       map[string]orgRow{},
		users:      map[string]userRow{},
		members:    map[memberKey]memberRow{},
		pats:       map[string]patRow{},
		keys:       map[string]keyRow{},
		factors:    map[string]userFactors{},
		sessions:   map[string]sessionRow{},
		indexes:    newIndexes(),

		targets: map[string]targetRow{}, targetsRemoved: map[string]time.Time{}, executions: map[string]executionRow{},
		login:        map[string]policyRow[loginPolicy]{},
		loginLists:   map[string]loginLists{},
		loginFactors: map[factorKey]bool{},
		lockout:      map[string]policyRow[lockoutPolicy]{},
		complexity:   map[string]policyRow[complexityPolicy]{},
		age:          map[string]policyRow[agePolicy]{},
		notification: map[string]policyRow[notificationPolicy]{},
	}
}

// rowDetails is the bookkeeping every row shows in its details.
type rowDetails struct {
	owner    string
	sequence uint64
	created  time.Time
	changed  time.Time
}

func detailsOf(e *event) rowDetails {
	return rowDetails{owner: e.owner, sequence: e.sequence, created: e.created, changed: e.created}
}

func (d *rowDetails) touch(e *event) { d.sequence, d.changed = e.sequence, e.created }

// read returns the read view, brought up to what is visible by now.
func (s *Server) read() *state {
	now := time.Now()
	for s.projected < len(s.log.events) && !s.log.events[s.projected].visible.After(now) {
		s.project()
	}
	return s.projection
}

// settle makes everything written so far visible, whatever the lag.
func (s *Server) settle() {
	for s.projected < len(s.log.events) {
		s.project()
	}
}

func (s *Server) project() {
	e := s.log.events[s.projected]
	e.apply(s.projection, e)
	s.projected++
}
