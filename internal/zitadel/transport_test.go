package zitadel

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

func TestWhichFailuresAreRetried(t *testing.T) {
	fault := func(code codes.Code, id string) zitadeltest.Fault {
		return zitadeltest.Fault{Code: code, ErrorID: id, Message: canary}
	}
	tests := []struct {
		fault  zitadeltest.Fault
		cause  idp.Cause
		kind   error
		calls  int
		reason string
	}{
		{fault(codes.Unavailable, ""), idp.Down, idp.ErrUnreachable, 3, "may be back in a moment"},
		{fault(codes.ResourceExhausted, ""), idp.RateLimited, idp.ErrUnreachable, 3, "asked to slow down"},
		{fault(codes.Aborted, ""), idp.WriteConflict, idp.ErrUnreachable, 3, "a conflict by the book"},
		{zitadeltest.Conflict("", 0), idp.WriteConflict, idp.ErrUnreachable, 3, "a conflict as Zitadel says it"},
		{fault(codes.Unknown, ""), idp.ServerFault, idp.ErrUnreachable, 1, "we do not know what was done"},
		{fault(codes.Internal, "RECOVER"), idp.ServerFault, idp.ErrUnreachable, 1, "it would panic again"},
		{fault(codes.DeadlineExceeded, ""), idp.TimedOut, idp.ErrUnreachable, 1, "the first attempt may still be at work"},
		{fault(codes.PermissionDenied, "AUTH-5mWD2"), idp.MissingPermission, idp.ErrDenied, 1, "asking again is no argument"},
		{fault(codes.NotFound, "AUTHZ-cdgFk"), idp.MissingPermission, idp.ErrDenied, 1, "no membership"},
		{fault(codes.Unauthenticated, "AUTH-7fs1e"), idp.BadCredentials, idp.ErrDenied, 1, "the token stays bad"},
		{fault(codes.PermissionDenied, "AUTH-Bs7Ds"), idp.NoSuchOrganization, idp.ErrNotFound, 1, "the organization stays unknown"},
		{fault(codes.InvalidArgument, "INST-SFdqd"), idp.InvalidValue, idp.ErrRejected, 1, "the value stays bad"},
		{fault(codes.FailedPrecondition, "COMMAND-x"), idp.InvalidValue, idp.ErrRejected, 1, "a refusal we do not know"},
	}
	for _, test := range tests {
		t.Run(test.reason, func(t *testing.T) {
			t.Parallel()
			server, client := newServer(t)
			server.Inject(test.fault)
			_, err := client.Observe(t.Context(), idp.Instance, idp.Login)
			if idp.CauseOf(err) != test.cause || !errors.Is(err, test.kind) {
				t.Errorf("got %v, want %s", err, test.cause)
			}
			if n := len(server.Calls()); n != test.calls {
				t.Errorf("%d calls, want %d", n, test.calls)
			}
			if strings.Contains(err.Error(), canary) {
				t.Errorf("%v shows text of the server", err)
			}
		})
	}
}

func TestPassingFailuresAreOvercome(t *testing.T) {
	t.Parallel()
	server, client := newServer(t)
	server.Inject(zitadeltest.Conflict(adminAPI+"UpdateLoginPolicy", 2))
	server.Inject(zitadeltest.Fault{Method: adminAPI + "GetLoginPolicy", Code: codes.Unavailable, Times: 2})
	apply(t, client, idp.Instance, idp.Settings{idp.ForceMFA: idp.Bool(true)})
	if n := counted(server, adminAPI+"UpdateLoginPolicy"); n != 3 {
		t.Errorf("%d updates, want two conflicts and a success", n)
	}
}

