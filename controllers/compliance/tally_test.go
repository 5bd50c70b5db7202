package compliance

import (
	"math/rand/v2"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

func user(policies string, compliance v1alpha1.Compliance) *v1alpha1.MFAUser {
	return &v1alpha1.MFAUser{Status: v1alpha1.MFAUserStatus{
		Compliance: compliance, EffectivePolicy: &v1alpha1.EffectivePolicy{Names: policies},
	}}
}

var (
	a = types.NamespacedName{Namespace: "security", Name: "a"}
	b = types.NamespacedName{Namespace: "security", Name: "b"}
)

func TestMove(t *testing.T) {
	var sum tally
	for _, c := range []struct {
		why      string
		from, to *v1alpha1.MFAUser
		changed  []types.NamespacedName
		a, b     v1alpha1.UserCounts
	}{
		{"a new user counts for each policy", nil, user("security/a,security/b", v1alpha1.Compliant), []types.NamespacedName{a, b},
			v1alpha1.UserCounts{Compliant: 1}, v1alpha1.UserCounts{Compliant: 1}},
		{"under no policy for none", nil, user("", v1alpha1.NonCompliant), nil,
			v1alpha1.UserCounts{Compliant: 1}, v1alpha1.UserCounts{Compliant: 1}},
		{"the built-in baseline is no policy", nil, user("built-in", v1alpha1.NonCompliant), nil,
			v1alpha1.UserCounts{Compliant: 1}, v1alpha1.UserCounts{Compliant: 1}},
		{"nothing moved", user("security/a,security/b", v1alpha1.Compliant), user("security/b,security/a", v1alpha1.Compliant), nil,
			v1alpha1.UserCounts{Compliant: 1}, v1alpha1.UserCounts{Compliant: 1}},
		{"a device is lost, and b is gone", user("security/a,security/b", v1alpha1.Compliant), user("security/a", v1alpha1.NonCompliant), []types.NamespacedName{a, b},
			v1alpha1.UserCounts{NonCompliant: 1}, v1alpha1.UserCounts{}},
		{"not known any more", user("security/a", v1alpha1.NonCompliant), user("security/a", ""), []types.NamespacedName{a},
			v1alpha1.UserCounts{Unknown: 1}, v1alpha1.UserCounts{}},
		{"the user is removed", user("security/a", ""), nil, []types.NamespacedName{a}, v1alpha1.UserCounts{}, v1alpha1.UserCounts{}},
	} {
		changed := sum.move(c.from, c.to)
		slices.SortFunc(changed, func(x, y types.NamespacedName) int { return slices.Compare([]byte(x.String()), []byte(y.String())) })
		if !slices.Equal(changed, c.changed) {
			t.Errorf("%s: changed %v, want %v", c.why, changed, c.changed)
		}
		for p, want := range map[types.NamespacedName]v1alpha1.UserCounts{a: c.a, b: c.b} {
			got := sum.of(p)
			if (got == nil) != (want == v1alpha1.UserCounts{}) || got != nil && *got != want {
				t.Errorf("%s: %s has %+v, want %+v", c.why, p.Name, got, want)
			}
		}
	}
}

// However users move about, the counters say what a census of them would.
func TestMovesAddUp(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	policies := []string{"", "security/a", "security/b", "security/a,security/b", "built-in"}
	states := []v1alpha1.Compliance{"", v1alpha1.Compliant, v1alpha1.NonCompliant, v1alpha1.InGrace, v1alpha1.Exempt}
	var moved tally
	users := make([]*v1alpha1.MFAUser, 50)
	for range 5000 {
		i := random.IntN(len(users))
		var next *v1alpha1.MFAUser
		if random.IntN(4) > 0 {
			next = user(policies[random.IntN(len(policies))], states[random.IntN(len(states))])
		}
		moved.move(users[i], next)
		users[i] = next
	}
	var counted tally
	for _, u := range users {
		counted.move(nil, u)
	}
	for _, p := range []types.NamespacedName{a, b} {
		if got, want := moved.of(p), counted.of(p); *got != *want {
			t.Errorf("%s: moved to %+v, counted %+v", p.Name, *got, *want)
		}
	}
}
