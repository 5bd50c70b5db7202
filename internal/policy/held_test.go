package policy_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
)

// before is what is held where these values stood before.
func before(values idp.Settings, inherited ...idp.Group) policy.Held {
	h := policy.Held{Entries: map[idp.Setting]policy.Entry{}, Inherited: inherited}
	for s, v := range values {
		h.Entries[s] = policy.Entry{Before: v, Wrote: v}
	}
	return h
}

func TestRemember(t *testing.T) {
	for _, c := range []struct {
		held   policy.Held
		wanted idp.Settings
		found  idp.State
		want   policy.Held
		why    string
	}{
		{
			wanted: idp.Settings{idp.ForceMFA: yes},
			found:  idp.State{Settings: idp.Settings{idp.ForceMFA: no, idp.AllowRegister: yes}},
			want:   before(idp.Settings{idp.ForceMFA: no}),
			why:    "only what is about to be held",
		},
		{
			wanted: idp.Settings{idp.ForceMFA: yes, idp.MaxOTPAttempts: idp.Number(5)},
			found: idp.State{Settings: idp.Settings{idp.ForceMFA: no, idp.MaxOTPAttempts: idp.Number(0)},
				Inherited: []idp.Group{idp.Lockout, idp.PasswordAge}},
			want: before(idp.Settings{idp.ForceMFA: no, idp.MaxOTPAttempts: idp.Number(0)}, idp.Lockout),
			why:  "an inherited group is remembered if something of it is held",
		},
		{
			held:   before(idp.Settings{idp.ForceMFA: no}),
			wanted: idp.Settings{idp.ForceMFA: yes},
			found:  idp.State{Settings: idp.Settings{idp.ForceMFA: yes}},
			want:   before(idp.Settings{idp.ForceMFA: no}),
			why:    "our own value never replaces that of before",
		},
		{
			held:   before(idp.Settings{idp.ForceMFA: no}),
			wanted: idp.Settings{idp.ForceMFA: yes, idp.AllowPasskeys: no},
			found:  idp.State{Settings: idp.Settings{idp.ForceMFA: yes, idp.AllowPasskeys: yes}},
			want:   before(idp.Settings{idp.ForceMFA: no, idp.AllowPasskeys: yes}),
			why:    "a field that joins later is remembered as it is then",
		},
		{
			held:   before(idp.Settings{idp.ForceMFA: no}),
			wanted: idp.Settings{idp.ForceMFA: yes, idp.AllowPasskeys: no},
			found: idp.State{Settings: idp.Settings{idp.ForceMFA: no, idp.AllowPasskeys: yes},
				Inherited: []idp.Group{idp.Login}},
			want: before(idp.Settings{idp.ForceMFA: no, idp.AllowPasskeys: yes}),
			why:  "a group that had values of its own does not become an inherited one because it was reset in between",
		},
		{
			held: before(idp.Settings{idp.ForceMFA: no}, idp.Login),
			want: before(idp.Settings{idp.ForceMFA: no}, idp.Login),
			why:  "wanting nothing forgets nothing",
		},
	} {
		was := policy.Held{Entries: maps.Clone(c.held.Entries), Inherited: slices.Clone(c.held.Inherited)}
		if got := c.held.Remember(c.wanted, c.found); !got.Equal(c.want) {
			t.Errorf("%s:\n got %v\nwant %v", c.why, got, c.want)
		}
		if !c.held.Equal(was) {
			t.Errorf("%s: what was held has changed to %v", c.why, c.held)
		}
	}
}

