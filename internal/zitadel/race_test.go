package zitadel

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	adminv1 "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/admin"
	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/object"
	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

// lag is long enough for a whole Apply to be decided on stale reads.
const lag = 200 * time.Millisecond

// inEachGroup has two settings of each group: one for us, one for somebody else.
var inEachGroup = []struct{ ours, theirs idp.Setting }{
	{idp.ForceMFA, idp.HidePasswordReset},
	{idp.MaxOTPAttempts, idp.MaxPasswordAttempts},
	{idp.PasswordMinLength, idp.PasswordHasSymbol},
	{idp.PasswordMaxAgeDays, idp.PasswordExpireWarnDays},
}

func TestReadsThatLag(t *testing.T) {
	t.Parallel()
	for _, lag := range []time.Duration{0, 100 * time.Millisecond, 250 * time.Millisecond} {
		server, client := newServer(t)
		organization := owning(t, server, client, "own")
		inheriting := fresh(server, "inheriting")
		server.SetLag(lag, lag/4)
		for _, scope := range []idp.Scope{inheriting, organization, idp.Instance} {
			changes := subset(0b010101).Overlay(idp.Settings{
				idp.ForceMFA: idp.Bool(true), idp.MaxOTPAttempts: idp.Number(4), idp.PasswordMinLength: idp.Number(11), idp.PasswordMaxAgeDays: idp.Number(30),
			})
			for range 2 {
				state := apply(t, client, scope, changes)
				if diff := state.Settings.Differences(changes); len(diff) > 0 || len(state.Inherited) > 0 {
					t.Errorf("lag %s, %s: the state misses %v, inherits %v", lag, scope, diff, state.Inherited)
				}
				holdSettings(t, server, scope, changes, fmt.Sprint("lag ", lag))
				seen, err := client.Observe(t.Context(), scope, changes.Groups()...)
				if err != nil || len(seen.Settings.Differences(changes)) > 0 {
					t.Errorf("lag %s, %s: a read right after shows %v, %v", lag, scope, seen.Settings.Differences(changes), err)
				}
				changes = changes.Overlay(subset(0b101010)).Overlay(idp.Settings{idp.ForceMFA: idp.Bool(false)})
			}
		}
	}
}

func TestReadsThatNeverFollow(t *testing.T) {
	t.Parallel()
	server, client := newServer(t)
	client.confirmWithin = 100 * time.Millisecond
	scope := owning(t, server, client, "org")
	server.SetLag(time.Hour, 0)
	for _, scope := range []idp.Scope{idp.Instance, scope} {
		wanted := idp.Settings{idp.ForceMFA: idp.Bool(true)}
		_, err := client.Apply(t.Context(), scope, wanted)
		if idp.CauseOf(err) != idp.NotConfirmed || !errors.Is(err, idp.ErrUnreachable) {
			t.Errorf("%s: %v, want NotConfirmed", scope, err)
		}
		holdSettings(t, server, scope, wanted, "it is written all the same")
	}
}

func TestSomebodyElseGaveTheOrganizationItsPolicy(t *testing.T) {
	t.Parallel()
	for _, pair := range inEachGroup {
		t.Run(string(pair.ours.Group()), func(t *testing.T) {
			t.Parallel()
			server, client := newServer(t)
			scope := fresh(server, "org")
			g := pair.ours.Group()
			found, err := client.read(t.Context(), scope, g)
			if err != nil {
				t.Fatal(err)
			}
			theirs := idp.Settings{pair.theirs: flipped(pair.theirs, found.settings()[pair.theirs])}
			ours := idp.Settings{pair.ours: flipped(pair.ours, found.settings()[pair.ours])}
			server.SetLag(lag, 0)
			found.policy = overlaid(found.policy, theirs)
			if _, err := client.policies(scope).write(t.Context(), found); err != nil {
				t.Fatal(err)
			}
			apply(t, client, scope, ours)
			holdSettings(t, server, scope, theirs.Overlay(ours), "both changes count")
			if n := countedLike(server, "AddCustom"); n != 2 {
				t.Errorf("%d attempts to create the policy, want theirs and ours", n)
			}
		})
	}
}

