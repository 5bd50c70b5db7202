// Package crd asks a real API server what it makes of each property of our
// kinds: what it accepts, what it refuses and how it says so, what it fills in.
// No controller runs. A kind is a table in a file of its own; contract_test.go
// works through it, schema_test.go holds the schemas themselves to our rules,
// whatever kinds there are.
package crd

import (
	"fmt"
	"os"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/internal/controlplane"
	"github.com/neosc/mfa-operator/test/harness"
)

// api speaks to the API server all tests share. Nothing is stored: every
// request is a dry run, which the API server validates all the same.
var api client.Client

// stored is for what has to be there before it can be changed.
var stored client.Client

func TestMain(m *testing.M) {
	code, err := withAPIServer(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withAPIServer(run func() int) (code int, err error) {
	env, err := controlplane.Start()
	if err != nil {
		return 1, err
	}
	defer func() {
		if stopErr := env.Stop(); err == nil {
			err = stopErr
		}
	}()
	config := rest.CopyConfig(env.Config)
	config.QPS = -1 // the API server paces us
	// A client that warns of nothing: what it has to say is an error here.
	config.WarningHandler = rest.NoWarnings{}
	if api, err = client.New(config, client.Options{Scheme: harness.Scheme, DryRun: ptr.To(true)}); err != nil {
		return 1, fmt.Errorf("making a client: %w", err)
	}
	if stored, err = client.New(config, client.Options{Scheme: harness.Scheme}); err != nil {
		return 1, fmt.Errorf("making a client: %w", err)
	}
	return run(), nil
}
