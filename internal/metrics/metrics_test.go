package metrics

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/neosc/mfa-operator/internal/audit"
)

// Names, units and help are as Prometheus wants them, and every name begins with ours.
func TestNamesAreGood(t *testing.T) {
	for process, all := range map[string][]prometheus.Collector{"manager": Manager(), "webhook": Webhook()} {
		t.Run(process, func(t *testing.T) {
			registry := prometheus.NewPedanticRegistry()
			for range 2 { // a process may begin twice in tests
				if err := Register(registry, all); err != nil {
					t.Fatal(err)
				}
			}
			Now.Ask(func() Standing { return full(3) })
			defer Now.Ask(nil)
			exercise()
			problems, err := testutil.GatherAndLint(registry)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range problems {
				t.Errorf("%s: %s", p.Metric, p.Text)
			}
			families, err := registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range families {
				if !strings.HasPrefix(f.GetName(), "mfa_") {
					t.Errorf("%s does not begin with mfa_", f.GetName())
				}
			}
		})
	}
}

// exercise gives every family at least one series.
func exercise() {
	Recorded([]audit.Record{
		{Action: audit.Verification, Outcome: audit.Throttled, Method: "TOTP", Reason: "TooSoon"},
		{Action: audit.SSOFactorCheck, Outcome: audit.Failed, Method: "U2F"},
		{Action: audit.UserLocked, Outcome: audit.Succeeded},
		{Action: audit.PolicyDrifted, Outcome: audit.Succeeded},
		{Action: audit.PolicyApplied, Outcome: audit.Succeeded, Reason: "DriftRepaired"},
	})
	LedgerTurns.WithLabelValues("won").Inc()
	LedgerExports.WithLabelValues("CloudEvents", "Delivered").Inc()
	Requests.WithLabelValues("POST /v1", "post", "200").Observe(1)
	ZitadelCalls.WithLabelValues("AdminService/Healthz", "OK").Inc()
	ZitadelDuration.WithLabelValues("AdminService/Healthz").Observe(1)
}

func full(n int) Standing {
	s := Standing{
		Users:   map[UserClass]int{{"Local", "Compliant"}: 2},
		Objects: map[ObjectClass]int{{"MFAUser", "True", "Current"}: 2},
	}
	for i := range n {
		s.Connections = append(s.Connections, Connection{
			Name: fmt.Sprint(i), CredentialExpires: time.Unix(9, 0), Polled: time.Unix(8, 0), Discovery: &Discovery{Wanted: 3, Made: 2, Shown: 1},
		})
		s.Ledgers = append(s.Ledgers, Ledger{Namespace: fmt.Sprintf("n%03d", i), Bytes: int64(i), Limit: 100, Exports: i%2 == 0})
	}
	return s
}

// Whoever chooses names, addresses and reasons freely adds no more than a few series.
func TestWhatACallerChoosesAddsNoSeries(t *testing.T) {
	series := func() int {
		return testutil.CollectAndCount(verifications) + testutil.CollectAndCount(throttles) +
			testutil.CollectAndCount(locks) + testutil.CollectAndCount(LedgerRecords)
	}
	hostile := func(i int) audit.Record {
		name := fmt.Sprintf("mallory-%d", i)
		return audit.Record{
			Action: audit.Verification, Outcome: audit.Failed, Method: "TOTP", Reason: "WrongCode", Subject: name, Actor: name,
			SourceIP: fmt.Sprintf("10.0.%d.%d", i/256, i%256), UserAgent: name, Policy: name + "/" + name, Session: name, Claim: name,
		}
	}
	Recorded([]audit.Record{hostile(0)})
	before := series()
	for i := range 1000 {
		Recorded([]audit.Record{hostile(i)})
	}
	if now := series(); now != before {
		t.Errorf("1,000 names and addresses add %d series", now-before)
	}
	// Even if a mistake let a caller choose method and reason.
	for i := range 1000 {
		r := hostile(i)
		r.Method, r.Reason = fmt.Sprintf("M%d", i), fmt.Sprintf("R%d", i)
		Recorded([]audit.Record{r})
	}
	if now, most := series(), before+methods.most*reasons.most; now > most {
		t.Errorf("%d series, at most %d are expected", now, most)
	}
	if other := testutil.ToFloat64(verifications.WithLabelValues(local, other, string(audit.Failed), other)); other < 900 {
		t.Errorf("%v of 1,000 strange ones are counted under Other", other)
	}
}

// There is a ledger in each namespace with users; the fullest have series.
func TestOnlyTheFullestLedgersHaveSeries(t *testing.T) {
	s := &Standings{}
	if n := testutil.CollectAndCount(s); n != 0 {
		t.Errorf("who does not lead shows %d series", n)
	}
	s.Ask(func() Standing { return full(1000) })
	if n := testutil.CollectAndCount(s, "mfa_ledger_bytes"); n != mostLedgers {
		t.Errorf("%d series", n)
	}
	text := `# HELP mfa_ledgers_stored_bytes What the batches of all ledgers take together in etcd, as of the last look.
# TYPE mfa_ledgers_stored_bytes gauge
mfa_ledgers_stored_bytes 499500
`
	if err := testutil.CollectAndCompare(s, strings.NewReader(text), "mfa_ledgers_stored_bytes"); err != nil {
		t.Errorf("the sum is of all: %v", err)
	}
	least := ""
	for _, l := range fullest(full(1000).Ledgers) {
		least = l.Namespace
	}
	if least != "n950" {
		t.Errorf("the fullest end with %s", least)
	}
}

func TestWhereAUserWasLocked(t *testing.T) {
	for want, r := range map[string]audit.Record{
		local:   {Action: audit.UserLocked},
		zitadel: {Action: audit.UserLocked, Origin: &audit.Origin{Aggregate: "default/user/1", Sequence: 1}},
	} {
		before := testutil.ToFloat64(locks.WithLabelValues(want))
		Recorded([]audit.Record{r})
		if now := testutil.ToFloat64(locks.WithLabelValues(want)); now != before+1 {
			t.Errorf("%s: %v locks more", want, now-before)
		}
	}
}
