package zitadel

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

// unknownFactor is a factor only a newer server knows.
const unknownFactor = policy.SecondFactorType(99)

var factorSettings = []idp.Setting{
	idp.SecondFactorTOTP, idp.SecondFactorU2F, idp.SecondFactorOTPEmail, idp.SecondFactorOTPSMS,
	idp.SecondFactorRecoveryCodes, idp.MultiFactorU2FVerified,
}

var subsets = 1 << len(factorSettings)

// subset turns the bits of n into wanted factors.
func subset(n int) idp.Settings {
	wanted := idp.Settings{}
	for i, s := range factorSettings {
		wanted[s] = idp.Bool(n&(1<<i) != 0)
	}
	return wanted
}

// shuffled is random, and the same in every run.
func shuffled(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed)) }

// holdFactors fails the test unless the lists hold exactly the subset, each
// factor once, and the extra ones.
func holdFactors(t *testing.T, server *zitadeltest.Server, scope idp.Scope, n int, extra ...policy.SecondFactorType) {
	t.Helper()
	second, multi := slices.Clone(extra), []policy.MultiFactorType{}
	for s, v := range subset(n) {
		switch f := fieldOf[s].factor; {
		case v.Bool() && f.multi != 0:
			multi = append(multi, f.multi)
		case v.Bool():
			second = append(second, f.second)
		}
	}
	login, _ := server.LoginPolicy(scope.OrganizationID)
	slices.Sort(second)
	slices.Sort(login.SecondFactors)
	if !slices.Equal(login.SecondFactors, second) || !slices.Equal(login.MultiFactors, multi) {
		t.Errorf("%s holds %v and %v, want %v and %v", scope, login.SecondFactors, login.MultiFactors, second, multi)
	}
}

func TestEverySubsetOfFactors(t *testing.T) {
	t.Run("fresh instance", func(t *testing.T) {
		for n := range subsets {
			server, client := newServer(t)
			server.StoreSecondFactor("", unknownFactor)
			apply(t, client, idp.Instance, subset(n))
			holdFactors(t, server, idp.Instance, n, unknownFactor)
			server.Close()
		}
	})
	t.Run("instance, from another subset", func(t *testing.T) {
		server, client := newServer(t)
		server.StoreSecondFactor("", unknownFactor)
		for _, n := range shuffled(1).Perm(subsets) {
			apply(t, client, idp.Instance, subset(n))
			holdFactors(t, server, idp.Instance, n, unknownFactor)
		}
	})
	t.Run("fresh organization", func(t *testing.T) {
		server, client := newServer(t)
		for n := range subsets {
			scope := fresh(server, fmt.Sprint("org ", n))
			apply(t, client, scope, subset(n))
			holdFactors(t, server, scope, n)
		}
	})
	t.Run("organization, from another subset", func(t *testing.T) {
		server, client := newServer(t)
		scope := owning(t, server, client, "org")
		server.StoreSecondFactor(scope.OrganizationID, unknownFactor)
		for _, n := range shuffled(2).Perm(subsets) {
			apply(t, client, scope, subset(n))
			holdFactors(t, server, scope, n, unknownFactor)
		}
	})
	t.Run("organization, with orphans", func(t *testing.T) {
		server, client := newServer(t)
		apply(t, client, idp.Instance, subset(0)) // so that a copy of it lists nothing
		random := shuffled(3)
		for n := range subsets {
			scope := fresh(server, fmt.Sprint("org ", n))
			for s, v := range subset(random.IntN(subsets)) {
				if !v.Bool() {
					continue
				}
				if _, err := client.policies(scope).addFactor(t.Context(), fieldOf[s].factor); err != nil {
					t.Fatal(err)
				}
			}
			apply(t, client, scope, idp.Settings{idp.AllowRegister: idp.Bool(false)})
			holdFactors(t, server, scope, 0)
			apply(t, client, scope, subset(n))
			holdFactors(t, server, scope, n)
		}
	})
}

