package zitadeltest_test

import (
	"testing"
	"time"

	actionpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/action/v2"
	adminpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/admin"
	managementpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/management"
	sessionpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/session/v2"
	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

// TestRoles is the least-privilege table measured on a real server, row by row: which roles may, in
// the order of the columns. ORG roles are granted on organization A; B is another one.
func TestRoles(t *testing.T) {
	columns := []string{
		"IAM_OWNER", "IAM_OWNER_VIEWER", "IAM_ORG_MANAGER", "IAM_USER_MANAGER", "IAM_LOGIN_CLIENT",
		"ORG_OWNER", "ORG_USER_MANAGER", "ORG_SETTINGS_MANAGER", "ORG_OWNER_VIEWER",
	}
	rows := []struct {
		operation string
		allowed   string // one character per column: x may, - may not
		try       func(scene) error
	}{
		{"instance policy read", "xx--x----", func(s scene) error {
			_, err := adminpb.NewAdminServiceClient(s.conn).GetLoginPolicy(as(s.t.Context(), s.token), &adminpb.GetLoginPolicyRequest{})
			return err
		}},
		{"instance policy write", "x--------", func(s scene) error {
			_, err := adminpb.NewAdminServiceClient(s.conn).UpdateLockoutPolicy(as(s.t.Context(), s.token), &adminpb.UpdateLockoutPolicyRequest{})
			return err
		}},
		{"org policy read A", "xxx-xxxxx", func(s scene) error {
			_, err := managementpb.NewManagementServiceClient(s.conn).GetLoginPolicy(as(s.t.Context(), s.token, s.orgA), &managementpb.GetLoginPolicyRequest{})
			return err
		}},
		{"org policy write A", "x-x--x-x-", func(s scene) error { return s.writePolicy(s.orgA) }},
		{"org policy write B", "x-x------", func(s scene) error { return s.writePolicy(s.orgB) }},
		{"user read A", "xxxxxxx-x", func(s scene) error { return s.readUser(s.userA) }},
		{"user read B", "xxxxx----", func(s scene) error { return s.readUser(s.userB) }},
		{"remove OTP", "x-xxxxx--", func(s scene) error {
			_, err := s.users().RemoveOTPEmail(as(s.t.Context(), s.token), &userpb.RemoveOTPEmailRequest{UserId: s.userA})
			return granted(err, "COMMAND-b312D")
		}},
		{"remove OTP B", "x-xxx----", func(s scene) error {
			_, err := s.users().RemoveOTPSMS(as(s.t.Context(), s.token), &userpb.RemoveOTPSMSRequest{UserId: s.userB})
			return granted(err, "COMMAND-Sr3h3")
		}},
		{"remove TOTP", "x-xxxxx--", func(s scene) error {
			s.srv.AddTOTP(s.userA)
			_, err := s.users().RemoveTOTP(as(s.t.Context(), s.token), &userpb.RemoveTOTPRequest{UserId: s.userA})
			return err
		}},
		{"remove U2F", "x-xxxxx--", func(s scene) error {
			id := s.srv.AddU2F(s.userA, "blue")
			_, err := s.users().RemoveU2F(as(s.t.Context(), s.token), &userpb.RemoveU2FRequest{UserId: s.userA, U2FId: id})
			return err
		}},
		{"remove passkey", "x-xxxxx--", func(s scene) error {
			id := s.srv.AddPasskey(s.userA, "laptop")
			_, err := s.users().RemovePasskey(as(s.t.Context(), s.token), &userpb.RemovePasskeyRequest{UserId: s.userA, PasskeyId: id})
			return err
		}},
		{"register TOTP", "x-x-xx---", func(s scene) error {
			_, err := s.users().RegisterTOTP(as(s.t.Context(), s.token), &userpb.RegisterTOTPRequest{UserId: s.userA})
			return err
		}},
		{"register U2F", "x-x-xx---", func(s scene) error {
			_, err := s.users().RegisterU2F(as(s.t.Context(), s.token), &userpb.RegisterU2FRequest{UserId: s.userA})
			return err
		}},
		{"register passkey", "x-x-xx---", func(s scene) error {
			_, err := s.users().RegisterPasskey(as(s.t.Context(), s.token), &userpb.RegisterPasskeyRequest{UserId: s.userA})
			return err
		}},
		{"register passkey B", "x-x-x----", func(s scene) error {
			_, err := s.users().RegisterPasskey(as(s.t.Context(), s.token), &userpb.RegisterPasskeyRequest{UserId: s.userB})
			return err
		}},
		{"generate recovery codes", "x-x-xx---", func(s scene) error {
			_, err := s.users().GenerateRecoveryCodes(as(s.t.Context(), s.token), &userpb.GenerateRecoveryCodesRequest{UserId: s.userA, Count: 1})
			return err
		}},
		{"add OTP", "x-x-xx---", func(s scene) error {
			_, err := s.users().AddOTPEmail(as(s.t.Context(), s.token), &userpb.AddOTPEmailRequest{UserId: s.userA})
			return err
		}},
		{"remove recovery codes", "x-x-xx---", func(s scene) error {
			_, err := s.users().RemoveRecoveryCodes(as(s.t.Context(), s.token), &userpb.RemoveRecoveryCodesRequest{UserId: s.userA})
			return err
		}},
		{"lock", "x-xxxxx--", func(s scene) error {
			_, err := s.users().LockUser(as(s.t.Context(), s.token), &userpb.LockUserRequest{UserId: s.userA})
			return err
		}},
		{"lock B", "x-xxx----", func(s scene) error {
			_, err := s.users().LockUser(as(s.t.Context(), s.token), &userpb.LockUserRequest{UserId: s.userB})
			return err
		}},
		{"unlock", "x-xxxxx--", func(s scene) error {
			s.srv.Owner().Lock(s.userA)
			_, err := s.users().UnlockUser(as(s.t.Context(), s.token), &userpb.UnlockUserRequest{UserId: s.userA})
			return err
		}},
		{"session list", "xxxxxxx--", func(s scene) error {
			response, err := sessionpb.NewSessionServiceClient(s.conn).ListSessions(as(s.t.Context(), s.token), &sessionpb.ListSessionsRequest{})
			if err == nil && len(response.GetSessions()) == 0 {
				return status.Error(codes.PermissionDenied, "an empty list")
			}
			return err
		}},
		{"session delete", "x-xxxxx--", func(s scene) error {
			_, err := sessionpb.NewSessionServiceClient(s.conn).DeleteSession(as(s.t.Context(), s.token), &sessionpb.DeleteSessionRequest{SessionId: s.session})
			return err
		}},
		{"session create", "x---x----", func(s scene) error {
			_, err := sessionpb.NewSessionServiceClient(s.conn).CreateSession(as(s.t.Context(), s.token), &sessionpb.CreateSessionRequest{})
			return err
		}},
		{"session set", "x---x----", func(s scene) error {
			_, err := sessionpb.NewSessionServiceClient(s.conn).SetSession(as(s.t.Context(), s.token), &sessionpb.SetSessionRequest{SessionId: s.session})
			return err
		}},
		{"ListEvents", "xx-------", func(s scene) error {
			_, err := adminpb.NewAdminServiceClient(s.conn).ListEvents(as(s.t.Context(), s.token), &adminpb.ListEventsRequest{Limit: 1})
			return err
		}},
		{"targets read", "xx-------", func(s scene) error {
			_, err := actionpb.NewActionServiceClient(s.conn).ListTargets(as(s.t.Context(), s.token), &actionpb.ListTargetsRequest{})
			return err
		}},
		{"targets write", "x--------", func(s scene) error {
			_, err := actionpb.NewActionServiceClient(s.conn).CreateTarget(as(s.t.Context(), s.token), &actionpb.CreateTargetRequest{
				Name: "hook", Endpoint: "https://192.0.2.10/hook", Timeout: durationpb.New(time.Second),
				TargetType: &actionpb.CreateTargetRequest_RestAsync{RestAsync: &actionpb.RESTAsync{}},
			})
			return err
		}},
		{"executions read", "xx-------", func(s scene) error {
			_, err := actionpb.NewActionServiceClient(s.conn).ListExecutions(as(s.t.Context(), s.token), &actionpb.ListExecutionsRequest{})
			return err
		}},
		{"executions write", "x--------", func(s scene) error {
			_, err := actionpb.NewActionServiceClient(s.conn).SetExecution(as(s.t.Context(), s.token), &actionpb.SetExecutionRequest{Condition: onAllEvents()})
			return err
		}},
	}
	for _, row := range rows {
		t.Run(row.operation, func(t *testing.T) {
			for i, role := range columns {
				err := row.try(newScene(t, role))
				if may := row.allowed[i] == 'x'; may != (err == nil) {
					t.Errorf("%s: may is %v, got %v", role, may, err)
				}
				refused := status.Code(err) == codes.PermissionDenied || status.Code(err) == codes.NotFound
				if err != nil && !refused {
					t.Errorf("%s: failed for another reason: %v", role, err)
				}
			}
		})
	}
}

// scene is two organizations with a user each, a session, and a caller with one role.
type scene struct {
	t                                 *testing.T
	srv                               *zitadeltest.Server
	conn                              *grpc.ClientConn
	orgA, orgB, userA, userB, session string
	token                             string
}

func newScene(t *testing.T, role string) scene {
	srv := zitadeltest.Start(t)
	s := scene{t: t, srv: srv, conn: dial(t, srv.Addr()), orgA: srv.AddOrganization("a"), orgB: srv.AddOrganization("b")}
	s.userA = srv.AddHuman(s.orgA, "ann", "ann@example.com")
	s.userB = srv.AddHuman(s.orgB, "bob", "bob@example.com")
	_, s.token = srv.AddMachine(s.orgA, "caller", role)
	created, err := sessionpb.NewSessionServiceClient(s.conn).CreateSession(as(t.Context(), srv.OwnerToken()), &sessionpb.CreateSessionRequest{
		Checks: &sessionpb.Checks{User: &sessionpb.CheckUser{Search: &sessionpb.CheckUser_UserId{UserId: s.userA}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.session = created.GetSessionId()
	return s
}

func (s scene) users() userpb.UserServiceClient { return userpb.NewUserServiceClient(s.conn) }

func (s scene) writePolicy(org string) error {
	_, err := managementpb.NewManagementServiceClient(s.conn).AddCustomLoginPolicy(as(s.t.Context(), s.token, org), &managementpb.AddCustomLoginPolicyRequest{})
	return err
}

func (s scene) readUser(id string) error {
	_, err := s.users().GetUserByID(as(s.t.Context(), s.token), &userpb.GetUserByIDRequest{UserId: id})
	return err
}

// granted takes the error that only callers with the right get to see as success.
func granted(err error, id string) error {
	if errorID(err) == id {
		return nil
	}
	return err
}
