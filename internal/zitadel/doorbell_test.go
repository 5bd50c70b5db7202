package zitadel

import (
	"errors"
	"slices"
	"testing"
	"time"

	actionv2 "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/action/v2"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

const actionAPI = "/zitadel.action.v2.ActionService/"

var bell = idp.Doorbell{Name: "mfa-operator/test", Endpoint: "http://127.0.0.1:1/ring"}

// openServer is a Zitadel whose targets may be on this machine.
func openServer(t *testing.T) (*zitadeltest.Server, *Client) {
	t.Helper()
	server := zitadeltest.Start(t, zitadeltest.Options{DenyList: []string{}})
	return server, dial(t, configFor(t, server.Addr(), server.OwnerToken()))
}

func hungUp(t *testing.T, client *Client, want idp.Doorbell) idp.DoorbellState {
	t.Helper()
	state, err := client.HangDoorbell(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// shown is what the server shows of targets and of executions on events.
func shown(t *testing.T, client *Client) (targets []*actionv2.Target, executions []execution) {
	t.Helper()
	found, err := client.api.ActionServiceV2().ListTargets(t.Context(), &actionv2.ListTargetsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	executions, err = client.eventExecutions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return found.GetTargets(), executions
}

// somebody makes a target of somebody else and has it called on a condition.
func somebody(t *testing.T, client *Client, name string, on condition, besides ...string) string {
	t.Helper()
	made, err := client.api.ActionServiceV2().CreateTarget(t.Context(), &actionv2.CreateTargetRequest{
		Name: name, Endpoint: "http://127.0.0.1:1/theirs", Timeout: durationpb.New(time.Second),
		TargetType: &actionv2.CreateTargetRequest_RestWebhook{RestWebhook: &actionv2.RESTWebhook{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.setExecution(t.Context(), on, append([]string{made.GetId()}, besides...)); err != nil {
		t.Fatal(err)
	}
	return made.GetId()
}

func TestDoorbellIsHungUpOnce(t *testing.T) {
	server, client := openServer(t)
	server.SetLag(60*time.Millisecond, 20*time.Millisecond)
	state := hungUp(t, client, bell)
	targets, executions := shown(t, client)
	if len(targets) != 1 || !isBell(targets[0], bell) || targets[0].GetSigningKey() != state.Key || len(state.Key) != 36 {
		t.Fatalf("the server shows %v", targets)
	}
	if len(state.Taken) != 0 || len(executions) != len(bellConditions) {
		t.Fatalf("taken %v, executions %v", state.Taken, executions)
	}
	if made := counted(server, actionAPI+"CreateTarget"); made != 1 {
		t.Errorf("created %d times, while reads lagged", made)
	}
	if set := counted(server, actionAPI+"SetExecution"); set != len(bellConditions) {
		t.Errorf("%d executions set, want %d", set, len(bellConditions))
	}

	server.ResetCalls()
	if again := hungUp(t, client, bell); again.Key != state.Key {
		t.Error("looking again gives another key")
	}
	if calls := server.CountCalls(); len(calls) != 2 || calls[actionAPI+"ListTargets"] != 1 || calls[actionAPI+"ListExecutions"] != 1 {
		t.Errorf("where nothing is to be done it takes %v", calls)
	}
}

func TestDoorbellIsPutRight(t *testing.T) {
	server, client := openServer(t)
	hungUp(t, client, bell)
	targets, _ := shown(t, client)
	id := targets[0].GetId()
	for why, change := range map[string]*actionv2.UpdateTargetRequest{
		"another URL":            {Endpoint: &[]string{"http://127.0.0.1:1/elsewhere"}[0]},
		"a long timeout":         {Timeout: durationpb.New(200 * time.Second)},
		"one that is waited for": {TargetType: &actionv2.UpdateTargetRequest_RestWebhook{RestWebhook: &actionv2.RESTWebhook{InterruptOnError: true}}},
		"what never arrives":     {PayloadType: actionv2.PayloadType_PAYLOAD_TYPE_JWT},
	} {
		change.Id = id
		if _, err := client.api.ActionServiceV2().UpdateTarget(t.Context(), change); err != nil {
			t.Fatal(err)
		}
		hungUp(t, client, bell)
		if targets, _ := shown(t, client); len(targets) != 1 || !isBell(targets[0], bell) || targets[0].GetId() != id {
			t.Errorf("%s: the server shows %v", why, targets)
		}
	}
	moved := idp.Doorbell{Name: bell.Name, Endpoint: "http://127.0.0.1:1/moved"}
	hungUp(t, client, moved)
	if targets, _ := shown(t, client); len(targets) != 1 || targets[0].GetEndpoint() != moved.Endpoint {
		t.Errorf("after the URL of the spec changed, the server shows %v", targets)
	}
	if made := counted(server, actionAPI+"CreateTarget"); made != 1 {
		t.Errorf("created %d times", made)
	}
}

// TestDoorbellNoticesAnotherKey that somebody gave the target.
func TestDoorbellNoticesAnotherKey(t *testing.T) {
	_, client := openServer(t)
	before := hungUp(t, client, bell)
	targets, _ := shown(t, client)
	rotated, err := client.api.ActionServiceV2().UpdateTarget(t.Context(), &actionv2.UpdateTargetRequest{Id: targets[0].GetId(), ExpirationSigningKey: durationpb.New(0)})
	if err != nil {
		t.Fatal(err)
	}
	if after := hungUp(t, client, bell); after.Key != rotated.GetSigningKey() || after.Key == before.Key {
		t.Error("the key that is returned is not the target's")
	}
}

// TestDoorbellLeavesOthersAlone: what somebody else is called on is neither
// overwritten nor taken from.
func TestDoorbellLeavesOthersAlone(t *testing.T) {
	_, client := openServer(t)
	login := group("org.policy.login")
	theirs := somebody(t, client, "auditor", login)
	state := hungUp(t, client, bell)
	if !slices.Equal(state.Taken, []string{"group org.policy.login"}) {
		t.Errorf("taken: %v", state.Taken)
	}
	_, executions := shown(t, client)
	if !slices.ContainsFunc(executions, func(e execution) bool { return e.on == login && e.only(theirs) }) || len(executions) != len(bellConditions) {
		t.Errorf("the executions are %v", executions)
	}

	// Beside them is where we may be put.
	targets, _ := shown(t, client)
	ours := targets[slices.IndexFunc(targets, func(target *actionv2.Target) bool { return target.GetName() == bell.Name })].GetId()
	if err := client.setExecution(t.Context(), login, []string{theirs, ours}); err != nil {
		t.Fatal(err)
	}
	if state := hungUp(t, client, bell); len(state.Taken) != 0 {
		t.Errorf("listed beside them, taken is %v", state.Taken)
	}

	// All events: every one of ours would be taken from it.
	everything := somebody(t, client, "archive", condition{})
	if state := hungUp(t, client, bell); !slices.Equal(state.Taken, []string{"all events"}) {
		t.Errorf("taken: %v", state.Taken)
	}
	_, executions = shown(t, client)
	if len(executions) != 2 {
		t.Errorf("beside those of others there are %v", executions)
	}

	if err := client.TakeDownDoorbell(t.Context(), bell.Name); err != nil {
		t.Fatal(err)
	}
	left, executions := shown(t, client)
	for _, e := range executions {
		if !e.only(theirs) && !e.only(everything) {
			t.Errorf("after taking it down, there is %v", e)
		}
	}
	if len(left) != 2 || len(executions) != 2 {
		t.Errorf("after taking it down there are %d targets and %d executions, want theirs", len(left), len(executions))
	}
}

func TestDoorbellIsTakenDownWithoutATrace(t *testing.T) {
	server, client := openServer(t)
	server.SetLag(60*time.Millisecond, 20*time.Millisecond)
	hungUp(t, client, bell)
	for range 2 { // the second time there is nothing
		if err := client.TakeDownDoorbell(t.Context(), bell.Name); err != nil {
			t.Fatal(err)
		}
		if targets, executions := shown(t, client); len(targets)+len(executions) != 0 {
			t.Errorf("left are %v and %v", targets, executions)
		}
	}
	if removed := counted(server, actionAPI+"DeleteTarget"); removed != 1 {
		t.Errorf("deleted %d times, while reads lagged", removed)
	}
}

func TestDoorbellRefusals(t *testing.T) {
	denying, owner := newServer(t)
	if _, err := owner.HangDoorbell(t.Context(), bell); idp.CauseOf(err) != idp.EndpointDenied || !errors.Is(err, idp.ErrRejected) {
		t.Errorf("a URL on the deny list: %v", err)
	}
	public := idp.Doorbell{Name: bell.Name, Endpoint: "http://192.0.2.10/ring"} // an address for documentation
	hungUp(t, owner, public)
	if _, err := owner.HangDoorbell(t.Context(), bell); idp.CauseOf(err) != idp.EndpointDenied {
		t.Errorf("a change to a URL on the deny list: %v", err)
	}
	if targets, _ := shown(t, owner); len(targets) != 1 || targets[0].GetEndpoint() != public.Endpoint {
		t.Errorf("after the refusal the server shows %v", targets)
	}
	_, viewer := denying.AddMachine(denying.DefaultOrganizationID(), "viewer", "IAM_OWNER_VIEWER")
	_, nobody := denying.AddMachine(denying.DefaultOrganizationID(), "nobody")
	for who, token := range map[string]string{"a viewer": viewer, "nobody": nobody} {
		client := dial(t, configFor(t, denying.Addr(), token))
		if _, err := client.HangDoorbell(t.Context(), bell); idp.CauseOf(err) != idp.MissingPermission {
			t.Errorf("hung up by %s: %v", who, err)
		}
		if err := client.TakeDownDoorbell(t.Context(), public.Name); idp.CauseOf(err) != idp.MissingPermission {
			t.Errorf("taken down by %s: %v", who, err)
		}
	}
}

// TestDoorbellWaitsForReads, and not for ever.
func TestDoorbellWaitsForReads(t *testing.T) {
	server, client := openServer(t)
	server.SetLag(time.Hour, 0)
	client.confirmWithin = 200 * time.Millisecond
	for range 2 { // the second time it is there already
		if _, err := client.HangDoorbell(t.Context(), bell); idp.CauseOf(err) != idp.NotConfirmed {
			t.Errorf("got %v, want NotConfirmed", err)
		}
	}
	if made := counted(server, actionAPI+"CreateTarget"); made != 2 {
		t.Errorf("created %d times, want once for each attempt", made)
	}
}
