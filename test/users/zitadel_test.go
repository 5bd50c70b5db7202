package users

import (
	"maps"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

// TestAPersonIsShownAsTheyChange: what happens in Zitadel shows within one poll,
// and while nothing happens nothing is asked.
func TestAPersonIsShownAsTheyChange(t *testing.T) {
	w := newWorld(t)
	owner := w.zitadel.Owner()
	ann := w.zitadel.AddHuman(w.acme, "ann", "ann@example.com")
	w.policy("keys-only", v1alpha1.MethodWebAuthn)
	u := w.user("ann", v1alpha1.ZitadelUserRef{LoginName: "ANN", Organization: inAcme})
	w.shows(u, v1alpha1.UserPendingEnrolment, "", v1alpha1.NonCompliant)
	w.Expect(u.Status.User).To(Equal("ann"))
	w.Expect(u.Status.Zitadel.UserID).To(Equal(ann))
	w.Expect(u.Status.EffectivePolicy.Enforcement).To(Equal(v1alpha1.EnforcementRequiredOnFirstLogin))
	w.Expect(u.Status.EffectivePolicy.Names).To(Equal(w.name + "/keys-only"))
	w.Expect(u.Status.EffectivePolicy.Provenance).To(ContainElement(v1alpha1.FieldProvenance{
		Field: "mfa.methods", Value: "[WebAuthn]", By: []string{w.name + "/keys-only"},
	}))
	w.Expect(u.Status.Sessions).To(Equal(&v1alpha1.SessionsStatus{}), "to have none is known, not left out")
	w.Expect(u.Status.Factors).NotTo(BeNil())

	t.Log("a factor that is only being set up does not count")
	owner.BeginTOTP(ann)
	owner.AddOTPEmail(ann)
	w.shows(u, v1alpha1.UserEnrolled, "OTPEmail", v1alpha1.NonCompliant)
	w.Expect(u.Status.ComplianceReason).To(ContainSubstring("OTPEmail, none of which is allowed"))
	w.Eventually(func() []v1alpha1.UserFactor {
		w.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(u), u)).To(Succeed())
		return u.Status.Factors
	}).Should(ConsistOf(v1alpha1.UserFactor{Type: "OTPEmail", State: "Ready"}, v1alpha1.UserFactor{Type: "TOTP", State: "Pending"}))

	began := time.Now()
	key := owner.AddU2F(ann, "blue key")
	w.shows(u, v1alpha1.UserEnrolled, "OTPEmail,U2F", v1alpha1.Compliant)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("an enrolment showed after %v, want within one poll of a second", took)
	}
	w.Expect(u.Status.Factors).To(ContainElement(v1alpha1.UserFactor{Type: "U2F", ID: key, Name: "blue key", State: "Ready"}))

	owner.AddRecoveryCodes(ann, 2)
	w.shows(u, v1alpha1.UserEnrolled, "OTPEmail,RecoveryCodes,U2F", v1alpha1.Compliant)
	owner.RemoveU2F(ann, key)
	owner.RemoveRecoveryCodes(ann)
	w.shows(u, v1alpha1.UserEnrolled, "OTPEmail", v1alpha1.NonCompliant)

	owner.Lock(ann)
	w.shows(u, v1alpha1.UserLocked, "OTPEmail", v1alpha1.NonCompliant)
	owner.Deactivate(ann)
	w.shows(u, v1alpha1.UserSuspended, "OTPEmail", v1alpha1.NonCompliant)
	owner.Reactivate(ann)
	w.shows(u, v1alpha1.UserEnrolled, "OTPEmail", v1alpha1.NonCompliant)

	t.Log("added and removed within one poll")
	gone := owner.AddPasskey(ann, "phone")
	owner.RemovePasskey(ann, gone)
	w.shows(u, v1alpha1.UserEnrolled, "OTPEmail", v1alpha1.NonCompliant)

	notes := &eventsv1.EventList{}
	w.Eventually(func(g Gomega) {
		g.Expect(cluster.client.List(w.ctx, notes, client.InNamespace(w.name))).To(Succeed())
		var told []string
		for _, n := range notes.Items {
			if n.Regarding.Name == u.Name {
				told = append(told, n.Reason+" "+n.Note)
			}
		}
		g.Expect(told).To(ContainElements("FactorsChanged OTPEmail → OTPEmail,U2F", "PhaseChanged Enrolled → Locked"))
	}).Should(Succeed())

	t.Log("whoever takes over the name of somebody removed is somebody else")
	owner.RemoveUser(ann)
	w.condition(u, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonUserNotFound)
	w.Expect(u.Status.Phase).To(BeEmpty(), "of nobody nothing is known")
	w.Expect(u.Status.Factors).To(BeNil())
	second := w.zitadel.AddHuman(w.acme, "ann", "ann@example.com")
	w.shows(u, v1alpha1.UserPendingEnrolment, "", v1alpha1.NonCompliant)
	w.Expect(u.Status.Zitadel.UserID).To(Equal(second))
}

