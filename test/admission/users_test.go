package admission

import (
	"testing"
	"time"

	"github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
	"github.com/neosc/mfa-operator/test/harness"
)

// Whoever steals somebody's session could take their factors away.
func TestNobodyResetsTheirOwnMFA(t *testing.T) {
	w := newWorld(t)
	zitadel := zitadeltest.Start(t, zitadeltest.Options{})
	w.connectTo(zitadel)
	zoe := zitadel.AddHuman(zitadel.DefaultOrganizationID(), "zoe", "zoe@example.com")
	w.create(&v1alpha1.MFAUser{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "ann"},
		Spec:       v1alpha1.MFAUserSpec{Source: v1alpha1.SourceLocal, Username: "ann@example.com"},
	})
	w.create(&v1alpha1.MFAUser{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "zoe"},
		Spec: v1alpha1.MFAUserSpec{Source: v1alpha1.SourceZitadel, Zitadel: &v1alpha1.ZitadelUserRef{
			Connection: w.namespace, UserID: zoe,
		}},
	})
	w.create(&v1alpha1.MFAUser{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "unknown"},
		Spec: v1alpha1.MFAUserSpec{Source: v1alpha1.SourceZitadel, Zitadel: &v1alpha1.ZitadelUserRef{
			Connection: "not-there", UserID: zoe,
		}},
	})
	w.Eventually(func(g gomega.Gomega) {
		u := &v1alpha1.MFAUser{}
		g.Expect(w.client.Get(w.ctx, client.ObjectKey{Namespace: w.namespace, Name: "zoe"}, u)).To(gomega.Succeed())
		g.Expect(u.Status.Zitadel).NotTo(gomega.BeNil())
		g.Expect(u.Status.Zitadel.LoginName).To(gomega.HavePrefix("zoe"))
	}).Should(gomega.Succeed())

	for _, test := range []struct {
		requester, user string
		refusal         string // "" allows
		reason          string
	}{
		{"carol@example.com", "ann", "", "an administrator resets somebody else"},
		{"ann@example.com", "ann", "somebody else has to ask for it", "the person themselves"},
		{"oidc:ANN@example.com", "ann", "somebody else has to ask for it", "neither the prefix nor case makes another person"},
		{"carol@example.com", "zoe", "", "also for people of Zitadel"},
		{"oidc:" + zoe, "zoe", "somebody else has to ask for it", "an API server may know people by the id in Zitadel"},
		{"zoe", "zoe", "somebody else has to ask for it", "or by the login name, which only Zitadel tells"},
		{"carol@example.com", "unknown", "wait until it is Ready", "who that is cannot be told yet"},
		{"carol@example.com", "nobody", "Not found", "it could be anybody who is made later"},
	} {
		c := w.as(test.requester)
		err := c.Create(w.ctx, &v1alpha1.MFAReset{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, GenerateName: "reset-"},
			Spec: v1alpha1.MFAResetSpec{
				UserRef: v1alpha1.LocalRef{Name: test.user}, Factors: []v1alpha1.ResetFactor{v1alpha1.ResetAll},
				Reason: "lost", RequestedBy: test.requester,
			},
		}, client.DryRunAll)
		if test.refusal == "" {
			w.Expect(err).NotTo(gomega.HaveOccurred(), test.reason)
			continue
		}
		w.Expect(err).To(gomega.MatchError(gomega.And(
			gomega.ContainSubstring("spec.userRef.name"), gomega.ContainSubstring(test.refusal))), test.reason)
	}
}

// as is a client of somebody who may make resets.
func (w *world) as(user string) client.Client {
	w.t.Helper()
	w.create(&rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "resets-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
	})
	config := rest.CopyConfig(cluster.env.Config)
	config.Impersonate.UserName = user
	c, err := client.New(config, client.Options{Scheme: harness.Scheme})
	w.Expect(err).NotTo(gomega.HaveOccurred())
	return c
}

func TestExemptionsAreAdvisedOn(t *testing.T) {
	w := newWorld(t)
	w.connect()
	w.create(w.policy("baseline", "", required))
	w.create(&v1alpha1.MFAUser{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "robot", Labels: map[string]string{"kind": "robot"}},
		Spec:       v1alpha1.MFAUserSpec{Source: v1alpha1.SourceLocal, Username: "robot"},
	})
	w.heard.take()
	day := func(n int) metav1.Time { return metav1.NewTime(time.Now().AddDate(0, 0, n)) }
	for _, test := range []struct {
		name   string
		change func(*v1alpha1.MFAExemptionSpec)
		error  string
		hears  []string
	}{
		{name: "one that counts", change: func(*v1alpha1.MFAExemptionSpec) {}},
		{name: "it would never count", change: func(s *v1alpha1.MFAExemptionSpec) { s.ExpiresAt = day(-1) }, error: "is over already"},
		{name: "nor would this", change: func(s *v1alpha1.MFAExemptionSpec) { s.ExpiresAt = day(92) }, error: "must be at most 90 days ahead"},
		{
			name: "the policy may come later, but not from another namespace", change: func(s *v1alpha1.MFAExemptionSpec) { s.PolicyRef.Name = "other" },
			hears: []string{"spec.policyRef: there is no SecurityPolicy other in namespace " + w.namespace + "; an exemption stands beside its policy and means nothing without it"},
		},
		{
			name: "a slip of the pen", change: func(s *v1alpha1.MFAExemptionSpec) { s.UserRef.Name = "robbot" },
			hears: []string{"spec.userRef: there is no MFAUser robbot in namespace " + w.namespace + " yet"},
		},
		{
			name: "a selector lets off whoever gets the label", change: func(s *v1alpha1.MFAExemptionSpec) {
				s.UserRef, s.Selector = nil, &metav1.LabelSelector{MatchLabels: map[string]string{"kind": "robot"}}
			},
			hears: []string{"spec.selector: exempts 1 user now, and whoever gets these labels later"},
		},
	} {
		e := &v1alpha1.MFAExemption{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, GenerateName: "exemption-"},
			Spec: v1alpha1.MFAExemptionSpec{
				UserRef: &v1alpha1.UserRef{Name: "robot"}, PolicyRef: v1alpha1.LocalRef{Name: "baseline"},
				Reason: "has no hands", ApprovedBy: "carol@example.com", ExpiresAt: day(30),
			},
		}
		test.change(&e.Spec)
		var err error
		w.Eventually(func() []string {
			err = w.client.Create(w.ctx, e.DeepCopy(), client.DryRunAll)
			return append([]string{}, w.heard.take()...)
		}).Should(gomega.Equal(append([]string{}, test.hears...)), test.name)
		if test.error == "" {
			w.Expect(err).NotTo(gomega.HaveOccurred(), test.name)
		} else {
			w.Expect(err).To(gomega.MatchError(gomega.And(
				gomega.ContainSubstring("spec.expiresAt"), gomega.ContainSubstring(test.error))), test.name)
		}
	}
}
