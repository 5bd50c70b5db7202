package admission

import (
	"context"
	"testing"

	"github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
	"github.com/neosc/mfa-operator/test/harness"
)

// nowhere answers no webhook call.
const nowhere = "https://localhost:1"

// While the webhook is down, nothing comes in force unseen, and everything that
// takes something out of force goes on.
func TestOutage(t *testing.T) {
	w := newWorld(t)
	zitadel := zitadeltest.Start(t, zitadeltest.Options{})
	zitadel.AddHuman(zitadel.DefaultOrganizationID(), "ann", "ann@example.com")
	w.connectTo(zitadel)
	standing := w.policy("standing", "", required)
	w.create(standing)
	finalized := func() bool {
		w.Expect(w.client.Get(w.ctx, client.ObjectKeyFromObject(standing), standing)).To(gomega.Succeed())
		return len(standing.Finalizers) > 0
	}
	w.Eventually(finalized).Should(gomega.BeTrue())
	spare := w.connection("localhost", 1)
	spare.Name = w.namespace + "-spare"

	w.Expect(harness.Redirect(w.ctx, w.client, nowhere)).To(gomega.Succeed())
	t.Cleanup(func() {
		ctx := context.WithoutCancel(w.ctx)
		if err := harness.Redirect(ctx, w.client, cluster.webhook.URL); err != nil {
			t.Error(err)
		}
		w.failurePolicyOfGuard(ctx, admissionregistrationv1.Fail)
	})
	unseen := w.policy("unseen", "", required)
	refusal := gomega.MatchError(gomega.ContainSubstring(`failed calling webhook "guard.securitypolicies.security.neosc.io"`))
	// The API server takes a moment to hear of the configuration.
	w.Eventually(func() error { return w.client.Create(w.ctx, unseen.DeepCopy(), client.DryRunAll) }).Should(refusal)
	w.Expect(w.client.Create(w.ctx, unseen.DeepCopy())).To(refusal)
	merge := func(obj client.Object, patch string) error {
		return w.client.Patch(w.ctx, obj, client.RawPatch("application/merge-patch+json", []byte(patch)))
	}
	w.Expect(merge(standing, `{"spec":{"lockout":{"maxPasswordAttempts":3}}}`)).To(refusal, "a policy in force does not change unseen")

	t.Log("everything else passes")
	w.create(spare)
	w.Expect(merge(standing, `{"metadata":{"labels":{"a":"b"}}}`)).To(gomega.Succeed())
	w.Expect(merge(standing, `{"spec":{"enabled":false}}`)).To(gomega.Succeed(), "the way out of an emergency")
	audit := w.policy("audit", "", func(s *v1alpha1.SecurityPolicySpec) { required(s); s.Mode = v1alpha1.ModeAudit })
	w.create(audit)
	w.Expect(w.client.Delete(w.ctx, standing)).To(gomega.Succeed())
	w.Eventually(func() bool {
		return apierrors.IsNotFound(w.client.Get(w.ctx, client.ObjectKeyFromObject(standing), standing))
	}).Should(gomega.BeTrue(), "the manager takes its finalizer off")

	t.Log("whoever chooses Ignore has it so")
	w.failurePolicyOfGuard(w.ctx, admissionregistrationv1.Ignore)
	w.Eventually(func() error { return w.client.Create(w.ctx, unseen.DeepCopy()) }).Should(gomega.Succeed())
	w.cleanUp(unseen)
}

func (w *world) failurePolicyOfGuard(ctx context.Context, p admissionregistrationv1.FailurePolicyType) {
	w.t.Helper()
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	w.Expect(w.client.Get(ctx, client.ObjectKey{Name: harness.WebhookName}, configuration)).To(gomega.Succeed())
	for i := range configuration.Webhooks {
		if hook := &configuration.Webhooks[i]; hook.Name == "guard.securitypolicies.security.neosc.io" {
			hook.FailurePolicy = ptr.To(p)
		}
	}
	w.Expect(w.client.Update(ctx, configuration)).To(gomega.Succeed())
}
