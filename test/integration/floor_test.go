package integration

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
	"google.golang.org/protobuf/types/known/durationpb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

// TestOrganizationsOwnSettingsAreRaised to the baseline of the instance, also
// those made after it, and only where they are weaker.
func TestOrganizationsOwnSettingsAreRaised(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before, after := w.zitadel.AddOrganization("before"), w.zitadel.AddOrganization("after")
	plain := w.zitadel.AddOrganization("plain")
	lax := func(p *policypb.LoginPolicy) {
		p.SecondFactors = []policypb.SecondFactorType{policypb.SecondFactorType_SECOND_FACTOR_TYPE_OTP, policypb.SecondFactorType_SECOND_FACTOR_TYPE_OTP_SMS}
		p.SecondFactorCheckLifetime = durationpb.New(5 * time.Minute) // stricter than the baseline
		p.MultiFactorCheckLifetime = durationpb.New(time.Hour)
		p.DefaultRedirectUri = "https://own.example.com"
	}
	w.zitadel.Owner().ChangeLoginPolicy(before, lax)

	p := w.policy("baseline", "", alwaysRequired)
	w.create(p)
	w.ready(p)
	raised := func(org string) func(Gomega) {
		return func(g Gomega) {
			held, own := w.zitadel.LoginPolicy(org)
			g.Expect(own).To(BeTrue())
			g.Expect(held.ForceMfa).To(BeTrue())
			g.Expect(held.SecondFactors).To(ConsistOf(policypb.SecondFactorType_SECOND_FACTOR_TYPE_OTP), "SMS is not in the baseline, and a security key was never there")
			g.Expect(held.SecondFactorCheckLifetime.AsDuration().Minutes()).To(Equal(5.0), "stricter than the baseline: stays")
			g.Expect(held.MultiFactorCheckLifetime.AsDuration().Minutes()).To(Equal(15.0))
			g.Expect(held.DefaultRedirectUri).To(Equal("https://own.example.com"), "not managed")
		}
	}
	w.Eventually(raised(before)).Should(Succeed())
	w.zitadel.Owner().ChangeLoginPolicy(after, lax)
	w.Eventually(raised(after)).Should(Succeed())
	_, own := w.zitadel.LoginPolicy(plain)
	w.Expect(own).To(BeFalse(), "who follows the instance has the baseline already")
	w.Eventually(func(g Gomega) {
		g.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
		g.Expect(p.Status.Targets[0].Organizations).To(Equal(&v1alpha1.OrganizationsStatus{OwnSettings: 2, Raised: 2}))
	}).Should(Succeed())

	t.Log("an administrator of the organization weakens it again: it comes back, and he is named")
	olga := w.zitadel.AddHuman(before, "olga", "olga@example.com")
	w.zitadel.As(olga).ChangeLoginPolicy(before, func(p *policypb.LoginPolicy) { p.ForceMfa = false })
	w.Eventually(raised(before)).Should(Succeed())
	drift := w.condition(p, v1alpha1.ConditionDriftDetected, metav1.ConditionFalse, v1alpha1.ReasonDriftRepaired)
	w.Expect(drift.Message).To(And(ContainSubstring("olga"), ContainSubstring("organization before below the instance")))
	w.Eventually(w.notes(p)).Should(ContainElement(And(HavePrefix("DriftRepaired organization before"), ContainSubstring("changed by olga"))))

	t.Log("out of force, the organization has its own settings back")
	w.update(p, func(spec *v1alpha1.SecurityPolicySpec) { spec.Mode = v1alpha1.ModeAudit })
	w.ready(p)
	held, _ := w.zitadel.LoginPolicy(before)
	w.Expect(held.ForceMfa).To(BeFalse())
	w.Expect(held.SecondFactors).To(HaveLen(2))
	w.Expect(held.MultiFactorCheckLifetime.AsDuration().Minutes()).To(Equal(60.0))
}
