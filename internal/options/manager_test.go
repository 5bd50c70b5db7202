package options_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/neosc/mfa-operator/internal/options"
)

// defaults are the safe choices: plain HTTP refused, no metrics to strangers.
var defaults = options.Manager{
	Namespace:      "neosc-system",
	PodName:        "manager-1",
	MetricsAddress: "0",
	HealthAddress:  ":8081",
	PprofAddress:   "0",
	Resync:         12 * time.Hour,
	Probe:          5 * time.Minute,
	LogLevel:       "info",
	LogFormat:      "json",
	Email:          options.Email{TLS: "StartTLS"},
	Tracing:        options.Tracing{Sampling: 1},
}

func TestDefaults(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "")
	t.Setenv("POD_NAME", "manager-1")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	got, err := options.ParseManager(nil)
	if err != nil || got != defaults {
		t.Errorf("got %+v, %v, want %+v", got, err, defaults)
	}
}

func TestEveryFlag(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "from-the-pod")
	got, err := options.ParseManager([]string{
		"--namespace=security", "--pod-name=manager-2", "--audit-stdout", "--audit-cloudevents-url=https://siem.example.com/in", "--audit-cloudevents-token-file=/tmp/token", "--pprof-bind-address=[::1]:6060", "--kubeconfig=/tmp/config", "--leader-elect", "--metrics-bind-address=127.0.0.1:9090",
		"--health-probe-bind-address=0", "--allow-insecure", "--resync=1s", "--probe", "1h", "--log-level=debug", "--log-format=console",
		"--tracing-endpoint=https://collector:4317", "--tracing-sampling=0.25",
		"--smtp-host=mail", "--smtp-port=465", "--smtp-tls=Implicit", "--smtp-ca-file=/ca", "--smtp-username-file=/u", "--smtp-password-file=/p", "--email-from=a@b.c",
	})
	want := options.Manager{
		Namespace: "security", PodName: "manager-2", AuditStdout: true, AuditCloudEventsURL: "https://siem.example.com/in", AuditCloudEventsTokenFile: "/tmp/token", PprofAddress: "[::1]:6060", Kubeconfig: "/tmp/config", LeaderElect: true, MetricsAddress: "127.0.0.1:9090",
		HealthAddress: "0", AllowInsecure: true, Resync: time.Second, Probe: time.Hour, LogLevel: "debug", LogFormat: "console",
		Tracing: options.Tracing{Endpoint: "https://collector:4317", Sampling: 0.25},
		Email:   options.Email{Host: "mail", Port: 465, TLS: "Implicit", CAFile: "/ca", UsernameFile: "/u", PasswordFile: "/p", From: "a@b.c"},
	}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestThePodSaysItsNamespace(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "from-the-pod")
	if got, err := options.ParseManager(nil); err != nil || got.Namespace != "from-the-pod" {
		t.Errorf("got %q, %v", got.Namespace, err)
	}
}

func TestThePodSaysItsName(t *testing.T) {
	t.Setenv("POD_NAME", "")
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := options.ParseManager(nil); err != nil || got.PodName != host {
		t.Errorf("got %q, %v; the host's name is better than none", got.PodName, err)
	}
}

func TestTheEnvironmentSaysWhereTracesGo(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://from.the.environment:4317")
	if got, err := options.ParseManager(nil); err != nil || got.Tracing.Endpoint != "http://from.the.environment:4317" {
		t.Errorf("got %q, %v", got.Tracing.Endpoint, err)
	}
	if got, err := options.ParseManager([]string{"--tracing-endpoint="}); err != nil || got.Tracing.Endpoint != "" {
		t.Errorf("got %q, %v: a flag says it last", got.Tracing.Endpoint, err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://ann:hunter2@collector:4317")
	if _, err := options.ParseManager(nil); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v: a password must be refused, and not be repeated", err)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		args  string
		names []string // what the error must name
		why   string
	}{
		{"--namespace=", []string{"--namespace"}, "claims and leases need a place"},
		{"--pod-name=", []string{"--pod-name"}, "a batch without a writer could not be told from another's"},
		{"--resync=999ms", []string{"--resync", "1s"}, "a hot loop over every target"},
		{"--resync=-1h", []string{"--resync"}, "a pause is not negative"},
		{"--probe=0", []string{"--probe", "1s"}, "a hot loop over every connection"},
		{"--resync=5", []string{"--resync"}, "a pause has a unit"},
		{"--pprof-bind-address=:6060", []string{"--pprof-bind-address", "127.0.0.1"}, "what is in memory would be for the whole network"},
		{"--pprof-bind-address=localhost:6060", []string{"--pprof-bind-address"}, "a name is what a resolver makes of it"},
		{"--audit-cloudevents-token-file=/t", []string{"--audit-cloudevents-url"}, "a token for nobody"},
		{"--audit-cloudevents-token-file=/t --audit-cloudevents-url=http://127.0.0.1:1", []string{"https://"}, "a token crosses no network in the clear"},
		{"--tracing-endpoint=collector:4317", []string{"--tracing-endpoint", "http://"}, "with TLS or without?"},
		{"--tracing-endpoint=http://collector", []string{"--tracing-endpoint", "port"}, "there are two usual ones"},
		{"--tracing-endpoint=http://collector:4318/v1/traces", []string{"--tracing-endpoint"}, "that is OTLP over HTTP, and would fail for ever"},
		{"--tracing-endpoint=http://%zz", []string{"--tracing-endpoint", "URL"}, "the exporter would take its default instead"},
		{"--tracing-sampling=1.5", []string{"--tracing-sampling", "1.5"}, "more than all"},
		{"--tracing-sampling=-0.1", []string{"--tracing-sampling"}, "less than nothing"},
		{"--tracing-sampling=NaN", []string{"--tracing-sampling"}, "no part"},
		{"--log-level=trace", []string{"--log-level", `"trace"`}, "an unknown level would silently be another"},
		{"--log-level=INFO", []string{"--log-level"}, "words are written one way"},
		{"--log-format=text", []string{"--log-format", `"text"`}, "an unknown format would silently be another"},
		{"--resync=0s --probe=0s --log-level=x --log-format=y", []string{"--resync", "--probe", "--log-level", "--log-format"}, "every mistake is told at once"},
		{"--email-subject=x", []string{"email-subject"}, "a notice has a subject of its own"},
		{"--alow-insecure", []string{"alow-insecure"}, "a typing error is not ignored"},
		{"run", []string{`"run"`, "--help"}, "there are no commands"},
	} {
		_, err := options.ParseManager(strings.Fields(c.args))
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
}

func TestHelpIsNotAFailure(t *testing.T) {
	if _, err := options.ParseManager([]string{"--help"}); !errors.Is(err, pflag.ErrHelp) {
		t.Errorf("got %v, want pflag.ErrHelp", err)
	}
}