// TestFactorsListedTwice: a server may hold a factor more than once. What is
// unwanted goes with all its copies, and what is wanted is there already.
func TestFactorsListedTwice(t *testing.T) {
	const totp = policy.SecondFactorType_SECOND_FACTOR_TYPE_OTP
	server, client := newServer(t)
	for _, scope := range []idp.Scope{idp.Instance, owning(t, server, client, "org")} {
		apply(t, client, scope, subset(0))
		server.StoreSecondFactor(scope.OrganizationID, totp)
		server.StoreSecondFactor(scope.OrganizationID, totp)
		server.ResetCalls()
		apply(t, client, scope, idp.Settings{idp.SecondFactorTOTP: idp.Bool(true)})
		if n := server.CountWrites(); n != 0 {
			t.Errorf("%s: %d writes for a factor that is there twice", scope, n)
		}
		apply(t, client, scope, subset(0))
		holdFactors(t, server, scope, 0)
	}
}

// changedFields names the fields in which two policies differ, lists compared
// as sets.
func changedFields(before, after policyMessage) (names []string) {
	fields := before.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		d := fields.Get(i)
		only := func(m policyMessage) protoreflect.Message {
			part := m.ProtoReflect().New()
			if m.ProtoReflect().Has(d) {
				part.Set(d, m.ProtoReflect().Get(d))
			}
			return part
		}
		if !proto.Equal(only(before).Interface(), only(after).Interface()) {
			names = append(names, d.JSONName())
		}
	}
	return names
}

func TestOneSettingAtATime(t *testing.T) {
	server, client := newServer(t)
	server.SetInstanceIDPs(zitadeltest.IDP{ID: "1", Name: "one"}, zitadeltest.IDP{ID: "2", Name: "two"})
	organization := owning(t, server, client, "org")
	for _, scope := range []idp.Scope{idp.Instance, organization} {
		server.StoreSecondFactor(scope.OrganizationID, unknownFactor)
		other := organization
		if !scope.IsInstance() {
			other = idp.Instance
		}
		for _, s := range idp.AllSettings() {
			before := allHeld(server, scope)
			wanted := flipped(s, settingsOf(s.Group(), before[s.Group()])[s])
			elsewhere := allHeld(server, other)

			state := apply(t, client, scope, idp.Settings{s: wanted})

			if state.Settings[s] != wanted {
				t.Errorf("%s of %s: the state says %v, want %v", s, scope, state.Settings[s], wanted)
			}
			holdSettings(t, server, scope, idp.Settings{s: wanted}, string(s))
			after := allHeld(server, scope)
			for _, g := range idp.AllGroups() {
				var want []string
				if g == s.Group() {
					want = []string{jsonName(s)}
				}
				if got := changedFields(before[g], after[g]); !slices.Equal(got, want) {
					t.Errorf("%s of %s changed %v of %s, want %v", s, scope, got, g, want)
				}
			}
			login := after[idp.Login].(*policy.LoginPolicy)
			if !slices.Contains(login.SecondFactors, unknownFactor) || len(login.Idps) != 2 {
				t.Errorf("%s of %s: an unknown factor or a provider got lost: %v, %v", s, scope, login.SecondFactors, login.Idps)
			}
			if diff := cmp.Diff(elsewhere, allHeld(server, other), protocmp.Transform()); diff != "" {
				t.Errorf("%s of %s changed the other scope:\n%s", s, scope, diff)
			}
		}
	}
}

// jsonName is the field a setting lives in: secondFactors for
// login.secondFactors.OTP.
func jsonName(s idp.Setting) string {
	name := string(s)[len(s.Group())+1:]
	switch {
	case fieldOf[s].factor.second != 0:
		return "secondFactors"
	case fieldOf[s].factor.multi != 0:
		return "multiFactors"
	}
	return name
}

func TestOrganizationGetsACopy(t *testing.T) {
	server, client := newServer(t)
	server.SetInstanceIDPs(zitadeltest.IDP{ID: "1", Name: "one"})
	server.StoreSecondFactor("", policy.SecondFactorType_SECOND_FACTOR_TYPE_OTP) // listed twice now
	apply(t, client, idp.Instance, idp.Settings{
		idp.HidePasswordReset: idp.Bool(true), idp.MaxPasswordAttempts: idp.Number(7), idp.PasswordMinLength: idp.Number(20), idp.PasswordMaxAgeDays: idp.Number(90),
		idp.DefaultRedirectURI: idp.Text("https://example.com/"),
	})
	scope := fresh(server, "org")
	for setting, value := range (idp.Settings{
		idp.ForceMFA: idp.Bool(true), idp.MaxOTPAttempts: idp.Number(3), idp.PasswordHasSymbol: idp.Bool(false), idp.PasswordExpireWarnDays: idp.Number(14),
	}) {
		g := setting.Group()
		want, _ := held(server, idp.Instance, g)
		want = overlaid(want, idp.Settings{setting: value})
		want.ProtoReflect().Clear(want.ProtoReflect().Descriptor().Fields().ByName("is_default"))
		if login, ok := want.(*policy.LoginPolicy); ok {
			slices.Sort(login.SecondFactors)
			login.SecondFactors = slices.Compact(login.SecondFactors)
		}
		state := apply(t, client, scope, idp.Settings{setting: value})
		hold(t, server, scope, g, want, "what is not changed is what was inherited")
		if _, own := held(server, scope, g); !own || len(state.Inherited) > 0 {
			t.Errorf("%s: own %v, inherited by the state %v; want an own policy", g, own, state.Inherited)
		}
	}
}

