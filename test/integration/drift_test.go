package integration

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"google.golang.org/protobuf/types/known/durationpb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

var _ = durationpb.New
var _ = time.Second

// TestDriftIsNamedAndRepaired: what was changed, to what, by whom and when.
func TestDriftIsNamedAndRepaired(t *testing.T) {
	w := newWorld(t)
	p := w.policy("mfa", "", alwaysRequired)
	w.create(p)
	w.ready(p)
	w.weaken()
	drift := w.condition(p, v1alpha1.ConditionDriftDetected, metav1.ConditionFalse, v1alpha1.ReasonDriftRepaired)
	w.Expect(drift.Message).To(ContainSubstring("login.forceMfa to false, wanted true"))
	held, _ := w.zitadel.LoginPolicy("")
	w.Expect(held.ForceMfa).To(BeTrue())
	w.Expect(p.Status.Targets[0].Drift.Settings).To(ConsistOf(v1alpha1.SettingChange{Setting: "login.forceMfa", Found: "false", Wanted: "true"}))
}

// TestContestedTargetIsLeftAlone: who changes it back again and again is not
// fought.
func TestContestedTargetIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	p := w.policy("mfa", "", alwaysRequired)
	w.create(p)
	w.ready(p)
	for range 5 {
		w.weaken()
		w.Eventually(func() bool { held, _ := w.zitadel.LoginPolicy(""); return held.ForceMfa }).Should(BeTrue())
	}
	w.weaken()
	w.failing(p, v1alpha1.ReasonContestedBy)
	w.condition(p, v1alpha1.ConditionDriftDetected, metav1.ConditionTrue, v1alpha1.ReasonContestedBy)
	version := p.ResourceVersion
	w.Consistently(func() bool { held, _ := w.zitadel.LoginPolicy(""); return held.ForceMfa }, 3*time.Second).Should(BeFalse())
	w.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
	w.Expect(p.ResourceVersion).To(Equal(version), "no status write while nothing happens")
}
