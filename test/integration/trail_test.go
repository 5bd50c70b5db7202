package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
	"github.com/neosc/mfa-operator/test/harness"
)

// heardWorld is a world whose events are followed, from now on.
func heardWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	conn := w.connectionObject()
	w.Expect(cluster.client.Patch(w.ctx, conn, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"events":{"pollSeconds":1}}}`)))).To(Succeed())
	w.condition(conn, v1alpha1.ConditionEventsFollowed, metav1.ConditionTrue, v1alpha1.ReasonFollowing)
	return w
}

// restart ends the manager and starts another one, which knows nothing of the
// first but what that left in the cluster.
func (w *world) restart() {
	w.t.Helper()
	w.Expect(cluster.stop()).To(Succeed())
	w.Expect(startManager()).To(Succeed())
}

// trail reads the ledger of a namespace through the API server, and checks its
// chain. It returns the records about the world's connection.
func (w *world) trail(namespace string) []audit.Record {
	w.t.Helper()
	all, err := harness.Trail(w.ctx, cluster.env.Config, namespace)
	w.Expect(err).NotTo(HaveOccurred(), "the ledger must be intact")
	var records []audit.Record
	for _, r := range all {
		if r.Origin != nil && strings.HasPrefix(r.Origin.Aggregate, w.connection+"/") {
			records = append(records, r)
		}
	}
	return records
}

// told is the trail as one line each: action, outcome, reason, subject, method,
// actor. A dash is what is not set.
func (w *world) told(namespace string, unless func(audit.Record) bool) func() []string {
	return func() []string {
		var lines []string
		for _, r := range w.trail(namespace) {
			if unless != nil && unless(r) {
				continue
			}
			line := []string{string(r.Action), string(r.Outcome)}
			for _, s := range []string{r.Reason, r.Subject, r.Method, r.Actor} {
				if s == "" {
					s = "-"
				}
				line = append(line, s)
			}
			lines = append(lines, strings.Join(line, " "))
		}
		return lines
	}
}

// TestTheTrail: what happened is in the ledgers once, with who did it; also after
// the manager was ended in the middle of it and another one came.
func TestTheTrail(t *testing.T) {
	w := heardWorld(t)
	p := w.policy("mfa", "", alwaysRequired)
	w.create(p)
	w.ready(p)
	adam := w.weaken()
	w.condition(p, v1alpha1.ConditionDriftDetected, metav1.ConditionFalse, v1alpha1.ReasonDriftRepaired)

	instance := w.connection + "/instance"
	policyTold := []string{
		"PolicyApplied Succeeded - " + instance + " - mfa-operator",
		"PolicyDrifted Succeeded - " + instance + " - " + adam,
		"PolicyApplied Succeeded DriftRepaired " + instance + " - mfa-operator",
	}
	w.Eventually(w.told(w.namespace, nil)).Should(Equal(policyTold))
	for _, r := range w.trail(w.namespace) {
		w.Expect(r.Policy).To(Equal(w.namespace + "/mfa"))
		found, wanted := "false", "true"
		if r.Action == audit.PolicyDrifted {
			found, wanted = wanted, found
		}
		w.Expect(r.Details).To(ContainElement(audit.Detail{Name: "login.forceMfa", Old: found, Value: wanted}), "%s", r.Action)
	}

	org := w.zitadel.DefaultOrganizationID()
	ann := w.zitadel.AddHuman(org, "ann", "ann@example.com")
	secrets := []string{"pass-canary-1A!", w.zitadel.OwnerToken()}
	w.zitadel.Owner().SetPassword(ann, secrets[0])
	secrets = append(secrets, w.zitadel.As(ann).AddTOTP(ann))
	w.zitadel.As(ann).FailPassword(ann)
	w.zitadel.As(ann).FailTOTP(ann)
	w.restart()
	session, token := w.zitadel.Owner().CreateSession(ann, time.Hour, zitadeltest.StampPassword, zitadeltest.StampTOTP)
	secrets = append(secrets, token)
	w.zitadel.Owner().Lock(ann)
	w.zitadel.Owner().Unlock(ann)
	secrets = append(secrets, w.zitadel.As(ann).AddRecoveryCodes(ann, 2)...)
	w.zitadel.As(ann).RemoveTOTP(ann)
	w.zitadel.Owner().RemoveUser(ann)

	owner := w.ownerID()
	ours := func(r audit.Record) bool { return r.Action == audit.ProviderPolicyEdited && r.Actor == owner }
	heard := []string{
		"ProviderPolicyEdited Succeeded Edited " + instance + " - " + adam,
		"UserChanged Succeeded PasswordChanged " + ann + " - " + owner,
		"FactorEnrolled Succeeded - " + ann + " TOTP -",
		"SSOPasswordCheck Failed - " + ann + " Password -",
		"SSOFactorCheck Failed - " + ann + " TOTP -",
		"SSOLogin Succeeded - " + ann + " TOTP " + owner,
		"UserLocked Succeeded - " + ann + " - " + owner,
		"UserUnlocked Succeeded - " + ann + " - " + owner,
		"FactorEnrolled Succeeded - " + ann + " RecoveryCodes -",
		"FactorRemoved Succeeded - " + ann + " TOTP -",
		"UserRemoved Succeeded - " + ann + " - " + owner,
	}
	w.Eventually(w.told(operatorNamespace, ours)).Should(Equal(heard))
	w.restart()
	bob := w.zitadel.AddHuman(org, "bob", "bob@example.com")
	w.zitadel.Owner().Lock(bob)
	w.Eventually(w.told(operatorNamespace, ours)).Should(Equal(append(heard, "UserLocked Succeeded - "+bob+" - "+owner)))
	w.Expect(w.told(w.namespace, nil)()).To(Equal(policyTold), "no policy is told of again")
	for _, r := range w.trail(operatorNamespace) {
		if r.Action == audit.SSOLogin {
			w.Expect(r.Session).To(Equal(session))
		}
	}

	list := w.kubectlMFA("audit", "list", "-n", operatorNamespace, "--user", ann)
	w.Expect(list).To(And(ContainSubstring("FactorEnrolled"), ContainSubstring("UserLocked"), Not(ContainSubstring(bob))))
	w.Expect(w.kubectlMFA("audit", "verify", "-n", operatorNamespace)).To(HavePrefix("Intact"))
	batches := &v1alpha1.MFAAuditRecordList{}
	w.Expect(cluster.client.List(w.ctx, batches)).To(Succeed())
	for i := range batches.Items {
		for _, secret := range secrets {
			w.Expect(w.json(&batches.Items[i])).NotTo(ContainSubstring(secret))
		}
		w.Expect(w.json(&batches.Items[i])).NotTo(Or(ContainSubstring("encodedHash"), ContainSubstring("$2a$")), "no payload passes")
	}
}

// ownerID is the id of the account the operator acts as.
func (w *world) ownerID() string {
	w.t.Helper()
	w.Eventually(func() bool { return w.stored().Status.Credential != nil }).Should(BeTrue())
	return w.stored().Status.Credential.UserID
}

// TestALedgerThatTakesNothing holds back what would go unrecorded; and then
// everything is recorded, once, though the process that did it is gone.
func TestALedgerThatTakesNothing(t *testing.T) {
	w := heardWorld(t)
	p := w.policy("mfa", "", alwaysRequired)
	w.create(p)
	w.ready(p)
	ann := w.zitadel.AddHuman(w.zitadel.DefaultOrganizationID(), "ann", "ann@example.com")
	w.zitadel.Owner().Lock(ann)
	locks := func(r audit.Record) bool { return r.Subject != ann }
	w.Eventually(w.told(operatorNamespace, locks)).Should(HaveLen(1))

	allow := w.refuseBatches(w.namespace, operatorNamespace)
	adam := w.weaken()
	w.failing(p, v1alpha1.ReasonNotRecorded)
	w.zitadel.Owner().Unlock(ann)
	w.condition(w.connectionObject(), v1alpha1.ConditionEventsFollowed, metav1.ConditionFalse, v1alpha1.ReasonEventsNotHandled)
	held, _ := w.zitadel.LoginPolicy("")
	w.Expect(held.ForceMfa).To(BeTrue(), "the first repair is done; it is the next that would wait")
	w.weakenAs(adam)
	w.Consistently(func() bool { held, _ := w.zitadel.LoginPolicy(""); return held.ForceMfa }, 3*time.Second).Should(BeFalse())
	w.restart()
	w.failing(p, v1alpha1.ReasonNotRecorded)

	allow()
	w.ready(p)
	w.condition(w.connectionObject(), v1alpha1.ConditionEventsFollowed, metav1.ConditionTrue, v1alpha1.ReasonFollowing)
	held, _ = w.zitadel.LoginPolicy("")
	w.Expect(held.ForceMfa).To(BeTrue())
	w.Eventually(w.told(operatorNamespace, locks)).Should(HaveLen(2))
	instance := w.connection + "/instance"
	w.Eventually(w.told(w.namespace, nil)).Should(Equal([]string{
		"PolicyApplied Succeeded - " + instance + " - mfa-operator",
		"PolicyDrifted Succeeded - " + instance + " - " + adam,
		"PolicyApplied Failed Unconfirmed " + instance + " - mfa-operator", // undone before it could be recorded
		"PolicyDrifted Succeeded - " + instance + " - " + adam,
		"PolicyApplied Succeeded DriftRepaired " + instance + " - mfa-operator",
	}))
}

// refuseBatches has the API server refuse every batch in some namespaces until
// allow is called.
func (w *world) refuseBatches(namespaces ...string) (allow func()) {
	w.t.Helper()
	name := w.namespace + "-refuse"
	rule := &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
				Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule:       admissionv1.Rule{APIGroups: []string{"security.neosc.io"}, APIVersions: []string{"*"}, Resources: []string{"mfaauditrecords"}},
			}}}},
			Validations: []admissionv1.Validation{{
				Expression: fmt.Sprintf(`!(object.metadata.namespace in ["%s"])`, strings.Join(namespaces, `","`)), Message: "not today",
			}},
		},
	}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}},
	}
	ctx := context.WithoutCancel(w.ctx)
	allow = func() {
		w.Expect(client.IgnoreNotFound(cluster.client.Delete(ctx, binding))).To(Succeed())
		w.Expect(client.IgnoreNotFound(cluster.client.Delete(ctx, rule))).To(Succeed())
	}
	w.t.Cleanup(allow)
	w.Expect(cluster.client.Create(w.ctx, rule)).To(Succeed())
	w.Expect(cluster.client.Create(w.ctx, binding)).To(Succeed())
	for _, namespace := range namespaces {
		again := &v1alpha1.MFAAuditRecord{}
		w.Expect(cluster.client.Get(w.ctx, client.ObjectKey{Namespace: namespace, Name: "ledger-000000000001"}, again)).To(Succeed())
		again.ResourceVersion, again.UID = "", ""
		w.Eventually(func() error { return cluster.client.Create(w.ctx, again.DeepCopy()) }).Should(
			Satisfy(func(err error) bool {
				return !apierrors.IsAlreadyExists(err) && strings.Contains(err.Error(), "not today")
			}))
	}
	return allow
}

// kubectlMFA runs the plugin.
func (w *world) kubectlMFA(args ...string) string {
	w.t.Helper()
	dir := w.t.TempDir()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	w.Expect(os.WriteFile(kubeconfig, cluster.env.KubeConfig, 0o600)).To(Succeed())
	run := exec.CommandContext(w.ctx, "go", append([]string{"run", "../../cmd/kubectl-mfa"}, append(args, "--kubeconfig="+kubeconfig)...)...)
	out, err := run.CombinedOutput()
	w.Expect(err).NotTo(HaveOccurred(), "%s", out)
	return string(out)
}
