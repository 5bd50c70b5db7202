package zitadelconnection

import (
	"context"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/doorbell"
	"github.com/neosc/mfa-operator/internal/idp"
)

// gate is an instance with room for one doorbell.
type gate struct{ hung int }

func (g *gate) Bell(string) (Bell, bool) { return g, true }

func (g *gate) HangDoorbell(context.Context, idp.Doorbell) (idp.DoorbellState, error) {
	g.hung++
	return idp.DoorbellState{Key: "key"}, nil
}

func (g *gate) TakeDownDoorbell(context.Context, string) error { g.hung = 0; return nil }

// A bell that nobody can hear is not hung up, and the connection says so.
func TestNoBellWhereNobodyListens(t *testing.T) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	place := metav1.ObjectMeta{Namespace: "neosc-system", Name: doorbell.Name}
	secret, lease := &corev1.Secret{ObjectMeta: place}, &coordinationv1.Lease{ObjectMeta: place}
	for name, c := range map[string]struct {
		installed []client.Object
		reason    string
		hung      int
	}{
		"nothing":  {nil, v1alpha1.ReasonDoorbellNotInstalled, 0},
		"no lease": {[]client.Object{secret}, v1alpha1.ReasonDoorbellNotInstalled, 0},
		"no keys":  {[]client.Object{lease}, v1alpha1.ReasonDoorbellNotInstalled, 0},
		"both":     {[]client.Object{secret, lease}, v1alpha1.ReasonDoorbellInPlace, 1},
	} {
		t.Run(name, func(t *testing.T) {
			conn := &v1alpha1.ZitadelConnection{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
			conn.Spec.Events.Webhook = v1alpha1.EventsWebhook{Enabled: true, URL: "https://mfa.example.com"}
			system := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceSystem, UID: "cluster"}}
			cluster := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(conn).
				WithObjects(append(c.installed, conn, system)...).Build()
			instance := &gate{}
			d := &Doorbell{Client: cluster, Live: cluster, Bells: instance, Events: events.NewFakeRecorder(10), Namespace: place.Namespace}
			if _, err := d.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(conn)}); err != nil {
				t.Fatal(err)
			}
			if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(conn), conn); err != nil {
				t.Fatal(err)
			}
			ready := meta.FindStatusCondition(conn.Status.Conditions, v1alpha1.ConditionDoorbellReady)
			if ready == nil || ready.Reason != c.reason || instance.hung != c.hung {
				t.Errorf("condition %+v, want reason %s; %d hung up, want %d", ready, c.reason, instance.hung, c.hung)
			}

			// Whoever gives up is let go, installed or not.
			conn.Spec.Events.Webhook.Enabled = false
			if err := cluster.Update(t.Context(), conn); err != nil {
				t.Fatal(err)
			}
			if _, err := d.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(conn)}); err != nil {
				t.Fatal(err)
			}
			if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(conn), conn); err != nil {
				t.Fatal(err)
			}
			if len(conn.Finalizers) != 0 || len(conn.Status.Conditions) != 0 || instance.hung != 0 {
				t.Errorf("finalizers %q, conditions %+v, %d hung up after it was turned off", conn.Finalizers, conn.Status.Conditions, instance.hung)
			}
		})
	}
}
