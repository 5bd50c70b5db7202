package zitadeltest_test

import (
	"context"
	"strings"
	"testing"
	"time"

	adminpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/admin"
	managementpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/management"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

const (
	updateLockout = "/zitadel.admin.v1.AdminService/UpdateLockoutPolicy"
	getLockout    = "/zitadel.admin.v1.AdminService/GetLockoutPolicy"
)

func TestFaults(t *testing.T) {
	srv := zitadeltest.Start(t)
	admin := adminpb.NewAdminServiceClient(dial(t, srv.Addr()))
	ctx := as(t.Context(), srv.OwnerToken())
	write := func(attempts uint32) error {
		_, err := admin.UpdateLockoutPolicy(ctx, &adminpb.UpdateLockoutPolicyRequest{MaxPasswordAttempts: attempts})
		return err
	}
	held := func() uint64 {
		policy, _ := srv.LockoutPolicy("")
		return policy.GetMaxPasswordAttempts()
	}

	t.Run("a conflict writes nothing", func(t *testing.T) {
		srv.Inject(zitadeltest.Conflict(updateLockout, 1))
		err := write(5)
		wantRefusal(t, "the conflict", err, codes.Unknown, "")
		for _, part := range []string{"events2_pkey", "23505"} {
			if !strings.Contains(status.Convert(err).Message(), part) {
				t.Errorf("the conflict does not mention %s: %v", part, err)
			}
		}
		if held() != 0 {
			t.Error("the conflict wrote something")
		}
		if err := write(5); err != nil {
			t.Errorf("the second try: %v", err)
		}
	})
	t.Run("a lost answer hides a write", func(t *testing.T) {
		srv.Inject(zitadeltest.Fault{Method: updateLockout, Times: 1, LoseAnswer: true})
		wantRefusal(t, "the lost answer", write(6), codes.Unavailable, "")
		if held() != 6 {
			t.Error("the write did not happen")
		}
		wantRefusal(t, "trying again", write(6), codes.FailedPrecondition, "INSTANCE-0psjF")
	})
	t.Run("until removed, with an id", func(t *testing.T) {
		remove := srv.Inject(zitadeltest.Fault{Code: codes.Internal, ErrorID: "TEST-1", Message: "on purpose"})
		for range 3 {
			wantRefusal(t, "every call", write(7), codes.Internal, "TEST-1")
		}
		remove()
		if err := write(7); err != nil {
			t.Errorf("after removal: %v", err)
		}
	})
	t.Run("a delay ends with the deadline", func(t *testing.T) {
		remove := srv.Inject(zitadeltest.Fault{Method: updateLockout, Delay: time.Hour})
		defer remove()
		short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		_, err := admin.UpdateLockoutPolicy(short, &adminpb.UpdateLockoutPolicyRequest{MaxPasswordAttempts: 8})
		wantRefusal(t, "the delayed call", err, codes.DeadlineExceeded, "")
		if held() != 7 {
			t.Error("the delayed call wrote something")
		}
	})
}

func TestFaultsOfOneOrganization(t *testing.T) {
	srv := zitadeltest.Start(t)
	broken, fine := srv.AddOrganization("broken"), srv.AddOrganization("fine")
	srv.Inject(zitadeltest.Fault{Org: broken, Code: codes.Unavailable})
	management := managementpb.NewManagementServiceClient(dial(t, srv.Addr()))
	read := func(org string) error {
		_, err := management.GetLoginPolicy(as(t.Context(), srv.OwnerToken(), org), &managementpb.GetLoginPolicyRequest{})
		return err
	}
	wantRefusal(t, "the organization of the fault", read(broken), codes.Unavailable, "")
	if err := read(fine); err != nil {
		t.Errorf("another organization: %v", err)
	}
}

func TestCallsAreCounted(t *testing.T) {
	srv := zitadeltest.Start(t)
	admin := adminpb.NewAdminServiceClient(dial(t, srv.Addr()))
	ctx := as(t.Context(), srv.OwnerToken(), srv.DefaultOrganizationID())
	for range 3 {
		if _, err := admin.GetLockoutPolicy(ctx, &adminpb.GetLockoutPolicyRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	// A refused write is a call like any other.
	_, err := admin.UpdateLockoutPolicy(t.Context(), &adminpb.UpdateLockoutPolicyRequest{})
	wantRefusal(t, "no token", err, codes.Unauthenticated, "")

	counts := srv.CountCalls()
	if counts[getLockout] != 3 || counts[updateLockout] != 1 || srv.CountReads() != 3 || srv.CountWrites() != 1 {
		t.Errorf("counted %v, %d reads and %d writes", counts, srv.CountReads(), srv.CountWrites())
	}
	want := zitadeltest.Call{Method: getLockout, Org: srv.DefaultOrganizationID(), OrgHeader: true, Read: true}
	if got := srv.Calls()[0]; got != want {
		t.Errorf("the first call is %+v, want %+v", got, want)
	}
	srv.ResetCalls()
	if calls := srv.Calls(); len(calls) != 0 {
		t.Errorf("after the reset: %v", calls)
	}
}
