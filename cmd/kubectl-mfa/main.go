// Command kubectl-mfa is the kubectl plugin: kubectl mfa audit reads the ledgers,
// kubectl mfa keys looks after the keys of stored credentials.
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

const usage = `Reads the audit ledgers of the MFA operator, and looks after its keys.

Usage:
  kubectl mfa audit list       print what happened
  kubectl mfa audit follow     print it, and what happens from now on
  kubectl mfa audit verify     check that nothing is missing and nothing was changed
  kubectl mfa keys status      print the keys of the stored credentials, and what needs them
  kubectl mfa keys rotate      make new keys, and seal every credential anew
  kubectl mfa keys reseal      seal anew what is under old keys
  kubectl mfa keys disable ID  take an old key out of use
  kubectl mfa keys enable ID   undo that
  kubectl mfa keys destroy ID  remove a disabled key for ever

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
	if len(args) < 2 || args[0] != "audit" && args[0] != "keys" {
		if _, err := io.WriteString(stdout, usage); err != nil {
			return err
		}
		if len(args) == 0 || args[0] == "--help" || args[0] == "-h" || args[0] == "help" {
			return nil
		}
		return fmt.Errorf("there is no command %q", args)
	}
	switch name := args[0] + " " + args[1]; name {
	case "audit list":
		return list(ctx, args[2:], stdout)
	case "audit follow":
		return follow(ctx, args[2:], stdout)
	case "audit verify":
		return verify(ctx, args[2:], stdin, stdout)
	case "keys status", "keys rotate", "keys reseal", "keys disable", "keys enable", "keys destroy":
		return keys(ctx, args[1], args[2:], stdout)
	default:
		return fmt.Errorf("there is no command %q; see kubectl mfa --help", name)
	}
}
