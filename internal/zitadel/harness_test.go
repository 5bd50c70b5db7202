package zitadel

import (
	"context"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

const (
	adminAPI      = "/zitadel.admin.v1.AdminService/"
	managementAPI = "/zitadel.management.v1.ManagementService/"
	authAPI       = "/zitadel.auth.v1.AuthService/"
)

// configFor connects to a plain server by its loopback address, without a
// noticeable rate limit.
func configFor(t *testing.T, address, token string) Config {
	t.Helper()
	host, digits, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return Config{Domain: host, Port: uint16(port), Insecure: true, Credentials: pat(token), RequestsPerSecond: 1e6, Burst: 1e6}
}

func dial(t *testing.T, cfg Config) *Client {
	t.Helper()
	client, err := Dial(cfg)
	if err != nil {
		t.Fatal(err)
	}
	client.pace.Cap = 50 * time.Millisecond
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// newServer returns a fresh Zitadel and a client of its owner.
func newServer(t *testing.T) (*zitadeltest.Server, *Client) {
	t.Helper()
	server := zitadeltest.Start(t)
	return server, dial(t, configFor(t, server.Addr(), server.OwnerToken()))
}

func apply(t *testing.T, client *Client, scope idp.Scope, changes idp.Settings) idp.State {
	t.Helper()
	state, err := client.Apply(t.Context(), scope, changes)
	if err != nil {
		t.Fatalf("applying %v at %s: %v", changes, scope, err)
	}
	return state
}

// held returns the policy in the server's event log, without details.
func held(server *zitadeltest.Server, scope idp.Scope, g idp.Group) (p policyMessage, own bool) {
	switch g {
	case idp.Login:
		login, own := server.LoginPolicy(scope.OrganizationID)
		login.Details = nil
		return login, own
	case idp.Lockout:
		lockout, own := server.LockoutPolicy(scope.OrganizationID)
		lockout.Details = nil
		return lockout, own
	case idp.PasswordComplexity:
		complexity, own := server.PasswordComplexityPolicy(scope.OrganizationID)
		complexity.Details = nil
		return complexity, own
	default:
		age, own := server.PasswordAgePolicy(scope.OrganizationID)
		age.Details = nil
		return age, own
	}
}

func allHeld(server *zitadeltest.Server, scope idp.Scope) map[idp.Group]policyMessage {
	all := map[idp.Group]policyMessage{}
	for _, g := range idp.AllGroups() {
		all[g], _ = held(server, scope, g)
	}
	return all
}

// hold fails the test unless the server holds exactly this policy.
func hold(t *testing.T, server *zitadeltest.Server, scope idp.Scope, g idp.Group, want policyMessage, reason string) {
	t.Helper()
	got, _ := held(server, scope, g)
	asSets := protocmp.SortRepeated(func(a, b policy.SecondFactorType) bool { return a < b })
	if diff := cmp.Diff(proto.Message(want), got, protocmp.Transform(), asSets); diff != "" {
		t.Errorf("%s: the server holds another %s (-want +got):\n%s", reason, g, diff)
	}
}

// holdSettings fails the test unless the server holds the wanted values.
func holdSettings(t *testing.T, server *zitadeltest.Server, scope idp.Scope, want idp.Settings, reason string) {
	t.Helper()
	for _, g := range want.Groups() {
		p, _ := held(server, scope, g)
		if diff := settingsOf(g, p).Differences(want.Of(g)); len(diff) > 0 {
			t.Errorf("%s: the server does not hold %v", reason, diff)
		}
	}
}

// flipped returns another value of the setting than the one it has.
func flipped(s idp.Setting, now idp.Value) idp.Value {
	for _, other := range []idp.Value{
		idp.Bool(!now.Bool()), idp.Number(now.Number() + 1), idp.Duration(now.Duration() + time.Hour), idp.Text("https://example.com/after"),
	} {
		if fieldOf[s].fits(other) {
			return other
		}
	}
	panic("no other value of " + s)
}

// fresh returns a new organization.
func fresh(server *zitadeltest.Server, name string) idp.Scope {
	return idp.InOrganization(server.AddOrganization(name))
}

// owning returns a new organization with all four policies of its own, copies
// of the instance's.
func owning(t *testing.T, server *zitadeltest.Server, client *Client, name string) idp.Scope {
	t.Helper()
	scope := fresh(server, name)
	for _, g := range idp.AllGroups() {
		found, err := client.read(t.Context(), scope, g)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.policies(scope).write(t.Context(), found); err != nil {
			t.Fatal(err)
		}
		if _, own := held(server, scope, g); !own {
			t.Fatalf("%s has no %s of its own", scope, g)
		}
	}
	return scope
}

func counted(server *zitadeltest.Server, methods ...string) (n int) {
	for _, call := range server.Calls() {
		if slices.Contains(methods, call.Method) {
			n++
		}
	}
	return n
}

// serve runs a server of our own making, for what the fake never does, and
// returns its address.
func serve(t *testing.T, register func(*grpc.Server)) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	register(server)
	go server.Serve(listener) //nolint:errcheck // ended by Stop
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

// countedLike counts the calls of all methods whose name starts like this.
func countedLike(server *zitadeltest.Server, prefix string) (n int) {
	for _, call := range server.Calls() {
		if strings.HasPrefix(path.Base(call.Method), prefix) {
			n++
		}
	}
	return n
}

func contextWithTimeout(t *testing.T, after time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), after)
}

// eventually waits for something another goroutine does.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 2*time.Millisecond, 10*time.Second, true,
		func(context.Context) (bool, error) { return happened(), nil })
	if err != nil {
		t.Fatalf("%s never happened", what)
	}
}
