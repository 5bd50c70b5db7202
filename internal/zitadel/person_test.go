package zitadel

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	userv2 "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
	"google.golang.org/grpc/codes"

	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

const (
	userAPI    = "/zitadel.user.v2.UserService/"
	sessionAPI = "/zitadel.session.v2.SessionService/"
)

func TestPerson(t *testing.T) {
	server, client := newServer(t)
	acme, other := server.AddOrganization("acme"), server.AddOrganization("other")
	ann := server.AddHuman(acme, "ann", "Ann@Example.com")
	server.AddHuman(acme, "ann-two", "ANN@example.com")
	bob := server.AddHuman(acme, "Bob", "bob@example.com")
	server.AddHuman(other, "carl", "carl@example.com")
	robot, _ := server.AddMachine(acme, "robot")
	locked := server.AddHuman(acme, "locked", "locked@example.com")
	server.SetUserState(locked, userv2.UserState_USER_STATE_LOCKED)
	gone := server.AddHuman(acme, "gone", "gone@example.com")
	server.Owner().RemoveUser(gone)

	tests := []struct {
		ref    idp.PersonRef
		want   idp.Person
		cause  idp.Cause
		reason string
	}{
		{idp.PersonRef{UserID: ann}, idp.Person{UserID: ann, OrganizationID: acme, LoginName: "ann", State: idp.PersonActive}, "", "by id, in whatever organization"},
		{idp.PersonRef{LoginName: "bOB", OrganizationID: acme}, idp.Person{UserID: bob, OrganizationID: acme, LoginName: "Bob", State: idp.PersonActive}, "", "case does not matter in login names"},
		{idp.PersonRef{Email: "BOB@Example.Com", OrganizationID: acme}, idp.Person{UserID: bob, OrganizationID: acme, LoginName: "Bob", State: idp.PersonActive}, "", "nor in addresses"},
		{idp.PersonRef{UserID: locked}, idp.Person{UserID: locked, OrganizationID: acme, LoginName: "locked", State: idp.PersonLocked}, "", "a locked user is still one"},
		{idp.PersonRef{Email: "ann@example.com", OrganizationID: acme}, idp.Person{}, idp.AmbiguousUser, "two have this address: no guess"},
		{idp.PersonRef{LoginName: "carl", OrganizationID: acme}, idp.Person{}, idp.NoSuchUser, "of another organization"},
		{idp.PersonRef{LoginName: "an", OrganizationID: acme}, idp.Person{}, idp.NoSuchUser, "a prefix is not the name"},
		{idp.PersonRef{UserID: "404"}, idp.Person{}, idp.NoSuchUser, "no such id"},
		{idp.PersonRef{UserID: gone}, idp.Person{}, idp.NoSuchUser, "removed"},
		{idp.PersonRef{UserID: robot}, idp.Person{}, idp.NoSuchUser, "a machine is nobody who could have a second factor"},
		{idp.PersonRef{LoginName: "robot", OrganizationID: acme}, idp.Person{}, idp.NoSuchUser, "nor by its name"},
		{idp.PersonRef{LoginName: "ann"}, idp.Person{}, idp.InvalidValue, "without an organization it might be anybody's"},
		{idp.PersonRef{OrganizationID: acme}, idp.Person{}, idp.InvalidValue, "nothing selected must not mean the first one"},
	}
	for _, test := range tests {
		got, err := client.Person(t.Context(), test.ref)
		if got != test.want || idp.CauseOf(err) != test.cause {
			t.Errorf("%s: got %+v, %v, want %+v, cause %q", test.reason, got, err, test.want, test.cause)
		}
	}

	_, token := server.AddMachine(other, "viewer", "ORG_OWNER_VIEWER")
	elsewhere := dial(t, configFor(t, server.Addr(), token))
	if _, err := elsewhere.Person(t.Context(), idp.PersonRef{LoginName: "ann", OrganizationID: acme}); idp.CauseOf(err) != idp.NoSuchUser {
		t.Errorf("one that may not be seen: %v, want NoSuchUser: the server does not tell", err)
	}
	if _, err := elsewhere.Person(t.Context(), idp.PersonRef{UserID: ann}); !errors.Is(err, idp.ErrDenied) {
		t.Errorf("one that may not be seen, by id: %v, want ErrDenied", err)
	}
}

