package policy

import (
	"maps"
	"slices"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
)

// Before is what stood at a target before a policy first wrote there.
type Before struct {
	// Settings has one entry for each setting the policy holds.
	Settings idp.Settings
	// Inherited lists the groups the target took over from the instance.
	Inherited []idp.Group
}

// Back is how to put back what a policy lets go of.
type Back struct {
	// Write has the values to write.
	Write idp.Settings
	// Inherit lists the groups that follow the instance again.
	Inherit []idp.Group
}

// Remember adds what was found of the settings the policy is about to hold and
// does not hold yet. It returns the same value if there is nothing to add.
func (b Before) Remember(wanted idp.Settings, found idp.State) Before {
	fresh := idp.Settings{}
	for s := range wanted {
		if _, held := b.Settings[s]; !held {
			fresh[s] = found.Settings[s]
		}
	}
	if len(fresh) == 0 {
		return b
	}
	known := b.Settings.Groups()
	inherited := slices.Clone(b.Inherited)
	for _, g := range fresh.Groups() {
		// A group we already hold settings of is our own work by now: what
		// counts is what it was when we first came.
		if found.Inherits(g) && !slices.Contains(known, g) {
			inherited = append(inherited, g)
		}
	}
	return Before{Settings: b.Settings.Overlay(fresh), Inherited: inherited}
}

// LetGo splits what a policy holds, now that it puts inForce in force and would
// put desired in force without its mode. What only the mode suspends is put
// back. What the spec does not name any more is dealt with as how says: left
// (Retain), put back (Restore), or left to the instance (Reset).
func LetGo(held Before, inForce, desired idp.Settings, how v1alpha1.DeletionPolicy) (kept Before, back Back) {
	kept, released := held.split(inForce)
	suspended, dropped := released.split(desired)

	back = suspended.restore()
	switch how {
	case v1alpha1.DeletionRestore:
		back.add(dropped.restore())
	case v1alpha1.DeletionReset:
		back.add(dropped.reset(kept.Settings.Groups()))
	case v1alpha1.DeletionRetain:
	}
	return kept, back
}

// Equal tells whether both remember the same.
func (b Before) Equal(other Before) bool {
	return maps.Equal(b.Settings, other.Settings) && slices.Equal(b.Inherited, other.Inherited)
}

// Empty tells whether nothing is held.
func (b Before) Empty() bool { return len(b.Settings) == 0 }

// split parts the settings named in wanted from the others. A group stays
// inherited with the part that has settings of it, first with those wanted.
func (b Before) split(wanted idp.Settings) (named, others Before) {
	named.Settings, others.Settings = idp.Settings{}, idp.Settings{}
	for s, v := range b.Settings {
		if _, ok := wanted[s]; ok {
			named.Settings[s] = v
		} else {
			others.Settings[s] = v
		}
	}
	groups := named.Settings.Groups()
	for _, g := range b.Inherited {
		if slices.Contains(groups, g) {
			named.Inherited = append(named.Inherited, g)
		} else {
			others.Inherited = append(others.Inherited, g)
		}
	}
	return named, others
}

// restore puts back the values, or the inheritance where there was one.
func (b Before) restore() Back {
	values := maps.Clone(b.Settings)
	maps.DeleteFunc(values, func(s idp.Setting, _ idp.Value) bool {
		return slices.Contains(b.Inherited, s.Group())
	})
	return Back{Write: values, Inherit: slices.Clone(b.Inherited)}
}

// reset makes every group follow the instance, except those still needed, where
// it puts back the values.
func (b Before) reset(needed []idp.Group) Back {
	back := Back{Write: idp.Settings{}}
	for _, g := range b.Settings.Groups() {
		if slices.Contains(needed, g) {
			back.Write = back.Write.Overlay(b.Settings.Of(g))
		} else {
			back.Inherit = append(back.Inherit, g)
		}
	}
	return back
}

func (b *Back) add(more Back) {
	b.Write = b.Write.Overlay(more.Write)
	b.Inherit = append(b.Inherit, more.Inherit...)
}
