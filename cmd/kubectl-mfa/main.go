// Command kubectl-mfa is the kubectl plugin: kubectl mfa audit list, follow and
// verify.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"
)

const usage = `Reads the audit ledgers of the MFA operator.

Usage:
  kubectl mfa audit list     print what happened
  kubectl mfa audit follow   print it, and what happens from now on
  kubectl mfa audit verify   check that nothing is missing and nothing was changed

Flags of each: --help
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout)
	stop()
	switch {
	case err == nil, errors.Is(err, pflag.ErrHelp), errors.Is(err, context.Canceled):
	case errors.Is(err, errNotIntact):
		os.Exit(3) // what it found has been printed
	default:
		fmt.Fprintln(os.Stderr, "kubectl mfa:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) < 2 || args[0] != "audit" {
		if _, err := io.WriteString(stdout, usage); err != nil {
			return err
		}
		if len(args) == 0 || args[0] == "--help" || args[0] == "-h" || args[0] == "help" {
			return nil
		}
		return fmt.Errorf("there is no command %q", args)
	}
	switch args[1] {
	case "list":
		return list(ctx, args[2:], stdout)
	case "follow":
		return follow(ctx, args[2:], stdout)
	case "verify":
		return verify(ctx, args[2:], stdin, stdout)
	}
	return fmt.Errorf("there is no command %q; see kubectl mfa --help", "audit "+args[1])
}
