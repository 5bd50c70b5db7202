package zitadeltest_test

import (
	"fmt"
	"testing"
	"time"

	adminpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/admin"
	objectv2pb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/object/v2"
	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"

	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

// TestHoldsAHundredThousandUsers seeds a large instance and reads through it as an operator would.
// The bounds are an order of magnitude above what it takes, so that only a change of growth fails.
func TestHoldsAHundredThousandUsers(t *testing.T) {
	if testing.Short() {
		t.Skip("a large instance takes seconds")
	}
	const organizations, usersEach = largeOrganizations, 100
	srv := zitadeltest.Start(t)
	within(t, "seeding", 2*time.Minute, func() {
		for o := range organizations {
			org := srv.AddOrganization(fmt.Sprintf("org-%d", o))
			for u := range usersEach {
				srv.AddHuman(org, fmt.Sprintf("user-%d-%d", o, u), fmt.Sprintf("user-%d-%d@example.com", o, u))
			}
		}
	})
	conn := dial(t, srv.Addr())
	users, ctx := userpb.NewUserServiceClient(conn), as(t.Context(), srv.OwnerToken())

	within(t, "a thousand look-ups by e-mail", 30*time.Second, func() {
		for i := range 1_000 {
			response, err := users.ListUsers(ctx, &userpb.ListUsersRequest{Queries: []*userpb.SearchQuery{{Query: &userpb.SearchQuery_EmailQuery{
				EmailQuery: &userpb.EmailQuery{EmailAddress: fmt.Sprintf("user-%d-7@example.com", i%organizations)},
			}}}})
			if err != nil || len(response.GetResult()) != 1 {
				t.Fatalf("look-up %d: %d users, %v", i, len(response.GetResult()), err)
			}
		}
	})
	within(t, "all users in pages", 2*time.Minute, func() {
		const page = 5_000
		seen := map[string]bool{}
		for offset := uint64(0); ; offset += page {
			response, err := users.ListUsers(ctx, &userpb.ListUsersRequest{
				Query:         &objectv2pb.ListQuery{Offset: offset, Limit: page, Asc: true},
				SortingColumn: userpb.UserFieldName_USER_FIELD_NAME_CREATION_DATE,
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range response.GetResult() {
				seen[u.GetUserId()] = true
			}
			if len(response.GetResult()) < page {
				break
			}
		}
		if len(seen) != organizations*usersEach+1 { // and the owner
			t.Errorf("saw %d users", len(seen))
		}
	})
	within(t, "all events from cursor to cursor", 2*time.Minute, func() {
		request := &adminpb.ListEventsRequest{Asc: true}
		count := 0
		for {
			response, err := adminpb.NewAdminServiceClient(conn).ListEvents(ctx, request)
			if err != nil {
				t.Fatal(err)
			}
			if len(response.GetEvents()) == 0 {
				break
			}
			count += len(response.GetEvents())
			last := response.GetEvents()[len(response.GetEvents())-1]
			request.CreationDateFilter = &adminpb.ListEventsRequest_From{From: last.GetCreationDate()}
		}
		if count < organizations*usersEach {
			t.Errorf("read %d events", count)
		}
	})
}

func within(t *testing.T, what string, limit time.Duration, work func()) {
	t.Helper()
	start := time.Now()
	work()
	took := time.Since(start)
	t.Logf("%s took %s", what, took.Round(time.Millisecond))
	if took > limit {
		t.Errorf("%s took %s, want less than %s", what, took, limit)
	}
}
