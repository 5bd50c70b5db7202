package policy

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
)

// Held is what policies hold of a target: of each setting they have written,
// what stood before.
type Held struct {
	Entries map[idp.Setting]Entry
	// Inherited lists the groups the target took over from the instance.
	Inherited []idp.Group
}

// Entry is one setting that policies hold.
type Entry struct {
	// Before is what stood before the first write.
	Before idp.Value
	// Wrote is what the policies last put in force.
	Wrote idp.Value
	// By names the policies that asked for it.
	By []types.NamespacedName
}

// Back is how to put back what policies let go of.
type Back struct {
	// Write has the values to write.
	Write idp.Settings
	// Inherit lists the groups that follow the instance again.
	Inherit []idp.Group
}

// Base is what would stand at a target if no policy had ever written there, as
// far as that can be told: what stood before where our own value still stands,
// and what was found everywhere else.
func (h Held) Base(found idp.Settings) idp.Settings {
	base := maps.Clone(found)
	for s, e := range h.Entries {
		if value, seen := found[s]; seen && value == e.Wrote {
			base[s] = e.Before
		}
	}
	return base
}

// Drift lists what somebody else has changed of what policies put in force, and
// is not as wanted.
func (h Held) Drift(found, wanted idp.Settings) []Change {
	drifted := idp.Settings{}
	for s, want := range wanted {
		if e, held := h.Entries[s]; held && found[s] != e.Wrote && found[s] != want {
			drifted[s] = want
		}
	}
	return Plan(found, drifted)
}

// Remember adds what was found of the settings that are about to be held and
// are not held yet.
func (h Held) Remember(wanted idp.Settings, found idp.State) Held {
	next := Held{Entries: maps.Clone(h.Entries), Inherited: slices.Clone(h.Inherited)}
	if next.Entries == nil {
		next.Entries = map[idp.Setting]Entry{}
	}
	known := h.Groups()
	for s := range wanted {
		if _, held := next.Entries[s]; held {
			continue
		}
		next.Entries[s] = Entry{Before: found.Settings[s], Wrote: found.Settings[s]}
		// A group we already hold settings of is our own work by now: what
		// counts is what it was when we first came.
		g := s.Group()
		if found.Inherits(g) && !slices.Contains(known, g) && !slices.Contains(next.Inherited, g) {
			next.Inherited = append(next.Inherited, g)
		}
	}
	slices.Sort(next.Inherited)
	return next
}

// Confirm notes what is in force now and who asked for it. A value that the
// policies would not want by themselves stands because somebody made it
// stricter by hand: it stays theirs.
func (h Held) Confirm(wanted, unprovoked idp.Settings, written []Change, by map[idp.Setting][]types.NamespacedName) Held {
	next := Held{Entries: maps.Clone(h.Entries), Inherited: h.Inherited}
	for s, want := range wanted {
		e := next.Entries[s]
		ours := slices.ContainsFunc(written, func(c Change) bool { return c.Setting == s })
		if ours || unprovoked[s] == want {
			e.Wrote = want
		}
		e.By = by[s]
		next.Entries[s] = e
	}
	return next
}

// LetGo splits what is held, now that wanted is all that is asked for. keep
// tells which of the rest stays held though nobody asks for it; what the others
// become, how says for each.
func (h Held) LetGo(wanted idp.Settings, keep func(idp.Setting) bool, how func(idp.Setting) v1alpha1.DeletionPolicy) (kept Held, back Back) {
	kept.Entries = map[idp.Setting]Entry{}
	released := map[v1alpha1.DeletionPolicy]idp.Settings{}
	for s, e := range h.Entries {
		if _, asked := wanted[s]; asked || keep(s) {
			kept.Entries[s] = e
			continue
		}
		way := how(s)
		if released[way] == nil {
			released[way] = idp.Settings{}
		}
		released[way][s] = e.Before
	}
	needed := kept.Groups()
	for _, g := range h.Inherited {
		if slices.Contains(needed, g) {
			kept.Inherited = append(kept.Inherited, g)
		}
	}
	// A group in which something stays cannot follow the instance again.
	stays := slices.Concat(needed, released[v1alpha1.DeletionRetain].Groups())
	back.Write = released[v1alpha1.DeletionRestore].Overlay(released[v1alpha1.DeletionReset])
	for _, g := range back.Write.Groups() {
		followed := slices.Contains(h.Inherited, g) || len(released[v1alpha1.DeletionReset].Of(g)) > 0
		if followed && !slices.Contains(stays, g) {
			back.Inherit = append(back.Inherit, g)
		}
	}
	maps.DeleteFunc(back.Write, func(s idp.Setting, _ idp.Value) bool { return slices.Contains(back.Inherit, s.Group()) })
	return kept, back
}

// Holders names the policies that have asked for any of what is held, in order.
func (h Held) Holders() []types.NamespacedName {
	var holders []types.NamespacedName
	for _, e := range h.Entries {
		holders = append(holders, e.By...)
	}
	slices.SortFunc(holders, byName)
	return slices.Compact(holders)
}

// Equal tells whether both hold the same.
func (h Held) Equal(other Held) bool {
	return slices.Equal(h.Inherited, other.Inherited) && maps.EqualFunc(h.Entries, other.Entries, func(a, b Entry) bool {
		return a.Before == b.Before && a.Wrote == b.Wrote && slices.Equal(a.By, b.By)
	})
}

// Empty tells whether nothing is held.
func (h Held) Empty() bool { return len(h.Entries) == 0 }

// WayToLeave says what becomes of a setting that a policy asked for and that is
// not wanted any more. p is nil if the policy is gone; targets tells whether its
// spec still names the target.
func WayToLeave(p *v1alpha1.SecurityPolicy, s idp.Setting, targets bool) v1alpha1.DeletionPolicy {
	if p == nil {
		return v1alpha1.DeletionRetain
	}
	if p.DeletionTimestamp.IsZero() && targets {
		if _, asked := Desired(RulesOf(&p.Spec), nil)[s]; asked {
			// Its mode took it out of force, or the target does without.
			return v1alpha1.DeletionRestore
		}
	}
	return p.Spec.DeletionPolicy
}

// Safest returns the one of several ways to leave that weakens least: a value
// that stays, before one that is put back, before one that the instance gives.
func Safest(ways []v1alpha1.DeletionPolicy) v1alpha1.DeletionPolicy {
	for _, way := range []v1alpha1.DeletionPolicy{v1alpha1.DeletionRetain, v1alpha1.DeletionRestore, v1alpha1.DeletionReset} {
		if slices.Contains(ways, way) {
			return way
		}
	}
	return v1alpha1.DeletionRetain
}

// Groups lists the groups that have held settings, in the order in which they
// are written.
func (h Held) Groups() []idp.Group {
	settings := idp.Settings{}
	for s := range h.Entries {
		settings[s] = idp.Value{}
	}
	return settings.Groups()
}

// Without takes a policy out, and forgets what nobody else asks for: it stays
// as it is.
func (h Held) Without(policy types.NamespacedName, others idp.Settings) Held {
	next := Held{Entries: map[idp.Setting]Entry{}}
	for s, e := range h.Entries {
		e.By = slices.DeleteFunc(slices.Clone(e.By), func(by types.NamespacedName) bool { return by == policy })
		if _, asked := others[s]; asked || len(e.By) > 0 {
			next.Entries[s] = e
		}
	}
	for _, g := range h.Inherited {
		if slices.Contains(next.Groups(), g) {
			next.Inherited = append(next.Inherited, g)
		}
	}
	return next
}
