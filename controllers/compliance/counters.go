package compliance

import (
	"context"
	"time"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/tracing"
)

// +kubebuilder:rbac:groups=security.neosc.io,resources=mfausers;securitypolicies,verbs=get;list;watch
// +kubebuilder:rbac:groups=security.neosc.io,resources=securitypolicies/status,verbs=patch

// countPause gathers changes before a policy's counters are written: users change
// in crowds.
const countPause = 5 * time.Second

// Counters keeps status.users of SecurityPolicies.
type Counters struct {
	Client client.Client

	tally tally
}

// Reconcile writes the counters of one policy. No other field is touched.
func (c *Counters) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	p := &v1alpha1.SecurityPolicy{}
	if err := c.Client.Get(ctx, req.NamespacedName, p); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := p.DeepCopy()
	p.Status.Users = c.tally.of(req.NamespacedName)
	_, err := kube.WriteStatus(ctx, c.Client, before, p)
	return ctrl.Result{}, client.IgnoreNotFound(err)
}

// SetupWithManager counts every user once, and then moves those who change.
func (c *Counters) SetupWithManager(mgr ctrl.Manager) error {
	move := func(q workqueue.TypedRateLimitingInterface[reconcile.Request], from, to client.Object) {
		for _, p := range c.tally.move(userOf(from), userOf(to)) {
			q.AddAfter(reconcile.Request{NamespacedName: p}, countPause)
		}
	}
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	return ctrl.NewControllerManagedBy(mgr).
		Named("compliance-counters").
		// New ones only: what the last manager wrote may be out of date.
		For(&v1alpha1.SecurityPolicy{}, builder.WithPredicates(predicate.Funcs{
			UpdateFunc: func(event.UpdateEvent) bool { return false },
			DeleteFunc: func(event.DeleteEvent) bool { return false },
		})).
		Watches(&v1alpha1.MFAUser{}, handler.Funcs{
			CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { move(q, nil, e.Object) },
			UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { move(q, e.ObjectOld, e.ObjectNew) },
			DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { move(q, e.Object, nil) },
		}).
		Complete(tracing.Reconciler("compliance-counters", "SecurityPolicy", c))
}

func userOf(obj client.Object) *v1alpha1.MFAUser {
	u, _ := obj.(*v1alpha1.MFAUser)
	return u
}
