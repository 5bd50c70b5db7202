// Package crd asks a real API server what it makes of each property of our
// kinds: what it accepts, what it refuses and how it says so, what it fills in.
// No controller runs. A kind is a table in a file of its own; contract_test.go
// works through it, schema_test.go holds the schemas themselves to our rules,
// whatever kinds there are.
package crd

import (
	"context"
	"fmt"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/test/harness"
)

// api speaks to the API server all tests share. Nothing is stored: every
// request is a dry run, which the API server validates all the same.
var api client.Client

// stored is for what has to be there before it can be changed.
var stored client.Client

func TestMain(m *testing.M) {
	harness.Main(m, func(_ context.Context, c *harness.Cluster) (err error) {
		config := rest.CopyConfig(c.Env.Config)
		config.QPS = -1 // the API server paces us
		// A client that warns of nothing: what it has to say is an error here.
		config.WarningHandler = rest.NoWarnings{}
		if api, err = client.New(config, client.Options{Scheme: harness.Scheme, DryRun: ptr.To(true)}); err != nil {
			return fmt.Errorf("making a client: %w", err)
		}
		if stored, err = client.New(config, client.Options{Scheme: harness.Scheme}); err != nil {
			return fmt.Errorf("making a client: %w", err)
		}
		return nil
	})
}
