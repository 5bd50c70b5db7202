// Package users runs whole flows of people: MFAUsers and exemptions applied to a
// real API server, the real manager, and the fake Zitadel behind the real client.
// Unlike in test/integration the manager compares everything again only after 12
// hours, so whatever shows was heard of.
package users

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
	"github.com/neosc/mfa-operator/test/harness"
	"github.com/neosc/mfa-operator/test/mailbox"
)

// cluster is the control plane all tests of the package share, with one manager
// on it. Tests keep apart by namespace, connection and Zitadel. Only those run in
// parallel that neither restart the manager nor look at what is everybody's: they
// wait until the others are done.
var cluster struct {
	env    *envtest.Environment
	client client.Client
	logs   *harness.Recorder
	// mail is where the manager sends e-mails.
	mail *mailbox.Server
	// restart ends the manager, and starts another after what happens meanwhile.
	restart func(meanwhile func()) error
}

func TestMain(m *testing.M) {
	harness.Main(m, func(_ context.Context, c *harness.Cluster) error {
		cluster.env, cluster.client, cluster.logs = c.Env, c.Client, c.Logs
		certificate, ca, err := mailbox.Authority(filepath.Dir(c.Kubeconfig))
		if err != nil {
			return err
		}
		if cluster.mail, err = mailbox.Serve(&certificate, false); err != nil {
			return err
		}
		c.AtEnd(cluster.mail.Close)
		start := func() (func() error, error) {
			return harness.StartManager(c.Env, c.Logs, "--resync=12h", "--probe=1h", "--leader-elect=false", "--log-level=debug",
				"--smtp-host=127.0.0.1", fmt.Sprint("--smtp-port=", cluster.mail.Port), "--smtp-ca-file="+ca, "--email-from=no-reply@acme.example")
		}
		stop, err := start()
		if err != nil {
			return err
		}
		c.AtEnd(func() error { return stop() }) // whichever runs then
		cluster.restart = func(meanwhile func()) error {
			if err := stop(); err != nil {
				return err
			}
			meanwhile()
			stop, err = start()
			return err
		}
		return nil
	})
}

// patience is how long a test waits for something that must come.
const patience = 20 * time.Second

// world is one test's own Zitadel, connection and namespace.
type world struct {
	*gomega.WithT
	t       *testing.T
	ctx     context.Context
	zitadel *zitadeltest.Server
	// name is that of the connection and of the namespace.
	name string
	acme string // an organization
	// account is who the connection acts as, where it has roles of its own.
	account string
}

var worlds atomic.Int32

// newWorld makes a fresh Zitadel and a connection with an account of that token
// that lets the test's namespace target everything.
func newWorld(t *testing.T, roles ...string) *world {
	t.Helper()
	w := &world{
		WithT: gomega.NewWithT(t), t: t, ctx: t.Context(),
		zitadel: zitadeltest.Start(t, zitadeltest.Options{}),
		name:    "world-" + strconv.Itoa(int(worlds.Add(1))),
	}
	w.SetDefaultEventuallyTimeout(patience)
	w.acme = w.zitadel.AddOrganization("acme")
	token := w.zitadel.OwnerToken()
	if len(roles) > 0 {
		w.account, token = w.zitadel.AddMachine(w.acme, "operator", roles...)
	}
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.name, Labels: map[string]string{"team": w.name}}})
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: harness.OperatorNamespace, Name: w.name},
		Data:       map[string][]byte{"token": []byte(token)},
	})
	host, port, err := net.SplitHostPort(w.zitadel.Addr())
	w.Expect(err).NotTo(gomega.HaveOccurred())
	number, err := strconv.Atoi(port)
	w.Expect(err).NotTo(gomega.HaveOccurred())
	w.create(&v1alpha1.ZitadelConnection{
		ObjectMeta: metav1.ObjectMeta{Name: w.name},
		Spec: v1alpha1.ZitadelConnectionSpec{
			Domain: host, Port: ptr.To(int32(number)), Insecure: true,
			Credentials: v1alpha1.Credentials{
				Type:      v1alpha1.CredentialPAT,
				SecretRef: v1alpha1.SecretKeyRef{Namespace: harness.OperatorNamespace, Name: w.name, Key: "token"},
			},
			RateLimit: v1alpha1.RateLimit{RequestsPerSecond: 1000, Burst: 1000},
			Events:    v1alpha1.EventsSpec{PollSeconds: 1},
			Access: []v1alpha1.AccessRule{{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": w.name}},
				Scopes:            []v1alpha1.TargetScope{v1alpha1.ScopeInstance, v1alpha1.ScopeOrganization},
			}},
		},
	})
	if len(roles) == 0 {
		w.condition(&v1alpha1.ZitadelConnection{ObjectMeta: metav1.ObjectMeta{Name: w.name}}, v1alpha1.ConditionEventsFollowed, metav1.ConditionTrue, "")
	} else {
		w.condition(&v1alpha1.ZitadelConnection{ObjectMeta: metav1.ObjectMeta{Name: w.name}}, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
	}
	return w
}

