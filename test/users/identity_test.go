package users

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

// TestWhoeverIsRenamedStaysTheSame, and whoever takes over the name does not
// become them.
func TestWhoeverIsRenamedStaysTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := w.zitadel.Owner()
	ann := w.zitadel.AddHuman(w.acme, "ann", "ann@example.com")
	owner.AddTOTP(ann)
	u := w.user("ann", v1alpha1.ZitadelUserRef{LoginName: "ann", Organization: inAcme})
	w.shows(u, v1alpha1.UserEnrolled, "TOTP", v1alpha1.Compliant)

	owner.Rename(ann, "anna")
	w.Eventually(func() string {
		w.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(u), u)).To(Succeed())
		return u.Status.User
	}).Should(Equal("anna"))
	second := w.zitadel.AddHuman(w.acme, "ann", "second@example.com")
	w.heard(second)
	owner.AddU2F(ann, "blue")
	w.shows(u, v1alpha1.UserEnrolled, "TOTP,U2F", v1alpha1.Compliant)
	w.Expect(u.Status.Zitadel.UserID).To(Equal(ann))
}

// TestWhoeverMovesIsFoundWhereTheyAre: Zitadel moves nobody; who changes the
// organization is removed from one and made in the other, as somebody else.
func TestWhoeverMovesIsFoundWhereTheyAre(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.zitadel.AddOrganization("other")
	ann := w.zitadel.AddHuman(w.acme, "ann", "ann@example.com")
	w.discover(`{"namespace":"` + w.name + `","organizations":[{"name":"acme"},{"name":"other"}]}`)
	w.Eventually(w.discovered).Should(Equal(map[string]string{ann: w.acme}))
	here := w.user("here", v1alpha1.ZitadelUserRef{LoginName: "ann", Organization: inAcme})
	there := w.user("there", v1alpha1.ZitadelUserRef{LoginName: "ann", Organization: &v1alpha1.OrganizationSelector{Name: "other"}})
	w.shows(here, v1alpha1.UserPendingEnrolment, "", v1alpha1.Compliant)
	w.condition(there, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonUserNotFound)

	w.zitadel.Owner().RemoveUser(ann)
	moved := w.zitadel.AddHuman(other, "ann", "ann@example.com")
	w.zitadel.AddTOTP(moved)
	w.Eventually(w.discovered).Should(Equal(map[string]string{moved: other}))
	w.shows(there, v1alpha1.UserEnrolled, "TOTP", v1alpha1.Compliant)
	w.Expect(there.Status.Zitadel.OrganizationID).To(Equal(other))
	w.condition(here, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonUserNotFound)
	w.Expect(here.Status.Phase).To(BeEmpty(), "of whoever left nothing is known")
}
