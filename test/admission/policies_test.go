package admission

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/controlplane"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

// A dry run says whom a policy would hit, and leaves no trace.
func TestDryRunTellsTheImpact(t *testing.T) {
	w := newWorld(t)
	zitadel := zitadeltest.Start(t, zitadeltest.Options{})
	acme := zitadel.AddOrganization("acme")
	for i := range 5 {
		id := zitadel.AddHuman(acme, fmt.Sprintf("user-%d", i), fmt.Sprintf("user-%d@example.com", i))
		if i < 2 {
			zitadel.AddTOTP(id)
		}
	}
	zitadel.AddHuman(zitadel.DefaultOrganizationID(), "ann", "ann@example.com")
	w.connectTo(zitadel)

	before := w.snapshot()
	p := w.policy("mfa", "", required)
	w.Expect(w.client.Create(w.ctx, p, client.DryRunAll)).To(gomega.Succeed())
	heard := w.heard.take()
	w.Expect(heard).To(gomega.ContainElement(gomega.MatchRegexp(`^of \d+ users in scope \d+ will be asked to set up a factor at their next sign-in and 0 will be blocked$`)))
	w.Expect(heard).To(gomega.ContainElement(gomega.And(
		gomega.HavePrefix("the instance of "+w.namespace+": "), gomega.ContainSubstring("login.forceMfa (not managed) -> true"))))
	w.Expect(w.snapshot()).To(gomega.Equal(before), "a dry run writes nothing")
	w.Expect(zitadel.CountWrites()).To(gomega.BeZero())

	t.Log("what is told is what then happens")
	w.create(p)
	w.Expect(w.heard.take()).To(gomega.ContainElement(heard[0]))
	w.Eventually(func(g gomega.Gomega) {
		g.Expect(w.client.Get(w.ctx, client.ObjectKeyFromObject(p), p)).To(gomega.Succeed())
		g.Expect(meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionReady)).To(gomega.BeTrue())
		g.Expect(p.Status.Impact).NotTo(gomega.BeNil())
		g.Expect(heard[0]).To(gomega.HavePrefix("of %d users in scope %d will", p.Status.Impact.UsersInScope, p.Status.Impact.WillBePrompted))
	}).Should(gomega.Succeed())

	t.Log("the manager's own writes to the object are nobody's business")
	w.Expect(p.Finalizers).To(gomega.ContainElement(v1alpha1.Finalizer))
}

// snapshot has the version of everything the webhook could have written.
func (w *world) snapshot() map[string]string {
	w.t.Helper()
	found := map[string]string{}
	for _, list := range []client.ObjectList{
		&v1alpha1.SecurityPolicyList{}, &corev1.SecretList{}, &corev1.ConfigMapList{},
		&admissionregistrationv1.ValidatingWebhookConfigurationList{}, &eventsv1.EventList{},
	} {
		w.Expect(w.client.List(w.ctx, list)).To(gomega.Succeed())
		w.Expect(meta.EachListItem(list, func(obj runtime.Object) error {
			o := obj.(client.Object)
			if o.GetNamespace() == "" || o.GetNamespace() == w.namespace || strings.Contains(o.GetName(), w.namespace) {
				found[fmt.Sprintf("%T %s/%s", o, o.GetNamespace(), o.GetName())] = o.GetResourceVersion()
			}
			return nil
		})).To(gomega.Succeed())
	}
	return found
}

