// Package app wires the manager's doors to its adapters and runs them.
package app

import (
	"context"
	"fmt"
	"io"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/neosc/mfa-operator/cmd/internal/process"
	"github.com/neosc/mfa-operator/controllers"
	"github.com/neosc/mfa-operator/internal/doorbell"
	"github.com/neosc/mfa-operator/internal/metrics"
	"github.com/neosc/mfa-operator/internal/options"
	"github.com/neosc/mfa-operator/internal/policy"
	"github.com/neosc/mfa-operator/internal/zitadel"
)

// leaderLease names the lease that whoever works holds.
const leaderLease = "mfa-operator-manager"

// Run runs the controllers until ctx ends. args are the flags of
// options.ParseManager; logs go to stderr, and audit records to stdout if a flag
// says so.
func Run(ctx context.Context, version string, args []string, stdout, stderr io.Writer) error {
	o, err := options.ParseManager(args)
	if err != nil {
		return err
	}
	if o.Version {
		_, err := fmt.Fprintln(stdout, version)
		return err
	}
	log := process.Logger(o.LogLevel, o.LogFormat, stderr)
	log.Info("Starting", "version", version, "namespace", o.Namespace)
	endTracing, err := process.Trace(ctx, o.Tracing, log, "mfa-operator-manager", version, o.PodName)
	if err != nil {
		return err
	}
	defer endTracing()
	restConfig, scheme, err := process.Begin(log, o.Kubeconfig, metrics.Manager())
	if err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(restConfig, ctrl.Options{
		Scheme: scheme,
		Logger: log,
		// Names are unique in controllers.Setup; tests run it more than once in
		// one process.
		Controller:                    ctrlconfig.Controller{SkipNameValidation: ptr.To(true)},
		Cache:                         cacheOptions(o.Namespace),
		Metrics:                       server.Options{BindAddress: o.MetricsAddress},
		HealthProbeBindAddress:        o.HealthAddress,
		PprofBindAddress:              o.PprofAddress,
		LeaderElection:                o.LeaderElect,
		LeaderElectionID:              leaderLease,
		LeaderElectionNamespace:       o.Namespace,
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return fmt.Errorf("making the manager: %w", err)
	}

	ledgers, err := newLedgers(restConfig, o, log, stdout)
	if err != nil {
		return err
	}
	if err := mgr.Add(ledgers); err != nil {
		return fmt.Errorf("adding the ledgers: %w", err)
	}
	credentials, err := newCredentials(restConfig)
	if err != nil {
		return err
	}
	notifier, endNotices, err := startNotices(ctx, o.Email, log.WithName("notices"))
	if err != nil {
		return err
	}
	defer endNotices()
	pool := &zitadel.Pool{}
	defer pool.Close()
	outside := controllers.Outside{
		Providers: providers{pool}, Connector: connector{pool}, EventLogs: eventLogs{pool}, Tenants: tenants{pool}, Bells: bells{pool}, Ledgers: ledgers,
		Users: users{pool}, Resets: resets{pool}, Credentials: credentials, Notifier: notifier,
	}
	err = controllers.Setup(mgr, outside, controllers.Settings{
		Namespace: o.Namespace, AllowInsecure: o.AllowInsecure, Resync: o.Resync, Probe: o.Probe,
	})
	if err != nil {
		return err
	}
	if err := process.Live(mgr, ledgers); err != nil {
		return err
	}
	if err := mgr.AddReadyzCheck("caches", process.Synced(mgr.GetCache())); err != nil {
		return fmt.Errorf("adding the readiness check: %w", err)
	}
	return mgr.Start(ctx)
}

// cacheOptions keep in memory, and ask the right to watch, only what is needed:
// Secrets (metadata only), claims and rings in the operator's own namespace.
func cacheOptions(namespace string) cache.Options {
	own := map[string]cache.Config{namespace: {}}
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}: {Namespaces: own},
			&coordinationv1.Lease{}: {Namespaces: map[string]cache.Config{
				namespace: {FieldSelector: fields.OneTermEqualSelector("metadata.name", doorbell.Name)},
			}},
			&corev1.ConfigMap{}: {Namespaces: own, Label: labels.SelectorFromSet(policy.ClaimLabels)},
		},
	}
}
