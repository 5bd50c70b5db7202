// Command openapi prints the description of the HTTP API that docs/reference has.
package main

import (
	"fmt"
	"os"

	"github.com/neosc/mfa-operator/webhook/mfaapi"
)

func main() {
	text, err := mfaapi.OpenAPI()
	if err == nil {
		_, err = os.Stdout.Write(text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
