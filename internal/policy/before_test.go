package policy_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
)

func TestRemember(t *testing.T) {
	for _, c := range []struct {
		held   policy.Before
		wanted idp.Settings
		found  idp.State
		want   policy.Before
		why    string
	}{
		{
			wanted: idp.Settings{idp.ForceMFA: yes},
			found:  idp.State{Settings: idp.Settings{idp.ForceMFA: no, idp.AllowRegister: yes}},
			want:   policy.Before{Settings: idp.Settings{idp.ForceMFA: no}},
			why:    "only what the policy is about to hold",
		},
		{
			wanted: idp.Settings{idp.ForceMFA: yes, idp.MaxOTPAttempts: idp.Number(5)},
			found: idp.State{Settings: idp.Settings{idp.ForceMFA: no, idp.MaxOTPAttempts: idp.Number(0)},
				Inherited: []idp.Group{idp.Lockout, idp.PasswordAge}},
			want: policy.Before{Settings: idp.Settings{idp.ForceMFA: no, idp.MaxOTPAttempts: idp.Number(0)}, Inherited: []idp.Group{idp.Lockout}},
			why:  "an inherited group is remembered if the policy writes to it",
		},
		{
			held:   policy.Before{Settings: idp.Settings{idp.ForceMFA: no}},
			wanted: idp.Settings{idp.ForceMFA: yes},
			found:  idp.State{Settings: idp.Settings{idp.ForceMFA: yes}},
			want:   policy.Before{Settings: idp.Settings{idp.ForceMFA: no}},
			why:    "our own value never replaces that of before",
		},
		{
			held:   policy.Before{Settings: idp.Settings{idp.ForceMFA: no}},
			wanted: idp.Settings{idp.ForceMFA: yes, idp.AllowPasskeys: no},
			found:  idp.State{Settings: idp.Settings{idp.ForceMFA: yes, idp.AllowPasskeys: yes}},
			want:   policy.Before{Settings: idp.Settings{idp.ForceMFA: no, idp.AllowPasskeys: yes}},
			why:    "a field that joins later is remembered as it is then",
		},
		{
			held:   policy.Before{Settings: idp.Settings{idp.ForceMFA: no}},
			wanted: idp.Settings{idp.ForceMFA: yes, idp.AllowPasskeys: no},
			found: idp.State{Settings: idp.Settings{idp.ForceMFA: no, idp.AllowPasskeys: yes},
				Inherited: []idp.Group{idp.Login}},
			want: policy.Before{Settings: idp.Settings{idp.ForceMFA: no, idp.AllowPasskeys: yes}},
			why:  "a group that had values of its own does not become an inherited one because it was reset in between",
		},
		{
			held: policy.Before{Settings: idp.Settings{idp.ForceMFA: no}, Inherited: []idp.Group{idp.Login}},
			want: policy.Before{Settings: idp.Settings{idp.ForceMFA: no}, Inherited: []idp.Group{idp.Login}},
			why:  "wanting nothing forgets nothing",
		},
	} {
		was := policy.Before{Settings: maps.Clone(c.held.Settings), Inherited: slices.Clone(c.held.Inherited)}
		if got := c.held.Remember(c.wanted, c.found); !got.Equal(c.want) {
			t.Errorf("%s:\n got %v\nwant %v", c.why, got, c.want)
		}
		if !c.held.Equal(was) {
			t.Errorf("%s: what was held has changed to %v", c.why, c.held)
		}
	}
}

