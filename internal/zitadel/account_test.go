package zitadel

import (
	"cmp"
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

func TestAccount(t *testing.T) {
	server := zitadeltest.Start(t, zitadeltest.Options{Version: "v4.8.15"})
	home, other := server.DefaultOrganizationID(), server.AddOrganization("other")
	expires := time.Now().Add(24 * time.Hour).Truncate(time.Second)

	owner, ownerToken := server.AddMachine(home, "owner", "IAM_OWNER")
	settings, settingsToken := server.AddMachine(home, "settings", "ORG_SETTINGS_MANAGER")
	server.GrantRoles(settings, other, "ORG_OWNER", "ORG_USER_MANAGER")
	nobody, nobodyToken := server.AddMachine(home, "nobody")
	keyed, _ := server.AddMachine(home, "keyed", "IAM_OWNER")
	rotated, _ := server.AddMachine(home, "rotated", "IAM_OWNER")
	_, rotatedToken := server.AddToken(rotated, expires)
	single, firstToken := server.AddMachine(home, "single", "IAM_OWNER")
	_, singleToken := server.AddToken(single, expires)
	server.RevokeToken(firstToken)

	tests := []struct {
		credentials Credentials
		want        idp.Account
		reason      string
	}{
		{pat(ownerToken), idp.Account{UserID: owner, UserName: "owner", ServerVersion: "v4.8.15",
			Roles: []idp.Role{{Name: "IAM_OWNER"}}}, "a token without end"},
		{pat(settingsToken), idp.Account{UserID: settings, UserName: "settings",
			Roles: []idp.Role{{Name: "ORG_OWNER", OrganizationID: other}, {Name: "ORG_SETTINGS_MANAGER", OrganizationID: home}, {Name: "ORG_USER_MANAGER", OrganizationID: other}}}, "may not read the version"},
		{pat(nobodyToken), idp.Account{UserID: nobody, UserName: "nobody"}, "may do nothing, which is not an error"},
		{pat(singleToken), idp.Account{UserID: single, UserName: "single", ServerVersion: "v4.8.15", CredentialExpires: expires,
			Roles: []idp.Role{{Name: "IAM_OWNER"}}}, "the only token, so it is ours"},
		{pat(rotatedToken), idp.Account{UserID: rotated, UserName: "rotated", ServerVersion: "v4.8.15",
			Roles: []idp.Role{{Name: "IAM_OWNER"}}}, "one of two tokens, so its end is unknown"},
		{Credentials{JWTProfile, server.AddKey(keyed, expires)}, idp.Account{UserID: keyed, UserName: "keyed", ServerVersion: "v4.8.15", CredentialExpires: expires,
			Roles: []idp.Role{{Name: "IAM_OWNER"}}}, "the end of the key file"},
	}
	for _, test := range tests {
		cfg := configFor(t, server.Addr(), "")
		cfg.Credentials = test.credentials
		got, err := dial(t, cfg).Account(t.Context())
		if err != nil {
			t.Errorf("%s: %v", test.reason, err)
			continue
		}
		slices.SortFunc(got.Roles, func(a, b idp.Role) int { return cmp.Compare(a.Name, b.Name) })
		if !got.CredentialExpires.Equal(test.want.CredentialExpires) {
			t.Errorf("%s: expires %v, want %v", test.reason, got.CredentialExpires, test.want.CredentialExpires)
		}
		got.CredentialExpires = test.want.CredentialExpires
		if got.UserID != test.want.UserID || got.UserName != test.want.UserName || got.ServerVersion != test.want.ServerVersion || !slices.Equal(got.Roles, test.want.Roles) {
			t.Errorf("%s:\n got %+v\nwant %+v", test.reason, got, test.want)
		}
	}
}

func TestAccountOfManyOrganizations(t *testing.T) {
	server := zitadeltest.Start(t)
	user, token := server.AddMachine(server.DefaultOrganizationID(), "tenants")
	organizations := membershipsPerPage + 1
	for i := range organizations {
		server.GrantRoles(user, server.AddOrganization("org "+string(rune('a'+i%26))+time.Duration(i).String()), "ORG_OWNER")
	}
	account, err := dial(t, configFor(t, server.Addr(), token)).Account(t.Context())
	if err != nil || len(account.Roles) != organizations {
		t.Errorf("%d roles, %v, want %d: one on every organization", len(account.Roles), err, organizations)
	}
}

func TestAccountFailures(t *testing.T) {
	withheld := zitadeltest.Fault{Code: codes.Unimplemented}
	for _, method := range []string{adminAPI + "GetMyInstance", "/zitadel.user.v2.UserService/ListPersonalAccessTokens"} {
		server, client := newServer(t)
		withheld.Method = method
		server.Inject(withheld)
		if _, err := client.Account(t.Context()); err != nil {
			t.Errorf("a server without %s: %v, want the rest of the account", method, err)
		}
	}
	for _, method := range []string{authAPI + "GetMyUser", authAPI + "ListMyMemberships", adminAPI + "GetMyInstance", "/zitadel.user.v2.UserService/ListPersonalAccessTokens"} {
		server, client := newServer(t)
		server.Inject(zitadeltest.Fault{Method: method, Code: codes.Internal})
		if _, err := client.Account(t.Context()); !errors.Is(err, idp.ErrUnreachable) {
			t.Errorf("%s fails: %v, want ErrUnreachable: an account that is half known proves nothing", method, err)
		}
	}
}
