// Command manager runs the controllers. "manager check" proves an installation.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/neosc/mfa-operator/cmd/manager/app"
)

// version is stamped by the linker.
var version = "development"

func main() {
	ctx, args := ctrl.SetupSignalHandler(), os.Args[1:]
	var err error
	if len(args) > 0 && args[0] == "check" {
		err = app.Check(ctx, args[1:], os.Stdout)
	} else {
		err = app.Run(ctx, version, args, os.Stdout, os.Stderr)
	}
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}
