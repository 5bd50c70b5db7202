package zitadel

import (
	"errors"
	"testing"

	"github.com/neosc/mfa-operator/internal/idp"
)

func TestSetLocked(t *testing.T) {
	server, client := newServer(t)
	acme := server.AddOrganization("acme")
	ann := server.AddHuman(acme, "ann", "ann@example.com")
	for _, locked := range []bool{true, true, false, false, true} { // twice is the same as once
		if err := client.SetLocked(t.Context(), ann, locked); err != nil {
			t.Errorf("locked %t: %v", locked, err)
		}
		one, err := client.Person(t.Context(), idp.PersonRef{UserID: ann})
		if err != nil || (one.State == idp.PersonLocked) != locked {
			t.Errorf("%+v, %v, want locked %t", one, err, locked)
		}
	}
	if err := client.SetLocked(t.Context(), "nobody", true); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("nobody: %v, want ErrNotFound", err)
	}
	_, token := server.AddMachine(acme, "viewer", "ORG_OWNER_VIEWER")
	if err := dial(t, configFor(t, server.Addr(), token)).SetLocked(t.Context(), ann, false); !errors.Is(err, idp.ErrDenied) {
		t.Errorf("by a viewer: %v, want ErrDenied", err)
	}
}
