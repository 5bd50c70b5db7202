package zitadeltest

import (
	"maps"
	"slices"
	"strings"
)

// indexes find rows by something other than their id, so that a lookup does not cost as much as the
// instance has users.
type indexes struct {
	userIDs      []string          // of all users, former ones too, in order
	usernames    map[string]string // lower case, of existing users
	orgNames     map[string]string // lower case
	orgDomains   map[string]string
	usersByOrg   setMap // existing users
	usersByEmail setMap // by address in lower case
	userSessions setMap
}

// setMap is a set of ids per key.
type setMap map[string]map[string]bool

func newIndexes() indexes {
	return indexes{
		usernames: map[string]string{}, orgNames: map[string]string{}, orgDomains: map[string]string{},
		usersByOrg: setMap{}, usersByEmail: setMap{}, userSessions: setMap{},
	}
}

func (m setMap) add(key, id string) {
	if m[key] == nil {
		m[key] = map[string]bool{}
	}
	m[key][id] = true
}

func (m setMap) remove(key, id string) {
	delete(m[key], id)
	if len(m[key]) == 0 {
		delete(m, key)
	}
}

// sorted returns the ids under a key in order.
func (m setMap) sorted(key string) []string { return slices.Sorted(maps.Keys(m[key])) }

func (st *state) addUser(row userRow) {
	st.users[row.id] = row
	// Ids rise with time, except those that callers choose.
	at, _ := slices.BinarySearch(st.userIDs, row.id)
	st.userIDs = slices.Insert(st.userIDs, at, row.id)
	st.usernames[strings.ToLower(row.username)] = row.id
	st.usersByOrg.add(row.owner, row.id)
	if row.isHuman {
		st.usersByEmail.add(strings.ToLower(row.human.email.address), row.id)
	}
}

// dropUser takes a removed user out of the indexes; its row stays.
func (st *state) dropUser(id string) {
	row := st.users[id]
	delete(st.usernames, strings.ToLower(row.username))
	st.usersByOrg.remove(row.owner, id)
	st.usersByEmail.remove(strings.ToLower(row.human.email.address), id)
}

// userNamed finds an existing user by login name, whatever its case.
func (st *state) userNamed(name string) (userRow, bool) {
	row, found := st.users[st.usernames[strings.ToLower(name)]]
	return row, found
}