func TestLetGo(t *testing.T) {
	held := policy.Before{
		Settings:  idp.Settings{idp.ForceMFA: no, idp.AllowPasskeys: yes, idp.MaxOTPAttempts: idp.Number(0), idp.MaxPasswordAttempts: idp.Number(3)},
		Inherited: []idp.Group{idp.Lockout},
	}
	all := idp.Settings{idp.ForceMFA: yes, idp.AllowPasskeys: no, idp.MaxOTPAttempts: idp.Number(5), idp.MaxPasswordAttempts: idp.Number(5)}
	loginOnly := idp.Settings{idp.ForceMFA: yes, idp.AllowPasskeys: no}
	allButForce := idp.Settings{idp.AllowPasskeys: no, idp.MaxOTPAttempts: idp.Number(5), idp.MaxPasswordAttempts: idp.Number(5)}
	noOTP := idp.Settings{idp.ForceMFA: yes, idp.AllowPasskeys: no, idp.MaxPasswordAttempts: idp.Number(5)}

	keepsLogin := policy.Before{Settings: idp.Settings{idp.ForceMFA: no, idp.AllowPasskeys: yes}}
	keepsNoForce := policy.Before{Settings: idp.Settings{idp.AllowPasskeys: yes, idp.MaxOTPAttempts: idp.Number(0), idp.MaxPasswordAttempts: idp.Number(3)},
		Inherited: []idp.Group{idp.Lockout}}
	keepsNoOTP := policy.Before{Settings: idp.Settings{idp.ForceMFA: no, idp.AllowPasskeys: yes, idp.MaxPasswordAttempts: idp.Number(3)},
		Inherited: []idp.Group{idp.Lockout}}

	for _, c := range []struct {
		inForce, desired idp.Settings
		how              v1alpha1.DeletionPolicy
		kept             policy.Before
		back             policy.Back
		why              string
	}{
		{all, all, v1alpha1.DeletionReset, held, policy.Back{}, "everything is still held"},

		{nil, nil, v1alpha1.DeletionRetain, policy.Before{}, policy.Back{}, "Retain leaves everything"},
		{nil, nil, v1alpha1.DeletionRestore, policy.Before{},
			policy.Back{Write: idp.Settings{idp.ForceMFA: no, idp.AllowPasskeys: yes}, Inherit: []idp.Group{idp.Lockout}},
			"Restore puts values back, and inheritance where there was one"},
		{nil, nil, v1alpha1.DeletionReset, policy.Before{},
			policy.Back{Inherit: []idp.Group{idp.Login, idp.Lockout}}, "Reset lets every group follow the instance"},

		{loginOnly, loginOnly, v1alpha1.DeletionRestore, keepsLogin,
			policy.Back{Inherit: []idp.Group{idp.Lockout}}, "a group that leaves the spec is inherited again"},
		{loginOnly, loginOnly, v1alpha1.DeletionRetain, keepsLogin, policy.Back{}, "a group that leaves the spec stays"},
		{allButForce, allButForce, v1alpha1.DeletionRestore, keepsNoForce,
			policy.Back{Write: idp.Settings{idp.ForceMFA: no}}, "a field that leaves the spec is put back"},
		{allButForce, allButForce, v1alpha1.DeletionReset, keepsNoForce,
			policy.Back{Write: idp.Settings{idp.ForceMFA: no}}, "a group that is still needed cannot follow the instance, so the value is put back"},
		{noOTP, noOTP, v1alpha1.DeletionRestore, keepsNoOTP,
			policy.Back{Write: idp.Settings{idp.MaxOTPAttempts: idp.Number(0)}},
			"a group that was inherited and is still needed: the value goes back, the inheritance stays remembered"},

		{allButForce, all, v1alpha1.DeletionRetain, keepsNoForce,
			policy.Back{Write: idp.Settings{idp.ForceMFA: no}}, "what Warn suspends goes back, whatever the deletion policy"},
		{nil, all, v1alpha1.DeletionRetain, policy.Before{},
			policy.Back{Write: idp.Settings{idp.ForceMFA: no, idp.AllowPasskeys: yes}, Inherit: []idp.Group{idp.Lockout}},
			"disabled, everything is as it was, whatever the deletion policy"},
		{nil, loginOnly, v1alpha1.DeletionRetain, policy.Before{},
			policy.Back{Write: idp.Settings{idp.ForceMFA: no, idp.AllowPasskeys: yes}}, "disabled and shrunk at once: what left the spec stays"},
	} {
		kept, back := policy.LetGo(held, c.inForce, c.desired, c.how)
		name := fmt.Sprintf("%s (%s)", c.why, c.how)
		if !kept.Equal(c.kept) {
			t.Errorf("%s: kept\n got %v\nwant %v", name, kept, c.kept)
		}
		if !maps.Equal(back.Write, c.back.Write) || !slices.Equal(back.Inherit, c.back.Inherit) {
			t.Errorf("%s: back\n got %v\nwant %v", name, back, c.back)
		}
	}
}

// TestEverySubsetIsPutBack: whatever a policy holds, under Restore each setting
// is written back or inherited again, and never both.
func TestEverySubsetIsPutBack(t *testing.T) {
	samples := idp.Settings{idp.ForceMFA: no, idp.SecondFactorTOTP: yes, idp.MaxOTPAttempts: idp.Number(0), idp.PasswordMinLength: idp.Number(8), idp.PasswordMaxAgeDays: idp.Number(0)}
	settings := samples.Sorted()
	for bits := range 1 << len(settings) {
		for groups := range 1 << len(idp.AllGroups()) {
			wanted, inherited := idp.Settings{}, []idp.Group{}
			for i, s := range settings {
				if bits&(1<<i) != 0 {
					wanted[s] = samples[s]
				}
			}
			for i, g := range idp.AllGroups() {
				if groups&(1<<i) != 0 {
					inherited = append(inherited, g)
				}
			}
			held := policy.Before{}.Remember(wanted, idp.State{Settings: samples, Inherited: inherited})
			kept, back := policy.LetGo(held, nil, nil, v1alpha1.DeletionRestore)
			if !kept.Empty() {
				t.Fatalf("of %v something is kept: %v", held, kept)
			}
			for s, v := range wanted {
				written, ok := back.Write[s]
				if follows := slices.Contains(back.Inherit, s.Group()); ok == follows || ok && written != v {
					t.Fatalf("of %v, %s is written back as %v and inherited again: %v", held, s, written, follows)
				}
			}
			if len(back.Write) > len(wanted) {
				t.Fatalf("of %v more is written than was held: %v", held, back.Write)
			}
		}
	}
}

func TestEqualAndEmpty(t *testing.T) {
	some := policy.Before{Settings: idp.Settings{idp.ForceMFA: no}, Inherited: []idp.Group{idp.Login}}
	for _, other := range []policy.Before{
		{},
		{Settings: some.Settings},
		{Settings: idp.Settings{idp.ForceMFA: yes}, Inherited: some.Inherited},
		{Settings: idp.Settings{idp.ForceMFA: no, idp.AllowPasskeys: no}, Inherited: some.Inherited},
	} {
		if some.Equal(other) || other.Equal(some) {
			t.Errorf("%v is said to equal %v", some, other)
		}
	}
	if !some.Equal(some) || !(policy.Before{Settings: idp.Settings{}}).Equal(policy.Before{}) {
		t.Error("the same does not equal itself")
	}
	if some.Empty() || !(policy.Before{Inherited: []idp.Group{idp.Login}}).Empty() {
		t.Error("only what has no settings is empty")
	}
}
