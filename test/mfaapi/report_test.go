package mfaapi

import (
	"net/http"
	"testing"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/sealed"
	"github.com/neosc/mfa-operator/test/harness"
)

// From registering to leaving: the manager shows what applications and people did
// over HTTP, of which it is told by nothing but the ledger, and resets whom an
// administrator says.
func TestTheManagerReportsAndResets(t *testing.T) {
	w := newWorld(t)
	logs := &harness.Recorder{}
	stop, err := harness.StartManager(cluster.env, logs, "--metrics-bind-address=0")
	w.Expect(err).NotTo(gomega.HaveOccurred())
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("log of the manager:\n%s", logs)
		}
	})
	w.Expect(cluster.client.Create(w.ctx, &v1alpha1.SecurityPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "apps"},
		Spec: v1alpha1.SecurityPolicySpec{
			Targets: v1alpha1.Targets{LocalUsers: &v1alpha1.LocalUsersTarget{Selector: &metav1.LabelSelector{}}},
			MFA:     &v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementRequiredOnFirstLogin, GracePeriodHours: ptr.To[int32](24)},
			Lockout: &v1alpha1.LockoutSettings{MaxOTPAttempts: ptr.To[int32](3), AutoUnlockMinutes: ptr.To[int32](30)},
		},
	})).To(gomega.Succeed())

	w.app.register("ann")
	ann := &v1alpha1.MFAUser{}
	shows := func(phase v1alpha1.UserPhase, compliance v1alpha1.Compliance) {
		t.Helper()
		w.Eventually(func(g gomega.Gomega) {
			users := &v1alpha1.MFAUserList{}
			g.Expect(cluster.client.List(w.ctx, users, client.InNamespace(w.namespace))).To(gomega.Succeed())
			g.Expect(users.Items).To(gomega.HaveLen(1))
			*ann = users.Items[0]
			g.Expect(ann.Status.Phase).To(gomega.Equal(phase))
			g.Expect(ann.Status.Compliance).To(gomega.Equal(compliance), ann.Status.ComplianceReason)
		}).Should(gomega.Succeed())
	}
	shows(v1alpha1.UserPendingEnrolment, v1alpha1.InGrace)
	w.Expect(ann.Status.GraceEndsAt).To(gomega.BeNil(), "she has not come yet")
	w.app.about(http.MethodPost, "ann", "/requirement", object{})
	w.Eventually(func() *metav1.Time {
		shows(v1alpha1.UserPendingEnrolment, v1alpha1.InGrace)
		return ann.Status.GraceEndsAt
	}).
		ShouldNot(gomega.BeNil(), "the time to enrol has begun")
	w.Expect(ann.Status.GraceEndsAt.Time).To(gomega.BeTemporally("~", time.Now().Add(24*time.Hour), time.Minute))

	s, token := w.app.enrol("ann")
	shows(v1alpha1.UserEnrolled, v1alpha1.Compliant)
	w.Expect(ann.Status.Factors).To(gomega.HaveLen(1))
	f := ann.Status.Factors[0]
	w.Expect([]string{f.Type, f.Name, f.State, ann.Status.FactorTypes}).To(gomega.Equal([]string{"TOTP", "phone", "Ready", "TOTP"}))
	w.Expect(f.AddedAt.Time).To(gomega.BeTemporally("~", time.Now(), time.Minute))
	w.Expect(*ann.Status.Sessions).To(gomega.And(gomega.HaveField("Active", int32(1)), gomega.HaveField("MFAVerified", int32(1))))

	wrong := "000000"
	if s.code(w, 0) == wrong || s.code(w, 1) == wrong || s.code(w, -1) == wrong {
		wrong = "111111"
	}
	for range 3 {
		w.app.verify("ann", "TOTP", wrong)
	}
	shows(v1alpha1.UserLocked, v1alpha1.Compliant)
	w.Expect(ann.Status.LockedUntil.Time).To(gomega.BeTemporally("~", time.Now().Add(30*time.Minute), time.Minute))
	w.Expect(ann.Status.FailedAttempts).To(gomega.BeEquivalentTo(3))
	w.Eventually(func(g gomega.Gomega) {
		list := &eventsv1.EventList{}
		g.Expect(cluster.client.List(w.ctx, list, client.InNamespace(w.namespace))).To(gomega.Succeed())
		reasons := map[string]bool{}
		for _, e := range list.Items {
			reasons[e.Reason] = true
		}
		g.Expect(reasons).To(gomega.And(gomega.HaveKey("FactorEnrolled"), gomega.HaveKey("VerificationFailed"), gomega.HaveKey("UserLocked")))
	}).Should(gomega.Succeed())

	active := func(replica int) any {
		return w.app.at(replica).about(http.MethodPost, "ann", "/sessions/introspect", object{"token": token}).of("active")
	}
	w.Expect(active(0)).To(gomega.BeTrue())
	reset := &v1alpha1.MFAReset{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "lost"},
		Spec:       v1alpha1.MFAResetSpec{UserRef: v1alpha1.LocalRef{Name: ann.Name}, Factors: []v1alpha1.ResetFactor{v1alpha1.ResetAll}, Reason: "phone stolen", RequestedBy: "carol"},
	}
	w.Expect(cluster.client.Create(w.ctx, reset)).To(gomega.Succeed())
	w.Eventually(func() v1alpha1.ResetPhase {
		w.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(reset), reset)).To(gomega.Succeed())
		return reset.Status.Phase
	}).Should(gomega.Equal(v1alpha1.ResetCompleted))
	for i := range replicas {
		w.Expect(active(i)).To(gomega.BeFalse(), "at replica %d, at once", i)
		denied := w.app.at(i).verify("ann", "TOTP", s.code(w, 1))
		w.Expect(denied.status).To(gomega.Equal(http.StatusForbidden), denied.raw)
	}
	w.Expect(reset.Status.Factors).To(gomega.HaveLen(1))
	w.Expect(reset.Status.Factors[0]).To(gomega.And(gomega.HaveField("ID", f.ID), gomega.HaveField("State", v1alpha1.ResetFactorRemoved), gomega.HaveField("Message", "")))
	w.Expect(reset.Status.SessionsEnded).To(gomega.BeEquivalentTo(1))
	secret := &corev1.Secret{}
	w.Expect(cluster.client.Get(w.ctx, client.ObjectKey{Namespace: w.namespace, Name: sealed.SecretName(ann.Name)}, secret)).To(gomega.Succeed())
	w.Expect(secret.Data).To(gomega.BeEmpty(), "etcd must hold nothing of the factor")

	shows(v1alpha1.UserPendingEnrolment, v1alpha1.InGrace)
	w.Expect(ann.Status.Factors).To(gomega.BeEmpty())
	w.Expect(ann.Status.LockedUntil).To(gomega.BeNil())
	w.Expect(ann.Status.Sessions.Active).To(gomega.BeZero())

	w.Expect(cluster.client.Delete(w.ctx, ann)).To(gomega.Succeed())
	w.Eventually(func() bool {
		return apierrors.IsNotFound(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(ann), ann))
	}).Should(gomega.BeTrue())
	told := w.trail(audit.UserRegistered, audit.UserRemoved, audit.MFAReset)
	w.Expect(outcomes(told)).To(gomega.Equal([]string{"UserRegistered Succeeded", "MFAReset Succeeded Reset", "UserRemoved Succeeded"}), "each once")
	for _, r := range told {
		w.Expect(r.Subject).To(gomega.Equal(string(ann.UID)))
	}
	w.Expect(told[1].Actor).To(gomega.Equal("carol"))
	w.Expect(told[1].Origin).To(gomega.Equal(mfa.Once(string(ann.UID), "reset/"+string(reset.UID))))
	w.Expect(logs.String()).NotTo(gomega.ContainSubstring(string(s)), "no log of the manager has the seed")
}