func TestLetGo(t *testing.T) {
	const retain, restore, reset = v1alpha1.DeletionRetain, v1alpha1.DeletionRestore, v1alpha1.DeletionReset
	held := before(idp.Settings{idp.ForceMFA: no, idp.AllowPasskeys: yes, idp.MaxOTPAttempts: idp.Number(0), idp.MaxPasswordAttempts: idp.Number(3)}, idp.Lockout)
	all := idp.Settings{idp.ForceMFA: yes, idp.AllowPasskeys: no, idp.MaxOTPAttempts: idp.Number(5), idp.MaxPasswordAttempts: idp.Number(5)}
	loginOnly := idp.Settings{idp.ForceMFA: yes, idp.AllowPasskeys: no}
	allButForce := idp.Settings{idp.AllowPasskeys: no, idp.MaxOTPAttempts: idp.Number(5), idp.MaxPasswordAttempts: idp.Number(5)}
	noOTP := idp.Settings{idp.ForceMFA: yes, idp.AllowPasskeys: no, idp.MaxPasswordAttempts: idp.Number(5)}

	keepsLogin := before(idp.Settings{idp.ForceMFA: no, idp.AllowPasskeys: yes})
	keepsNoForce := before(idp.Settings{idp.AllowPasskeys: yes, idp.MaxOTPAttempts: idp.Number(0), idp.MaxPasswordAttempts: idp.Number(3)}, idp.Lockout)
	keepsNoOTP := before(idp.Settings{idp.ForceMFA: no, idp.AllowPasskeys: yes, idp.MaxPasswordAttempts: idp.Number(3)}, idp.Lockout)

	for _, c := range []struct {
		wanted idp.Settings
		how    v1alpha1.DeletionPolicy
		except map[idp.Setting]v1alpha1.DeletionPolicy
		kept   policy.Held
		back   policy.Back
		why    string
	}{
		{all, reset, nil, held, policy.Back{}, "everything is still wanted"},

		{nil, retain, nil, policy.Held{}, policy.Back{}, "Retain leaves everything"},
		{nil, restore, nil, policy.Held{},
			policy.Back{Write: idp.Settings{idp.ForceMFA: no, idp.AllowPasskeys: yes}, Inherit: []idp.Group{idp.Lockout}},
			"Restore puts values back, and inheritance where there was one"},
		{nil, reset, nil, policy.Held{},
			policy.Back{Inherit: []idp.Group{idp.Login, idp.Lockout}}, "Reset lets every group follow the instance"},

		{loginOnly, restore, nil, keepsLogin,
			policy.Back{Inherit: []idp.Group{idp.Lockout}}, "a group nobody asks for any more is inherited again"},
		{loginOnly, retain, nil, keepsLogin, policy.Back{}, "a group nobody asks for any more stays"},
		{allButForce, restore, nil, keepsNoForce,
			policy.Back{Write: idp.Settings{idp.ForceMFA: no}}, "a single setting is put back"},
		{allButForce, reset, nil, keepsNoForce,
			policy.Back{Write: idp.Settings{idp.ForceMFA: no}}, "a group that is still needed cannot follow the instance, so the value is put back"},
		{noOTP, restore, nil, keepsNoOTP,
			policy.Back{Write: idp.Settings{idp.MaxOTPAttempts: idp.Number(0)}},
			"a group that was inherited and is still needed: the value goes back, the inheritance stays remembered"},

		{nil, restore, map[idp.Setting]v1alpha1.DeletionPolicy{idp.MaxOTPAttempts: retain}, policy.Held{},
			policy.Back{Write: idp.Settings{idp.ForceMFA: no, idp.AllowPasskeys: yes, idp.MaxPasswordAttempts: idp.Number(3)}},
			"a group in which one value stays cannot be inherited again"},
		{nil, retain, map[idp.Setting]v1alpha1.DeletionPolicy{idp.ForceMFA: restore}, policy.Held{},
			policy.Back{Write: idp.Settings{idp.ForceMFA: no}}, "each setting leaves in its own way"},
		{nil, restore, map[idp.Setting]v1alpha1.DeletionPolicy{idp.MaxOTPAttempts: reset}, policy.Held{},
			policy.Back{Write: idp.Settings{idp.ForceMFA: no, idp.AllowPasskeys: yes}, Inherit: []idp.Group{idp.Lockout}},
			"Restore and Reset agree on a group that was inherited"},
	} {
		nobody := func(idp.Setting) bool { return false }
		kept, back := held.LetGo(c.wanted, nobody, func(s idp.Setting) v1alpha1.DeletionPolicy {
			if way, ok := c.except[s]; ok {
				return way
			}
			return c.how
		})
		if !kept.Equal(c.kept) {
			t.Errorf("%s (%s): kept\n got %v\nwant %v", c.why, c.how, kept, c.kept)
		}
		if !maps.Equal(back.Write, c.back.Write) || !slices.Equal(back.Inherit, c.back.Inherit) {
			t.Errorf("%s (%s): back\n got %v\nwant %v", c.why, c.how, back, c.back)
		}
	}

	kept, back := held.LetGo(nil, func(s idp.Setting) bool { return s == idp.ForceMFA },
		func(idp.Setting) v1alpha1.DeletionPolicy { return restore })
	if !kept.Equal(before(idp.Settings{idp.ForceMFA: no})) || back.Write[idp.ForceMFA] != (idp.Value{}) {
		t.Errorf("what is kept though nobody asks for it: kept %v, back %v", kept, back)
	}
}

