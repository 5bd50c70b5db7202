// Package steady runs the manager as it runs in production, with its own pace:
// nothing is compared again for hours, so whatever is noticed is noticed from
// Zitadel's events. Each test has a manager of its own and may end it.
package steady

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
	"github.com/neosc/mfa-operator/test/harness"
)

var cluster struct {
	env    *envtest.Environment
	client client.Client
}

func TestMain(m *testing.M) {
	harness.Main(m, func(_ context.Context, c *harness.Cluster) error {
		cluster.env, cluster.client = c.Env, c.Client
		return nil
	})
}

const (
	// patience is how long a test waits for something that must come, on a busy machine.
	patience = time.Minute
	// counted is how long a census may take: where the follower begins anew after
	// it was taken, it is taken again a minute later.
	counted    = 2 * time.Minute
	listEvents = "/zitadel.admin.v1.AdminService/ListEvents"
)

// world is a Zitadel with a connection to it. No test runs beside another: there
// is one manager at a time.
type world struct {
	*WithT
	t          *testing.T
	ctx        context.Context
	zitadel    *zitadeltest.Server
	connection string
	stop       func() error
}

var worlds atomic.Int32

func newWorld(t *testing.T, pollSeconds int32) *world {
	t.Helper()
	w := &world{
		WithT: NewWithT(t), t: t, ctx: t.Context(),
		zitadel:    zitadeltest.Start(t, zitadeltest.Options{}),
		connection: "steady-" + strconv.Itoa(int(worlds.Add(1))),
	}
	w.SetDefaultEventuallyTimeout(patience)
	host, port, err := net.SplitHostPort(w.zitadel.Addr())
	w.Expect(err).NotTo(HaveOccurred())
	number, err := strconv.Atoi(port)
	w.Expect(err).NotTo(HaveOccurred())
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: harness.OperatorNamespace, Name: w.connection},
		Data:       map[string][]byte{"token": []byte(w.zitadel.OwnerToken())},
	})
	w.create(&v1alpha1.ZitadelConnection{
		ObjectMeta: metav1.ObjectMeta{Name: w.connection},
		Spec: v1alpha1.ZitadelConnectionSpec{
			Domain: host, Port: ptr.To(int32(number)), Insecure: true,
			Credentials: v1alpha1.Credentials{Type: v1alpha1.CredentialPAT,
				SecretRef: v1alpha1.SecretKeyRef{Namespace: harness.OperatorNamespace, Name: w.connection, Key: "token"}},
			RateLimit: v1alpha1.RateLimit{RequestsPerSecond: 1000, Burst: 1000},
			Events:    v1alpha1.EventsSpec{PollSeconds: pollSeconds},
			Access: []v1alpha1.AccessRule{{NamespaceSelector: &metav1.LabelSelector{},
				Scopes: []v1alpha1.TargetScope{v1alpha1.ScopeInstance, v1alpha1.ScopeOrganization}}},
		},
	})
	w.start()
	t.Cleanup(func() {
		if w.stop != nil {
			w.end()
		}
	})
	return w
}

func (w *world) create(obj client.Object) {
	w.t.Helper()
	w.Expect(cluster.client.Create(w.ctx, obj)).To(Succeed())
	w.t.Cleanup(func() {
		// Nobody is there to take finalizers off any more.
		ctx := context.WithoutCancel(w.ctx)
		if client.IgnoreNotFound(cluster.client.Delete(ctx, obj)) != nil {
			w.t.Errorf("cleaning up %s", obj.GetName())
		}
		_ = cluster.client.Patch(ctx, obj, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`)))
	})
}

// start runs a manager; end ends it.
func (w *world) start() {
	w.t.Helper()
	logs := &harness.Recorder{}
	stop, err := harness.StartManager(cluster.env, logs)
	w.Expect(err).NotTo(HaveOccurred())
	w.stop = stop
}

func (w *world) end() {
	w.t.Helper()
	w.Expect(w.stop()).To(Succeed())
	w.stop = nil
}

// policy makes and applies a policy for an organization, by name, or for the
// instance.
func (w *world) policy(name string, spec v1alpha1.SecurityPolicySpec, orgs ...string) *v1alpha1.SecurityPolicy {
	w.t.Helper()
	for _, org := range orgs {
		spec.Targets.Zitadel = append(spec.Targets.Zitadel, v1alpha1.ZitadelTarget{
			Connection: w.connection, Scope: v1alpha1.ScopeOrganization, Organization: &v1alpha1.OrganizationSelector{Name: org},
		})
	}
	if len(orgs) == 0 {
		spec.Targets.Zitadel = []v1alpha1.ZitadelTarget{{Connection: w.connection, Scope: v1alpha1.ScopeInstance}}
	}
	p := &v1alpha1.SecurityPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: harness.OperatorNamespace, Name: w.connection + "-" + name}, Spec: spec}
	w.create(p)
	return p
}

// settled waits until a policy is in force, and knows whom it reaches.
func (w *world) settled(policies ...*v1alpha1.SecurityPolicy) {
	w.t.Helper()
	for _, p := range policies {
		w.Eventually(func(g Gomega) {
			g.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
			ready := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReady)
			g.Expect(ready).NotTo(BeNil())
			g.Expect(ready.Reason).To(Equal(v1alpha1.ReasonInForce), ready.Message)
			g.Expect(p.Status.Impact).NotTo(BeNil(), "users are counted")
		}, counted).Should(Succeed())
	}
}

// weaken takes the force flag off at the instance, as an administrator can.
func (w *world) weaken(user string) {
	w.zitadel.As(user).ChangeLoginPolicy("", func(p *policypb.LoginPolicy) { p.ForceMfa = false })
}

func (w *world) forced() bool {
	held, _ := w.zitadel.LoginPolicy("")
	return held.ForceMfa
}

// repairs counts what was told of repairs of a policy.
func (w *world) repairs(p *v1alpha1.SecurityPolicy) int {
	list := &eventsv1.EventList{}
	w.Expect(cluster.client.List(w.ctx, list, client.InNamespace(p.Namespace))).To(Succeed())
	n := 0
	for _, e := range list.Items {
		if e.Regarding.UID == p.UID && strings.HasPrefix(e.Reason, "DriftRepaired") {
			n++
			if e.Series != nil {
				n += int(e.Series.Count) - 1
			}
		}
	}
	return n
}

// calls counts those since the last reset, but for polls.
func (w *world) calls() (polls int, others map[string]int) {
	others = w.zitadel.CountCalls()
	polls = others[listEvents]
	delete(others, listEvents)
	return polls, others
}
