// Command zitadel-sim serves the fake Zitadel of internal/zitadel/zitadeltest alone, for trying the
// operator without a real server. It keeps nothing: every start is a fresh instance.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

// drainTime is how long running calls may take to finish after the signal to stop.
const drainTime = 5 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "zitadel-sim:", err)
	}
	os.Exit(exitCode(err)) //nolint:gocritic // nothing is left for the deferred stop to do
}

// exitCode tells a call that was wrong (2) from a server that failed (1).
func exitCode(err error) int {
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		return 2
	}
	return 1
}

// run serves until ctx is done. Once calls are answered it writes exactly one line to stdout.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil || o == nil {
		return err
	}
	srv := zitadeltest.New(zitadeltest.Options{
		Domain: o.domain, OwnerToken: o.ownerToken, Lag: o.lag, DenyList: o.denyList,
	})
	defer srv.Close()
	for _, name := range o.organizations {
		srv.AddOrganization(name)
	}
	if _, err := srv.Listen(o.listen); err != nil {
		return err
	}

	group, ctx := errgroup.WithContext(ctx)
	group.Go(srv.Serve)
	group.Go(func() error {
		<-ctx.Done()
		draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		return srv.Shutdown(draining)
	})
	// The port is bound: a call made from here on is answered.
	_, err = fmt.Fprintf(stdout, "zitadel-sim ready on %s (instance %s, organization %s)\n",
		srv.URL(), srv.InstanceID(), srv.DefaultOrganizationID())
	return errors.Join(err, group.Wait())
}
