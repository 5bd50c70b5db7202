package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/spf13/pflag"

	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

// options is the command line, validated.
type options struct {
	listen        string
	ownerToken    string
	domain        string
	lag           time.Duration
	organizations []string
	denyList      []string
}

// usageError is a command line that makes no sense.
type usageError struct{ error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// parse reads the command line. It returns nil options when the user only asked for help.
func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{}
	flags := pflag.NewFlagSet("zitadel-sim", pflag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.SortFlags = false
	flags.StringVar(&o.listen, "listen", "127.0.0.1:8080", "address to listen on, as host:port")
	flags.StringVar(&o.ownerToken, "owner-token", "", "token of the owner, who holds IAM_OWNER (required)")
	flags.StringVar(&o.domain, "domain", "localhost", "external domain of the instance")
	flags.DurationVar(&o.lag, "lag", 0, "how far reads trail behind writes, such as 100ms")
	flags.StringSliceVar(&o.organizations, "organizations", nil, "organizations to add besides ZITADEL, comma-separated")
	flags.StringSliceVar(&o.denyList, "deny-list", zitadeltest.DefaultDenyList, "hosts and networks that targets may not be at, comma-separated")
	if err := flags.Parse(args); errors.Is(err, pflag.ErrHelp) {
		return nil, nil
	} else if err != nil {
		return nil, usageError{err}
	}
	if flags.NArg() > 0 {
		return nil, usagef("unexpected argument %q", flags.Arg(0))
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	return o, nil
}

func (o *options) validate() error {
	if _, _, err := net.SplitHostPort(o.listen); err != nil {
		return usagef("--listen: %w", err)
	}
	if o.ownerToken == "" {
		return usagef("--owner-token is required")
	}
	if o.domain == "" {
		return usagef("--domain must not be empty")
	}
	if o.lag < 0 {
		return usagef("--lag must not be negative")
	}
	if err := zitadeltest.CheckDenyList(o.denyList); err != nil {
		return usagef("--deny-list: %w", err)
	}
	taken := map[string]bool{"ZITADEL": true}
	for _, name := range o.organizations {
		if name == "" || taken[name] {
			return usagef("--organizations: %q is empty or given twice", name)
		}
		taken[name] = true
	}
	return nil
}
