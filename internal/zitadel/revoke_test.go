package zitadel

import (
	"errors"
	"testing"
	"time"

	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

func TestRemoveCredential(t *testing.T) {
	server := zitadeltest.Start(t, zitadeltest.Options{Lag: 50 * time.Millisecond})
	client := dial(t, configFor(t, server.Addr(), server.OwnerToken()))
	acme := server.AddOrganization("acme")
	ann := server.AddHumanWithPhone(acme, "ann", "ann@example.com", "+41791234567")
	owner := server.Owner()
	server.AddTOTP(ann)
	owner.AddOTPEmail(ann)
	owner.AddOTPSMS(ann)
	owner.AddRecoveryCodes(ann, 1)
	server.AddU2F(ann, "blue")
	server.AddU2F(ann, "red")
	server.AddPasskey(ann, "phone")

	all, err := client.Credentials(t.Context(), ann)
	if err != nil || len(all.List) != 7 {
		t.Fatalf("%+v, %v, want seven", all, err)
	}
	for i, one := range all.List {
		for range 2 { // twice is the same as once
			if err := client.RemoveCredential(t.Context(), ann, one); err != nil {
				t.Errorf("removing %s: %v", one.Factor, err)
			}
		}
		left, err := client.Credentials(t.Context(), ann)
		if err != nil || len(left.List) != len(all.List)-i-1 {
			t.Errorf("after removing %s: %+v, %v, want it to show, and nothing else gone", one.Factor, left.List, err)
		}
	}
	if err := client.RemoveCredential(t.Context(), ann, idp.Credential{Factor: idp.Password}); !errors.Is(err, idp.ErrRejected) {
		t.Errorf("a password: %v, want ErrRejected: it is no factor", err)
	}
}

func TestRemoveCredentialNeedsTheRight(t *testing.T) {
	server := zitadeltest.Start(t)
	acme := server.AddOrganization("acme")
	ann := server.AddHuman(acme, "ann", "ann@example.com")
	server.AddTOTP(ann)
	server.Owner().AddRecoveryCodes(ann, 1)
	_, token := server.AddMachine(acme, "manager", "ORG_USER_MANAGER")
	client := dial(t, configFor(t, server.Addr(), token))
	if err := client.RemoveCredential(t.Context(), ann, idp.Credential{Factor: idp.RecoveryCodes, Ready: true}); !errors.Is(err, idp.ErrDenied) {
		t.Errorf("recovery codes: %v, want ErrDenied: they need more than the others", err)
	}
	if err := client.RemoveCredential(t.Context(), ann, idp.Credential{Factor: idp.TOTP, Ready: true}); err != nil {
		t.Errorf("TOTP: %v", err)
	}
}

func TestEndSession(t *testing.T) {
	server, client := newServer(t)
	acme := server.AddOrganization("acme")
	ann := server.AddHuman(acme, "ann", "ann@example.com")
	id, _ := server.Owner().CreateSession(ann, 0, zitadeltest.StampPassword)
	for range 2 {
		if err := client.EndSession(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	if left, err := client.Sessions(t.Context(), ann, acme); err != nil || len(left) > 0 {
		t.Errorf("%v, %v, want none left", left, err)
	}
	_, token := server.AddMachine(acme, "viewer", "ORG_OWNER_VIEWER")
	if err := dial(t, configFor(t, server.Addr(), token)).EndSession(t.Context(), id); !errors.Is(err, idp.ErrDenied) {
		t.Errorf("by a viewer: %v, want ErrDenied", err)
	}
}