func TestLockoutIsRefused(t *testing.T) {
	w := newWorld(t)
	w.connect()
	w.create(w.policy("first", "", only(v1alpha1.MethodTOTP)))

	second := w.policy("second", "", only(v1alpha1.MethodWebAuthn))
	w.Eventually(func() error { return w.client.Create(w.ctx, second.DeepCopy(), client.DryRunAll) }).Should(gomega.MatchError(gomega.And(
		gomega.ContainSubstring(`SecurityPolicy.security.neosc.io "second" is invalid: spec.mfa.methods: Forbidden: at the instance of `+w.namespace),
		gomega.ContainSubstring(w.namespace+"/first [TOTP]"), gomega.ContainSubstring("this one [WebAuthn]"),
		gomega.ContainSubstring("security.neosc.io/accept-lockout"),
	)), "as soon as the cache has heard of the first")
	err := w.client.Create(w.ctx, second.DeepCopy())
	w.Expect(apierrors.IsInvalid(err)).To(gomega.BeTrue(), "%v", err)
	w.Expect(apierrors.IsNotFound(w.client.Get(w.ctx, client.ObjectKeyFromObject(second), second))).To(gomega.BeTrue())

	t.Log("a reason makes it pass")
	w.heard.take()
	second.Annotations = map[string]string{v1alpha1.AnnotationAcceptLockout: "the tenant is being closed"}
	w.create(second)
	w.Expect(w.heard.take()).To(gomega.ContainElement(gomega.ContainSubstring("accepted by annotation, but as long as it is so nothing is written there (NoMethodLeft)")))

	t.Log("and it can be changed for the better, disabled and deleted")
	w.Expect(w.client.Patch(w.ctx, second, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"enabled":false}}`)))).To(gomega.Succeed())
}

func TestForeignNamespace(t *testing.T) {
	w := newWorld(t)
	w.connect()
	stranger := newWorld(t)
	p := stranger.policy("p", "", required)
	p.Spec.Targets.Zitadel[0].Connection = w.namespace
	err := stranger.client.Create(stranger.ctx, p)
	w.Expect(err).To(gomega.MatchError(gomega.ContainSubstring(
		"spec.targets.zitadel[0]: Forbidden: no rule in spec.access of ZitadelConnection " + w.namespace + " lets namespace " + stranger.namespace + " target the instance")))
	w.Expect(apierrors.IsInvalid(err)).To(gomega.BeTrue())
}

// What is applied in one go is not told off for the order.
func TestNewNamespaceAndConnectionAreKnownAtOnce(t *testing.T) {
	for range 5 {
		w := newWorld(t)
		w.connect()
		w.heard.take()
		w.create(w.policy("p", "", required))
		w.Expect(w.heard.take()).NotTo(gomega.ContainElement(gomega.ContainSubstring("there is no ZitadelConnection")))
	}
}

// The largest policy there can be is within the API server's patience, too.
func TestLargestPolicy(t *testing.T) {
	w := newWorld(t)
	w.connect()
	p := w.policy("p", "", required)
	for i := range 255 {
		p.Spec.Targets.Zitadel = append(p.Spec.Targets.Zitadel, w.policy("", fmt.Sprintf("%0200d", i), nil).Spec.Targets.Zitadel...)
	}
	w.create(p)
	w.Expect(w.client.Get(w.ctx, client.ObjectKeyFromObject(p), p)).To(gomega.Succeed())
	w.heard.take()
	w.Eventually(func() error {
		if err := w.client.Get(w.ctx, client.ObjectKeyFromObject(p), p); err != nil {
			return err
		}
		p.Spec.Priority = ptr.To[int32](7)
		return w.client.Update(w.ctx, p, client.DryRunAll)
	}).Should(gomega.Succeed())
	w.Expect(w.heard.take()).NotTo(gomega.BeEmpty(), "the webhook was asked: the match conditions are not too dear")
}

func TestWhatChangesNothingIsNotAskedAbout(t *testing.T) {
	w := newWorld(t)
	w.connect()
	p := w.policy("p", "", required)
	w.create(p)
	w.heard.take()
	w.Expect(w.client.Patch(w.ctx, p, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"a":"b"}}}`)))).To(gomega.Succeed())
	w.Expect(w.heard.take()).To(gomega.BeEmpty())
}