func TestOnlyTouchedPoliciesBecomeOwn(t *testing.T) {
	server, client := newServer(t)
	scope := fresh(server, "org")
	apply(t, client, scope, idp.Settings{
		idp.MaxOTPAttempts: idp.Number(3),
		idp.ForceMFA:       idp.Bool(false), // as inherited
	})
	state, err := client.Observe(t.Context(), scope, idp.AllGroups()...)
	if want := []idp.Group{idp.Login, idp.PasswordComplexity, idp.PasswordAge}; err != nil || !slices.Equal(state.Inherited, want) {
		t.Errorf("inherited: %v, %v, want %v: where nothing differs an organization keeps following the instance", state.Inherited, err, want)
	}
}

func TestObserveReadsOnlyWhatIsAsked(t *testing.T) {
	server, client := newServer(t)
	scope := fresh(server, "org")
	for _, scope := range []idp.Scope{idp.Instance, scope} {
		server.ResetCalls()
		state, err := client.Observe(t.Context(), scope, idp.Lockout, idp.PasswordAge)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(server.Calls()); n != 2 {
			t.Errorf("%s: %d calls for two groups: %v", scope, n, server.CountCalls())
		}
		if len(state.Settings) != 4 || state.Settings[idp.MaxOTPAttempts] != idp.Number(0) {
			t.Errorf("%s: the settings of two groups are %v", scope, state.Settings)
		}
		if state.Inherits(idp.Lockout) == scope.IsInstance() {
			t.Errorf("%s: inherited %v", scope, state.Inherited)
		}
	}
	everything, err := client.Observe(t.Context(), idp.Instance, idp.AllGroups()...)
	if err != nil {
		t.Fatal(err)
	}
	if got := everything.Settings.Sorted(); !slices.Equal(got, idp.AllSettings()) {
		t.Errorf("the settings of all groups are %v, want all there are", got)
	}
	if _, err := client.Observe(t.Context(), idp.Instance, "branding"); !errors.Is(err, idp.ErrRejected) {
		t.Errorf("an unknown group: %v, want ErrRejected", err)
	}
}

func TestNothingToDoWritesNothing(t *testing.T) {
	server, client := newServer(t)
	organization := owning(t, server, client, "own")
	for _, scope := range []idp.Scope{idp.Instance, organization, fresh(server, "inheriting")} {
		found, err := client.Observe(t.Context(), scope, idp.AllGroups()...)
		if err != nil {
			t.Fatal(err)
		}
		server.ResetCalls()
		state := apply(t, client, scope, found.Settings)
		if server.CountWrites() != 0 || server.CountReads() != 4 {
			t.Errorf("%s: calls %v, want one read for each policy and no write", scope, server.CountCalls())
		}
		if diff := cmp.Diff(found, state, cmp.Comparer(func(a, b idp.Value) bool { return a == b })); diff != "" {
			t.Errorf("%s: the state is not what was found:\n%s", scope, diff)
		}
	}
	server.ResetCalls()
	apply(t, client, idp.Instance, nil)
	if len(server.Calls()) != 0 {
		t.Errorf("no changes: calls %v", server.CountCalls())
	}
}

func TestUnfitValuesAreNeverSent(t *testing.T) {
	server, client := newServer(t)
	_, err := client.Apply(t.Context(), idp.Instance, idp.Settings{idp.ForceMFA: idp.Bool(true), idp.MaxOTPAttempts: idp.Number(-1)})
	if !errors.Is(err, idp.ErrRejected) || len(server.Calls()) != 0 {
		t.Errorf("got %v after %v, want ErrRejected before any call", err, server.CountCalls())
	}
}

