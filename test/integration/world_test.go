package integration

import (
	"context"
	"encoding/json"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/onsi/gomega"
	policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

// world is one test's own Zitadel, connection and namespace.
type world struct {
	*gomega.WithT
	t          *testing.T
	ctx        context.Context
	zitadel    *zitadeltest.Server
	connection string
	namespace  string
}

var worlds atomic.Int32

// newWorld makes a fresh Zitadel and a connection that lets the test's
// namespace target everything.
func newWorld(t *testing.T, options ...zitadeltest.Options) *world {
	t.Helper()
	w := &world{
		WithT:     gomega.NewWithT(t),
		t:         t,
		ctx:       t.Context(),
		zitadel:   zitadeltest.Start(t, options...),
		namespace: "test-" + strconv.Itoa(int(worlds.Add(1))),
	}
	w.SetDefaultEventuallyTimeout(patience)
	w.connection = w.namespace
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace, Labels: map[string]string{"team": w.namespace}}})
	w.putCredential(w.zitadel.OwnerToken())
	w.create(w.newConnection())
	w.ready(&v1alpha1.ZitadelConnection{ObjectMeta: metav1.ObjectMeta{Name: w.connection}})
	return w
}

func (w *world) newConnection() *v1alpha1.ZitadelConnection {
	host, port, err := net.SplitHostPort(w.zitadel.Addr())
	w.Expect(err).NotTo(gomega.HaveOccurred())
	number, err := strconv.Atoi(port)
	w.Expect(err).NotTo(gomega.HaveOccurred())
	return &v1alpha1.ZitadelConnection{
		ObjectMeta: metav1.ObjectMeta{Name: w.connection},
		Spec: v1alpha1.ZitadelConnectionSpec{
			Domain: host, Port: ptr.To(int32(number)), Insecure: true,
			Credentials: v1alpha1.Credentials{
				Type:      v1alpha1.CredentialPAT,
				SecretRef: v1alpha1.SecretKeyRef{Namespace: operatorNamespace, Name: w.connection, Key: "token"},
			},
			RateLimit:      v1alpha1.RateLimit{RequestsPerSecond: 1000, Burst: 1000},
			TimeoutSeconds: 1,
			Access: []v1alpha1.AccessRule{{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": w.namespace}},
				Scopes:            []v1alpha1.TargetScope{v1alpha1.ScopeInstance, v1alpha1.ScopeOrganization},
			}},
		},
	}
}

// putCredential creates or replaces the connection's Secret.
func (w *world) putCredential(token string) {
	w.t.Helper()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: w.connection},
		Data:       map[string][]byte{"token": []byte(token)},
	}
	err := cluster.client.Update(w.ctx, secret.DeepCopy())
	if apierrors.IsNotFound(err) {
		w.create(secret)
		return
	}
	w.Expect(err).NotTo(gomega.HaveOccurred())
}

// create creates an object and removes it at the end of the test, finalizers
// and all.
func (w *world) create(obj client.Object) {
	w.t.Helper()
	w.Expect(cluster.client.Create(w.ctx, obj)).To(gomega.Succeed())
	w.t.Cleanup(func() {
		ctx := context.WithoutCancel(w.ctx)
		if _, keep := obj.(*corev1.Namespace); keep {
			return // a test control plane never finishes deleting one
		}
		if p, ok := obj.(*v1alpha1.SecurityPolicy); ok {
			_ = cluster.client.Patch(ctx, p, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"deletionPolicy":"Retain"}}`)))
		}
		if err := cluster.client.Delete(ctx, obj); client.IgnoreNotFound(err) != nil {
			w.t.Errorf("cleaning up: %v", err)
		}
		gomega.NewWithT(w.t).Eventually(func() bool {
			return apierrors.IsNotFound(cluster.client.Get(ctx, client.ObjectKeyFromObject(obj), obj))
		}, patience).Should(gomega.BeTrue(), "%T %s must go away", obj, obj.GetName())
	})
}

// policy makes a policy for one target; org selects an organization by name,
// empty means the instance.
func (w *world) policy(name, org string, change func(*v1alpha1.SecurityPolicySpec)) *v1alpha1.SecurityPolicy {
	target := v1alpha1.ZitadelTarget{Connection: w.connection, Scope: v1alpha1.ScopeInstance}
	if org != "" {
		target.Scope = v1alpha1.ScopeOrganization
		target.Organization = &v1alpha1.OrganizationSelector{Name: org}
	}
	p := &v1alpha1.SecurityPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec:       v1alpha1.SecurityPolicySpec{Targets: v1alpha1.Targets{Zitadel: []v1alpha1.ZitadelTarget{target}}},
	}
	if change != nil {
		change(&p.Spec)
	}
	return p
}

// update changes a policy's spec, retrying lost races with the finalizer.
func (w *world) update(p *v1alpha1.SecurityPolicy, change func(*v1alpha1.SecurityPolicySpec)) {
	w.t.Helper()
	w.Eventually(func() error {
		if err := cluster.client.Get(w.ctx, client.ObjectKeyFromObject(p), p); err != nil {
			return err
		}
		change(&p.Spec)
		return cluster.client.Update(w.ctx, p)
	}).Should(gomega.Succeed())
}

// ready waits until the object is Ready for its newest spec.
func (w *world) ready(obj client.Object) metav1.Condition {
	w.t.Helper()
	return w.condition(obj, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
}

// failing waits until the object is not Ready, for that reason.
func (w *world) failing(obj client.Object, reason string) metav1.Condition {
	w.t.Helper()
	return w.condition(obj, v1alpha1.ConditionReady, metav1.ConditionFalse, reason)
}

// condition waits for a condition that speaks of the newest spec. An empty
// reason is any.
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
	}
	return nil
}

// writes counts the calls that meant to change something.
func (w *world) writes() int { return w.zitadel.CountWrites() }

// passes counts how often the target was looked at since the last ResetCalls.
func (w *world) passes() int {
	n := 0
	for method, count := range w.zitadel.CountCalls() {
		if strings.HasSuffix(method, "Service/GetLoginPolicy") {
			n += count
		}
	}
	return n
}

// allNotes returns every Event of the cluster as text.
func (w *world) allNotes() []string {
	list := &eventsv1.EventList{}
	w.Expect(cluster.client.List(w.ctx, list)).To(gomega.Succeed())
	notes := make([]string, 0, len(list.Items))
	for _, e := range list.Items {
		notes = append(notes, w.json(&e))
	}
	return notes
}

func (w *world) json(obj client.Object) string {
	text, err := json.Marshal(obj)
	w.Expect(err).NotTo(gomega.HaveOccurred())
	return string(text)
}

// weaken does what an administrator of Zitadel can do at any time: take the
// force flag off, and leave everything else as it is. It returns his user id.
func (w *world) weaken() string {
	w.t.Helper()
	adam := w.zitadel.AddHuman(w.zitadel.DefaultOrganizationID(), "adam", "adam@example.com")
	w.weakenAs(adam)
	return adam
}

func (w *world) weakenAs(user string) {
	w.zitadel.As(user).ChangeLoginPolicy("", func(p *policypb.LoginPolicy) { p.ForceMfa = false })
}