func TestSomebodyElseResetTheOrganization(t *testing.T) {
	t.Parallel()
	for _, pair := range inEachGroup {
		t.Run(string(pair.ours.Group()), func(t *testing.T) {
			t.Parallel()
			server, client := newServer(t)
			scope := owning(t, server, client, "org")
			g := pair.ours.Group()
			inherited, _ := held(server, idp.Instance, g)
			ours := idp.Settings{pair.ours: flipped(pair.ours, settingsOf(g, inherited)[pair.ours])}
			theirs := idp.Settings{pair.theirs: flipped(pair.theirs, settingsOf(g, inherited)[pair.theirs])}
			apply(t, client, scope, theirs)
			server.SetLag(lag, 0)
			if err := (organizationPolicies{client.api.ManagementService(), scope.OrganizationID}).reset(t.Context(), g); err != nil {
				t.Fatal(err)
			}
			apply(t, client, scope, ours)
			holdSettings(t, server, scope, settingsOf(g, inherited).Overlay(ours), "a new copy of the instance's, with our change")
			if _, own := held(server, scope, g); !own {
				t.Errorf("the organization has no %s of its own", g)
			}
			if n := countedLike(server, "UpdateCustom"); n != 2 {
				t.Errorf("%d updates, want the one before the reset and the one that came too late", n)
			}
		})
	}
}

// What we added to a policy that was just taken away is no part of the outcome:
// what the organization inherits is as wanted.
func TestInheritedIsAsWanted(t *testing.T) {
	t.Parallel()
	server, client := newServer(t)
	client.confirmWithin = 4 * lag
	scope := owning(t, server, client, "org")
	apply(t, client, scope, idp.Settings{idp.SecondFactorTOTP: idp.Bool(false), idp.AllowRegister: idp.Bool(false)})
	server.SetLag(lag, 0)
	if err := (organizationPolicies{client.api.ManagementService(), scope.OrganizationID}).reset(t.Context(), idp.Login); err != nil {
		t.Fatal(err)
	}
	wanted := idp.Settings{idp.SecondFactorTOTP: idp.Bool(true), idp.AllowRegister: idp.Bool(true)}
	state := apply(t, client, scope, wanted)
	if len(state.Settings.Differences(wanted)) > 0 || !state.Inherits(idp.Login) {
		t.Errorf("got %v, inherited %v, want the wanted values, inherited", state.Settings, state.Inherited)
	}
}

// replicas is a server whose reads come from replicas that lag unevenly.
type replicas struct {
	adminv1.UnimplementedAdminServiceServer
	mu    sync.Mutex
	reads []*policy.LoginPolicy
}

func (r *replicas) GetLoginPolicy(context.Context, *adminv1.GetLoginPolicyRequest) (*adminv1.GetLoginPolicyResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := r.reads[0]
	r.reads = r.reads[1:]
	return &adminv1.GetLoginPolicyResponse{Policy: next}, nil
}

func (r *replicas) UpdateLoginPolicy(context.Context, *adminv1.UpdateLoginPolicyRequest) (*adminv1.UpdateLoginPolicyResponse, error) {
	return &adminv1.UpdateLoginPolicyResponse{Details: &object.ObjectDetails{Sequence: 8}}, nil
}

func TestOlderStateWithTheWantedValues(t *testing.T) {
	t.Parallel()
	at := func(sequence uint64, force bool) *policy.LoginPolicy {
		return &policy.LoginPolicy{Details: &object.ObjectDetails{Sequence: sequence}, ForceMfa: force}
	}
	server := &replicas{reads: []*policy.LoginPolicy{at(5, false), at(4, true), at(5, false), at(8, true)}}
	client := dial(t, configFor(t, serve(t, func(s *grpc.Server) { adminv1.RegisterAdminServiceServer(s, server) }), "token"))
	apply(t, client, idp.Instance, idp.Settings{idp.ForceMFA: idp.Bool(true)})
	server.mu.Lock()
	defer server.mu.Unlock()
	if len(server.reads) > 0 {
		t.Errorf("%d reads left: what was true before our write does not confirm it", len(server.reads))
	}
}

func TestOwnPolicyThatNeverShows(t *testing.T) {
	t.Parallel()
	server, client := newServer(t)
	scope := fresh(server, "org")
	server.Inject(zitadeltest.Fault{Method: managementAPI + "AddCustomLoginPolicy", Code: codes.AlreadyExists, ErrorID: "Org-Dgfb2"})
	client.confirmWithin = 100 * time.Millisecond
	_, err := client.Apply(t.Context(), scope, idp.Settings{idp.ForceMFA: idp.Bool(true)})
	if idp.CauseOf(err) != idp.NotConfirmed {
		t.Errorf("a policy that exists but never shows: %v, want NotConfirmed", err)
	}
}

