package zitadel

import (
	"context"
	"testing"

	orgv2 "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/org/v2"
	"google.golang.org/grpc"

	"github.com/neosc/mfa-operator/internal/idp"
)

func TestOrganization(t *testing.T) {
	server, client := newServer(t)
	id := server.AddOrganization("Acme")
	server.AddOrganization("Acme Two")
	acme := idp.Organization{ID: id, Name: "Acme", PrimaryDomain: "acme.localhost"}
	tests := []struct {
		ref    idp.OrganizationRef
		want   idp.Organization
		cause  idp.Cause
		reason string
	}{
		{idp.OrganizationRef{ID: id}, acme, "", "by id"},
		{idp.OrganizationRef{Name: "Acme"}, acme, "", "by its exact name"},
		{idp.OrganizationRef{PrimaryDomain: "acme.localhost"}, acme, "", "by its primary domain"},
		{idp.OrganizationRef{Name: "acme"}, idp.Organization{}, idp.NoSuchOrganization, "names are case-sensitive"},
		{idp.OrganizationRef{Name: "Acm"}, idp.Organization{}, idp.NoSuchOrganization, "a prefix is not the name"},
		{idp.OrganizationRef{ID: "404"}, idp.Organization{}, idp.NoSuchOrganization, "no such id"},
		{idp.OrganizationRef{PrimaryDomain: "acme.example"}, idp.Organization{}, idp.NoSuchOrganization, "no such domain"},
		{idp.OrganizationRef{}, idp.Organization{}, idp.InvalidValue, "nothing selected must not mean the first one"},
	}
	for _, test := range tests {
		got, err := client.Organization(t.Context(), test.ref)
		if got != test.want || idp.CauseOf(err) != test.cause {
			t.Errorf("%s: got %+v, %v, want %+v, cause %q", test.reason, got, err, test.want, test.cause)
		}
	}

	_, token := server.AddMachine(server.DefaultOrganizationID(), "nobody")
	if _, err := dial(t, configFor(t, server.Addr(), token)).Organization(t.Context(), idp.OrganizationRef{ID: id}); idp.CauseOf(err) != idp.NoSuchOrganization {
		t.Errorf("one that may not be seen: %v, want NoSuchOrganization", err)
	}
	if _, err := dial(t, configFor(t, server.Addr(), "unknown")).Organization(t.Context(), idp.OrganizationRef{ID: id}); idp.CauseOf(err) != idp.BadCredentials {
		t.Errorf("with a bad token: %v, want BadCredentials", err)
	}
}

// anyDomain answers the query for a domain as the real server does: with every
// organization that has it, be it primary or not.
type anyDomain struct {
	orgv2.UnimplementedOrganizationServiceServer
}

func (anyDomain) ListOrganizations(context.Context, *orgv2.ListOrganizationsRequest) (*orgv2.ListOrganizationsResponse, error) {
	return &orgv2.ListOrganizationsResponse{Result: []*orgv2.Organization{
		{Id: "1", Name: "claims it too", PrimaryDomain: "other.example"},
		{Id: "2", Name: "owns it", PrimaryDomain: "acme.example"},
	}}, nil
}

func TestOnlyThePrimaryDomainCounts(t *testing.T) {
	address := serve(t, func(s *grpc.Server) { orgv2.RegisterOrganizationServiceServer(s, anyDomain{}) })
	got, err := dial(t, configFor(t, address, "token")).Organization(t.Context(), idp.OrganizationRef{PrimaryDomain: "acme.example"})
	if err != nil || got.ID != "2" {
		t.Errorf("got %+v, %v, want the organization whose primary domain it is", got, err)
	}
}