func TestConnectionsAreAdvisedOn(t *testing.T) {
	w := newWorld(t)
	conn := w.connection("auth.example.com", 443)
	conn.Spec.Access[0].NamespaceSelector.MatchLabels["team"] = "nobody"
	w.Expect(w.client.Create(w.ctx, conn.DeepCopy(), client.DryRunAll)).To(gomega.Succeed())
	w.Expect(w.heard.take()).To(gomega.ConsistOf(
		"spec.access[0].namespaceSelector: no namespace has these labels now (team=nobody)",
		"spec.insecure: the credential crosses the network in plain HTTP; refused unless the manager runs with --allow-insecure",
	))

	conn.Spec.Access[0].NamespaceSelector.MatchExpressions = append(conn.Spec.Access[0].NamespaceSelector.MatchExpressions,
		metav1.LabelSelectorRequirement{Key: "team", Operator: "Near", Values: []string{"x"}})
	w.Expect(w.client.Create(w.ctx, conn, client.DryRunAll)).To(gomega.MatchError(gomega.ContainSubstring(
		"spec.access[0].namespaceSelector: Invalid value")))

	w.connect()
	w.create(w.policy("p", "", required))
	w.heard.take()
	conn = w.connection("localhost", 1)
	w.Eventually(func() []string {
		w.Expect(w.client.Delete(w.ctx, conn.DeepCopy(), client.DryRunAll)).To(gomega.Succeed())
		return w.heard.take()
	}).Should(gomega.ContainElement("still named by SecurityPolicies; what they put in force stays, and is not kept up any more: " + w.namespace + "/p"))
	noAccess := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"access":null}}`))
	w.Expect(w.client.Patch(w.ctx, conn, noAccess, client.DryRunAll)).To(gomega.Succeed())
	w.Expect(w.heard.take()).To(gomega.ConsistOf(
		"spec.access: without a rule no namespace may use the connection",
		"spec.access: 1 policy loses access to a target: what they put in force stays, and is not kept up any more: "+w.namespace+"/p",
	))
}

// What a user sees, word for word.
func TestKubectl(t *testing.T) {
	w := newWorld(t)
	w.connect()
	p := w.policy("pol-mfa-required", "", func(s *v1alpha1.SecurityPolicySpec) {
		required(s)
		s.Login = &v1alpha1.LoginSettings{PasswordLogin: v1alpha1.Forbidden, ExternalIDPs: v1alpha1.Forbidden}
		s.MFA.PasskeyLogin = v1alpha1.Forbidden
		s.Enabled = ptr.To(true)
	})
	p.APIVersion, p.Kind = v1alpha1.GroupVersion.String(), "SecurityPolicy"
	out, err := w.apply(p, "--dry-run=server")
	w.Expect(err).To(gomega.HaveOccurred())
	w.Expect(out).To(gomega.ContainSubstring(`The SecurityPolicy "pol-mfa-required" is invalid: spec.login: Forbidden: at the instance of ` + w.namespace +
		` passwordLogin, externalIdPs and passkeyLogin would all be forbidden, so that nobody could sign in. If that is meant, say why in the annotation security.neosc.io/accept-lockout`))

	p.Spec.Login = nil
	out, err = w.apply(p, "--dry-run=server")
	w.Expect(err).NotTo(gomega.HaveOccurred())
	w.Expect(out).To(gomega.ContainSubstring("Warning: the impact on users is not known: users of " + w.namespace + " have not been counted"))
	w.Expect(out).To(gomega.ContainSubstring("securitypolicy.security.neosc.io/pol-mfa-required created (server dry run)"))
}

func (w *world) apply(p *v1alpha1.SecurityPolicy, flags ...string) (string, error) {
	w.t.Helper()
	assets, err := controlplane.Assets()
	w.Expect(err).NotTo(gomega.HaveOccurred())
	manifest, err := yaml.Marshal(p)
	w.Expect(err).NotTo(gomega.HaveOccurred())
	cmd := exec.CommandContext(w.ctx, filepath.Join(assets, "kubectl"), slices.Concat([]string{"--kubeconfig=" + cluster.kubeconfig, "apply", "-f", "-"}, flags)...)
	cmd.Stdin = strings.NewReader(string(manifest))
	out, err := cmd.CombinedOutput()
	return string(out), err
}