// Somebody creates and resets the policy, each time just before our write.
func TestOwnPolicyThatComesAndGoes(t *testing.T) {
	t.Parallel()
	const create, update = managementAPI + "AddCustomLockoutPolicy", managementAPI + "UpdateCustomLockoutPolicy"
	server, client := newServer(t)
	scope := fresh(server, "org")
	tooLate := zitadeltest.Fault{Method: create, Code: codes.AlreadyExists, ErrorID: "ORG-0olDf", Times: 1}
	server.Inject(tooLate)
	server.Inject(zitadeltest.Fault{Method: update, Code: codes.NotFound, ErrorID: "ORG-ADfs1", Times: 1})

	failed := make(chan error)
	go func() {
		_, err := client.Apply(t.Context(), scope, idp.Settings{idp.MaxOTPAttempts: idp.Number(5)})
		failed <- err
	}()
	theirs := organizationPolicies{client.api.ManagementService(), scope.OrganizationID}
	comes := func(attempts int) {
		eventually(t, "our attempt to create it", func() bool { return counted(server, create) == attempts })
		if _, err := theirs.create(t.Context(), &policy.LockoutPolicy{MaxPasswordAttempts: 1}); err != nil {
			t.Error(err)
		}
	}
	comes(1)
	eventually(t, "our attempt to update it", func() bool { return counted(server, update) == 1 })
	server.Inject(tooLate)
	if err := theirs.reset(t.Context(), idp.Lockout); err != nil {
		t.Error(err)
	}
	comes(3)
	if err := <-failed; idp.CauseOf(err) != idp.WriteConflict {
		t.Errorf("got %v, want WriteConflict: we do not join in for ever", err)
	}
}

func TestFactorsChangedMeanwhile(t *testing.T) {
	t.Parallel()
	server, client := newServer(t)
	for _, scope := range []idp.Scope{idp.Instance, owning(t, server, client, "org")} {
		server.SetLag(lag, 0)
		otp, email := factor{second: policy.SecondFactorType_SECOND_FACTOR_TYPE_OTP}, factor{second: policy.SecondFactorType_SECOND_FACTOR_TYPE_OTP_EMAIL}
		verified := factor{multi: policy.MultiFactorType_MULTI_FACTOR_TYPE_U2F_WITH_VERIFICATION}
		for _, f := range []factor{otp, verified} {
			if _, err := client.policies(scope).removeFactor(t.Context(), f); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := client.policies(scope).addFactor(t.Context(), email); err != nil {
			t.Fatal(err)
		}
		changes := idp.Settings{idp.SecondFactorTOTP: idp.Bool(false), idp.SecondFactorOTPEmail: idp.Bool(true), idp.MultiFactorU2FVerified: idp.Bool(false)}
		state := apply(t, client, scope, changes)
		if diff := state.Settings.Differences(changes); len(diff) > 0 {
			t.Errorf("%s: the state misses %v", scope, diff)
		}
		holdSettings(t, server, scope, changes, "somebody else did the same just before")
		server.SetLag(0, 0)
	}
}

func TestScalarsChangedMeanwhile(t *testing.T) {
	t.Parallel()
	server, client := newServer(t)
	for _, scope := range []idp.Scope{idp.Instance, owning(t, server, client, "org")} {
		for _, pair := range inEachGroup {
			server.SetLag(lag, 0)
			found, err := client.read(t.Context(), scope, pair.ours.Group())
			if err != nil {
				t.Fatal(err)
			}
			changes := idp.Settings{pair.ours: flipped(pair.ours, found.settings()[pair.ours])}
			same := found
			same.policy = overlaid(found.policy, changes)
			if _, err := client.policies(scope).write(t.Context(), same); err != nil {
				t.Fatal(err)
			}
			state := apply(t, client, scope, changes) // the server answers that nothing would change
			if diff := state.Settings.Differences(changes); len(diff) > 0 {
				t.Errorf("%s: the state misses %v", scope, diff)
			}
			server.SetLag(0, 0)
		}
	}
}

// That nothing would change is believed only if reads agree.
func TestUnchangedIsVerified(t *testing.T) {
	t.Parallel()
	server, client := newServer(t)
	client.confirmWithin = 100 * time.Millisecond
	server.Inject(zitadeltest.Fault{Method: adminAPI + "UpdateLoginPolicy", Code: codes.FailedPrecondition, ErrorID: "INSTANCE-5M9vdd"})
	_, err := client.Apply(t.Context(), idp.Instance, idp.Settings{idp.ForceMFA: idp.Bool(true)})
	if idp.CauseOf(err) != idp.NotConfirmed {
		t.Errorf("got %v, want NotConfirmed: the server says unchanged and holds something else", err)
	}
}

// An answer lost on the way is asked for again, and the repetition meets what
// the first attempt wrote.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	server, client := newServer(t)
	organization := owning(t, server, client, "own")
	inheriting := fresh(server, "inheriting")
	changes := idp.Settings{
		idp.ForceMFA: idp.Bool(true), idp.SecondFactorOTPEmail: idp.Bool(true), idp.SecondFactorTOTP: idp.Bool(false),
		idp.MultiFactorU2FVerified: idp.Bool(false), idp.MaxOTPAttempts: idp.Number(3), idp.PasswordMinLength: idp.Number(12), idp.PasswordMaxAgeDays: idp.Number(9),
	}
	for _, scope := range []idp.Scope{idp.Instance, organization, inheriting} {
		for method := range methodsThatWrite(t, scope, changes) {
			server.Inject(zitadeltest.Fault{Method: method, Times: 1, LoseAnswer: true})
		}
		apply(t, client, scope, changes)
		holdSettings(t, server, scope, changes, "every write was answered only the second time")
	}
	resets := fresh(server, "resets")
	apply(t, client, resets, changes)
	server.Inject(zitadeltest.Fault{Method: managementAPI + "ResetLoginPolicyToDefault", Times: 1, LoseAnswer: true})
	if err := client.Reset(t.Context(), resets, idp.Login); err != nil {
		t.Error(err)
	}
}

