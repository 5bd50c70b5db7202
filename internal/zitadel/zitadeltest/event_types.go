package zitadeltest

import (
	_ "embed"
	"slices"
	"strings"
)

//go:embed event_types.txt
var eventTypesText string

// knownEventTypes are the events somebody may ask to be told about: all this server emits, and the
// others a real one has.
var knownEventTypes = strings.Fields(eventTypesText)

func eventTypeExists(name string) bool {
	_, found := slices.BinarySearch(knownEventTypes, name)
	return found
}

// eventGroupExists takes the beginning of event types, up to a dot.
func eventGroupExists(group string) bool {
	prefix := strings.TrimSuffix(group, groupSuffix) + "."
	return slices.ContainsFunc(knownEventTypes, func(name string) bool { return strings.HasPrefix(name, prefix) })
}

// groupSuffix ends the id of an execution for a group of events. Callers may leave it out.
const groupSuffix = ".*"
