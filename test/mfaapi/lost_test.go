package mfaapi

import (
	"net/http"
	"testing"

	"github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/test/harness"
)

// Whoever can delete a ledger, and knows a password, gets nothing by it: a factor
// of before is worth nothing, and it shows that the user is not new. The manager
// says so, and a link lets them in again.
func TestALostLedgerMakesNobodyNew(t *testing.T) {
	w := newWorld(t)
	w.app.register("ann")
	s, _ := w.app.enrol("ann")
	w.app.register("new")

	for _, kind := range []client.Object{&v1alpha1.MFAAuditRecord{}, &v1alpha1.MFALedgerSnapshot{}, &v1alpha1.MFALedger{}} {
		w.Expect(cluster.client.DeleteAllOf(w.ctx, kind, client.InNamespace(w.namespace))).To(gomega.Succeed())
	}

	// Who runs still knows. Who starts afterwards begins a new ledger.
	logs := &harness.Recorder{}
	webhook, err := harness.StartWebhook(cluster.kubeconfig, logs, flags...)
	w.Expect(err).NotTo(gomega.HaveOccurred())
	t.Cleanup(func() {
		if err := webhook.Stop(); err != nil {
			t.Error(err)
		}
	})
	w.Expect(webhook.AwaitReady(w.ctx)).To(gomega.Succeed())
	site := *w.site
	site.replicas = append(site.replicas[:replicas:replicas], webhook)
	w.site = &site
	late := w.app.at(replicas)
	q := late.about(http.MethodPost, "ann", "/requirement", object{})
	w.Expect(q.status).To(gomega.Equal(http.StatusOK), q.raw)
	w.Expect([]any{q.of("needed"), q.of("why")}).To(gomega.Equal([]any{true, string(mfa.GraceOver)}), q.raw)
	begun := late.about(http.MethodPost, "ann", "/enrolments", object{"method": "TOTP"})
	w.Expect(begun.status).To(gomega.Equal(http.StatusConflict), begun.raw)
	w.Expect(begun.raw).To(gomega.ContainSubstring(mfa.ReasonLedgerLost))
	denied := late.verify("ann", "TOTP", s.code(w, 1))
	w.Expect(denied.status).To(gomega.Equal(http.StatusForbidden), denied.raw)
	late.enrol("new")

	stop, err := harness.StartManager(cluster.env, logs, "--metrics-bind-address=0")
	w.Expect(err).NotTo(gomega.HaveOccurred())
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	ann := &v1alpha1.MFAUser{}
	w.Eventually(func(g gomega.Gomega) {
		users := &v1alpha1.MFAUserList{}
		g.Expect(cluster.client.List(w.ctx, users, client.InNamespace(w.namespace))).To(gomega.Succeed())
		for i := range users.Items {
			if users.Items[i].Spec.Username == "ann" {
				ann = &users.Items[i]
			}
		}
		g.Expect(ann.Status.Compliance).To(gomega.Equal(v1alpha1.NonCompliant), ann.Status.ComplianceReason)
		g.Expect(ann.Status.Conditions).To(gomega.ContainElement(gomega.And(
			gomega.HaveField("Type", v1alpha1.ConditionFactorsKnown), gomega.HaveField("Status", metav1.ConditionFalse),
			gomega.HaveField("Reason", v1alpha1.ReasonLedgerLost),
		)))
	}).Should(gomega.Succeed())
}