// TestNothingIsAskedInSteadyState: one call per poll and connection, however many
// users, also after a restart.
func TestNothingIsAskedInSteadyState(t *testing.T) {
	w := newWorld(t)
	w.policy("any", v1alpha1.MethodWebAuthn, v1alpha1.MethodTOTP)
	var people []string
	for _, name := range []string{"ann", "bob", "carl", "dora", "eve"} {
		people = append(people, w.zitadel.AddHuman(w.acme, name, name+"@example.com"))
	}
	w.heard(people[4]) // so nobody waits for their making to show
	var users []*v1alpha1.MFAUser
	for _, id := range people {
		users = append(users, w.user("user-"+id, v1alpha1.ZitadelUserRef{UserID: id}))
	}
	for _, u := range users {
		w.shows(u, v1alpha1.UserPendingEnrolment, "", v1alpha1.NonCompliant)
	}
	others := func(polls int) map[string]int {
		w.zitadel.ResetCalls()
		w.polls(polls)
		calls := w.zitadel.CountCalls()
		maps.DeleteFunc(calls, func(method string, _ int) bool { return strings.HasSuffix(method, "/ListEvents") })
		return calls
	}
	w.Eventually(func() map[string]int { return others(2) }).Should(BeEmpty(), "what their making brought about is over")
	w.Expect(others(5)).To(BeEmpty(), "nothing happened, so nothing else is asked")

	t.Log("a restart reads nobody again, and loses nothing that happened meanwhile")
	w.Expect(cluster.restart(func() {})).To(Succeed())
	w.zitadel.Owner().AddTOTP(users[0].Spec.Zitadel.UserID)
	w.shows(users[0], v1alpha1.UserEnrolled, "TOTP", v1alpha1.Compliant)
	calls := w.zitadel.CountCalls()
	w.Expect(calls["/zitadel.user.v2.UserService/ListAuthenticationFactors"]).To(BeNumerically("<=", 3), "only ann was read: %v", calls)
}

// heard waits until the newest events of a user have been acted on.
func (w *world) heard(userID string) {
	w.t.Helper()
	conn := &v1alpha1.ZitadelConnection{}
	w.Eventually(func(g Gomega) {
		g.Expect(cluster.client.Get(w.ctx, client.ObjectKey{Name: w.name}, conn)).To(Succeed())
		g.Expect(conn.Status.Events.Seen).To(ContainElement(ContainSubstring(userID)))
	}).Should(Succeed())
}

// polls waits until the follower has looked so many times.
func (w *world) polls(n int) {
	w.t.Helper()
	count := func() int { return w.zitadel.CountCalls()["/zitadel.admin.v1.AdminService/ListEvents"] }
	before := count()
	w.Eventually(count).Should(BeNumerically(">=", before+n))
}

func TestSessionsAreCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := w.zitadel.Owner()
	ann := w.zitadel.AddHuman(w.acme, "ann", "ann@example.com")
	owner.CreateSession(ann, 0, zitadeltest.StampPassword)
	verified, _ := owner.CreateSession(ann, time.Hour, zitadeltest.StampPassword, zitadeltest.StampTOTP)
	u := w.user("ann", v1alpha1.ZitadelUserRef{Email: "Ann@Example.COM", Organization: inAcme})
	w.shows(u, v1alpha1.UserPendingEnrolment, "", v1alpha1.Compliant)
	w.Expect(u.Status.Sessions.Active).To(Equal(int32(2)))
	w.Expect(u.Status.Sessions.MFAVerified).To(Equal(int32(1)))
	w.Expect(u.Status.Sessions.NextEndTime.Time).To(BeTemporally("~", time.Now().Add(time.Hour), time.Minute))

	t.Log("locking ends sessions")
	owner.DeleteSession(verified)
	owner.Lock(ann)
	w.shows(u, v1alpha1.UserLocked, "", v1alpha1.Compliant)
	w.Eventually(func() *v1alpha1.SessionsStatus {
		w.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(u), u)).To(Succeed())
		return u.Status.Sessions
	}).Should(Equal(&v1alpha1.SessionsStatus{}))
}

func TestReferencesAreNeverGuessed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.zitadel.AddOrganization("other")
	w.zitadel.AddHuman(w.acme, "ann", "same@example.com")
	w.zitadel.AddHuman(w.acme, "bob", "SAME@example.com")
	hidden := w.zitadel.AddHuman(other, "carl", "carl@example.com")
	for name, test := range map[string]struct {
		ref    v1alpha1.ZitadelUserRef
		reason string
	}{
		"ambiguous":       {v1alpha1.ZitadelUserRef{Email: "same@example.com", Organization: inAcme}, v1alpha1.ReasonUserAmbiguous},
		"elsewhere":       {v1alpha1.ZitadelUserRef{LoginName: "carl", Organization: inAcme}, v1alpha1.ReasonUserNotFound},
		"nobody":          {v1alpha1.ZitadelUserRef{UserID: "404"}, v1alpha1.ReasonUserNotFound},
		"no-organization": {v1alpha1.ZitadelUserRef{LoginName: "ann", Organization: &v1alpha1.OrganizationSelector{Name: "ACME"}}, v1alpha1.ReasonOrganizationNotFound},
	} {
		c := w.condition(w.user(name, test.ref), v1alpha1.ConditionReady, metav1.ConditionFalse, test.reason)
		w.Expect(c.Message).NotTo(BeEmpty())
	}

	t.Log("whoever may not target an organization sees nobody of it, and not whether they exist")
	conn := &v1alpha1.ZitadelConnection{}
	w.Expect(cluster.client.Get(w.ctx, client.ObjectKey{Name: w.name}, conn)).To(Succeed())
	before := conn.DeepCopy()
	conn.Spec.Access[0].Organizations = []v1alpha1.OrganizationSelector{*inAcme}
	w.Expect(cluster.client.Patch(w.ctx, conn, client.MergeFrom(before))).To(Succeed())
	refused := w.condition(w.user("hidden", v1alpha1.ZitadelUserRef{UserID: hidden}), v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNamespaceNotAllowed)
	missing := w.condition(w.user("missing", v1alpha1.ZitadelUserRef{UserID: "405"}), v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNamespaceNotAllowed)
	w.Expect(refused.Message).To(Equal(missing.Message))
}