// TestEverySubsetIsPutBack: whatever is held, under Restore each setting is
// written back or inherited again, and never both.
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
			held := policy.Held{}.Remember(wanted, idp.State{Settings: samples, Inherited: inherited})
			kept, back := held.LetGo(nil, func(idp.Setting) bool { return false },
				func(idp.Setting) v1alpha1.DeletionPolicy { return v1alpha1.DeletionRestore })
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

func TestWayToLeave(t *testing.T) {
	named := spec{MFA: &v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementOptional}, DeletionPolicy: v1alpha1.DeletionRetain}
	with := func(change func(*v1alpha1.SecurityPolicy)) *v1alpha1.SecurityPolicy {
		p := &v1alpha1.SecurityPolicy{Spec: named}
		change(p)
		return p
	}
	for _, c := range []struct {
		p       *v1alpha1.SecurityPolicy
		targets bool
		want    v1alpha1.DeletionPolicy
		why     string
	}{
		{nil, false, v1alpha1.DeletionRetain, "a policy that is gone said nothing: its value stays"},
		{with(func(p *v1alpha1.SecurityPolicy) { p.DeletionTimestamp = &metav1.Time{} }), true, v1alpha1.DeletionRestore, "not being deleted"},
		{with(func(p *v1alpha1.SecurityPolicy) { now := metav1.Now(); p.DeletionTimestamp = &now }), true, v1alpha1.DeletionRetain, "deleted: as its deletion policy says"},
		{with(func(*v1alpha1.SecurityPolicy) {}), false, v1alpha1.DeletionRetain, "the target left the spec: as its deletion policy says"},
		{with(func(p *v1alpha1.SecurityPolicy) { p.Spec.MFA = nil }), true, v1alpha1.DeletionRetain, "the field left the spec: as its deletion policy says"},
		{with(func(p *v1alpha1.SecurityPolicy) { p.Spec.Mode = v1alpha1.ModeAudit }), true, v1alpha1.DeletionRestore, "suspended, everything is as it was"},
		{with(func(p *v1alpha1.SecurityPolicy) { p.Spec.Mode = v1alpha1.ModeWarn }), true, v1alpha1.DeletionRestore, "Warn takes the force flags back"},
		{with(func(p *v1alpha1.SecurityPolicy) { p.Spec.Enabled = ptr.To(false) }), true, v1alpha1.DeletionRestore, "disabled, everything is as it was"},
		{with(func(*v1alpha1.SecurityPolicy) {}), true, v1alpha1.DeletionRestore, "an organization that is stricter by itself does without"},
	} {
		if got := policy.WayToLeave(c.p, idp.ForceMFA, c.targets); got != c.want {
			t.Errorf("%s: got %s, want %s", c.why, got, c.want)
		}
	}
}

func TestSafest(t *testing.T) {
	const retain, restore, reset = v1alpha1.DeletionRetain, v1alpha1.DeletionRestore, v1alpha1.DeletionReset
	for _, c := range []struct {
		ways []v1alpha1.DeletionPolicy
		want v1alpha1.DeletionPolicy
	}{
		{nil, retain}, {[]v1alpha1.DeletionPolicy{reset}, reset}, {[]v1alpha1.DeletionPolicy{reset, restore}, restore},
		{[]v1alpha1.DeletionPolicy{restore, reset, retain}, retain},
	} {
		if got := policy.Safest(c.ways); got != c.want {
			t.Errorf("of %v: got %s, want %s", c.ways, got, c.want)
		}
	}
}

