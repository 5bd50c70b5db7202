// Command webhook answers the API server's questions about objects that are to
// be stored.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/neosc/mfa-operator/cmd/webhook/app"
)

// version is stamped by the linker.
var version = "development"

func main() {
	err := app.Run(ctrl.SetupSignalHandler(), version, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "webhook:", err)
		os.Exit(1)
	}
}
