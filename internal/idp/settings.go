package idp

import (
	"maps"
	"slices"
)

// Settings maps settings to values. A setting that is absent is one nobody
// speaks of: not managed where the map says what is wanted, not known where it
// says what was found.
type Settings map[Setting]Value

// Groups returns the groups that have at least one setting here, in the order
// of AllGroups.
func (s Settings) Groups() []Group {
	present := map[Group]bool{}
	for setting := range s {
		present[setting.Group()] = true
	}
	return slices.DeleteFunc(AllGroups(), func(g Group) bool { return !present[g] })
}

// Of returns the settings of one group.
func (s Settings) Of(g Group) Settings {
	part := maps.Clone(s)
	maps.DeleteFunc(part, func(setting Setting, _ Value) bool { return setting.Group() != g })
	return part
}

// Sorted returns the settings in the order of AllSettings.
func (s Settings) Sorted() []Setting {
	return slices.DeleteFunc(AllSettings(), func(setting Setting) bool {
		_, present := s[setting]
		return !present
	})
}

// Overlay returns these settings with those of over put on top.
func (s Settings) Overlay(over Settings) Settings {
	result := maps.Clone(s)
	if result == nil {
		result = Settings{}
	}
	maps.Copy(result, over)
	return result
}

// Differences returns the settings of wanted that have another value here, or
// none, with the wanted value.
func (s Settings) Differences(wanted Settings) Settings {
	diff := Settings{}
	for setting, want := range wanted {
		if s[setting] != want {
			diff[setting] = want
		}
	}
	return diff
}

// State is what a provider holds for one scope.
type State struct {
	// Settings has every setting of the groups that were asked for.
	Settings Settings
	// Inherited lists the groups an organization has no policy of its own for
	// and takes from the instance. Always empty at the instance.
	Inherited []Group
}

// Inherits tells whether the group comes from the instance.
func (s State) Inherits(g Group) bool { return slices.Contains(s.Inherited, g) }