func TestCredentials(t *testing.T) {
	server, client := newServer(t)
	acme := server.AddOrganization("acme")
	ann := server.AddHumanWithPhone(acme, "ann", "ann@example.com", "+41791234567")
	if got, err := client.Credentials(t.Context(), ann); err != nil || len(got.List) > 0 || !got.MethodsKnown || got.HasPassword {
		t.Errorf("a new user: %+v, %v, want nothing, and to know it", got, err)
	}

	owner := server.Owner()
	owner.BeginTOTP(ann)
	u2f := server.AddU2F(ann, "blue\x1b[31m key")
	passkey := server.AddPasskey(ann, "phone")
	owner.AddOTPEmail(ann)
	owner.AddOTPSMS(ann)
	owner.AddRecoveryCodes(ann, 2)
	owner.SetPassword(ann, "Secret-123")
	list := []idp.Credential{
		{Factor: idp.TOTP},
		{Factor: idp.U2F, ID: u2f, Name: "blue[31m key", Ready: true},
		{Factor: idp.OTPSMS, Ready: true},
		{Factor: idp.OTPEmail, Ready: true},
		{Factor: idp.Passkey, ID: passkey, Name: "phone", Ready: true},
	}
	want := idp.Credentials{
		List: append(list[:len(list):len(list)], idp.Credential{Factor: idp.RecoveryCodes, Ready: true}), MethodsKnown: true, HasPassword: true,
	}
	got, err := client.Credentials(t.Context(), ann)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}

	t.Run("a viewer of that organization only", func(t *testing.T) {
		viewer, token := server.AddMachine(server.AddOrganization("home"), "viewer")
		server.GrantRoles(viewer, acme, "ORG_OWNER_VIEWER")
		got, err := dial(t, configFor(t, server.Addr(), token)).Credentials(t.Context(), ann)
		if diff := cmp.Diff(idp.Credentials{List: list}, got); err != nil || diff != "" {
			t.Errorf("%v: methods are checked in the caller's organization, the rest works (-want +got):\n%s", err, diff)
		}
	})
	for _, method := range []string{"ListAuthenticationFactors", "ListPasskeys", "ListAuthenticationMethodTypes"} {
		disarm := server.Inject(zitadeltest.Fault{Method: userAPI + method, Code: codes.Internal})
		if _, err := client.Credentials(t.Context(), ann); !errors.Is(err, idp.ErrUnreachable) {
			t.Errorf("%s fails: %v, want ErrUnreachable: half of the factors are not the factors", method, err)
		}
		disarm()
	}
}

func TestSessions(t *testing.T) {
	server, client := newServer(t)
	acme := server.AddOrganization("acme")
	ann, bob := server.AddHuman(acme, "ann", "ann@example.com"), server.AddHuman(acme, "bob", "bob@example.com")
	owner := server.Owner()
	plain, _ := owner.CreateSession(ann, time.Hour, zitadeltest.StampPassword)
	_, _ = owner.CreateSession(bob, 0, zitadeltest.StampPassword)
	verified, _ := owner.CreateSession(ann, 0, zitadeltest.StampPassword, zitadeltest.StampTOTP)
	alone, _ := owner.CreateSession(ann, 0, zitadeltest.StampTOTP)

	sessions, err := client.Sessions(t.Context(), ann, acme)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]idp.Session{}
	for _, s := range sessions {
		got[s.ID] = s
	}
	if len(got) != 3 || got[plain].MFAVerified || !got[verified].MFAVerified || got[alone].MFAVerified {
		t.Errorf("%+v, want ann's three, and only that with two factors verified", got)
	}
	if got[plain].Expires.IsZero() || !got[verified].Expires.IsZero() {
		t.Errorf("%+v, want the end of the one that has one", got)
	}

	carl := server.AddHuman(acme, "carl", "carl@example.com")
	if sessions, err := client.Sessions(t.Context(), carl, acme); err != nil || len(sessions) > 0 {
		t.Errorf("nobody's sessions, seen by the owner: %v, %v", sessions, err)
	}
	for role, sees := range map[string]bool{"ORG_OWNER_VIEWER": false, "ORG_SETTINGS_MANAGER": false, "ORG_USER_MANAGER": true, "ORG_OWNER": true} {
		_, token := server.AddMachine(acme, role, role)
		sessions, err := dial(t, configFor(t, server.Addr(), token)).Sessions(t.Context(), ann, acme)
		if sees && len(sessions) != 3 || !sees && idp.CauseOf(err) != idp.MissingPermission {
			t.Errorf("%s sees %d sessions, %v: whoever may not see them gets an empty list, which must not pass for none", role, len(sessions), err)
		}
	}
}
