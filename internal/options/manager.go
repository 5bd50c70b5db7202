// Package options reads flags and environment into one validated struct per
// process; nobody else reads either.
package options

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// Manager is what the operator of the manager process chooses.
type Manager struct {
	// Namespace is the operator's own: leader election, claims and the
	// credentials it may read are there.
	Namespace string
	// PodName names this process in what it appends to audit ledgers, 1 to 253
	// characters.
	PodName string
	// Kubeconfig is a file; empty: $KUBECONFIG, then the pod's service account.
	Kubeconfig string
	// LeaderElect makes several replicas choose one that works.
	LeaderElect bool
	// MetricsAddress and HealthAddress are host:port; 0 turns one off.
	MetricsAddress string
	HealthAddress  string
	// PprofAddress is a host:port of loopback; 0: there is no profiling.
	PprofAddress string
	// AllowInsecure permits plain HTTP to Zitadel beyond loopback.
	AllowInsecure bool
	// Resync and Probe are pauses, at least one second.
	Resync time.Duration
	Probe  time.Duration
	// AuditStdout writes each audit record to standard output as a line of JSON.
	AuditStdout bool
	// AuditCloudEventsURL is where audit records are posted to as CloudEvents;
	// empty: nowhere.
	AuditCloudEventsURL string
	// AuditCloudEventsTokenFile has the bearer token that goes along; it is read for
	// each request. Empty: none does.
	AuditCloudEventsTokenFile string
	// Email is how local users are told of resets.
	Email Email
	// Tracing is about OpenTelemetry spans.
	Tracing Tracing
	// LogLevel is debug, info or error; LogFormat is json or console.
	LogLevel  string
	LogFormat string
	// Version asks for the version and nothing else.
	Version bool
}

// ParseManager reads the manager's flags. It returns pflag.ErrHelp after
// printing the usage when asked to.
func ParseManager(args []string) (Manager, error) {
	var o Manager
	flags := pflag.NewFlagSet("manager", pflag.ContinueOnError)
	flags.StringVar(&o.Namespace, "namespace", ownNamespace(), "the operator's own namespace (default: $POD_NAMESPACE, else neosc-system)")
	flags.StringVar(&o.PodName, "pod-name", ownName(), "the name of this process in audit ledgers (default: $POD_NAME, else the host's name)")
	flags.StringVar(&o.Kubeconfig, "kubeconfig", "", "kubeconfig file (default: $KUBECONFIG, then the pod's service account)")
	flags.BoolVar(&o.LeaderElect, "leader-elect", false, "elect one working replica among several")
	flags.StringVar(&o.MetricsAddress, "metrics-bind-address", "0", "host:port to serve metrics on; 0 turns them off")
	flags.StringVar(&o.HealthAddress, "health-probe-bind-address", ":8081", "host:port to serve /healthz and /readyz on; 0 turns them off")
	flags.BoolVar(&o.AllowInsecure, "allow-insecure", false, "permit ZitadelConnections with insecure: true to hosts that are not loopback")
	flags.DurationVar(&o.Resync, "resync", 12*time.Hour, "pause between two full comparisons of a target with Zitadel; at most 5m where its events are not followed")
	flags.DurationVar(&o.Probe, "probe", 5*time.Minute, "pause between two proofs of a connection's credential")
	flags.BoolVar(&o.AuditStdout, "audit-stdout", false, "write every audit record to standard output, as a line of JSON")
	flags.StringVar(&o.AuditCloudEventsURL, "audit-cloudevents-url", "", "post every audit record to this https URL, as CloudEvents; empty: do not")
	flags.StringVar(&o.AuditCloudEventsTokenFile, "audit-cloudevents-token-file", "", "file with a bearer token to send along; it is read for each request")
	o.Email.add(flags, "notices of resets; without, no local user is told of one")
	flags.StringVar(&o.PprofAddress, "pprof-bind-address", "0", "host:port of loopback to serve profiles on, such as 127.0.0.1:6060; 0 turns that off")
	o.Tracing.add(flags)
	flags.StringVar(&o.LogLevel, "log-level", "info", "debug, info or error")
	flags.StringVar(&o.LogFormat, "log-format", "json", "json or console")
	flags.BoolVar(&o.Version, "version", false, "print the version and end")
	if err := flags.Parse(args); err != nil {
		return Manager{}, err
	}
	if flags.NArg() > 0 {
		return Manager{}, fmt.Errorf("unexpected argument %q; see --help", flags.Arg(0))
	}
	return o, o.validate()
}

func ownNamespace() string {
	if ns := os.Getenv("POD_NAMESPACE"); ns != "" {
		return ns
	}
	return "neosc-system"
}

// ownName is empty if nobody tells; validate then asks for the flag.
func ownName() string {
	if name := os.Getenv("POD_NAME"); name != "" {
		return name
	}
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

func (o Manager) validate() error {
	var errs []error
	if n := len(o.PodName); n < 1 || n > 253 {
		errs = append(errs, fmt.Errorf("--pod-name must have 1 to 253 characters, got %d", n))
	}
	if o.Namespace == "" {
		errs = append(errs, errors.New("--namespace must not be empty"))
	}
	if o.AuditCloudEventsTokenFile != "" && !strings.HasPrefix(o.AuditCloudEventsURL, "https://") {
		errs = append(errs, errors.New("--audit-cloudevents-token-file needs an --audit-cloudevents-url that begins with https://"))
	}
	for name, pause := range map[string]time.Duration{"--resync": o.Resync, "--probe": o.Probe} {
		if pause < time.Second {
			errs = append(errs, fmt.Errorf("%s must be at least 1s, got %s", name, pause))
		}
	}
	return errors.Join(append(errs, validateProcess(o.LogLevel, o.LogFormat, o.PprofAddress, o.Tracing)...)...)
}

// validateProcess checks what both processes have.
func validateProcess(level, format, pprof string, tracing Tracing) []error {
	errs := tracing.validate()
	if pprof != "0" && !loopback(pprof) {
		errs = append(errs, fmt.Errorf("--pprof-bind-address must be on loopback, such as 127.0.0.1:6060, got %q: a profile shows what is in memory", pprof))
	}
	if level != "debug" && level != "info" && level != "error" {
		errs = append(errs, fmt.Errorf("--log-level must be debug, info or error, got %q", level))
	}
	if format != "json" && format != "console" {
		errs = append(errs, fmt.Errorf("--log-format must be json or console, got %q", format))
	}
	return errs
}

func loopback(address string) bool {
	at, err := netip.ParseAddrPort(address)
	return err == nil && at.Addr().IsLoopback()
}
