// Package integration runs whole flows: objects applied to a real API server,
// the real manager, and the fake Zitadel behind the real client. What counts is
// what Zitadel holds afterwards, and what users read.
package integration

import (
	"context"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/neosc/mfa-operator/internal/controlplane"
	"github.com/neosc/mfa-operator/test/harness"
)

const operatorNamespace = harness.OperatorNamespace

// cluster is the control plane all tests of the package share, with one manager
// on it. Tests keep apart by namespace, connection and Zitadel. Only those run in
// parallel that neither restart the manager nor look at what is everybody's: they
// wait until the others are done.
var cluster struct {
	env    *envtest.Environment
	client client.Client
	logs   *harness.Recorder
	stop   func() error // ends the manager
	bell   string       // where doorbells are heard
	// metrics and health are where the manager is scraped and probed.
	metrics, health string
}

func TestMain(m *testing.M) {
	harness.Main(m, func(ctx context.Context, c *harness.Cluster) (err error) {
		cluster.env, cluster.client, cluster.logs = c.Env, c.Client, c.Logs
		if err := harness.InstallDoorbell(ctx, c.Client); err != nil {
			return err
		}
		for _, at := range []*string{&cluster.metrics, &cluster.health} {
			if *at, err = controlplane.FreeAddress(); err != nil {
				return err
			}
		}
		if err := startManager(); err != nil {
			return err
		}
		c.AtEnd(func() error { return cluster.stop() }) // whichever runs then
		bell, stop, err := harness.StartDoorbell(c.Env.Config, logr.Discard())
		if err != nil {
			return err
		}
		cluster.bell = bell
		c.AtEnd(stop)
		return nil
	})
}

func startManager(more ...string) (err error) {
	cluster.stop, err = harness.StartManager(cluster.env, cluster.logs, append([]string{
		"--resync=1s", "--probe=2s", "--log-level=debug", "--metrics-bind-address=" + cluster.metrics, "--health-probe-bind-address=" + cluster.health,
	}, more...)...)
	return err
}

// patience is how long a test waits for something that must come.
const patience = 20 * time.Second
