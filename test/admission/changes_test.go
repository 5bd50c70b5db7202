package admission

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/test/harness"
)

// changes reads who changed what from the ledger of the test's namespace. Why it
// cannot be read, also that it has not begun, is a line that nobody waits for.
func (w *world) changes() []string {
	w.t.Helper()
	records, err := harness.Trail(w.ctx, cluster.env.Config, w.namespace, audit.PolicyChanged, audit.UserChanged)
	if err != nil {
		return []string{err.Error()}
	}
	var lines []string
	for _, r := range records {
		line := fmt.Sprintf("%s %s by %s:", r.Action, r.Reason, r.Actor)
		for _, d := range r.Details {
			line += fmt.Sprintf(" %s %q -> %q", d.Name, d.Old, d.Value)
		}
		lines = append(lines, line)
	}
	return lines
}

// TestWhoChangedWhatIsRecorded: what was stored, and nothing that was only tried.
func TestWhoChangedWhatIsRecorded(t *testing.T) {
	w := newWorld(t)
	w.connect()
	ann, bob := w.as("ann@example.com"), w.as("bob@example.com")

	p := w.policy("p", "acme", only(v1alpha1.MethodTOTP))
	p.Spec.Mode, p.Spec.DeletionPolicy = v1alpha1.ModeAudit, v1alpha1.DeletionRetain
	w.Expect(ann.Create(w.ctx, p.DeepCopy(), client.DryRunAll)).To(gomega.Succeed())
	w.Expect(ann.Create(w.ctx, p)).To(gomega.Succeed())
	w.cleanUp(p)
	refused := p.DeepCopy()
	refused.Spec.Mode, refused.Spec.MFA.Methods, refused.Spec.MFA.Enforcement, refused.Spec.MFA.PasskeyLogin =
		v1alpha1.ModeEnforce, []v1alpha1.Method{}, v1alpha1.EnforcementAlwaysRequired, v1alpha1.Forbidden
	w.Expect(ann.Update(w.ctx, refused)).NotTo(gomega.Succeed(), "it locks everybody out")
	w.Expect(bob.Patch(w.ctx, p, client.RawPatch("application/merge-patch+json",
		[]byte(`{"spec":{"mfa":{"methods":["WebAuthn","TOTP"],"enforcement":"RequiredOnFirstLogin"}}}`)))).To(gomega.Succeed())
	w.Expect(bob.Patch(w.ctx, p, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"a":"b"}}}`)))).To(gomega.Succeed())

	u := &v1alpha1.MFAUser{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "zoe"},
		Spec:       v1alpha1.MFAUserSpec{Source: v1alpha1.SourceLocal, Username: "zoe", Contact: &v1alpha1.Contact{Email: "zoe@example.com"}},
	}
	w.Expect(ann.Create(w.ctx, u)).To(gomega.Succeed())
	w.Expect(bob.Patch(w.ctx, u, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"mfaEnabled":false,"contact":{"email":"evil@example.com"}}}`)))).To(gomega.Succeed())
	w.Expect(bob.Delete(w.ctx, u)).To(gomega.Succeed())
	w.Expect(ann.Delete(w.ctx, p)).To(gomega.Succeed())

	w.Eventually(w.changes).Should(gomega.ConsistOf(
		gomega.MatchRegexp(`^PolicyChanged Created by ann@example.com: .*mfa.methods "" -> "\[\\"TOTP\\"\]" mode "" -> "Audit" .*targets.zitadel\[0\].organization.name "" -> "acme"`),
		`PolicyChanged Updated by bob@example.com: mfa.enforcement "" -> "RequiredOnFirstLogin" mfa.methods "[\"TOTP\"]" -> "[\"WebAuthn\",\"TOTP\"]"`,
		"PolicyChanged Deleted by ann@example.com:",
		`UserChanged Created by ann@example.com: contact.email "" -> "…" mfaEnabled "" -> "true" source "" -> "Local" username "" -> "…"`,
		`UserChanged Updated by bob@example.com: contact.email "…" -> "…" mfaEnabled "true" -> "false"`,
		"UserChanged Deleted by bob@example.com:",
	))
}

