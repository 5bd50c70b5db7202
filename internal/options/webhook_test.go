package options_test

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/neosc/mfa-operator/internal/options"
)

func TestWebhookDefaults(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "")
	t.Setenv("POD_NAME", "webhook-0")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	got, err := options.ParseWebhook(nil)
	want := options.Webhook{
		Namespace: "neosc-system", Address: ":9443", DNSNames: []string{"mfa-operator-webhook.neosc-system.svc"},
		CertificateSecret: "mfa-operator-webhook-tls", Configuration: "mfa-operator-webhook",
		MFA: options.MFA{
			PodName: "webhook-0", Issuer: "https://mfa-operator-webhook.neosc-system.svc", Email: options.Email{TLS: "StartTLS"},
		},
		DoorbellAddress: "0", ShutdownDelay: 5 * time.Second, MetricsAddress: "0", HealthAddress: ":8081", PprofAddress: "0", LogLevel: "info", LogFormat: "json",
		Tracing: options.Tracing{Sampling: 1},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestEveryWebhookFlag(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "from-the-pod")
	got, err := options.ParseWebhook([]string{
		"--namespace=security", "--kubeconfig=/tmp/config", "--bind-address=127.0.0.1:1", "--dns-name=a.example", "--dns-name=b.example",
		"--certificate-secret=s", "--configuration=c", "--client-ca-file=/tmp/ca", "--doorbell-bind-address=:9080", "--metrics-bind-address=:9090",
		"--health-probe-bind-address=0", "--log-level=debug", "--log-format=console",
		"--mfa-namespace=a,b", "--pod-name=p", "--mfa-issuer=https://mfa.example", "--webauthn-rp-id=example.com", "--webauthn-rp-name=Example",
		"--webauthn-origin=https://login.example.com", "--smtp-host=mail", "--smtp-port=465", "--smtp-tls=Implicit", "--smtp-ca-file=/ca",
		"--smtp-username-file=/u", "--smtp-password-file=/p", "--email-from=a@b.c", "--email-subject=Code", "--sms-gateway-url=https://sms",
		"--sms-signing-key-file=/k", "--sms-token-file=/t", "--sms-ca-file=/c", "--sms-prefix=+49",
		"--mfa-public-url=https://mfa.example.com", "--mfa-page-proxy=10.0.0.0/8", "--mfa-page-proxy=2001:db8::/32", "--fido-metadata-file=/m",
		"--pprof-bind-address=127.0.0.1:6060", "--neosc-namespace=policies", "--shutdown-delay=7s",
		"--tracing-endpoint=http://collector:4317", "--tracing-sampling=0",
	})
	want := options.Webhook{
		Namespace: "security", Kubeconfig: "/tmp/config", Address: "127.0.0.1:1", DNSNames: []string{"a.example", "b.example"},
		CertificateSecret: "s", Configuration: "c", ClientCAFile: "/tmp/ca",
		MFA: options.MFA{
			Namespaces: []string{"a", "b"}, PodName: "p", Issuer: "https://mfa.example",
			RelyingPartyID: "example.com", RelyingPartyName: "Example", Origins: []string{"https://login.example.com", "https://mfa.example.com"},
			FIDOMetadataFile: "/m",
			PublicURL:        "https://mfa.example.com", PageProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")},
			Email: options.Email{
				Host: "mail", Port: 465, TLS: "Implicit", CAFile: "/ca", UsernameFile: "/u", PasswordFile: "/p", From: "a@b.c", Subject: "Code",
			},
			SMS: options.SMS{URL: "https://sms", SigningKeyFile: "/k", TokenFile: "/t", CAFile: "/c", Prefixes: []string{"+49"}},
		},
		NeoSCNamespace: "policies", ShutdownDelay: 7 * time.Second,
		DoorbellAddress: ":9080", MetricsAddress: ":9090", HealthAddress: "0", PprofAddress: "127.0.0.1:6060",
		LogLevel: "debug", LogFormat: "console", Tracing: options.Tracing{Endpoint: "http://collector:4317"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestTheServiceIsInTheWebhooksNamespace(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "from-the-pod")
	if got, err := options.ParseWebhook(nil); err != nil || got.DNSNames[0] != "mfa-operator-webhook.from-the-pod.svc" {
		t.Errorf("got %q, %v", got.DNSNames, err)
	}
}

func TestWebhookRefusals(t *testing.T) {
	for _, c := range []struct {
		args  string
		names []string // what the error must name
		why   string
	}{
		{"--namespace=", []string{"--namespace"}, "the certificate needs a place"},
		{"--bind-address=", []string{"--bind-address"}, "that would be any port"},
		{"--doorbell-bind-address=", []string{"--doorbell-bind-address"}, "the same; off is 0"},
		{"--shutdown-delay=31s", []string{"--shutdown-delay"}, "the Pod is killed before what is under way is done"},
		{"--shutdown-delay=-1s", []string{"--shutdown-delay"}, "no time is negative"},
		{"--certificate-secret= --configuration=", []string{"--certificate-secret", "--configuration"}, "every mistake is told at once"},
		{"--dns-name=https://x", []string{"--dns-name"}, "a name is no URL"},
		{"--dns-name=*.svc", []string{"--dns-name"}, "nobody else's name"},
		{"--mfa-namespace=neosc-system", []string{"--mfa-namespace", "neosc-system"}, "beside the credentials for Zitadel"},
		{"--mfa-namespace=A", []string{"--mfa-namespace", `"A"`}, "no namespace has such a name"},
		{"--neosc-namespace=a/b", []string{"--neosc-namespace", `"a/b"`}, "the same"},
		{"--mfa-issuer=http://x", []string{"--mfa-issuer"}, "who checks a token may fetch the keys there"},
		{"--webauthn-rp-id=https://x", []string{"--webauthn-rp-id"}, "a domain is no URL"},
		{"--webauthn-origin=https://x", []string{"--webauthn-origin", "--webauthn-rp-id"}, "an origin of nobody"},
		{"--webauthn-rp-id=a.example --webauthn-origin=https://b.example", []string{"--webauthn-origin", "a.example"}, "no browser would take it"},
		{"--webauthn-rp-id=a.example --webauthn-origin=http://a.example", []string{"--webauthn-origin", "https"}, "nor this"},
		{"--webauthn-rp-id=a.example --webauthn-origin=https://a.example/login", []string{"--webauthn-origin"}, "an origin has no path"},
		{"--mfa-public-url=https://mfa.example.com", []string{"--mfa-public-url", "--mfa-namespace"}, "a page for nobody"},
		{"--mfa-namespace=a --webauthn-rp-id=a.example --mfa-public-url=https://b.example", []string{"--mfa-public-url", "a.example"}, "no browser would make a key there"},
		{"--mfa-namespace=a --mfa-public-url=https://b.example/mfa", []string{"--mfa-public-url"}, "the page is at a path of its own"},
		{"--mfa-namespace=a --mfa-public-url=http://b.example", []string{"--mfa-public-url", "https"}, "the link would be read on the way"},
		{"--mfa-namespace=a --mfa-public-url=https://B.example", []string{"--mfa-public-url", "lower case"}, "browsers name another origin"},
		{"--mfa-namespace=a --mfa-public-url=https://b.example:443", []string{"--mfa-public-url", "port"}, "the same"},
		{"--mfa-page-proxy=10.0.0.1", []string{"--mfa-page-proxy"}, "one address, or all that begin so?"},
		{"--mfa-page-proxy=10.0.0.1/8", []string{"--mfa-page-proxy"}, "the same"},
		{"--pprof-bind-address=0.0.0.0:6060", []string{"--pprof-bind-address"}, "what is in memory would be for the whole network"},
		{"--tracing-endpoint=collector:4317", []string{"--tracing-endpoint"}, "with TLS or without?"},
		{"--log-level=trace", []string{"--log-level", `"trace"`}, "an unknown level would silently be another"},
		{"--log-format=text", []string{"--log-format", `"text"`}, "an unknown format would silently be another"},
		{"--leader-elect", []string{"leader-elect"}, "there is no leader"},
		{"run", []string{`"run"`, "--help"}, "there are no commands"},
	} {
		_, err := options.ParseWebhook(strings.Fields(c.args))
		if err == nil {
			t.Errorf("%s is accepted: %s", c.args, c.why)
			continue
		}
		for _, name := range c.names {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("%s: the error does not name %s: %v", c.args, name, err)
			}
		}
	}
	if _, err := options.ParseWebhook([]string{"--help"}); !errors.Is(err, pflag.ErrHelp) {
		t.Errorf("got %v, want pflag.ErrHelp", err)
	}
}
