package options

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Webhook is what the operator of the webhook process chooses.
type Webhook struct {
	// Namespace is the operator's own: the certificate and what the manager
	// publishes are there.
	Namespace string
	// Kubeconfig is a file; empty: $KUBECONFIG, then the pod's service account.
	Kubeconfig string
	// Address is the host:port to serve on.
	Address string
	// DNSNames are those by which the API server calls, at least one.
	DNSNames []string
	// CertificateSecret names the Secret with the certificate, Configuration the
	// ValidatingWebhookConfiguration that leads here.
	CertificateSecret string
	Configuration     string
	// CertificateProvided tells that somebody else keeps both up.
	CertificateProvided bool
	// ClientCAFile, if not empty, has the certificates of those who may issue
	// callers' certificates; callers without one are then refused.
	ClientCAFile string
	// MFA is for applications.
	MFA MFA
	// NeoSCNamespace is the one whose policies NeoSC's API answers with; empty: there is
	// no such API.
	NeoSCNamespace string
	// DoorbellAddress is the host:port to hear Zitadel's doorbells on; 0 turns that
	// off.
	DoorbellAddress string
	// ShutdownDelay is how long requests are still taken after the signal to end.
	ShutdownDelay time.Duration
	// MetricsAddress and HealthAddress are host:port; 0 turns one off.
	MetricsAddress string
	HealthAddress  string
	// PprofAddress is a host:port of loopback; 0: there is no profiling.
	PprofAddress string
	// Tracing is about OpenTelemetry spans.
	Tracing Tracing
	// LogLevel is debug, info or error; LogFormat is json or console.
	LogLevel  string
	LogFormat string
	// Version asks for the version and nothing else.
	Version bool
}

// longestShutdownDelay leaves some of a Pod's time to end for what is under way.
const longestShutdownDelay = 30 * time.Second

// ParseWebhook reads the webhook's flags. It returns pflag.ErrHelp after
// printing the usage when asked to.
func ParseWebhook(args []string) (Webhook, error) {
	var o Webhook
	flags := pflag.NewFlagSet("webhook", pflag.ContinueOnError)
	flags.StringVar(&o.Namespace, "namespace", ownNamespace(), "the operator's own namespace (default: $POD_NAMESPACE, else neosc-system)")
	flags.StringVar(&o.Kubeconfig, "kubeconfig", "", "kubeconfig file (default: $KUBECONFIG, then the pod's service account)")
	flags.StringVar(&o.Address, "bind-address", ":9443", "host:port to serve HTTPS on")
	flags.StringSliceVar(&o.DNSNames, "dns-name", nil, "name by which the API server calls; can be given more than once (default: mfa-operator-webhook.NAMESPACE.svc)")
	flags.StringVar(&o.CertificateSecret, "certificate-secret", "mfa-operator-webhook-tls", "Secret in the operator's namespace that keeps the certificate; it must exist, and may be empty")
	flags.StringVar(&o.Configuration, "configuration", "mfa-operator-webhook", "ValidatingWebhookConfiguration whose caBundle is kept up")
	flags.BoolVar(&o.CertificateProvided, "certificate-provided", false, "somebody else, such as cert-manager, makes the certificate and keeps the caBundle up; the webhook writes neither")
	flags.StringVar(&o.ClientCAFile, "client-ca-file", "", "certificates, PEM, of those who may issue callers' certificates; callers without one are refused")
	o.MFA.add(flags)
	flags.StringVar(&o.NeoSCNamespace, "neosc-namespace", "", "namespace whose policies are listed and toggled by NeoSC's API; without, there is no such API")
	flags.StringVar(&o.DoorbellAddress, "doorbell-bind-address", "0", "host:port to hear Zitadel's doorbells on, in plain HTTP; 0 turns that off")
	flags.DurationVar(&o.ShutdownDelay, "shutdown-delay", 5*time.Second, "how long to serve on, and not be ready, after the signal to end, at most 30s: until everybody has heard that this replica goes")
	flags.StringVar(&o.MetricsAddress, "metrics-bind-address", "0", "host:port to serve metrics on; 0 turns them off")
	flags.StringVar(&o.HealthAddress, "health-probe-bind-address", ":8081", "host:port to serve /healthz and /readyz on; 0 turns them off")
	flags.StringVar(&o.PprofAddress, "pprof-bind-address", "0", "host:port of loopback to serve profiles on, such as 127.0.0.1:6060; 0 turns that off")
	o.Tracing.add(flags)
	flags.StringVar(&o.LogLevel, "log-level", "info", "debug, info or error")
	flags.StringVar(&o.LogFormat, "log-format", "json", "json or console")
	flags.BoolVar(&o.Version, "version", false, "print the version and end")
	if err := flags.Parse(args); err != nil {
		return Webhook{}, err
	}
	if flags.NArg() > 0 {
		return Webhook{}, fmt.Errorf("unexpected argument %q; see --help", flags.Arg(0))
	}
	if len(o.DNSNames) == 0 {
		o.DNSNames = []string{"mfa-operator-webhook." + o.Namespace + ".svc"}
	}
	o.MFA.complete(o.DNSNames[0])
	return o, o.validate()
}

func (o Webhook) validate() error {
	var errs []error
	for name, value := range map[string]string{
		"--namespace": o.Namespace, "--bind-address": o.Address,
		"--certificate-secret": o.CertificateSecret, "--configuration": o.Configuration,
		"--doorbell-bind-address": o.DoorbellAddress,
	} {
		if value == "" {
			errs = append(errs, errors.New(name+" must not be empty"))
		}
	}
	for _, name := range o.DNSNames {
		if name == "" || strings.ContainsAny(name, ":/ *") {
			errs = append(errs, fmt.Errorf("--dns-name must be a DNS name, got %q", name))
		}
	}
	if wrong := validation.IsDNS1123Label(o.NeoSCNamespace); o.NeoSCNamespace != "" && len(wrong) > 0 {
		errs = append(errs, fmt.Errorf("--neosc-namespace %q: %s", o.NeoSCNamespace, strings.Join(wrong, "; ")))
	}
	if o.ShutdownDelay < 0 || o.ShutdownDelay > longestShutdownDelay {
		errs = append(errs, fmt.Errorf("--shutdown-delay must be from 0s to %s, got %s", longestShutdownDelay, o.ShutdownDelay))
	}
	errs = append(errs, o.MFA.validate()...)
	if slices.Contains(o.MFA.Namespaces, o.Namespace) {
		errs = append(errs, fmt.Errorf("--mfa-namespace must not be the operator's own, %s: the right to the Secrets there includes the credentials for Zitadel", o.Namespace))
	}
	return errors.Join(append(errs, validateProcess(o.LogLevel, o.LogFormat, o.PprofAddress, o.Tracing)...)...)
}