// TestWhoWithdrewAnExemptionIsRecorded: of one that counted, and not of a dry run.
func TestWhoWithdrewAnExemptionIsRecorded(t *testing.T) {
	w := newWorld(t)
	e := &v1alpha1.MFAExemption{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "robot"},
		Spec: v1alpha1.MFAExemptionSpec{
			PolicyRef: v1alpha1.LocalRef{Name: "p"}, UserRef: &v1alpha1.UserRef{Name: "robot"}, Reason: "no hands", ApprovedBy: "carol",
			ExpiresAt: metav1.NewTime(time.Now().Add(time.Hour)),
		},
	}
	w.Expect(w.client.Create(w.ctx, e)).To(gomega.Succeed())
	w.Eventually(func() v1alpha1.ExemptionPhase {
		w.Expect(w.client.Get(w.ctx, client.ObjectKeyFromObject(e), e)).To(gomega.Succeed())
		return e.Status.Phase
	}, patience).Should(gomega.Equal(v1alpha1.ExemptionActive))
	bob := w.as("bob@example.com")
	w.Expect(bob.Delete(w.ctx, e, client.DryRunAll)).To(gomega.Succeed())
	w.Expect(bob.Delete(w.ctx, e)).To(gomega.Succeed())
	var records []audit.Record
	w.Eventually(func() int {
		records, _ = harness.Trail(w.ctx, cluster.env.Config, w.namespace, audit.ExemptionRevoked) // it may not have begun
		return len(records)
	}, patience).Should(gomega.Equal(1))
	w.Expect(records[0]).To(gomega.And(
		gomega.HaveField("Actor", "bob@example.com"), gomega.HaveField("Subject", "robot"), gomega.HaveField("Policy", w.namespace+"/p"),
		gomega.HaveField("Details", gomega.ContainElements(audit.Detail{Name: "exemption", Value: "robot"}, audit.Detail{Name: "reason", Value: "no hands"})),
	))
}

// TestOfTwoWhoChangeAtOnceTheRightOneIsNamed: both are let through at the same
// version, and one is told that they came second.
func TestOfTwoWhoChangeAtOnceTheRightOneIsNamed(t *testing.T) {
	w := newWorld(t)
	w.connect()
	p := w.policy("p", "acme", func(s *v1alpha1.SecurityPolicySpec) {
		s.Mode = v1alpha1.ModeAudit
		s.Session = &v1alpha1.SessionSettings{PasswordMinutes: ptr.To(int32(1))}
	})
	w.create(p)
	writers := map[string]client.Client{}
	for i := range 6 {
		name := fmt.Sprint("writer-", i)
		writers[name] = w.as(name)
	}
	stored := map[string]int{} // by writer
	var mu sync.Mutex
	for round := 0; len(stored) < 5; round++ {
		current := &v1alpha1.SecurityPolicy{}
		w.Expect(w.client.Get(w.ctx, client.ObjectKeyFromObject(p), current)).To(gomega.Succeed())
		var all sync.WaitGroup
		i := int32(0)
		for name, c := range writers {
			i++
			mine := current.DeepCopy()
			mine.Spec.Session.PasswordMinutes = ptr.To(int32(round*100) + i + 1)
			all.Go(func() {
				switch err := c.Update(w.ctx, mine); {
				case err == nil:
					mu.Lock()
					stored[fmt.Sprintf("%s -> %d", name, *mine.Spec.Session.PasswordMinutes)]++
					mu.Unlock()
				case !apierrors.IsConflict(err):
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		all.Wait()
	}
	// None of a round where the manager wrote the status in between.
	w.Eventually(func() map[string]int {
		recorded := map[string]int{}
		for _, line := range w.changes() {
			var name string
			var old, now int
			if _, err := fmt.Sscanf(line, "PolicyChanged Updated by %s session.passwordMinutes \"%d\" -> \"%d\"", &name, &old, &now); err == nil {
				recorded[fmt.Sprintf("%s -> %d", name[:len(name)-1], now)]++
			}
		}
		return recorded
	}).Should(gomega.Equal(stored))
}
