package policy

import (
	"maps"
	"slices"

	"github.com/neosc/mfa-operator/internal/idp"
)

// Applied are the policies that apply to a target.
type Applied struct {
	// Own name the target itself.
	Own []Contribution
	// Floor name the instance above a target that is an organization.
	Floor []Contribution
}

// Wanted returns what the target has to hold, and how the policies made it.
// inherits tells which groups the organization takes from the instance; base is
// what would stand there without any policy, nil to ask what the policies want
// regardless.
func (a Applied) Wanted(inherits func(idp.Group) bool, base idp.Settings) (idp.Settings, Effective) {
	own := a.OwnGroups()
	var wanted idp.Settings
	var e Effective
	if len(own) == 0 && len(a.Floor) > 0 {
		wanted, e = Raise(a.Floor, base)
	} else {
		e = mergeAtZitadel(slices.Concat(a.Own, a.Floor))
		wanted = Desired(e.Rules, base)
	}
	// What follows the instance has the floor already. It needs settings of its
	// own only where its own policies want something else.
	floor := Desired(mergeAtZitadel(a.Floor).Rules, base)
	for _, g := range wanted.Groups() {
		if inherits(g) && (!slices.Contains(own, g) || len(floor.Differences(wanted.Of(g))) == 0) {
			maps.DeleteFunc(wanted, func(s idp.Setting, _ idp.Value) bool { return s.Group() == g })
		}
	}
	return wanted, e
}

// OwnGroups lists the groups that the policies of the target itself speak of.
func (a Applied) OwnGroups() []idp.Group { return Applied{Own: a.Own}.Groups() }

// Groups lists the groups that any of the policies speaks of.
func (a Applied) Groups() []idp.Group {
	names := idp.Settings{}
	for _, c := range slices.Concat(a.Own, a.Floor) {
		maps.Copy(names, Desired(c.Rules, nil))
	}
	return names.Groups()
}
