package options

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"
)

// Check is what whoever has an installation checked chooses.
type Check struct {
	// Namespace is the operator's own.
	Namespace string
	// Kubeconfig is a file; empty: $KUBECONFIG, then the pod's service account.
	Kubeconfig string
	// Guarded tells that a webhook is asked before a policy is stored.
	Guarded bool
	// Timeout is how long to wait for what does not hold yet, at least one second.
	Timeout time.Duration
}

// ParseCheck reads the flags of the manager's command check. It returns
// pflag.ErrHelp after printing the usage when asked to.
func ParseCheck(args []string) (Check, error) {
	var o Check
	flags := pflag.NewFlagSet("manager check", pflag.ContinueOnError)
	flags.StringVar(&o.Namespace, "namespace", ownNamespace(), "the operator's own namespace (default: $POD_NAMESPACE, else neosc-system)")
	flags.StringVar(&o.Kubeconfig, "kubeconfig", "", "kubeconfig file (default: $KUBECONFIG, then the pod's service account)")
	flags.BoolVar(&o.Guarded, "guarded", true, "a webhook is asked before a policy is stored; false where none is installed")
	flags.DurationVar(&o.Timeout, "timeout", time.Minute, "how long to wait for what does not hold yet")
	if err := flags.Parse(args); err != nil {
		return Check{}, err
	}
	if flags.NArg() > 0 {
		return Check{}, fmt.Errorf("unexpected argument %q; see --help", flags.Arg(0))
	}
	var errs []error
	if o.Namespace == "" {
		errs = append(errs, errors.New("--namespace must not be empty"))
	}
	if o.Timeout < time.Second {
		errs = append(errs, fmt.Errorf("--timeout must be at least 1s, got %s", o.Timeout))
	}
	return o, errors.Join(errs...)
}
