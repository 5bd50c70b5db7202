package ledger

import (
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/metrics"
)

var ends = map[verdict]string{
	won: "won", lost: "lost", current: "current", behind: "behind", refused: "refused", unknown: "unknown", helpless: "helpless",
}

// count counts one turn, and what it appended.
func count(v verdict, records []audit.Record, took time.Duration) {
	metrics.LedgerTurns.WithLabelValues(ends[v]).Inc()
	if v != won {
		return
	}
	metrics.LedgerBatch.Observe(float64(len(records)))
	metrics.LedgerAppend.Observe(took.Seconds())
	metrics.Recorded(records)
}
