package zitadeltest_test

import (
	"slices"
	"testing"

	adminpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/admin"
	permissionpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/internal_permission/v2"
	managementpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/management"
	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
	"google.golang.org/grpc/codes"

	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

// The tests here are about behaviour that the server description pins and no recording touches.

func TestNotificationPolicy(t *testing.T) {
	srv := zitadeltest.Start(t)
	conn := dial(t, srv.Addr())
	admin, management := adminpb.NewAdminServiceClient(conn), managementpb.NewManagementServiceClient(conn)
	ctx := as(t.Context(), srv.OwnerToken(), srv.AddOrganization("acme"))

	_, err := admin.UpdateNotificationPolicy(ctx, &adminpb.UpdateNotificationPolicyRequest{PasswordChange: true})
	wantRefusal(t, "instance: no change", err, codes.FailedPrecondition, "INSTANCE-29x02n")
	_, err = admin.AddNotificationPolicy(ctx, &adminpb.AddNotificationPolicyRequest{})
	wantRefusal(t, "instance: there always is one", err, codes.AlreadyExists, "INSTANCE-xpo1bj")

	_, err = management.UpdateCustomNotificationPolicy(ctx, &managementpb.UpdateCustomNotificationPolicyRequest{})
	wantRefusal(t, "update without an own one", err, codes.NotFound, "ORG-x029n3")
	_, err = management.ResetNotificationPolicyToDefault(ctx, &managementpb.ResetNotificationPolicyToDefaultRequest{})
	wantRefusal(t, "reset without an own one", err, codes.NotFound, "ORG-x029n1s")
	if _, err := management.AddCustomNotificationPolicy(ctx, &managementpb.AddCustomNotificationPolicyRequest{}); err != nil {
		t.Fatal(err)
	}
	_, err = management.AddCustomNotificationPolicy(ctx, &managementpb.AddCustomNotificationPolicyRequest{})
	wantRefusal(t, "add again", err, codes.AlreadyExists, "Org-xa08n2")
	_, err = management.UpdateCustomNotificationPolicy(ctx, &managementpb.UpdateCustomNotificationPolicyRequest{})
	wantRefusal(t, "no change", err, codes.FailedPrecondition, "Org-ioqnxz")
}

func TestPasswordsMeetThePolicy(t *testing.T) {
	srv := zitadeltest.Start(t)
	org := srv.AddOrganization("acme")
	users := userpb.NewUserServiceClient(dial(t, srv.Addr()))
	create := func(name, password string) error {
		_, err := users.CreateUser(as(t.Context(), srv.OwnerToken()), &userpb.CreateUserRequest{
			OrganizationId: org,
			Username:       &name,
			UserType: &userpb.CreateUserRequest_Human_{Human: &userpb.CreateUserRequest_Human{
				Profile:      &userpb.SetHumanProfile{GivenName: "Ann", FamilyName: "Example"},
				Email:        &userpb.SetHumanEmail{Email: name + "@example.com"},
				PasswordType: &userpb.CreateUserRequest_Human_Password{Password: &userpb.Password{Password: password}},
			}},
		})
		return err
	}
	for password, id := range map[string]string{
		"Aa1!":       "COMMA-HuJf6",
		"AAAA1111!!": "COMMA-co3Xw",
		"aaaa1111!!": "COMMA-VoaRj",
		"AAAAaaaa!!": "COMMA-ZBv4H",
		"AAAAaaaa11": "COMMA-ZDLwA",
	} {
		wantRefusal(t, password, create("ann", password), codes.InvalidArgument, id)
	}
	if err := create("ann", "AAaa11!!"); err != nil {
		t.Errorf("a good password: %v", err)
	}
	wantRefusal(t, "user names differ in more than case", create("ANN", "AAaa11!!"), codes.AlreadyExists, "V3-DKcYh")
}

func TestUserQueriesCombine(t *testing.T) {
	srv := zitadeltest.Start(t)
	org := srv.AddOrganization("acme")
	ann := srv.AddHuman(org, "ann", "ann@example.com")
	bob := srv.AddHuman(org, "bob", "bob@example.com")
	machine, _ := srv.AddMachine(org, "svc")
	srv.SetUserState(bob, userpb.UserState_USER_STATE_LOCKED)
	users := userpb.NewUserServiceClient(dial(t, srv.Addr()))

	inOrg := &userpb.SearchQuery{Query: &userpb.SearchQuery_OrganizationIdQuery{OrganizationIdQuery: &userpb.OrganizationIdQuery{OrganizationId: org}}}
	named := func(name string) *userpb.SearchQuery {
		return &userpb.SearchQuery{Query: &userpb.SearchQuery_UserNameQuery{UserNameQuery: &userpb.UserNameQuery{UserName: name}}}
	}
	locked := &userpb.SearchQuery{Query: &userpb.SearchQuery_StateQuery{StateQuery: &userpb.StateQuery{State: userpb.UserState_USER_STATE_LOCKED}}}
	human := &userpb.SearchQuery{Query: &userpb.SearchQuery_TypeQuery{TypeQuery: &userpb.TypeQuery{Type: userpb.Type_TYPE_HUMAN}}}
	not := func(q *userpb.SearchQuery) *userpb.SearchQuery {
		return &userpb.SearchQuery{Query: &userpb.SearchQuery_NotQuery{NotQuery: &userpb.NotQuery{Query: q}}}
	}
	or := func(qs ...*userpb.SearchQuery) *userpb.SearchQuery {
		return &userpb.SearchQuery{Query: &userpb.SearchQuery_OrQuery{OrQuery: &userpb.OrQuery{Queries: qs}}}
	}
	for _, test := range []struct {
		reason  string
		queries []*userpb.SearchQuery
		want    []string
	}{
		{"by state", []*userpb.SearchQuery{inOrg, locked}, []string{bob}},
		{"by type", []*userpb.SearchQuery{inOrg, human}, []string{ann, bob}},
		{"not", []*userpb.SearchQuery{inOrg, not(human)}, []string{machine}},
		{"or", []*userpb.SearchQuery{inOrg, or(named("ann"), named("svc"))}, []string{ann, machine}},
		{"nested", []*userpb.SearchQuery{inOrg, not(or(named("ann"), locked))}, []string{machine}},
	} {
		response, err := users.ListUsers(as(t.Context(), srv.OwnerToken()), &userpb.ListUsersRequest{Queries: test.queries})
		if err != nil {
			t.Errorf("%s: %v", test.reason, err)
		}
		var got []string
		for _, u := range response.GetResult() {
			got = append(got, u.GetUserId())
		}
		slices.Sort(got)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: got %v, want %v", test.reason, got, test.want)
		}
	}
}

