package integration

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/test/harness"
)

// TestMetricsTellWhatWasDone: what the manager shows agrees with what the other side
// has heard.
func TestMetricsTellWhatWasDone(t *testing.T) {
	w := newWorld(t)
	scrape := func() harness.Metrics {
		t.Helper()
		m, err := harness.Scrape(w.ctx, cluster.metrics)
		w.Expect(err).NotTo(HaveOccurred())
		return m
	}
	value := func(name string, labels map[string]string) func() float64 {
		return func() float64 { return scrape().Value(name, labels) }
	}
	before := scrape()
	p := w.policy("mfa", "", alwaysRequired)
	w.create(p)
	w.ready(p)
	w.weaken()
	w.Eventually(value("mfa_drift_repaired_total", nil)).Should(BeNumerically(">", before.Value("mfa_drift_repaired_total", nil)))
	now := scrape()
	w.Expect(now.Value("mfa_drift_found_total", nil)).To(BeNumerically(">", before.Value("mfa_drift_found_total", nil)))

	calls := func(m harness.Metrics, rpc, code string) float64 {
		return m.Value("mfa_zitadel_calls_total", map[string]string{"rpc": rpc, "code": code})
	}
	write := "AdminService/UpdateLoginPolicy"
	heard := w.zitadel.CountCalls()["/zitadel.admin.v1.AdminService/UpdateLoginPolicy"]
	w.Expect(heard).To(BeNumerically(">", 0))
	w.Expect(calls(now, write, "OK")-calls(before, write, "OK")).To(BeNumerically(">=", heard), "each call that Zitadel heard")
	w.Expect(now.Value("mfa_zitadel_call_duration_seconds", map[string]string{"rpc": write})).To(BeNumerically(">=", heard))
	w.Expect(now.Value("mfa_zitadel_rate_limit_wait_seconds", nil)).To(BeNumerically(">", 0))
	w.Eventually(value("mfa_zitadel_event_lag_seconds", nil)).Should(BeNumerically(">", before.Value("mfa_zitadel_event_lag_seconds", nil)))
	w.Expect(now.Value("mfa_ledger_records_total", map[string]string{"action": "PolicyDrifted", "outcome": "Succeeded"})).To(BeNumerically(">", 0))

	of := map[string]string{"connection": w.connection}
	w.Eventually(value("mfa_zitadel_events_polled_timestamp_seconds", of)).Should(BeNumerically("~", time.Now().Unix(), 120))
	w.Expect(value("mfa_objects", map[string]string{"kind": "SecurityPolicy", "ready": "True", "reason": v1alpha1.ReasonInForce})()).To(BeNumerically(">", 0))

	// A person nobody has found: whatever is said of them, they are counted.
	u := &v1alpha1.MFAUser{}
	u.Namespace, u.Name = w.namespace, "ann"
	u.Spec = v1alpha1.MFAUserSpec{Source: v1alpha1.SourceZitadel, Zitadel: &v1alpha1.ZitadelUserRef{Connection: w.connection, UserID: "1"}}
	users := map[string]string{"source": "Zitadel"}
	was := value("mfa_users", users)()
	w.create(u)
	w.Eventually(value("mfa_users", users)).Should(BeNumerically("==", was+1))

	// Zitadel refuses: that is a code, and the connection is not ready.
	w.putCredential("gone")
	denied := map[string]string{"code": "Unauthenticated"}
	w.Eventually(value("mfa_zitadel_calls_total", denied)).Should(BeNumerically(">", now.Value("mfa_zitadel_calls_total", denied)))
	w.Eventually(value("mfa_objects", map[string]string{"kind": "ZitadelConnection", "ready": "False"})).Should(BeNumerically(">", 0))
	w.putCredential(w.zitadel.OwnerToken())
	w.ready(&v1alpha1.ZitadelConnection{ObjectMeta: w.newConnection().ObjectMeta})
}
