// Command devcluster starts everything on this machine and shows the main job:
// a control plane, a Zitadel (the simulator, or a real one), the manager and the
// webhook; then a policy is applied, comes into force, is weakened behind the
// operator's back and is repaired, and one that would lock everybody out is
// refused. An application then has a local user verified over HTTPS. It stays up until Ctrl-C and leaves nothing behind.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

func main() {
	if err := run(signals(), os.Args[1:], os.Stdout); err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "devcluster:", err)
		os.Exit(1)
	}
}

// signals returns a context that ends with the first Ctrl-C; a second one kills.
func signals() context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx
}

// options are the command's flags.
type options struct {
	demo      bool
	manager   string
	webhook   string
	plugin    string
	domain    string
	port      uint16
	tokenFile string
}

func parse(args []string) (options, error) {
	var o options
	flags := pflag.NewFlagSet("devcluster", pflag.ContinueOnError)
	flags.BoolVar(&o.demo, "demo", false, "end after the walk-through, with exit code 0 if every step worked and 1 if not")
	flags.StringVar(&o.manager, "manager", "bin/manager", "the manager's binary")
	flags.StringVar(&o.webhook, "webhook", "bin/webhook", "the webhook's binary")
	flags.StringVar(&o.plugin, "plugin", "bin/kubectl-mfa", "the binary of the kubectl plugin")
	flags.StringVar(&o.domain, "zitadel-domain", "", "use a real Zitadel at this external domain instead of the simulator; nothing is written to it")
	flags.Uint16Var(&o.port, "zitadel-port", 443, "its external port")
	flags.StringVar(&o.tokenFile, "zitadel-token-file", "", "file with a personal access token for it")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if (o.domain == "") != (o.tokenFile == "") {
		return options{}, errors.New("--zitadel-domain and --zitadel-token-file go together")
	}
	return o, nil
}

var errEnded = errors.New("ended by itself")

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	// Without a logger envtest's first message after half a minute comes with a
	// stack trace, in the middle of the screen.
	log.SetLogger(logr.Discard())
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &stage{screen: screen{out}, plugin: o.plugin, ended: func(name string) { cancel(fmt.Errorf("the %s %w", name, errEnded)) }}
	defer func() {
		if cause := context.Cause(ctx); errors.Is(cause, errEnded) {
			err = cause // whatever else failed, failed of this
		}
		if err != nil {
			s.showLogs() // the files go with the stage
		}
		err = errors.Join(err, s.clear())
	}()

	if err := s.setUp(ctx, o); err != nil {
		return err
	}
	story := simulated
	if o.domain != "" {
		story = auditOnly
	}
	if err := inOrder(func() error { return story(ctx, s) }, func() error { return localUsers(ctx, s) }); err != nil {
		return err
	}
	if o.demo {
		s.say("Every step worked.")
		return nil
	}
	s.invite()
	<-ctx.Done()
	return nil
}
