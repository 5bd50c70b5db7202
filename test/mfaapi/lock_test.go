package mfaapi

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
)

// Guesses in parallel at three replicas: no more are looked at than the policy
// allows; then not even the right code is accepted, until an administrator says so.
func TestALock(t *testing.T) {
	w := newWorld(t)
	const allowed = 3
	policy := &v1alpha1.SecurityPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "strict"},
		Spec: v1alpha1.SecurityPolicySpec{
			Targets: v1alpha1.Targets{LocalUsers: &v1alpha1.LocalUsersTarget{Selector: &metav1.LabelSelector{}}},
			Lockout: &v1alpha1.LockoutSettings{MaxOTPAttempts: ptr.To[int32](allowed)},
		},
	}
	w.Expect(w.site.client.Create(w.ctx, policy)).To(gomega.Succeed())
	w.app.register("ann")
	s, _ := w.app.enrol("ann")
	// A policy is heard of like a user: when the next one is known, so is it.
	w.app.register("bob")
	wrong := s.wrong(w)
	var all sync.WaitGroup
	var other atomic.Int32
	start := make(chan struct{})
	for i := range 48 {
		all.Go(func() {
			<-start
			switch w.app.at(i%replicas).verify("ann", "TOTP", wrong).status {
			case http.StatusForbidden, http.StatusTooManyRequests:
			default:
				other.Add(1)
			}
		})
	}
	close(start)
	all.Wait()
	w.Expect(other.Load()).To(gomega.BeZero())
	looked := map[string]int{}
	for _, line := range outcomes(w.trail(audit.Verification, audit.UserLocked)) {
		looked[line]++
	}
	w.Expect(looked["Verification Failed WrongCode"]).To(gomega.Equal(allowed), "%v", looked)
	w.Expect(looked["UserLocked Succeeded TooManyFailures"]).To(gomega.Equal(1), "%v", looked)

	for i := range replicas {
		w.Expect(w.app.at(i).verify("ann", "TOTP", s.code(w, 0))).To(beProblem(http.StatusForbidden), "the right code, at replica %d", i)
	}
	w.Expect(w.app.at(1).about(http.MethodDelete, "ann", "/lock", nil).status).To(gomega.Equal(http.StatusNoContent))
	won := w.app.at(2).verify("ann", "TOTP", s.code(w, 0))
	w.Expect(won.status).To(gomega.Equal(http.StatusCreated), won.raw)
}
