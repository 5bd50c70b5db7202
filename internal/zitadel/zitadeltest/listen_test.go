package zitadeltest_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	adminpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/admin"
	managementpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/management"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

func TestHostRouting(t *testing.T) {
	srv := zitadeltest.Start(t, zitadeltest.Options{Domain: "id.example.com"})
	for _, test := range []struct {
		reason, authority, header string
		found                     bool
	}{
		{"loopback reaches the instance", srv.Addr(), "", true},
		{"so does localhost with a port", "localhost:443", "", true},
		{"and IPv6 loopback", "[::1]:443", "", true},
		{"the external domain is the instance", "id.example.com", "", true},
		{"a Service name is not", "zitadel.auth.svc:8080", "", false},
		{"the header beats the host", "zitadel.auth.svc:8080", "id.example.com", true},
		{"also a host that would do", srv.Addr(), "other.example.com", false},
		{"a loopback name in the header is no domain", srv.Addr(), "localhost", false},
	} {
		conn := dial(t, srv.Addr(), grpc.WithAuthority(test.authority))
		ctx := as(t.Context(), srv.OwnerToken())
		if test.header != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "x-zitadel-instance-host", test.header)
		}
		_, err := adminpb.NewAdminServiceClient(conn).GetMyInstance(ctx, &adminpb.GetMyInstanceRequest{})
		if test.found && err != nil {
			t.Errorf("%s: %v", test.reason, err)
		}
		if !test.found {
			wantRefusal(t, test.reason, err, codes.NotFound, "")
			if !strings.Contains(status.Convert(err).Message(), "QUERY-1kIjX") {
				t.Errorf("%s: the text does not mention QUERY-1kIjX: %v", test.reason, err)
			}
		}
	}
}

// TestComesBackOnTheSamePort: a server that is down answers nothing, and forgets nothing.
func TestComesBackOnTheSamePort(t *testing.T) {
	srv := zitadeltest.Start(t)
	org := srv.AddOrganization("acme")
	management := managementpb.NewManagementServiceClient(dial(t, srv.Addr()))
	ctx := as(t.Context(), srv.OwnerToken(), org)
	if _, err := management.AddCustomLockoutPolicy(ctx, &managementpb.AddCustomLockoutPolicyRequest{MaxOtpAttempts: 3}); err != nil {
		t.Fatal(err)
	}
	read := func() (*managementpb.GetLockoutPolicyResponse, error) {
		return management.GetLockoutPolicy(ctx, &managementpb.GetLockoutPolicyRequest{})
	}

	address := srv.Addr()
	srv.Stop()
	_, err := read()
	wantRefusal(t, "a server that is down", err, codes.Unavailable, "")

	if err := srv.Restart(); err != nil {
		t.Fatal(err)
	}
	if srv.Addr() != address {
		t.Errorf("came back on %s, was on %s", srv.Addr(), address)
	}
	eventually(t, "the client reconnects", func() bool { _, err := read(); return err == nil })
	if response, err := read(); err != nil || response.GetPolicy().GetMaxOtpAttempts() != 3 {
		t.Errorf("after the restart: %v, %v", response, err)
	}
}

func TestTLS(t *testing.T) {
	// httptest brings a certificate for 127.0.0.1 and example.com.
	donor := httptest.NewTLSServer(nil)
	defer donor.Close()
	roots := x509.NewCertPool()
	roots.AddCert(donor.Certificate())

	srv := zitadeltest.Start(t, zitadeltest.Options{TLS: &tls.Config{Certificates: donor.TLS.Certificates}})
	conn := dial(t, srv.Addr(), grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots})))
	if _, err := adminpb.NewAdminServiceClient(conn).Healthz(t.Context(), &adminpb.HealthzRequest{}); err != nil {
		t.Errorf("with the right CA: %v", err)
	}
	stranger := dial(t, srv.Addr(), grpc.WithTransportCredentials(credentials.NewTLS(nil)))
	_, err := adminpb.NewAdminServiceClient(stranger).Healthz(t.Context(), &adminpb.HealthzRequest{})
	wantRefusal(t, "without it", err, codes.Unavailable, "")
}

// TestManyCallersAtOnce checks, above all under the race detector, that every accepted write counts
// exactly once.
func TestManyCallersAtOnce(t *testing.T) {
	srv := zitadeltest.Start(t, zitadeltest.Options{Lag: time.Millisecond, Jitter: time.Millisecond})
	admin := adminpb.NewAdminServiceClient(dial(t, srv.Addr()))
	ctx := as(t.Context(), srv.OwnerToken())
	const callers, rounds = 8, 25
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			for round := range rounds {
				value := uint32(1 + caller*rounds + round)
				if _, err := admin.UpdateLockoutPolicy(ctx, &adminpb.UpdateLockoutPolicyRequest{MaxOtpAttempts: value}); err != nil {
					t.Errorf("writing %d: %v", value, err)
				}
				if _, err := admin.GetLockoutPolicy(ctx, &adminpb.GetLockoutPolicyRequest{}); err != nil {
					t.Errorf("reading: %v", err)
				}
				srv.AddOrganization(fmt.Sprintf("org-%d-%d", caller, round))
				srv.Calls()
				srv.LoginPolicy("")
			}
		})
	}
	group.Wait()

	changes := 0
	for _, name := range srv.EventTypes(srv.InstanceID()) {
		if name == "instance.policy.lockout.changed" {
			changes++
		}
	}
	if changes != callers*rounds {
		t.Errorf("%d writes left %d events", callers*rounds, changes)
	}
	if srv.CountReads() != callers*rounds || srv.CountWrites() != callers*rounds {
		t.Errorf("counted %d reads and %d writes, want %d each", srv.CountReads(), srv.CountWrites(), callers*rounds)
	}
}
