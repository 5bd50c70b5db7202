package zitadeltest_test

import (
	"testing"
	"time"

	adminpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/admin"
	idppb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/idp"
	managementpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/management"
	policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
	"google.golang.org/grpc/codes"

	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

// TestReadsTrailBehindWrites is the reason the server keeps two views: a read right after a write is
// old, a second write right after it is not fooled.
func TestReadsTrailBehindWrites(t *testing.T) {
	const lag = 150 * time.Millisecond
	srv := zitadeltest.Start(t, zitadeltest.Options{Lag: lag})
	admin := adminpb.NewAdminServiceClient(dial(t, srv.Addr()))
	ctx := as(t.Context(), srv.OwnerToken())
	update := &adminpb.UpdateLockoutPolicyRequest{MaxPasswordAttempts: 5}
	attempts := func() uint64 {
		response, err := admin.GetLockoutPolicy(ctx, &adminpb.GetLockoutPolicyRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return response.GetPolicy().GetMaxPasswordAttempts()
	}

	written := time.Now()
	response, err := admin.UpdateLockoutPolicy(ctx, update)
	if err != nil {
		t.Fatal(err)
	}
	if got := attempts(); got != 0 && time.Since(written) < lag {
		t.Errorf("the first read after the write shows %d, want the old 0", got)
	}
	_, err = admin.UpdateLockoutPolicy(ctx, update)
	wantRefusal(t, "writes decide on the log", err, codes.FailedPrecondition, "INSTANCE-0psjF")
	if held, _ := srv.LockoutPolicy(""); held.GetMaxPasswordAttempts() != 5 {
		t.Errorf("the server holds %d attempts, want 5", held.GetMaxPasswordAttempts())
	}

	eventually(t, "the read view catches up", func() bool { return attempts() == 5 })
	if took := time.Since(written); took < lag {
		t.Errorf("visible after %s, want not before %s", took, lag)
	}
	read, err := admin.GetLockoutPolicy(ctx, &adminpb.GetLockoutPolicyRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := read.GetPolicy().GetDetails().GetSequence(), response.GetDetails().GetSequence(); got != want {
		t.Errorf("the read has sequence %d, the write reported %d", got, want)
	}
}

// TestSeedingIsVisibleAtOnce: a scene must not depend on the lag under test.
func TestSeedingIsVisibleAtOnce(t *testing.T) {
	srv := zitadeltest.Start(t, zitadeltest.Options{Lag: time.Hour})
	org := srv.AddOrganization("acme")
	_, token := srv.AddMachine(org, "operator", "ORG_OWNER")
	management := managementpb.NewManagementServiceClient(dial(t, srv.Addr()))
	if _, err := management.GetLoginPolicy(as(t.Context(), token), &managementpb.GetLoginPolicyRequest{}); err != nil {
		t.Error(err)
	}
}

// TestKeepsWhatOnlyANewerServerKnows: clients must carry over numbers they have no name for.
func TestKeepsWhatOnlyANewerServerKnows(t *testing.T) {
	srv := zitadeltest.Start(t)
	org := srv.AddOrganization("acme")
	srv.SetInstanceIDPs(zitadeltest.IDP{ID: "idp-1", Name: "Corporate"})
	srv.StoreSecondFactor("", 9)
	management := managementpb.NewManagementServiceClient(dial(t, srv.Addr()))
	ctx := as(t.Context(), srv.OwnerToken(), org)

	inherited, err := management.GetLoginPolicy(ctx, &managementpb.GetLoginPolicyRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if f := inherited.GetPolicy().GetSecondFactors(); len(f) != 3 || f[2] != 9 {
		t.Errorf("second factors %v, want 9 as the third", f)
	}
	if i := inherited.GetPolicy().GetIdps(); len(i) != 1 || i[0].GetIdpName() != "Corporate" {
		t.Errorf("identity providers %v, want Corporate", i)
	}

	add := func(idp string) error {
		_, err := management.AddCustomLoginPolicy(ctx, &managementpb.AddCustomLoginPolicyRequest{
			SecondFactors: []policypb.SecondFactorType{policypb.SecondFactorType_SECOND_FACTOR_TYPE_OTP},
			Idps:          []*managementpb.AddCustomLoginPolicyRequest_IDP{{IdpId: idp, OwnerType: idppb.IDPOwnerType_IDP_OWNER_TYPE_SYSTEM}},
		})
		return err
	}
	wantRefusal(t, "a provider that does not exist", add("idp-2"), codes.FailedPrecondition, "Org-FEd32")
	if err := add("idp-1"); err != nil {
		t.Fatal(err)
	}
	held, own := srv.LoginPolicy(org)
	if !own || len(held.GetIdps()) != 1 || held.GetIdps()[0].GetIdpId() != "idp-1" {
		t.Errorf("the organization holds own=%v %v, want idp-1", own, held.GetIdps())
	}
}
