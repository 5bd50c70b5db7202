package ledger

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	turns = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mfa_ledger_turns_total",
		Help: "Tries to append a batch, or to show that nobody else has, by how they ended.",
	}, []string{"end"})
	appended = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "mfa_ledger_records_total",
		Help: "Records this process has appended.",
	})
)

func init() { metrics.Registry.MustRegister(turns, appended) }

var ends = map[verdict]string{
	won: "won", lost: "lost", current: "current", behind: "behind", refused: "refused", unknown: "unknown", helpless: "helpless",
}

func count(v verdict, records int) {
	turns.WithLabelValues(ends[v]).Inc()
	if v == won {
		appended.Add(float64(records))
	}
}
