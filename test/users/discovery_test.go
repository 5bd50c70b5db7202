package users

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

// discover turns discovery on for organizations, by a merge patch of the spec.
func (w *world) discover(spec string) {
	w.t.Helper()
	conn := &v1alpha1.ZitadelConnection{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
	w.Expect(cluster.client.Patch(w.ctx, conn, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"discovery":`+spec+`}}`)))).To(Succeed())
}

// discovered are the ids of the users that discovery has made, and their
// organizations.
func (w *world) discovered() map[string]string {
	w.t.Helper()
	list := &v1alpha1.MFAUserList{}
	w.Expect(cluster.client.List(w.ctx, list, client.InNamespace(w.name), client.MatchingLabels{v1alpha1.LabelDiscovered: w.name})).To(Succeed())
	ids := map[string]string{}
	for i := range list.Items {
		ids[list.Items[i].Spec.Zitadel.UserID] = list.Items[i].Labels[v1alpha1.LabelOrganization]
	}
	return ids
}

// TestUsersAreDiscovered: one MFAUser for each human of the organization, as they
// come and go, and nobody else's is touched.
func TestUsersAreDiscovered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.zitadel.AddOrganization("other")
	ann := w.zitadel.AddHuman(w.acme, "ann", "ann@example.com")
	bob := w.zitadel.AddHuman(w.acme, "bob", "bob@example.com")
	w.zitadel.AddHuman(other, "zoe", "zoe@example.com")
	w.zitadel.AddMachine(w.acme, "robot")
	mine := w.user("mine", v1alpha1.ZitadelUserRef{UserID: ann})

	w.discover(`{"namespace":"` + w.name + `","organizations":[{"name":"acme"}]}`)
	w.Eventually(w.discovered).Should(Equal(map[string]string{ann: w.acme, bob: w.acme}), "humans of acme, no machine, nobody else")
	conn := &v1alpha1.ZitadelConnection{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
	w.Eventually(func() *v1alpha1.DiscoveryStatus {
		w.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(conn), conn)).To(Succeed())
		return conn.Status.Discovery
	}).Should(Equal(&v1alpha1.DiscoveryStatus{Users: 2, Made: 2, Shown: 2}))
	w.condition(conn, v1alpha1.ConditionUsersDiscovered, metav1.ConditionTrue, v1alpha1.ReasonDiscovered)

	t.Log("as they come and go, within a poll")
	carl := w.zitadel.AddHuman(w.acme, "carl", "carl@example.com")
	w.zitadel.Owner().RemoveUser(bob)
	w.Eventually(w.discovered).Should(Equal(map[string]string{ann: w.acme, carl: w.acme}))

	t.Log("a name that somebody else has is theirs")
	dora := w.zitadel.AddHuman(w.acme, "dora", "dora@example.com")
	w.Eventually(w.discovered).Should(HaveKey(dora))
	w.discover("null")
	w.Eventually(w.discovered).Should(BeEmpty(), "what was made is removed")
	taken := w.user(fmt.Sprintf("%s-%s", w.name, dora), v1alpha1.ZitadelUserRef{UserID: dora})
	w.discover(`{"namespace":"` + w.name + `","organizations":[{"id":"` + w.acme + `"}]}`)
	w.condition(conn, v1alpha1.ConditionUsersDiscovered, metav1.ConditionFalse, v1alpha1.ReasonDiscoveryNameTaken)
	w.Expect(w.discovered()).To(Equal(map[string]string{ann: w.acme, carl: w.acme}))

	w.discover("null")
	w.Eventually(w.discovered).Should(BeEmpty())
	for _, theirs := range []*v1alpha1.MFAUser{mine, taken} {
		w.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(theirs), theirs)).To(Succeed(), "never touched")
	}
}

// A first inventory that is cut off goes on where it was: who has been read is not
// read again.
func TestAFirstInventoryGoesOn(t *testing.T) {
	w := newWorld(t)
	const people = 36
	for i := range people {
		name := fmt.Sprintf("person-%02d", i)
		w.zitadel.AddHuman(w.acme, name, name+"@example.com")
	}
	slow := []byte(`{"spec":{"rateLimit":{"requestsPerSecond":20,"burst":1}}}`)
	conn := &v1alpha1.ZitadelConnection{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
	w.Expect(cluster.client.Patch(w.ctx, conn, client.RawPatch(types.MergePatchType, slow))).To(Succeed())
	w.discover(`{"namespace":"` + w.name + `","organizations":[{"name":"acme"}]}`)
	read := func() (n int) {
		list := &v1alpha1.MFAUserList{}
		w.Expect(cluster.client.List(w.ctx, list, client.InNamespace(w.name))).To(Succeed())
		for i := range list.Items {
			if z := list.Items[i].Status.Zitadel; z != nil && z.CheckedTime != nil {
				n++
			}
		}
		return n
	}
	w.Eventually(read).Should(BeNumerically(">", people/6))
	var before int
	w.Expect(cluster.restart(func() {
		w.zitadel.ResetCalls()
		before = read()
	})).To(Succeed())
	w.Expect(before).To(BeNumerically("<", people), "it was cut off")
	w.Eventually(read, time.Minute).Should(Equal(people))
	w.Expect(w.zitadel.CountCalls()["/zitadel.user.v2.UserService/ListAuthenticationFactors"]).To(Equal(people-before), "%d had been read", before)
}

// What discovery cannot know it never takes for gone.
func TestDiscoveryThatMayNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.zitadel.AddHuman(w.acme, "ann", "ann@example.com")
	conn := &v1alpha1.ZitadelConnection{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.name + "-foreign"}})
	for _, test := range []struct{ spec, reason, why string }{
		{`{"namespace":"` + w.name + `-nowhere","organizations":[{"name":"acme"}]}`, v1alpha1.ReasonDiscoveryNamespaceMissing, "no namespace"},
		{`{"namespace":"` + w.name + `-foreign","organizations":[{"name":"acme"}]}`, v1alpha1.ReasonNamespaceNotAllowed, "a namespace that no access rule names"},
		{`{"namespace":"` + w.name + `","organizations":[{"name":"nobody"}]}`, v1alpha1.ReasonOrganizationNotFound, "no such organization"},
	} {
		w.discover(test.spec)
		w.condition(conn, v1alpha1.ConditionUsersDiscovered, metav1.ConditionFalse, test.reason)
		w.Expect(w.discovered()).To(BeEmpty(), test.why)
	}
	w.discover(`{"namespace":"` + w.name + `","organizations":[{"name":"acme"}]}`)
	w.Eventually(w.discovered).Should(HaveKey(ann))
	w.discover(`{"namespace":"` + w.name + `","organizations":[{"name":"nobody"}]}`)
	w.condition(conn, v1alpha1.ConditionUsersDiscovered, metav1.ConditionFalse, v1alpha1.ReasonOrganizationNotFound)
	w.Expect(w.discovered()).To(HaveKey(ann), "a slip of the pen removes nobody")
}
