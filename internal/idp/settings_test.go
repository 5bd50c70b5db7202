package idp_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/neosc/mfa-operator/internal/idp"
)

func TestDifferences(t *testing.T) {
	found := idp.Settings{idp.ForceMFA: idp.Bool(false), idp.AllowRegister: idp.Bool(true), idp.MaxOTPAttempts: idp.Number(0)}
	for _, c := range []struct {
		wanted, want idp.Settings
		why          string
	}{
		{nil, idp.Settings{}, "nothing is wanted"},
		{idp.Settings{idp.ForceMFA: idp.Bool(false)}, idp.Settings{}, "it is so already"},
		{idp.Settings{idp.ForceMFA: idp.Bool(true)}, idp.Settings{idp.ForceMFA: idp.Bool(true)}, "another value"},
		{idp.Settings{idp.PasswordMinLength: idp.Number(0)}, idp.Settings{idp.PasswordMinLength: idp.Number(0)}, "what is not known differs from zero"},
		{idp.Settings{idp.MaxOTPAttempts: idp.Duration(0)}, idp.Settings{idp.MaxOTPAttempts: idp.Duration(0)}, "another kind is another value"},
	} {
		if got := found.Differences(c.wanted); !maps.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.why, got, c.want)
		}
	}
}

// TestOverlayAndOfLeaveTheirInputsAlone, as everybody shares these maps.
func TestOverlayAndOfLeaveTheirInputsAlone(t *testing.T) {
	under := idp.Settings{idp.ForceMFA: idp.Bool(false), idp.MaxOTPAttempts: idp.Number(1)}
	over := idp.Settings{idp.ForceMFA: idp.Bool(true), idp.AllowPasskeys: idp.Bool(true)}
	both := under.Overlay(over)
	if want := (idp.Settings{idp.ForceMFA: idp.Bool(true), idp.AllowPasskeys: idp.Bool(true), idp.MaxOTPAttempts: idp.Number(1)}); !maps.Equal(both, want) {
		t.Errorf("got %v, want %v", both, want)
	}
	if got := both.Of(idp.Lockout); !maps.Equal(got, idp.Settings{idp.MaxOTPAttempts: idp.Number(1)}) {
		t.Errorf("of the lockout group there is %v", got)
	}
	both[idp.AllowRegister] = idp.Bool(true)
	both.Of(idp.Login)[idp.HidePasswordReset] = idp.Bool(true)
	if len(under) != 2 || under[idp.ForceMFA].Bool() || len(over) != 2 || len(both) != 4 {
		t.Errorf("an input has changed: %v, %v, %v", under, over, both)
	}
	var none idp.Settings
	if got := none.Overlay(over); !maps.Equal(got, over) {
		t.Errorf("over nothing it is %v", got)
	}
	if got := none.Overlay(nil); got == nil {
		t.Error("nothing over nothing cannot be written to")
	}
}

func TestInherits(t *testing.T) {
	s := idp.State{Inherited: []idp.Group{idp.Lockout}}
	if !s.Inherits(idp.Lockout) || s.Inherits(idp.Login) {
		t.Errorf("of %v the wrong group is inherited", s.Inherited)
	}
}

func TestGroupsAndSortedFollowTheCatalogue(t *testing.T) {
	s := idp.Settings{idp.PasswordMaxAgeDays: {}, idp.AllowRegister: {}, idp.ForceMFA: {}, idp.MaxOTPAttempts: {}}
	if got, want := s.Sorted(), []idp.Setting{idp.ForceMFA, idp.AllowRegister, idp.MaxOTPAttempts, idp.PasswordMaxAgeDays}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := s.Groups(), []idp.Group{idp.Login, idp.Lockout, idp.PasswordAge}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