// TestMissingPermissionsAreNamed: whatever the account may not read has a
// condition, and the rest works.
func TestMissingPermissionsAreNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "ORG_OWNER_VIEWER")
	ann := w.zitadel.AddHuman(w.acme, "ann", "ann@example.com")
	w.zitadel.AddTOTP(ann)
	u := w.user("ann", v1alpha1.ZitadelUserRef{UserID: ann})
	w.shows(u, v1alpha1.UserEnrolled, "TOTP", v1alpha1.Compliant)
	w.condition(u, v1alpha1.ConditionSessionsKnown, metav1.ConditionFalse, v1alpha1.ReasonSessionsPermissionMissing)
	w.Expect(u.Status.Sessions).To(BeNil(), "not known is not none")
	w.condition(u, v1alpha1.ConditionFactorsKnown, metav1.ConditionTrue, v1alpha1.ReasonReadable)

	t.Log("nor may it lock anybody")
	w.Expect(cluster.client.Patch(w.ctx, u, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"suspended":true}}`)))).To(Succeed())
	w.condition(u, v1alpha1.ConditionSuspensionApplied, metav1.ConditionFalse, v1alpha1.ReasonPermissionMissing)
	w.shows(u, v1alpha1.UserEnrolled, "TOTP", v1alpha1.Compliant)

	elsewhere := w.zitadel.AddHuman(w.zitadel.AddOrganization("other"), "bob", "bob@example.com")
	w.condition(w.user("bob", v1alpha1.ZitadelUserRef{UserID: elsewhere}), v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonPermissionMissing)
}

// TestMethodsThatMayNotBeListed: Zitadel asks for that right in the account's own
// organization, whoever's methods they are.
func TestMethodsThatMayNotBeListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "ORG_PROJECT_CREATOR")
	other := w.zitadel.AddOrganization("other")
	w.zitadel.GrantRoles(w.account, other, "ORG_OWNER_VIEWER")
	bob := w.zitadel.AddHuman(other, "bob", "bob@example.com")
	w.zitadel.AddTOTP(bob)
	u := w.user("bob", v1alpha1.ZitadelUserRef{UserID: bob})
	w.shows(u, v1alpha1.UserEnrolled, "TOTP", v1alpha1.Compliant)
	w.condition(u, v1alpha1.ConditionFactorsKnown, metav1.ConditionFalse, v1alpha1.ReasonFactorsPermissionMissing)
	w.Expect(u.Status.Zitadel.ExternalLogin).To(BeEmpty(), "not known")
}

// TestSuspension: what Zitadel holds, also after somebody meddles.
func TestSuspension(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := w.zitadel.Owner()
	ann := w.zitadel.AddHuman(w.acme, "ann", "ann@example.com")
	owner.AddTOTP(ann)
	u := w.user("ann", v1alpha1.ZitadelUserRef{UserID: ann})
	w.shows(u, v1alpha1.UserEnrolled, "TOTP", v1alpha1.Compliant)
	suspended := func(value string) {
		w.Expect(cluster.client.Patch(w.ctx, u, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"suspended":`+value+`}}`)))).To(Succeed())
	}
	happened := func(what string) func() int {
		return func() int {
			n := 0
			for _, name := range w.zitadel.EventTypes(ann) {
				if name == what {
					n++
				}
			}
			return n
		}
	}

	suspended("true")
	w.condition(u, v1alpha1.ConditionSuspensionApplied, metav1.ConditionTrue, v1alpha1.ReasonSuspended)
	w.Expect(happened("user.locked")()).To(Equal(1))
	w.shows(u, v1alpha1.UserLocked, "TOTP", v1alpha1.Compliant)

	t.Log("somebody unlocks her in Zitadel")
	owner.Unlock(ann)
	w.Eventually(happened("user.locked")).Should(Equal(2), "locked again")
	w.Eventually(func() []string { return w.events(u) }).Should(ContainElement("SuspensionUndone"))

	suspended("false")
	w.condition(u, v1alpha1.ConditionSuspensionApplied, metav1.ConditionTrue, v1alpha1.ReasonNotSuspended)
	w.shows(u, v1alpha1.UserEnrolled, "TOTP", v1alpha1.Compliant)

	t.Log("whoever is locked for guessing stays so")
	owner.Lock(ann)
	w.shows(u, v1alpha1.UserLocked, "TOTP", v1alpha1.Compliant)
	w.polls(2)
	w.Expect(happened("user.unlocked")()).To(Equal(2), "by somebody, and by us once")

	suspended("null")
	w.Eventually(func(g Gomega) {
		g.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(u), u)).To(Succeed())
		g.Expect(meta.FindStatusCondition(u.Status.Conditions, v1alpha1.ConditionSuspensionApplied)).To(BeNil())
		g.Expect(u.Status.Phase).To(Equal(v1alpha1.UserLocked), "not managed any more")
	}).Should(Succeed())
}

// events are the reasons of the Events about an object.
func (w *world) events(about client.Object) []string {
	w.t.Helper()
	list := &eventsv1.EventList{}
	w.Expect(cluster.client.List(w.ctx, list, client.InNamespace(about.GetNamespace()))).To(Succeed())
	var reasons []string
	for i := range list.Items {
		if list.Items[i].Regarding.UID == about.GetUID() {
			reasons = append(reasons, list.Items[i].Reason)
		}
	}
	return reasons
}