// methodsThatWrite finds out which calls the changes take on another server.
func methodsThatWrite(t *testing.T, scope idp.Scope, changes idp.Settings) map[string]int {
	t.Helper()
	server, client := newServer(t)
	if !scope.IsInstance() {
		apply(t, client, fresh(server, "inheriting"), changes)
		scope = owning(t, server, client, "own")
	}
	apply(t, client, scope, changes)
	methods := map[string]int{}
	for _, call := range server.Calls() {
		if !call.Read {
			methods[call.Method]++
		}
	}
	return methods
}

func TestManyWritersOfOneScope(t *testing.T) {
	t.Parallel()
	server, client := newServer(t)
	server.SetLag(10*time.Millisecond, 5*time.Millisecond)
	organization := fresh(server, "org")
	settings := []idp.Setting{
		idp.AllowPassword, idp.AllowRegister, idp.AllowExternalIDP, idp.ForceMFA, idp.AllowPasskeys, idp.HidePasswordReset, idp.IgnoreUnknownUsernames,
		idp.AllowDomainDiscovery, idp.DisableLoginWithEmail, idp.DisableLoginWithPhone, idp.SecondFactorTOTP, idp.SecondFactorOTPEmail,
		idp.SecondFactorOTPSMS, idp.MaxOTPAttempts, idp.PasswordMinLength, idp.PasswordMaxAgeDays,
	}
	for _, scope := range []idp.Scope{idp.Instance, organization} {
		found, err := client.Observe(t.Context(), scope, idp.AllGroups()...)
		if err != nil {
			t.Fatal(err)
		}
		api, update := adminAPI, "Update"
		if !scope.IsInstance() {
			api, update = managementAPI, "UpdateCustom"
		}
		conflicts := []string{api + update + "LoginPolicy", api + "AddSecondFactorToLoginPolicy", api + "RemoveSecondFactorFromLoginPolicy"}
		for _, method := range conflicts {
			server.Inject(zitadeltest.Conflict(method, 2))
		}
		server.ResetCalls()
		wanted := idp.Settings{}
		var writers sync.WaitGroup
		for _, s := range settings {
			value := flipped(s, found.Settings[s])
			wanted[s] = value
			writers.Go(func() {
				if _, err := client.Apply(t.Context(), scope, idp.Settings{s: value}); err != nil {
					t.Errorf("%s of %s: %v", s, scope, err)
				}
			})
		}
		writers.Wait()
		holdSettings(t, server, scope, wanted, "none of the changes may undo another")
		if n := counted(server, conflicts...); n < len(conflicts)*2+3 {
			t.Errorf("%s: %d calls, want the conflicts among them: %v", scope, n, server.CountCalls())
		}
	}
}

func TestWaitingForTheTurnEndsWithTheContext(t *testing.T) {
	t.Parallel()
	server, client := newServer(t)
	if err := client.turns.forScope(idp.Instance).take(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := contextWithTimeout(t, 20*time.Millisecond)
	defer cancel()
	_, err := client.Apply(ctx, idp.Instance, idp.Settings{idp.ForceMFA: idp.Bool(true)})
	if idp.CauseOf(err) != idp.TimedOut || !strings.Contains(err.Error(), "waiting") || len(server.Calls()) != 0 {
		t.Errorf("got %v after %v, want TimedOut while waiting, without a call", err, server.CountCalls())
	}
	if _, err := client.Apply(t.Context(), fresh(server, "org"), idp.Settings{idp.ForceMFA: idp.Bool(true)}); err != nil {
		t.Errorf("another scope must not wait: %v", err)
	}
}
