package zitadel

import (
	"maps"
	"slices"
	"strings"

	actionv2 "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/action/v2"
)

// condition says on which events an execution is called: all of them, a group,
// which is those whose names begin with it and a dot, or one.
type condition struct {
	name  string // empty for all
	group bool
}

func conditionOf(pb *actionv2.EventExecution) condition {
	switch {
	case pb.GetEvent() != "":
		return condition{name: pb.GetEvent()}
	case pb.GetGroup() != "":
		return condition{name: strings.TrimSuffix(pb.GetGroup(), ".*"), group: true}
	}
	return condition{}
}

func (c condition) pb() *actionv2.EventExecution {
	switch {
	case c.group:
		return &actionv2.EventExecution{Condition: &actionv2.EventExecution_Group{Group: c.name}}
	case c.name != "":
		return &actionv2.EventExecution{Condition: &actionv2.EventExecution_Event{Event: c.name}}
	}
	return &actionv2.EventExecution{Condition: &actionv2.EventExecution_All{All: true}}
}

// String is for people.
func (c condition) String() string {
	switch {
	case c.group:
		return "group " + c.name
	case c.name != "":
		return "event " + c.name
	}
	return "all events"
}

// covers tells whether the condition holds for every event of the other.
func (c condition) covers(other condition) bool {
	return c == other || c.name == "" || c.group && strings.HasPrefix(other.name, c.name+".")
}

// execution is what is called under a condition.
type execution struct {
	on      condition
	targets []string
}

// only tells whether nobody else is called.
func (e execution) only(target string) bool { return slices.Equal(e.targets, []string{target}) }

// bellConditions are those under which a doorbell rings: somebody changed a
// policy that we may hold. Checks and sessions are far more frequent, wait for
// nobody, and the server delivers about ten events a second.
var bellConditions = func() []condition {
	var all []condition
	for _, level := range []string{instanceAggregate, orgAggregate} {
		for _, area := range slices.Sorted(maps.Values(policyAreas)) {
			all = append(all, condition{name: level + area, group: true})
		}
	}
	return all
}()

// bellPlan is what has to become of the executions.
type bellPlan struct {
	set, clear []condition
	taken      []string
}

func (p bellPlan) done() bool { return len(p.set)+len(p.clear) == 0 }

// writes are the targets to set, by condition.
func (p bellPlan) writes(ours string) map[condition][]string {
	all := map[condition][]string{}
	for _, on := range p.set {
		all[on] = []string{ours}
	}
	for _, on := range p.clear {
		all[on] = nil
	}
	return all
}

// planBell compares the executions with what a doorbell needs. Of all that fit
// an event the server calls the narrowest, so an execution of ours takes from
// every wider one: where somebody else has one, ours goes. A narrower one of
// somebody else takes from ours, which is theirs to decide.
func planBell(executions []execution, ours string) bellPlan {
	var plan bellPlan
	var mine []condition
	var others []execution
	for _, e := range executions {
		switch {
		case e.only(ours):
			mine = append(mine, e.on)
		case len(e.targets) > 0: // without, it is nobody's
			others = append(others, e)
		}
	}
	taken := map[string]bool{}
	for _, on := range bellConditions {
		wider := -1
		for i, e := range others {
			switch {
			case e.on.covers(on):
				if wider < 0 || others[wider].on.covers(e.on) {
					wider = i
				}
			case on.covers(e.on) && !slices.Contains(e.targets, ours):
				taken[e.on.String()] = true
			}
		}
		switch {
		case wider >= 0:
			if !slices.Contains(others[wider].targets, ours) {
				taken[others[wider].on.String()] = true
			}
		case !slices.Contains(mine, on):
			plan.set = append(plan.set, on)
		}
		if wider < 0 {
			mine = slices.DeleteFunc(mine, func(m condition) bool { return m == on })
		}
	}
	plan.clear = mine // what is left serves nothing
	plan.taken = slices.Sorted(maps.Keys(taken))
	return plan
}