func TestRealRefusals(t *testing.T) {
	server, owner := newServer(t)
	org := server.AddOrganization("org")
	as := func(name string, roles ...string) *Client {
		_, token := server.AddMachine(org, name, roles...)
		return dial(t, configFor(t, server.Addr(), token))
	}
	viewer, nobody := as("viewer", "IAM_OWNER_VIEWER"), as("nobody")
	force := idp.Settings{idp.ForceMFA: idp.Bool(true)}
	tests := []struct {
		do     func() error
		cause  idp.Cause
		reason string
	}{
		{func() error { _, err := viewer.Apply(t.Context(), idp.Instance, force); return err }, idp.MissingPermission, "may look only"},
		{func() error { _, err := nobody.Observe(t.Context(), idp.Instance, idp.Login); return err }, idp.MissingPermission, "no role at all"},
		{func() error { _, err := owner.Observe(t.Context(), idp.InOrganization("404"), idp.Login); return err }, idp.NoSuchOrganization, "unknown organization, read"},
		{func() error { return owner.Reset(t.Context(), idp.InOrganization("404"), idp.Login) }, idp.NoSuchOrganization, "unknown organization, reset"},
		{func() error {
			_, err := owner.Apply(t.Context(), idp.Instance, idp.Settings{idp.DefaultRedirectURI: idp.Text("nope")})
			return err
		}, idp.InvalidValue, "a redirect without scheme"},
		{func() error {
			_, err := owner.Apply(t.Context(), idp.Instance, idp.Settings{idp.PasswordMinLength: idp.Number(73)})
			return err
		}, idp.InvalidValue, "a length beyond the hash"},
		{func() error {
			_, err := dial(t, configFor(t, server.Addr(), "unknown")).Account(t.Context())
			return err
		}, idp.BadCredentials, "an unknown token"},
	}
	for _, test := range tests {
		if err := test.do(); idp.CauseOf(err) != test.cause {
			t.Errorf("%s: %v, want %s", test.reason, err, test.cause)
		}
	}
}

