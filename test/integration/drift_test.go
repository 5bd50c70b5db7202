package integration

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

// TestDriftIsNamedAndRepaired: what was changed, to what, by whom and when.
func TestDriftIsNamedAndRepaired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.policy("mfa", "", alwaysRequired)
	w.create(p)
	w.ready(p)
	began := time.Now().Add(-time.Minute)
	adam := w.weaken()
	drift := w.condition(p, v1alpha1.ConditionDriftDetected, metav1.ConditionFalse, v1alpha1.ReasonDriftRepaired)
	w.Expect(drift.Message).To(And(HavePrefix("adam"), ContainSubstring("(user "+adam+") changed at instance of "+w.connection),
		ContainSubstring("login.forceMfa to false, wanted true")))
	held, _ := w.zitadel.LoginPolicy("")
	w.Expect(held.ForceMfa).To(BeTrue())
	is := p.Status.Targets[0].Drift
	w.Expect(is.Settings).To(ConsistOf(v1alpha1.SettingChange{Setting: "login.forceMfa", Found: "false", Wanted: "true"}))
	w.Expect(is.Editor.UserID).To(Equal(adam))
	w.Expect(is.EditedTime.Time).To(BeTemporally(">", began))
	w.Eventually(w.notes(p)).Should(ContainElement(And(HavePrefix("DriftRepaired"),
		ContainSubstring("login.forceMfa false → true"), ContainSubstring("changed by adam"))))
}

// TestContestedTargetIsLeftAlone: who changes it back again and again is not
// fought.
func TestContestedTargetIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.policy("mfa", "", alwaysRequired)
	w.create(p)
	w.ready(p)
	forced := func() bool { held, _ := w.zitadel.LoginPolicy(""); return held.ForceMfa }
	adam := w.weaken()
	for range 4 {
		w.Eventually(forced).Should(BeTrue())
		w.weakenAs(adam)
	}
	w.Eventually(forced).Should(BeTrue())
	w.weakenAs(adam)
	ready := w.failing(p, v1alpha1.ReasonContestedBy)
	w.Expect(ready.Message).To(And(ContainSubstring("adam"), ContainSubstring("login.forceMfa")))
	w.condition(p, v1alpha1.ConditionDriftDetected, metav1.ConditionTrue, v1alpha1.ReasonContestedBy)
	version := p.ResourceVersion
	w.Consistently(forced, 3*time.Second).Should(BeFalse())
	w.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
	w.Expect(p.ResourceVersion).To(Equal(version), "no status write while nothing happens")
}
