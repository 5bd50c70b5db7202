package mfaapi

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onsi/gomega"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/controlplane"
	"github.com/neosc/mfa-operator/test/harness"
)

// A replica of its own, so that what it shows is what it did.
func TestMetricsTellWhatTheLedgerHolds(t *testing.T) {
	w := newWorld(t)
	address, err := controlplane.FreeAddress()
	w.Expect(err).NotTo(gomega.HaveOccurred())
	replica, err := harness.ForkWebhook(w.site.kubeconfig, w.site.logs, slices.Concat(flags, []string{"--metrics-bind-address=" + address})...)
	w.Expect(err).NotTo(gomega.HaveOccurred())
	defer func() { w.Expect(replica.Stop()).To(gomega.Succeed()) }()
	w.Expect(replica.AwaitReady(w.ctx)).To(gomega.Succeed())
	scrape := func() harness.Metrics {
		t.Helper()
		m, err := harness.Scrape(w.ctx, address)
		w.Expect(err).NotTo(gomega.HaveOccurred())
		return m
	}
	on := *w.site
	on.replicas = []*harness.Webhook{replica}
	w.site = &on

	before := scrape()
	w.Expect(before.Value("mfa_webhook_certificate_expiry_timestamp_seconds", nil)).To(
		gomega.BeNumerically(">", float64(time.Now().AddDate(0, 3, 0).Unix())), "a certificate is renewed three months before its end")

	w.app.register("ann")
	s, _ := w.app.enrol("ann")
	w.Expect(w.app.verify("ann", "TOTP", s.code(w, 0)).status).To(gomega.Equal(http.StatusCreated))
	w.Expect(w.app.verify("ann", "TOTP", s.code(w, 0)).status).To(gomega.Equal(http.StatusForbidden))
	w.Expect(w.app.verify("ann", "TOTP", s.wrong(w)).status).To(gomega.Equal(http.StatusForbidden))

	now := scrape()
	const verifications = "mfa_verifications_total"
	w.Expect(now[verifications].GetHelp()).NotTo(gomega.BeEmpty())
	counted, recorded := 0.0, 0
	for _, outcome := range audit.Outcomes() {
		counted += now.Value(verifications, map[string]string{"source": "local", "method": "TOTP", "outcome": string(outcome)})
	}
	for _, r := range w.trail(audit.Verification) {
		recorded++
		w.Expect(now.Value(verifications, map[string]string{"outcome": string(r.Outcome), "reason": r.Reason})).To(gomega.BeNumerically(">=", 1), "%s %s", r.Outcome, r.Reason)
	}
	w.Expect(counted).To(gomega.BeNumerically("==", recorded), "each record once")
	// Who changed an object is recorded by whichever replica is first; these are this one's.
	for _, action := range []audit.Action{audit.Verification, audit.FactorEnrolled} {
		w.Expect(now.Value("mfa_ledger_records_total", map[string]string{"action": string(action)})).To(gomega.BeNumerically("==", len(w.trail(action))), action)
	}
	w.Expect(now.Value("mfa_ledger_turns_total", map[string]string{"end": "won"})).To(gomega.BeNumerically("==", now.Value("mfa_ledger_batch_records", nil)))
	w.Expect(now.Value("mfa_ledger_append_duration_seconds", nil)).To(gomega.BeNumerically(">", 0))
	const verify = "POST /v1/namespaces/{namespace}/users/{user}/verifications"
	w.Expect(now.Value("mfa_http_request_duration_seconds", map[string]string{"route": verify, "method": "post", "code": "201"})).To(gomega.BeNumerically("==", 1))
	w.Expect(now.Value("mfa_http_request_duration_seconds", map[string]string{"route": verify, "code": "403"})).To(gomega.BeNumerically("==", 2))
	for name := range now {
		w.Expect(name).NotTo(gomega.HavePrefix("mfa_zitadel"), "Zitadel is the manager's business")
	}

	// Whoever chooses users, addresses, paths and methods adds no series.
	strange := w.app.with("MFA-Client-IP", "10.9.9.9")
	hostile := func(i int) {
		user := fmt.Sprintf("mallory-%d", i)
		got := w.app.with("MFA-Client-IP", fmt.Sprintf("10.1.%d.%d", i/250, i%250)).verify(user, "TOTP", "000000")
		w.Expect(got.status).To(gomega.BeElementOf(http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests), got.raw)
		strange.raw(http.MethodGet, "/"+user, "", nil)
		strange.raw(strings.ToUpper(fmt.Sprintf("verb%d", i)), "/v1/"+user, "", nil)
	}
	hostile(0)
	names := func(m harness.Metrics) (ours []string) {
		for name := range m {
			if strings.HasPrefix(name, "mfa_") {
				ours = append(ours, name)
			}
		}
		return ours
	}
	first := scrape()
	var all sync.WaitGroup
	for attacker := range 16 {
		all.Go(func() {
			for i := attacker; i < 1000; i += 16 {
				hostile(i)
			}
		})
	}
	all.Wait()
	last := scrape()
	w.Expect(last.Series(names(last)...)).To(gomega.BeNumerically("<=", first.Series(names(first)...)+4), "1,000 names and addresses; a throttle may have begun")
	w.Expect(last.Value("mfa_http_request_duration_seconds", map[string]string{"route": "unknown"})).To(gomega.BeNumerically(">=", 1000))
	for _, name := range names(last) {
		for _, series := range last[name].GetMetric() {
			for _, l := range series.GetLabel() {
				w.Expect(l.GetValue()).NotTo(gomega.Or(gomega.ContainSubstring("mallory"), gomega.HavePrefix("10."), gomega.Equal(w.namespace)), name)
			}
		}
	}
}
