package zitadel

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func group(name string) condition { return condition{name: name, group: true} }

func called(on condition, targets ...string) execution { return execution{on, targets} }

// TestPlanOfADoorbell: the reasons are about who is called before and after.
func TestPlanOfADoorbell(t *testing.T) {
	const ours, theirs = "1", "2"
	complete := make([]execution, len(bellConditions))
	for i, on := range bellConditions {
		complete[i] = called(on, ours)
	}
	without := func(names ...string) []condition {
		return slices.DeleteFunc(slices.Clone(bellConditions), func(c condition) bool { return slices.Contains(names, c.name) })
	}
	under := func(prefix string) (all []condition) {
		for _, c := range bellConditions {
			if strings.HasPrefix(c.name, prefix) {
				all = append(all, c)
			}
		}
		return all
	}
	for _, c := range []struct {
		why  string
		have []execution
		want bellPlan
	}{
		{"a fresh instance", nil, bellPlan{set: bellConditions}},
		{"all is there", complete, bellPlan{}},
		{"one was taken away", complete[1:], bellPlan{set: bellConditions[:1]}},
		{"what others do on other events is theirs", append(slices.Clone(complete), called(group("user.human"), theirs), called(group("org.domain"), theirs)), bellPlan{}},
		{"a group whose name only begins alike is another", append(slices.Clone(complete), called(group("org.pol"), theirs)), bellPlan{}},
		{"somebody holds the condition: never overwritten",
			[]execution{called(group("org.policy.login"), theirs)},
			bellPlan{set: without("org.policy.login"), taken: []string{"group org.policy.login"}}},
		{"somebody holds all events: ours would take from them",
			[]execution{called(condition{}, theirs)}, bellPlan{taken: []string{"all events"}}},
		{"the same, after ours were made: they have to go",
			append(slices.Clone(complete), called(condition{}, theirs)), bellPlan{clear: bellConditions, taken: []string{"all events"}}},
		{"somebody holds a wider group",
			append(slices.Clone(complete), called(group("org.policy"), theirs)),
			bellPlan{clear: under("org."), taken: []string{"group org.policy"}}},
		{"somebody holds one event of ours: it does not ring, the others do",
			append(slices.Clone(complete), called(condition{name: "org.policy.login.changed"}, theirs)),
			bellPlan{taken: []string{"event org.policy.login.changed"}}},
		{"somebody holds a narrower group",
			append(slices.Clone(complete), called(group("instance.policy.login.secondfactor"), theirs)),
			bellPlan{taken: []string{"group instance.policy.login.secondfactor"}}},
		{"somebody lists us beside them: as good as ours",
			append(slices.Clone(complete[1:]), called(bellConditions[0], theirs, ours)), bellPlan{}},
		{"somebody lists us on all events: ours would take from them, and are not needed",
			append(slices.Clone(complete), called(condition{}, ours, theirs)), bellPlan{clear: bellConditions}},
		{"listed on one event beside them", append(slices.Clone(complete), called(condition{name: "org.policy.login.changed"}, theirs, ours)), bellPlan{}},
		{"listed on a wider one, but a narrower one of theirs is what is called",
			[]execution{called(condition{}, theirs, ours), called(group("org.policy.login"), theirs)},
			bellPlan{taken: []string{"group org.policy.login"}}},
		{"the order of the list does not matter",
			[]execution{called(group("org.policy.login"), theirs), called(condition{}, theirs, ours)},
			bellPlan{taken: []string{"group org.policy.login"}}},
		{"an execution without targets is nobody's", []execution{called(bellConditions[0])}, bellPlan{set: bellConditions}},
		{"what an earlier version of ours rang on", append(slices.Clone(complete), called(group("user.human.mfa"), ours)),
			bellPlan{clear: []condition{group("user.human.mfa")}}},
	} {
		got := planBell(c.have, ours)
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(bellPlan{}, condition{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.why, diff)
		}
	}
}

// TestADoorbellRingsOnEveryChangeOfSettings, so that a group of settings that
// comes later is not forgotten.
func TestADoorbellRingsOnEveryChangeOfSettings(t *testing.T) {
	for name, n := range namings {
		rings := slices.ContainsFunc(bellConditions, func(c condition) bool { return c.covers(condition{name: name}) })
		if rings != (n.group != "") {
			t.Errorf("%s rings: %v, and is of the group of settings %q", name, rings, n.group)
		}
	}
}
