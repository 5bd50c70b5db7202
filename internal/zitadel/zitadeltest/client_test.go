package zitadeltest_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/zitadel/zitadel-go/v3/pkg/client"
	adminpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/admin"
	authpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/auth"
	filterpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/filter/v2"
	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
	"github.com/zitadel/zitadel-go/v3/pkg/zitadel"
	"google.golang.org/grpc/codes"

	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

// zitadelClient is the real client, as the operator builds it.
func zitadelClient(t *testing.T, srv *zitadeltest.Server, auth client.TokenSourceInitializer) *client.Client {
	t.Helper()
	_, port, err := net.SplitHostPort(srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	api, err := client.New(t.Context(), zitadel.New("127.0.0.1", zitadel.WithInsecure(port)), client.WithAuth(auth))
	if err != nil {
		t.Fatalf("building the client: %v", err)
	}
	t.Cleanup(func() { api.Close() }) //nolint:errcheck // the test is over
	return api
}

func keyFile(t *testing.T, content []byte) *client.KeyFile {
	t.Helper()
	file, err := client.ConfigFromKeyFileData(content)
	if err != nil {
		t.Fatalf("reading the key file %s: %v", content, err)
	}
	return file
}

func TestPersonalAccessTokenWithTheRealClient(t *testing.T) {
	srv := zitadeltest.Start(t, zitadeltest.Options{Version: "v4.9.9", InstanceName: "prod"})
	api := zitadelClient(t, srv, client.PAT(srv.OwnerToken()))

	instance, err := api.AdminService().GetMyInstance(t.Context(), &adminpb.GetMyInstanceRequest{})
	if err != nil {
		t.Fatal(err)
	}
	got := instance.GetInstance()
	if got.GetId() != srv.InstanceID() || got.GetName() != "prod" || got.GetVersion() != "v4.9.9" {
		t.Errorf("the instance is %v", got)
	}
	memberships, err := api.AuthService().ListMyMemberships(t.Context(), &authpb.ListMyMembershipsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if m := memberships.GetResult(); len(m) != 1 || !m[0].GetIam() || m[0].GetRoles()[0] != "IAM_OWNER" {
		t.Errorf("the owner's memberships are %v", m)
	}
}

func TestJWTProfileWithTheRealClient(t *testing.T) {
	srv := zitadeltest.Start(t)
	org := srv.AddOrganization("acme")
	machine, _ := srv.AddMachine(org, "operator", "ORG_SETTINGS_MANAGER")
	file := keyFile(t, srv.AddKey(machine, time.Now().Add(time.Hour)))

	api := zitadelClient(t, srv, client.AuthenticationJWTProfile(file, client.ScopeZitadelAPI()))
	me, err := api.AuthService().GetMyUser(t.Context(), &authpb.GetMyUserRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if me.GetUser().GetId() != machine || me.GetUser().GetMachine().GetName() != "operator" {
		t.Errorf("the token belongs to %v", me.GetUser())
	}

	withoutAudience := zitadelClient(t, srv, client.AuthenticationJWTProfile(file, "openid"))
	_, err = withoutAudience.AuthService().GetMyUser(t.Context(), &authpb.GetMyUserRequest{})
	wantRefusal(t, "a token without the Zitadel audience", err, codes.Unauthenticated, "AUTH-7fs1e")
}

// TestTokenEndpointRefuses covers what a wrong or outdated credential meets.
func TestTokenEndpointRefuses(t *testing.T) {
	// The client signs with the time it is, so the server's must not fall behind on a slow machine.
	clock := &testClock{now: time.Now().Add(time.Minute)}
	srv := zitadeltest.Start(t, zitadeltest.Options{Clock: clock.Now, TokenLifetime: time.Minute})
	org := srv.AddOrganization("acme")
	machine, _ := srv.AddMachine(org, "operator")
	file := keyFile(t, srv.AddKey(machine, clock.Now().Add(time.Hour)))
	source, err := client.AuthenticationJWTProfile(file, client.ScopeZitadelAPI())(t.Context(), srv.URL())
	if err != nil {
		t.Fatal(err)
	}
	token, err := source.Token()
	if err != nil {
		t.Fatal(err)
	}
	auth := authpb.NewAuthServiceClient(dial(t, srv.Addr()))
	whoAmI := func() error {
		_, err := auth.GetMyUser(as(t.Context(), token.AccessToken), &authpb.GetMyUserRequest{})
		return err
	}
	if err := whoAmI(); err != nil {
		t.Fatalf("a fresh token: %v", err)
	}

	srv.SetUserState(machine, userpb.UserState_USER_STATE_LOCKED)
	wantRefusal(t, "the token of a locked user", whoAmI(), codes.Unauthenticated, "AUTH-7fs1e")
	if _, err := source.Token(); err == nil {
		t.Error("a locked user got a token")
	}
	srv.SetUserState(machine, userpb.UserState_USER_STATE_ACTIVE)

	clock.Advance(2 * time.Minute)
	wantRefusal(t, "a token past its lifetime", whoAmI(), codes.Unauthenticated, "AUTH-7fs1e")

	response, err := http.PostForm(srv.URL()+"/oauth/v2/token", url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {"not.a.jwt"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // only read
	var body struct{ Error string }
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil || body.Error != "invalid_grant" {
		t.Errorf("a broken assertion: %s %q, %v", response.Status, body.Error, err)
	}
}

func TestOwnTokensAndKeys(t *testing.T) {
	srv := zitadeltest.Start(t)
	org := srv.AddOrganization("acme")
	machine, token := srv.AddMachine(org, "operator")
	other, _ := srv.AddMachine(org, "other")
	expires := time.Date(2040, 5, 6, 7, 8, 9, 0, time.UTC)
	id, _ := srv.AddToken(machine, expires)
	users := userpb.NewUserServiceClient(dial(t, srv.Addr()))

	list := func(userID string) []*userpb.PersonalAccessToken {
		response, err := users.ListPersonalAccessTokens(as(t.Context(), token), &userpb.ListPersonalAccessTokensRequest{
			Filters: []*userpb.PersonalAccessTokensSearchFilter{{
				Filter: &userpb.PersonalAccessTokensSearchFilter_UserIdFilter{UserIdFilter: &filterpb.IDFilter{Id: userID}},
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return response.GetResult()
	}
	if own := list(machine); len(own) != 2 || own[0].GetId() != id || !own[0].GetExpirationDate().AsTime().Equal(expires) {
		t.Errorf("own tokens: %v, want the one expiring %s first", own, expires)
	}
	if others := list(other); len(others) != 0 {
		t.Errorf("a caller without roles sees another's tokens: %v", others)
	}

	key := srv.AddKey(machine, expires)
	for _, part := range []string{`"type":"serviceaccount"`, `"userId":"` + machine + `"`, `BEGIN RSA PRIVATE KEY`, `"expirationDate":"2040-05-06T07:08:09Z"`} {
		if !strings.Contains(string(key), part) {
			t.Errorf("the key file has no %s: %s", part, key)
		}
	}

	srv.RevokeToken(token)
	_, err := users.GetUserByID(as(t.Context(), token), &userpb.GetUserByIDRequest{UserId: machine})
	wantRefusal(t, "a revoked token", err, codes.Unauthenticated, "AUTH-7fs1e")
}

func TestHealthOverHTTP(t *testing.T) {
	srv := zitadeltest.Start(t)
	for _, path := range []string{"/debug/ready", "/debug/healthz"} {
		request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, srv.URL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close() //nolint:errcheck // not read
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, response.Status)
		}
	}
}
