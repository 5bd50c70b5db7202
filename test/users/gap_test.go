package users

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

// TestWhoChangedUnheardIsReadAgain: after the place in the event log was lost, of
// what happened before nobody tells. A restart that kept it reads nobody.
func TestWhoChangedUnheardIsReadAgain(t *testing.T) {
	w := newWorld(t)
	w.policy("any", v1alpha1.MethodWebAuthn, v1alpha1.MethodTOTP)
	people := []string{w.zitadel.AddHuman(w.acme, "ann", "ann@example.com"), w.zitadel.AddHuman(w.acme, "bob", "bob@example.com")}
	w.heard(people[1])
	var users []*v1alpha1.MFAUser
	for _, id := range people {
		users = append(users, w.user("user-"+id, v1alpha1.ZitadelUserRef{UserID: id}))
	}
	for _, u := range users {
		w.shows(u, v1alpha1.UserPendingEnrolment, "", v1alpha1.NonCompliant)
	}
	conn := &v1alpha1.ZitadelConnection{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
	hourAgo := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	set := func(obj client.Object, status string) {
		t.Helper()
		w.Expect(cluster.client.Status().Patch(w.ctx, obj, client.RawPatch(types.MergePatchType, []byte(`{"status":`+status+`}`)))).To(Succeed())
	}
	readings := func() int { return w.zitadel.CountCalls()["/zitadel.user.v2.UserService/ListAuthenticationFactors"] }

	w.Expect(cluster.restart(func() {
		for i, u := range users {
			w.zitadel.Owner().AddTOTP(people[i])
			set(u, fmt.Sprintf(`{"zitadel":{"checkedTime":%q}}`, hourAgo))
		}
		set(conn, `{"events":null}`)
	})).To(Succeed())
	for _, u := range users {
		w.shows(u, v1alpha1.UserEnrolled, "TOTP", v1alpha1.Compliant)
	}
	w.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(conn), conn)).To(Succeed())
	since := conn.Status.Events.FollowedSince.Time
	w.Expect(since).To(BeTemporally("~", time.Now(), patience))
	w.Expect(readings()).To(BeNumerically("<=", 2*len(users)))

	t.Log("a restart that kept the place looks at everybody, and reads nobody")
	w.Expect(cluster.restart(func() {
		w.zitadel.ResetCalls()
		w.keysOnly("any")
	})).To(Succeed())
	for _, u := range users {
		w.shows(u, v1alpha1.UserEnrolled, "TOTP", v1alpha1.NonCompliant)
	}
	w.polls(2)
	w.Expect(readings()).To(BeZero(), "%v", w.zitadel.CountCalls())
	w.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(conn), conn)).To(Succeed())
	w.Expect(conn.Status.Events.FollowedSince.Time).To(BeTemporally("==", since))
}

// keysOnly changes what a policy allows.
func (w *world) keysOnly(name string) {
	w.t.Helper()
	p := &v1alpha1.SecurityPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: name}}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"mfa":{"methods":["WebAuthn"]}}}`))
	w.Expect(cluster.client.Patch(w.ctx, p, patch)).To(Succeed())
}
