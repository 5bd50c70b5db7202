package policy

import "github.com/neosc/mfa-operator/internal/idp"

// Change is one difference between what was found and what is wanted.
type Change struct {
	Setting idp.Setting
	Found   idp.Value
	Wanted  idp.Value
}

// Plan lists what has to change so that everything wanted holds, in the order
// of idp.AllSettings. Empty: nothing has to.
func Plan(found, wanted idp.Settings) []Change {
	diff := found.Differences(wanted)
	plan := make([]Change, 0, len(diff))
	for _, s := range diff.Sorted() {
		plan = append(plan, Change{Setting: s, Found: found[s], Wanted: diff[s]})
	}
	return plan
}

// NoMethodLeft tells whether writing wanted over found would force a second
// factor and leave no way to satisfy it, so that no user without a passkey could
// sign in. What somebody else has left in such a state is not held against a
// policy that speaks of none of it.
func NoMethodLeft(found, wanted idp.Settings) bool {
	after, ours := found.Overlay(wanted), false
	way := after[idp.AllowPasskeys].Bool()
	for _, s := range []idp.Setting{idp.ForceMFA, idp.ForceMFALocalOnly, idp.AllowPasskeys} {
		_, named := wanted[s]
		ours = ours || named
	}
	for _, settings := range settingsOf {
		_, named := wanted[settings[0]]
		ours = ours || named
		way = way || after[settings[0]].Bool()
	}
	forced := after[idp.ForceMFA].Bool() || after[idp.ForceMFALocalOnly].Bool()
	return ours && forced && !way
}
