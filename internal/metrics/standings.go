package metrics

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Standing is how things stand at one moment.
type Standing struct {
	// Users counts users by what is said of them.
	Users map[UserClass]int
	// Objects counts the objects of each kind by their condition Ready.
	Objects map[ObjectClass]int
	// Connections and Ledgers have one entry each.
	Connections []Connection
	Ledgers     []Ledger
}

// UserClass is a source of users, Local or Zitadel, and a compliance, or Unknown.
type UserClass struct{ Source, Compliance string }

// ObjectClass is a kind, and the status and reason of the condition Ready: Unknown and
// empty as long as nobody has looked.
type ObjectClass struct{ Kind, Ready, Reason string }

// Connection is one ZitadelConnection. An administrator makes them, and there are few.
type Connection struct {
	Name string
	// CredentialExpires is zero where the credential does not end, or that is not known.
	CredentialExpires time.Time
	// Polled is when the event log was last looked at, to the minute; zero: never.
	Polled time.Time
	// Discovery is nil where there is none.
	Discovery *Discovery
}

// Discovery counts the users of a connection: how many there are, how many have an
// MFAUser, and how many of these have been read from Zitadel.
type Discovery struct{ Wanted, Made, Shown int32 }

// Ledger is the ledger of one namespace, as of the last look of about a minute ago.
type Ledger struct {
	Namespace string
	// Bytes are held; at twice Limit nothing is recorded any more.
	Bytes, Limit int64
	// Unexported are the batches that the sinks do not have. Exports tells whether
	// there are sinks.
	Unexported int64
	Exports    bool
}

// mostLedgers is how many ledgers have series of their own, the fullest first: there
// is one in each namespace with users, and of all there is the sum.
const mostLedgers = 50

// Standings is a collector of how things stand. What it shows is asked for with each
// scrape; as long as nobody was given to ask, there is nothing.
type Standings struct {
	ask atomic.Pointer[func() Standing]
}

// Ask has every scrape ask. Nil: no more.
func (s *Standings) Ask(ask func() Standing) {
	if ask == nil {
		s.ask.Store(nil)
		return
	}
	s.ask.Store(&ask)
}

var (
	descUsers = describe("mfa_users",
		"MFAUsers by source and compliance.", "source", "compliance")
	descObjects = describe("mfa_objects",
		"Objects by kind, and by status and reason of their condition Ready.", "kind", "ready", "reason")
	descExpiry = describe("mfa_zitadel_credential_expiry_timestamp_seconds",
		"When a connection's credential ends, as Unix time; not there: it does not, or that is not known.", "connection")
	descPolled = describe("mfa_zitadel_events_polled_timestamp_seconds",
		"When a connection's event log was last read without failure, to the minute, as Unix time.", "connection")
	descDiscovery = describe("mfa_discovery_users",
		"Users that discovery looks after: wanted, all there are; made, with an MFAUser; shown, read from Zitadel since.", "connection", "state")
	descLedgerBytes = describe("mfa_ledger_bytes",
		"What the batches of a ledger take, of the fullest 50, as of the last look.", "namespace")
	descLedgerLimit = describe("mfa_ledger_limit_bytes",
		"What retention keeps of a ledger, of the fullest 50; at twice of it nothing is recorded any more.", "namespace")
	descUnexported = describe("mfa_ledger_unexported_batches",
		"Batches of a ledger that the sinks do not have, of the fullest 50, as of the last look; not there: no sink.", "namespace")
	descStored = describe("mfa_ledgers_stored_bytes",
		"What the batches of all ledgers take together in etcd, as of the last look.")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (s *Standings) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descUsers, descObjects, descExpiry, descPolled, descDiscovery, descLedgerBytes, descLedgerLimit, descUnexported, descStored,
	} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (s *Standings) Collect(to chan<- prometheus.Metric) {
	ask := s.ask.Load()
	if ask == nil {
		return
	}
	now := (*ask)()
	show := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for class, n := range now.Users {
		show(descUsers, float64(n), class.Source, class.Compliance)
	}
	for class, n := range now.Objects {
		show(descObjects, float64(n), class.Kind, class.Ready, class.Reason)
	}
	for _, c := range now.Connections {
		if !c.CredentialExpires.IsZero() {
			show(descExpiry, float64(c.CredentialExpires.Unix()), c.Name)
		}
		if !c.Polled.IsZero() {
			show(descPolled, float64(c.Polled.Unix()), c.Name)
		}
		if d := c.Discovery; d != nil {
			show(descDiscovery, float64(d.Wanted), c.Name, "wanted")
			show(descDiscovery, float64(d.Made), c.Name, "made")
			show(descDiscovery, float64(d.Shown), c.Name, "shown")
		}
	}
	var stored int64
	for _, l := range now.Ledgers {
		stored += l.Bytes
	}
	show(descStored, float64(stored))
	for _, l := range fullest(now.Ledgers) {
		show(descLedgerBytes, float64(l.Bytes), l.Namespace)
		show(descLedgerLimit, float64(l.Limit), l.Namespace)
		if l.Exports {
			show(descUnexported, float64(l.Unexported), l.Namespace)
		}
	}
}

// fullest are the ledgers that have the largest part of what they may hold.
func fullest(ledgers []Ledger) []Ledger {
	part := func(l Ledger) float64 { return float64(l.Bytes) / float64(max(l.Limit, 1)) }
	sorted := slices.SortedFunc(slices.Values(ledgers), func(a, b Ledger) int {
		return cmp.Or(cmp.Compare(part(b), part(a)), cmp.Compare(a.Namespace, b.Namespace))
	})
	return sorted[:min(len(sorted), mostLedgers)]
}