func TestAdministrators(t *testing.T) {
	srv := zitadeltest.Start(t)
	org := srv.AddOrganization("acme")
	user := srv.AddHuman(org, "ann", "ann@example.com")
	api := permissionpb.NewInternalPermissionServiceClient(dial(t, srv.Addr()))
	ctx := as(t.Context(), srv.OwnerToken())
	onOrg := &permissionpb.ResourceType{Resource: &permissionpb.ResourceType_OrganizationId{OrganizationId: org}}
	onInstance := &permissionpb.ResourceType{Resource: &permissionpb.ResourceType_Instance{Instance: true}}
	create := func(userID string, on *permissionpb.ResourceType, role string) error {
		_, err := api.CreateAdministrator(ctx, &permissionpb.CreateAdministratorRequest{UserId: userID, Resource: on, Roles: []string{role}})
		return err
	}
	wantRefusal(t, "an instance role on an organization", create(user, onOrg, "IAM_OWNER"), codes.InvalidArgument, "Org-4N8es")
	wantRefusal(t, "a role that does not exist", create(user, onInstance, "IAM_NOPE"), codes.InvalidArgument, "INSTANCE-4m0fS")
	wantRefusal(t, "a user that does not exist", create("404404404404404404", onOrg, "ORG_OWNER"), codes.FailedPrecondition, "ORG-GoXOn")
	if err := create(user, onOrg, "ORG_OWNER"); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, "twice", create(user, onOrg, "ORG_OWNER"), codes.AlreadyExists, "ORG-poWwe")

	update := func(on *permissionpb.ResourceType) error {
		_, err := api.UpdateAdministrator(ctx, &permissionpb.UpdateAdministratorRequest{UserId: user, Resource: on, Roles: []string{"ORG_OWNER_VIEWER"}})
		return err
	}
	for range 2 {
		if err := update(onOrg); err != nil {
			t.Errorf("updating, also to the same roles: %v", err)
		}
	}
	list, err := api.ListAdministrators(ctx, &permissionpb.ListAdministratorsRequest{Filters: []*permissionpb.AdministratorSearchFilter{
		{Filter: &permissionpb.AdministratorSearchFilter_Role{Role: &permissionpb.RoleFilter{RoleKey: "ORG_OWNER_VIEWER"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if a := list.GetAdministrators(); len(a) != 1 || a[0].GetUser().GetId() != user || a[0].GetOrganization().GetName() != "acme" {
		t.Errorf("administrators with the role: %v", a)
	}
	for range 2 {
		if _, err := api.DeleteAdministrator(ctx, &permissionpb.DeleteAdministratorRequest{UserId: user, Resource: onOrg}); err != nil {
			t.Errorf("deleting, also twice: %v", err)
		}
	}
	wantRefusal(t, "updating what is gone", update(onOrg), codes.NotFound, "Org-D8JxR")
}

// TestPasskeyRemovedAsU2F: writes forget the passkey, reads list it for good.
func TestPasskeyRemovedAsU2F(t *testing.T) {
	srv := zitadeltest.Start(t)
	user := srv.AddHuman(srv.AddOrganization("acme"), "ann", "ann@example.com")
	passkey, key := srv.AddPasskey(user, "laptop"), srv.AddU2F(user, "blue key")
	users := userpb.NewUserServiceClient(dial(t, srv.Addr()))
	ctx := as(t.Context(), srv.OwnerToken())
	for _, id := range []string{passkey, key} {
		if _, err := users.RemoveU2F(ctx, &userpb.RemoveU2FRequest{UserId: user, U2FId: id}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := users.RemovePasskey(ctx, &userpb.RemovePasskeyRequest{UserId: user, PasskeyId: passkey})
	wantRefusal(t, "removing it properly afterwards", err, codes.NotFound, "COMMAND-DAfb2")
	passkeys, err := users.ListPasskeys(ctx, &userpb.ListPasskeysRequest{UserId: user})
	if err != nil || len(passkeys.GetResult()) != 1 || passkeys.GetResult()[0].GetName() != "laptop" {
		t.Errorf("passkeys: %v, %v", passkeys, err)
	}
	methods, err := users.ListAuthenticationMethodTypes(ctx, &userpb.ListAuthenticationMethodTypesRequest{UserId: user})
	want := []userpb.AuthenticationMethodType{userpb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_PASSKEY}
	if err != nil || !slices.Equal(methods.GetAuthMethodTypes(), want) {
		t.Errorf("methods: %v, %v", methods, err)
	}
}

func TestRemovedOrganization(t *testing.T) {
	srv := zitadeltest.Start(t)
	org := srv.AddOrganization("acme")
	_, token := srv.AddMachine(org, "operator", "ORG_OWNER")
	management := managementpb.NewManagementServiceClient(dial(t, srv.Addr()))
	srv.RemoveOrganization(org)

	_, err := management.GetLoginPolicy(as(t.Context(), srv.OwnerToken(), org), &managementpb.GetLoginPolicyRequest{})
	wantRefusal(t, "naming it", err, codes.PermissionDenied, "AUTH-Bs7Ds")
	_, err = management.GetLoginPolicy(as(t.Context(), token), &managementpb.GetLoginPolicyRequest{})
	wantRefusal(t, "a token of one of its users", err, codes.Unauthenticated, "AUTH-7fs1e")
	if srv.AddOrganization("acme") == org {
		t.Error("the name is free again, the id is not")
	}
}

func TestWhatIsNotImitatedSaysSo(t *testing.T) {
	srv := zitadeltest.Start(t)
	_, err := adminpb.NewAdminServiceClient(dial(t, srv.Addr())).GetLabelPolicy(as(t.Context(), srv.OwnerToken()), &adminpb.GetLabelPolicyRequest{})
	wantRefusal(t, "a policy nobody needs here", err, codes.Unimplemented, "")
}