func TestSlowServer(t *testing.T) {
	server := zitadeltest.Start(t)
	cfg := configFor(t, server.Addr(), server.OwnerToken())
	cfg.Timeout = 100 * time.Millisecond
	client := dial(t, cfg)
	server.Inject(zitadeltest.Fault{Delay: time.Minute})
	begin := time.Now()
	_, err := client.Observe(t.Context(), idp.Instance, idp.Login)
	if idp.CauseOf(err) != idp.TimedOut || len(server.Calls()) != 1 {
		t.Errorf("got %v after %v, want TimedOut after one call", err, server.CountCalls())
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestCallerThatGivesUp(t *testing.T) {
	server, client := newServer(t)
	server.Inject(zitadeltest.Fault{Delay: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := client.Apply(ctx, idp.Instance, idp.Settings{idp.ForceMFA: idp.Bool(true)})
		failed <- err
	}()
	eventually(t, "the call", func() bool { return len(server.Calls()) > 0 })
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) || idp.CauseOf(err) != "" {
		t.Errorf("got %v, want context.Canceled and no cause", err)
	}
}

func TestServerThatComesBack(t *testing.T) {
	t.Parallel()
	server, client := newServer(t)
	if _, err := client.Account(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	_, err := client.Account(t.Context())
	if idp.CauseOf(err) != idp.Down {
		t.Errorf("got %v, want Down", err)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an answer", func() bool { _, err := client.Account(t.Context()); return err == nil })
}

func TestClosedClient(t *testing.T) {
	_, client := newServer(t)
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Account(t.Context()); idp.CauseOf(err) != idp.Down || errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Down: the caller did not give up", err)
	}
}

// The bucket of these clients is never refilled within the test, so whatever
// gets through was in it at the start.
func TestRateLimit(t *testing.T) {
	server := zitadeltest.Start(t)
	cfg := configFor(t, server.Addr(), server.OwnerToken())
	cfg.RequestsPerSecond, cfg.Burst = 1e-6, 5
	client := dial(t, cfg)
	ctx, cancel := contextWithTimeout(t, time.Minute)
	defer cancel()
	if _, err := client.Observe(ctx, idp.Instance, idp.AllGroups()...); err != nil {
		t.Fatal(err)
	}
	server.Inject(zitadeltest.Fault{Code: codes.Unavailable})
	_, err := client.Observe(ctx, idp.Instance, idp.Login)
	if idp.CauseOf(err) != idp.TimedOut || !strings.Contains(fmt.Sprint(err), "rate limit") {
		t.Errorf("got %v, want TimedOut that names our rate limit", err)
	}
	if n := len(server.Calls()); n != cfg.Burst {
		t.Errorf("%d calls, want %d: an attempt to retry costs as much as a first one", n, cfg.Burst)
	}

	canceled, giveUp := context.WithCancel(t.Context())
	giveUp()
	if _, err := client.Observe(canceled, idp.Instance, idp.Login); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// authority makes certificates for the time of a test.
type authority struct {
	pem         []byte
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return authority{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key, template}
}

func (a authority) certify(t *testing.T, names ...string) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// A Service inside the cluster: another address than the external domain, whose
// certificate it shows, signed by a private authority.
func TestPrivateAuthorityAndAddress(t *testing.T) {
	t.Parallel()
	const domain = "id.example.test"
	ca := newAuthority(t)
	server := zitadeltest.Start(t, zitadeltest.Options{Domain: domain, TLS: ca.certify(t, domain)})
	user, token := server.AddMachine(server.DefaultOrganizationID(), "operator", "IAM_OWNER")
	good := Config{Domain: domain, Address: server.Addr(), CABundle: ca.pem, Credentials: pat(token)}

	if _, err := dial(t, good).Account(t.Context()); err != nil {
		t.Errorf("with a PAT: %v", err)
	}
	withKey := good
	withKey.Credentials = Credentials{JWTProfile, server.AddKey(user, time.Now().Add(time.Hour))}
	if _, err := dial(t, withKey).Account(t.Context()); err != nil {
		t.Errorf("with a key, whose assertion is for https://%s: %v", domain, err)
	}

	for _, credentials := range []Credentials{good.Credentials, withKey.Credentials} {
		for _, test := range []struct {
			change func(*Config)
			fact   string
		}{
			{func(c *Config) { c.CABundle = nil }, "unknown authority"},
			{func(c *Config) { c.CABundle = newAuthority(t).pem }, "unknown authority"},
			{func(c *Config) { c.Domain = "other.example.test" }, "another name"},
		} {
			cfg := good
			cfg.Credentials = credentials
			test.change(&cfg)
			_, err := dial(t, cfg).Account(t.Context())
			if idp.CauseOf(err) != idp.Down || !strings.Contains(fmt.Sprint(err), test.fact) {
				t.Errorf("%s: got %v, want Down: %s", credentials.Type, err, test.fact)
			}
		}
	}
}

func TestInstanceHostHeader(t *testing.T) {
	const domain = "id.example.test"
	server := zitadeltest.Start(t, zitadeltest.Options{Domain: domain})
	user, token := server.AddMachine(server.DefaultOrganizationID(), "operator", "IAM_OWNER")
	f := newFront(t, server)
	cfg := Config{Domain: domain, Port: 8080, Insecure: true, Address: f.address, Credentials: pat(token)}
	if _, err := dial(t, cfg).Account(t.Context()); err != nil {
		t.Error(err)
	}
	cfg.Credentials = Credentials{JWTProfile, server.AddKey(user, time.Now().Add(time.Hour))}
	if _, err := dial(t, cfg).Account(t.Context()); err != nil {
		t.Error(err)
	}
	_, _, hosts := f.seen()
	if hosts = slices.Compact(hosts); !slices.Equal(hosts, []string{domain + ":8080"}) {
		t.Errorf("instance hosts of calls and token requests: %v, want only %s:8080", hosts, domain)
	}

	cfg.Domain, cfg.Credentials = "other.example.test", pat(token)
	if _, err := dial(t, cfg).Account(t.Context()); idp.CauseOf(err) != idp.InvalidValue {
		t.Errorf("a domain of no instance: %v, want InvalidValue: the spec must change", err)
	}
}

func TestNoInstanceHostHeaderWithoutAddress(t *testing.T) {
	server := zitadeltest.Start(t)
	f := newFront(t, server)
	if _, err := dial(t, configFor(t, f.address, server.OwnerToken())).Account(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, hosts := f.seen(); !slices.Equal(slices.Compact(hosts), []string{""}) {
		t.Errorf("instance hosts: %v, want none", hosts)
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = dial(t, configFor(t, address, canary)).Account(t.Context())
	if idp.CauseOf(err) != idp.Down || !strings.HasSuffix(err.Error(), "Unavailable: connection refused") {
		t.Errorf("got %v, want Down: connection refused", err)
	}
}
