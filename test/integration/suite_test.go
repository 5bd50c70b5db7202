// Package integration runs whole flows: objects applied to a real API server,
// the real manager, and the fake Zitadel behind the real client. What counts is
// what Zitadel holds afterwards, and what users read.
package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/neosc/mfa-operator/internal/controlplane"
	"github.com/neosc/mfa-operator/test/harness"
)

const operatorNamespace = harness.OperatorNamespace

// cluster is the control plane all tests of the package share, with one
// manager on it. Tests keep apart by namespace, connection and Zitadel.
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
	code, err := withCluster(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withCluster(run func() int) (code int, err error) {
	if cluster.env, err = controlplane.Start(); err != nil {
		return 1, err
	}
	defer func() {
		if stopErr := cluster.env.Stop(); err == nil {
			err = stopErr
		}
	}()
	cluster.client, err = client.New(cluster.env.Config, client.Options{Scheme: harness.Scheme})
	if err != nil {
		return 1, fmt.Errorf("making a client: %w", err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operatorNamespace}}
	if err := cluster.client.Create(context.Background(), namespace); err != nil {
		return 1, fmt.Errorf("creating the operator's namespace: %w", err)
	}

	if err := harness.InstallDoorbell(context.Background(), cluster.client); err != nil {
		return 1, err
	}
	cluster.logs = &harness.Recorder{}
	for _, at := range []*string{&cluster.metrics, &cluster.health} {
		if *at, err = controlplane.FreeAddress(); err != nil {
			return 1, err
		}
	}
	if err := startManager(); err != nil {
		return 1, err
	}
	var stopBell func() error
	if cluster.bell, stopBell, err = harness.StartDoorbell(cluster.env.Config, logr.Discard()); err != nil {
		return 1, err
	}
	code = run()
	return code, errors.Join(cluster.stop(), stopBell())
}

func startManager() (err error) {
	cluster.stop, err = harness.StartManager(cluster.env, cluster.logs, "--resync=1s", "--probe=2s", "--log-level=debug", "--metrics-bind-address="+cluster.metrics, "--health-probe-bind-address="+cluster.health)
	return err
}

// patience is how long a test waits for something that must come.
const patience = 20 * time.Second
