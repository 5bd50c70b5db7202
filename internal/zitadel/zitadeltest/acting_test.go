package zitadeltest_test

import (
	"slices"
	"testing"
	"time"

	adminpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/admin"
	policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
	sessionpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/session/v2"
	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

// TestActorsLeaveTheirName: what somebody does behind the operator's back is visible at once, and
// the event log says who it was.
func TestActorsLeaveTheirName(t *testing.T) {
	srv := zitadeltest.Start(t, zitadeltest.Options{Lag: time.Hour})
	org := srv.AddOrganization("acme")
	admin, _ := srv.AddMachine(org, "console-admin", "ORG_OWNER")
	user := srv.AddHumanWithPhone(org, "ann", "ann@example.com", "+41791234567")
	events := adminpb.NewAdminServiceClient(dial(t, srv.Addr()))
	ctx := as(t.Context(), srv.OwnerToken())
	cursor := time.Now()

	console, ann := srv.As(admin), srv.As(user)
	console.ChangeLoginPolicy(org, func(p *policypb.LoginPolicy) {
		p.ForceMfa = true
		p.SecondFactors = []policypb.SecondFactorType{policypb.SecondFactorType_SECOND_FACTOR_TYPE_U2F}
	})
	console.ChangeLoginPolicy(org, func(p *policypb.LoginPolicy) { p.ForceMfa = false })
	console.ChangeLoginPolicy(org, func(*policypb.LoginPolicy) {})
	console.ChangeLockoutPolicy("", func(p *policypb.LockoutPolicy) { p.MaxOtpAttempts = 4 })
	console.ChangePasswordComplexityPolicy(org, func(p *policypb.PasswordComplexityPolicy) { p.MinLength = 16 })
	console.ChangePasswordAgePolicy(org, func(p *policypb.PasswordAgePolicy) { p.MaxAgeDays = 30 })
	console.ChangeNotificationPolicy(org, func(p *policypb.NotificationPolicy) { p.PasswordChange = false })
	console.ResetLoginPolicy(org)
	ann.AddTOTP(user)
	key := ann.AddU2F(user, "blue")
	ann.AddOTPEmail(user)
	ann.AddRecoveryCodes(user, 2)
	ann.RemoveU2F(user, key)
	console.RemoveTOTP(user)
	console.Lock(user)
	console.Unlock(user)

	list, err := events.ListEvents(ctx, &adminpb.ListEventsRequest{
		Asc: true, CreationDateFilter: &adminpb.ListEventsRequest_From{From: timestamppb.New(cursor)},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range list.GetEvents() {
		got = append(got, e.GetEditor().GetDisplayName()+" "+e.GetType().GetType())
	}
	want := []string{
		"console-admin org.policy.login.added", "console-admin org.policy.login.secondfactor.added",
		"console-admin org.policy.login.multifactor.added", "console-admin org.policy.login.changed",
		"console-admin instance.policy.lockout.changed", "console-admin org.policy.password.complexity.added",
		"console-admin org.policy.password.age.added", "console-admin org.policy.notification.added",
		"console-admin org.policy.login.removed",
		"ann user.human.mfa.otp.added", "ann user.human.mfa.otp.verified",
		"ann user.human.mfa.u2f.token.added", "ann user.human.mfa.u2f.token.verified",
		"ann user.human.mfa.otp.email.added", "ann user.human.mfa.recoverycode.added", "ann user.human.mfa.u2f.token.removed",
		"console-admin user.human.mfa.otp.removed", "console-admin user.locked", "console-admin user.unlocked",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the log says\n%q\nwant\n%q", got, want)
	}
}

// TestActorsMakeSessions with any stamps, without paying for a password.
func TestActorsMakeSessions(t *testing.T) {
	srv := zitadeltest.Start(t)
	user := srv.AddHuman(srv.AddOrganization("acme"), "ann", "ann@example.com")
	ann := srv.As(user)
	id, token := ann.CreateSession(user, time.Hour, zitadeltest.StampPassword, zitadeltest.StampPasskey)
	conn := dial(t, srv.Addr())
	sessions := sessionpb.NewSessionServiceClient(conn)
	read := func() (*sessionpb.GetSessionResponse, error) {
		return sessions.GetSession(as(t.Context(), srv.OwnerToken()), &sessionpb.GetSessionRequest{SessionId: id})
	}
	response, err := read()
	f := response.GetSession().GetFactors()
	if err != nil || f.GetPassword() == nil || !f.GetWebAuthN().GetUserVerified() || f.GetTotp() != nil || response.GetSession().GetExpirationDate() == nil {
		t.Fatalf("the session is %v, %v", response, err)
	}
	self := &userpb.GetUserByIDRequest{UserId: user}
	if _, err := userpb.NewUserServiceClient(conn).GetUserByID(as(t.Context(), token), self); err != nil {
		t.Errorf("using its token: %v", err)
	}
	ann.SetPassword(user, "Other-123")
	if response, err := read(); err != nil || response.GetSession().GetFactors().GetPassword() != nil {
		t.Errorf("after a new password: %v, %v", response, err)
	}
	ann.DeleteSession(id)
	if _, err := read(); errorID(err) != "QUERY-SFeaa" {
		t.Errorf("after its end: %v", err)
	}
}