func TestTightenBeforeLoosen(t *testing.T) {
	server, client := newServer(t)
	for _, scope := range []idp.Scope{idp.Instance, owning(t, server, client, "org")} {
		server.ResetCalls()
		apply(t, client, scope, idp.Settings{
			idp.SecondFactorTOTP: idp.Bool(false), idp.SecondFactorOTPEmail: idp.Bool(true), idp.ForceMFA: idp.Bool(true),
			idp.MultiFactorU2FVerified: idp.Bool(false), idp.MaxOTPAttempts: idp.Number(5), idp.PasswordMinLength: idp.Number(12),
		})
		want := []string{"AddSecondFactorToLoginPolicy", "UpdateLoginPolicy", "UpdateLockoutPolicy", "UpdatePasswordComplexityPolicy",
			"RemoveSecondFactorFromLoginPolicy", "RemoveMultiFactorFromLoginPolicy"}
		api := adminAPI
		if !scope.IsInstance() {
			api = managementAPI
			for i := 1; i <= 3; i++ {
				want[i] = "UpdateCustom" + want[i][len("Update"):]
			}
		}
		var got []string
		for _, call := range server.Calls() {
			if !call.Read {
				got = append(got, call.Method)
			}
		}
		for i := range want {
			want[i] = api + want[i]
		}
		if !slices.Equal(got, want) {
			t.Errorf("writes to %s:\n got %v\nwant %v", scope, got, want)
		}
	}
}

// A denial halfway leaves more allowed than wanted, never less.
func TestFailureHalfwayIsSafe(t *testing.T) {
	server, client := newServer(t)
	server.Inject(zitadeltest.Fault{Method: adminAPI + "UpdateLoginPolicy", Code: codes.PermissionDenied, ErrorID: "AUTH-5mWD2"})
	_, err := client.Apply(t.Context(), idp.Instance, idp.Settings{
		idp.ForceMFA: idp.Bool(true), idp.SecondFactorOTPEmail: idp.Bool(true), idp.SecondFactorTOTP: idp.Bool(false),
	})
	var failed *idp.Error
	if !errors.As(err, &failed) || failed.Cause != idp.MissingPermission || failed.Doing != "updating login policy of instance" {
		t.Fatalf("got %v, want MissingPermission when updating login policy of instance", err)
	}
	holdSettings(t, server, idp.Instance, idp.Settings{idp.SecondFactorOTPEmail: idp.Bool(true), idp.SecondFactorTOTP: idp.Bool(true)}, "after the failure")
}

func TestReset(t *testing.T) {
	server, client := newServer(t)
	scope := owning(t, server, client, "org")
	server.SetLag(100*time.Millisecond, 0)
	if err := client.Reset(t.Context(), scope, idp.Lockout); err != nil {
		t.Fatal(err)
	}
	state, err := client.Observe(t.Context(), scope, idp.AllGroups()...)
	if err != nil || !slices.Equal(state.Inherited, []idp.Group{idp.Lockout}) {
		t.Errorf("inherited: %v, %v, want lockout only", state.Inherited, err)
	}
	for range 2 { // the second time everything is inherited already
		if err := client.Reset(t.Context(), scope, idp.AllGroups()...); err != nil {
			t.Fatal(err)
		}
	}
	for _, g := range idp.AllGroups() {
		if _, own := held(server, scope, g); own {
			t.Errorf("the organization still has its own %s", g)
		}
	}
	if err := client.Reset(t.Context(), idp.Instance, idp.Login); !errors.Is(err, idp.ErrRejected) {
		t.Errorf("resetting the instance: %v, want ErrRejected", err)
	}
	if err := client.Reset(t.Context(), scope, "branding"); !errors.Is(err, idp.ErrRejected) {
		t.Errorf("resetting an unknown group: %v, want ErrRejected", err)
	}

	scope = owning(t, server, client, "another")
	server.AddOrganization("makes everything visible")
	server.SetLag(time.Hour, 0)
	client.confirmWithin = 50 * time.Millisecond
	if err := client.Reset(t.Context(), scope, idp.Lockout); idp.CauseOf(err) != idp.NotConfirmed {
		t.Errorf("a reset that reads never show: %v, want NotConfirmed", err)
	}
}
