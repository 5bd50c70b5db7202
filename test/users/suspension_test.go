package users

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
)

// A suspension of a local user is in the ledger, each once: by that record their
// sessions and links end for good (internal/mfa, TestWhatEndsASession and
// TestWhatEndsALink).
func TestASuspensionOfALocalUserIsRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := &v1alpha1.MFAUser{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "ann"},
		Spec:       v1alpha1.MFAUserSpec{Source: v1alpha1.SourceLocal, Username: "ann"},
	}
	w.create(u)
	w.shows(u, v1alpha1.UserPendingEnrolment, "", v1alpha1.NonCompliant)
	w.Expect(w.trail(audit.UserSuspended)).To(BeEmpty())
	suspended := func(value string, phase v1alpha1.UserPhase) {
		t.Helper()
		w.Expect(cluster.client.Patch(w.ctx, u, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"suspended":`+value+`}}`)))).To(Succeed())
		w.shows(u, phase, "", v1alpha1.NonCompliant)
	}
	for n := range 2 {
		suspended("true", v1alpha1.UserSuspended)
		w.Expect(w.trail(audit.UserSuspended)).To(HaveLen(n + 1))
		suspended("false", v1alpha1.UserPendingEnrolment)
	}
}
