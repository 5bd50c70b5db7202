// Command openapi prints the description of an HTTP API that docs/reference has: that
// of local verification (mfa), or the one in NeoSC's shape (neosc).
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/neosc/mfa-operator/webhook/mfaapi"
	"github.com/neosc/mfa-operator/webhook/neoscapi"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("which API: mfa or neosc?")
	}
	describe, known := map[string]func() ([]byte, error){"mfa": mfaapi.OpenAPI, "neosc": neoscapi.OpenAPI}[args[0]]
	if !known {
		return fmt.Errorf("there is no API %q", args[0])
	}
	text, err := describe()
	if err == nil {
		_, err = os.Stdout.Write(text)
	}
	return err
}
