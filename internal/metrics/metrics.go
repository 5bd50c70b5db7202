package metrics

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// The ledger, in both processes.
var (
	// LedgerTurns has end: how a turn ended, in the ledger's words.
	LedgerTurns = counters("mfa_ledger_turns_total",
		"Tries to append a batch, or to show that nobody else has, by how they ended; lost: another writer was faster.", "end")
	// LedgerRecords has action and outcome, in the audit log's words.
	LedgerRecords = counters("mfa_ledger_records_total",
		"Audit records that this process has appended.", "action", "outcome")
	// LedgerBatch is a size.
	LedgerBatch = histogram("mfa_ledger_batch_records",
		"Records in each batch that this process has appended.", prometheus.ExponentialBuckets(1, 4, 7))
	// LedgerAppend is the time from a judged batch to the API server's word that it is stored.
	LedgerAppend = histogram("mfa_ledger_append_duration_seconds",
		"Time that the API server took to store each batch that this process has appended.", prometheus.ExponentialBuckets(0.002, 2, 13))
	// LedgerFull counts batches that were not begun.
	LedgerFull = counter("mfa_ledger_full_total",
		"Batches of which nothing was recorded, because the ledger holds twice what may be kept.")
	// LedgerExports has sink and outcome: Delivered or Failed.
	LedgerExports = counters("mfa_ledger_exports_total",
		"Tries to deliver a batch to a sink.", "sink", "outcome")
	// LedgerExportLag is the age of a batch when all sinks have it.
	LedgerExportLag = histogram("mfa_ledger_export_lag_seconds",
		"Age of each batch when every sink had taken it.", prometheus.ExponentialBuckets(0.01, 4, 11))
)

// What people do, as the audit log has it, in both processes; see Recorded.
var (
	verifications = counters("mfa_verifications_total",
		"Second factors that were tried: with applications (local) or at Zitadel (zitadel).", "source", "method", "outcome", "reason")
	throttles = counters("mfa_throttles_total",
		"Attempts that were refused unseen and are in the audit log, which has one in a second of each user or address; "+
			"mfa_http_request_duration_seconds has all, as code 429.", "reason")
	locks = counters("mfa_locks_total",
		"Users who were locked after too many failures.", "source")
	driftFound = counter("mfa_drift_found_total",
		"Targets whose settings somebody else was found to have changed.")
	driftRepaired = counter("mfa_drift_repaired_total",
		"Targets whose settings were put right after somebody else had changed them.")
)

// The webhook.
var (
	// Requests has route, method and code. Only patterns of a mux are routes.
	Requests = histograms("mfa_http_request_duration_seconds",
		"Time that requests of applications took.", prometheus.ExponentialBuckets(0.002, 2, 13), "route", "method", "code")
	// CertificateExpiry is a Unix time.
	CertificateExpiry = gauge("mfa_webhook_certificate_expiry_timestamp_seconds",
		"When the certificate that the webhook shows ends, as Unix time; 0: there is none yet.")
)

// Zitadel, in the manager.
var (
	// ZitadelCalls has rpc, such as AdminService/GetLoginPolicy, and code, of gRPC.
	// Each attempt counts.
	ZitadelCalls = counters("mfa_zitadel_calls_total",
		"Calls to Zitadel, each attempt, by the gRPC code of the answer.", "rpc", "code")
	// ZitadelDuration has rpc.
	ZitadelDuration = histograms("mfa_zitadel_call_duration_seconds",
		"Time that each attempt to call Zitadel took, without the wait for the rate limit.", prometheus.ExponentialBuckets(0.005, 2, 12), "rpc")
	// ZitadelWait is the time an attempt waited.
	ZitadelWait = histogram("mfa_zitadel_rate_limit_wait_seconds",
		"Time that each attempt to call Zitadel waited for the connection's own rate limit.", prometheus.ExponentialBuckets(0.001, 4, 9))
	// ZitadelEventLag is the age of an event when all listeners have acted on it.
	ZitadelEventLag = histogram("mfa_zitadel_event_lag_seconds",
		"Age of each event of Zitadel when it had been acted on.", prometheus.ExponentialBuckets(0.25, 2, 14))
)

// Now is how things stand, in the manager that leads.
var Now = &Standings{}

// shared are the collectors of both processes.
func shared() []prometheus.Collector {
	return []prometheus.Collector{
		LedgerTurns, LedgerRecords, LedgerBatch, LedgerAppend, LedgerFull,
		verifications, throttles, locks,
	}
}

// Manager lists what the manager measures.
func Manager() []prometheus.Collector {
	return append(shared(), LedgerExports, LedgerExportLag, driftFound, driftRepaired,
		ZitadelCalls, ZitadelDuration, ZitadelWait, ZitadelEventLag, Now)
}

// Webhook lists what the webhook measures.
func Webhook() []prometheus.Collector {
	return append(shared(), Requests, CertificateExpiry)
}

// Register has a registry collect all of a list, once however often it is called.
func Register(registry prometheus.Registerer, all []prometheus.Collector) error {
	for _, c := range all {
		var again prometheus.AlreadyRegisteredError
		if err := registry.Register(c); err != nil && !errors.As(err, &again) {
			return fmt.Errorf("registering the metrics: %w", err)
		}
	}
	return nil
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}

func histogram(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
}

func histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}