// create creates an object and removes it at the end of the test.
func (w *world) create(obj client.Object) {
	w.t.Helper()
	w.Expect(cluster.client.Create(w.ctx, obj)).To(gomega.Succeed())
	w.t.Cleanup(func() {
		if _, keep := obj.(*corev1.Namespace); keep {
			return // a test control plane never finishes deleting one
		}
		if err := cluster.client.Delete(context.WithoutCancel(w.ctx), obj); client.IgnoreNotFound(err) != nil {
			w.t.Errorf("cleaning up: %v", err)
		}
	})
}

// policy makes a policy at acme that demands a second factor of these methods.
func (w *world) policy(name string, methods ...v1alpha1.Method) *v1alpha1.SecurityPolicy {
	w.t.Helper()
	p := &v1alpha1.SecurityPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: name},
		Spec: v1alpha1.SecurityPolicySpec{
			Targets: v1alpha1.Targets{Zitadel: []v1alpha1.ZitadelTarget{{
				Connection: w.name, Scope: v1alpha1.ScopeOrganization, Organization: &v1alpha1.OrganizationSelector{Name: "acme"},
			}}},
			MFA: &v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementRequiredOnFirstLogin, Methods: methods},
		},
	}
	w.create(p)
	w.condition(p, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
	return p
}

// user makes an MFAUser of Zitadel.
func (w *world) user(name string, ref v1alpha1.ZitadelUserRef) *v1alpha1.MFAUser {
	w.t.Helper()
	ref.Connection = w.name
	u := &v1alpha1.MFAUser{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: name},
		Spec:       v1alpha1.MFAUserSpec{Source: v1alpha1.SourceZitadel, Zitadel: &ref},
	}
	w.create(u)
	return u
}

// inAcme selects an organization.
var inAcme = &v1alpha1.OrganizationSelector{Name: "acme"}

// condition waits for a condition that speaks of the newest spec. An empty reason
// is any.
func (w *world) condition(obj client.Object, kind string, status metav1.ConditionStatus, reason string) metav1.Condition {
	w.t.Helper()
	var found metav1.Condition
	w.Eventually(func(g gomega.Gomega) {
		g.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(obj), obj)).To(gomega.Succeed())
		c := meta.FindStatusCondition(conditionsOf(obj), kind)
		g.Expect(c).NotTo(gomega.BeNil(), "no condition %s yet", kind)
		found = *c
		g.Expect(string(c.Status)+" "+c.Message).To(gomega.HavePrefix(string(status)), "reason %s", c.Reason)
		g.Expect(c.ObservedGeneration).To(gomega.Equal(obj.GetGeneration()))
		if reason != "" {
			g.Expect(c.Reason).To(gomega.Equal(reason), c.Message)
		}
	}).Should(gomega.Succeed())
	return found
}

func conditionsOf(obj client.Object) []metav1.Condition {
	switch o := obj.(type) {
	case *v1alpha1.SecurityPolicy:
		return o.Status.Conditions
	case *v1alpha1.ZitadelConnection:
		return o.Status.Conditions
	case *v1alpha1.MFAUser:
		return o.Status.Conditions
	case *v1alpha1.MFAReset:
		return o.Status.Conditions
	case *v1alpha1.MFAExemption:
		return o.Status.Conditions
	}
	return nil
}

// shows waits until the status is as wanted.
func (w *world) shows(u *v1alpha1.MFAUser, phase v1alpha1.UserPhase, factors string, compliance v1alpha1.Compliance) {
	w.t.Helper()
	w.Eventually(func(g gomega.Gomega) {
		g.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(u), u)).To(gomega.Succeed())
		s := u.Status
		g.Expect([]any{s.Phase, s.FactorTypes, s.Compliance}).To(gomega.Equal([]any{phase, factors, compliance}), s.ComplianceReason)
	}).Should(gomega.Succeed())
}

// trail reads the ledger of the test's namespace through the API server, checks
// its chain, and returns the records of these actions as one line each.
func (w *world) trail(actions ...audit.Action) []string {
	w.t.Helper()
	records, err := harness.Trail(w.ctx, cluster.env.Config, w.name, actions...)
	w.Expect(err).NotTo(gomega.HaveOccurred(), "the ledger must be intact")
	var lines []string
	for _, r := range records {
		lines = append(lines, fmt.Sprintf("%s %s %s by %s", r.Action, r.Outcome, r.Subject, r.Actor))
	}
	return lines
}