// TestDriftAndBase: what somebody else changed is told from what we changed, and
// what would stand without us from both.
func TestDriftAndBase(t *testing.T) {
	held := policy.Held{Entries: map[idp.Setting]policy.Entry{idp.MaxOTPAttempts: {Before: idp.Number(0), Wrote: idp.Number(5)}}}
	for _, c := range []struct {
		found, wanted int64
		drift         bool
		base          int64
		why           string
	}{
		{5, 5, false, 0, "as we left it"},
		{5, 3, false, 0, "the policy changed, nobody else did"},
		{9, 5, true, 9, "somebody changed it"},
		{9, 3, true, 9, "both changed it"},
		{3, 3, false, 3, "somebody changed it to what is wanted: nothing is amiss"},
	} {
		found := idp.Settings{idp.MaxOTPAttempts: idp.Number(c.found), idp.MaxPasswordAttempts: idp.Number(1)}
		drift := held.Drift(found, idp.Settings{idp.MaxOTPAttempts: idp.Number(c.wanted), idp.MaxPasswordAttempts: idp.Number(2)})
		if (len(drift) > 0) != c.drift || c.drift && drift[0] != (policy.Change{Setting: idp.MaxOTPAttempts, Found: idp.Number(c.found), Wanted: idp.Number(c.wanted)}) {
			t.Errorf("%s: drift is %v", c.why, drift)
		}
		want := idp.Settings{idp.MaxOTPAttempts: idp.Number(c.base), idp.MaxPasswordAttempts: idp.Number(1)}
		if base := held.Base(found); !maps.Equal(base, want) {
			t.Errorf("%s: base is %v, want %v", c.why, base, want)
		}
	}
}

func TestConfirm(t *testing.T) {
	a := types.NamespacedName{Namespace: "n", Name: "a"}
	by := map[idp.Setting][]types.NamespacedName{idp.SecondFactorCheckLifetime: {a}}
	held := policy.Held{Entries: map[idp.Setting]policy.Entry{idp.SecondFactorCheckLifetime: {Before: lasting, Wrote: idp.Duration(15 * time.Minute)}}}
	minutes := func(n int) idp.Value { return idp.Duration(time.Duration(n) * time.Minute) }
	for _, c := range []struct {
		wanted, unprovoked, wrote int
		written                   bool
		why                       string
	}{
		{15, 15, 15, false, "nothing happened"},
		{20, 20, 20, true, "written now"},
		{20, 20, 20, false, "written before we were stopped"},
		{5, 15, 15, false, "made stricter by hand: theirs"},
	} {
		wanted := idp.Settings{idp.SecondFactorCheckLifetime: minutes(c.wanted)}
		var written []policy.Change
		if c.written {
			written = policy.Plan(nil, wanted)
		}
		got := held.Confirm(wanted, idp.Settings{idp.SecondFactorCheckLifetime: minutes(c.unprovoked)}, written, by)
		want := policy.Held{Entries: map[idp.Setting]policy.Entry{
			idp.SecondFactorCheckLifetime: {Before: lasting, Wrote: minutes(c.wrote), By: []types.NamespacedName{a}},
		}}
		if !got.Equal(want) {
			t.Errorf("%s: got %v, want %v", c.why, got, want)
		}
	}
}

// TestWithout: a policy that walks away takes along what only it asked for.
func TestWithout(t *testing.T) {
	a, b := types.NamespacedName{Namespace: "n", Name: "a"}, types.NamespacedName{Namespace: "n", Name: "b"}
	held := policy.Held{Entries: map[idp.Setting]policy.Entry{
		idp.ForceMFA:            {Before: no, By: []types.NamespacedName{a}},
		idp.AllowPasskeys:       {Before: yes, By: []types.NamespacedName{a, b}},
		idp.MaxOTPAttempts:      {Before: idp.Number(0), By: []types.NamespacedName{a}},
		idp.MaxPasswordAttempts: {Before: idp.Number(0), By: []types.NamespacedName{b}},
	}, Inherited: []idp.Group{idp.Login, idp.Lockout}}
	want := policy.Held{Entries: map[idp.Setting]policy.Entry{
		idp.AllowPasskeys:       {Before: yes, By: []types.NamespacedName{b}},
		idp.MaxOTPAttempts:      {Before: idp.Number(0), By: []types.NamespacedName{}},
		idp.MaxPasswordAttempts: {Before: idp.Number(0), By: []types.NamespacedName{b}},
	}, Inherited: []idp.Group{idp.Login, idp.Lockout}}
	// b asks for a weaker number of OTP attempts and has lost so far: what stood
	// before is still needed.
	got := held.Without(a, idp.Settings{idp.MaxOTPAttempts: idp.Number(9)})
	if !got.Equal(want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if holders := held.Holders(); !slices.Equal(holders, []types.NamespacedName{a, b}) {
		t.Errorf("holders are %v", holders)
	}
}
