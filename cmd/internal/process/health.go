package process

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
)

// Worker does one piece of work after the other, and notices when it has been at one
// for longer than a limit.
type Worker interface {
	Check(limit time.Duration) error
}

const (
	// stuck is longer than any pass of a controller takes. A pass is bounded by the
	// deadlines of its calls; the longest removes 20,000 batches.
	stuck = 15 * time.Minute
	// stuckBatch is longer than a ledger is at any batch: that is bounded by its
	// patience, of seconds.
	stuckBatch = 2 * time.Minute
)

// Live makes the process live as long as no controller and no worker is stuck. It does
// not ask whether the API server or Zitadel answer: a restart would not help there.
func Live(mgr manager.Manager, workers ...Worker) error {
	if err := mgr.AddHealthzCheck("controllers", controllers(ctrlmetrics.Registry, stuck)); err != nil {
		return fmt.Errorf("adding the liveness check: %w", err)
	}
	for i, w := range workers {
		err := mgr.AddHealthzCheck(fmt.Sprintf("ledgers-%d", i), func(*http.Request) error { return w.Check(stuckBatch) })
		if err != nil {
			return fmt.Errorf("adding the liveness check: %w", err)
		}
	}
	return nil
}

// longestRunning is kept by every work queue of controller-runtime.
const longestRunning = "workqueue_longest_running_processor_seconds"

// controllers finds those that have been at one pass for longer than a limit, by what
// their work queues say of themselves.
func controllers(from prometheus.Gatherer, limit time.Duration) healthz.Checker {
	return func(*http.Request) error {
		families, err := from.Gather()
		if err != nil {
			return fmt.Errorf("reading the metrics: %w", err)
		}
		var wedged []string
		for _, f := range families {
			if f.GetName() != longestRunning {
				continue
			}
			for _, m := range f.GetMetric() {
				if m.GetGauge().GetValue() <= limit.Seconds() {
					continue
				}
				for _, l := range m.GetLabel() {
					if l.GetName() == "name" {
						wedged = append(wedged, l.GetValue())
					}
				}
			}
		}
		if len(wedged) > 0 {
			return fmt.Errorf("at one pass for longer than %s: %s", limit, strings.Join(wedged, ", "))
		}
		return nil
	}
}

// syncing is how long a readiness check waits for the caches.
const syncing = 500 * time.Millisecond

// Synced is ready once the caches hold what there was when the process began. One that
// waits to lead has nothing to wait for.
func Synced(c cache.Cache) healthz.Checker {
	return func(r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), syncing)
		defer cancel()
		if !c.WaitForCacheSync(ctx) {
			return fmt.Errorf("the caches are not filled yet")
		}
		return nil
	}
}
