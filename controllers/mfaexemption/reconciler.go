package mfaexemption

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/policy"
)

// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaexemptions,verbs=get;list;watch
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaexemptions/status,verbs=patch
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfausers;securitypolicies,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconciler tells what became of exemptions.
type Reconciler struct {
	Client   client.Client
	Recorder Recorder
	Events   events.EventRecorder
	// Now is the clock; nil means the system's.
	Now func() time.Time
}

// Reconcile looks at one exemption, and comes back when it expires.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	e := &v1alpha1.MFAExemption{}
	if err := r.Client.Get(ctx, req.NamespacedName, e); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !e.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	now := r.now()
	phase := policy.ExemptionPhaseAt(now, e)
	users, err := r.users(ctx, e)
	if err != nil {
		return ctrl.Result{}, err
	}
	missing, err := r.policyMissing(ctx, e)
	if err != nil {
		return ctrl.Result{}, err
	}
	before := e.DeepCopy()
	setStatus(e, phase, users, missing)
	if err := r.record(ctx, e, before); err != nil {
		return ctrl.Result{}, err
	}
	r.tell(e, before)
	if _, err := kube.WriteStatus(ctx, r.Client, before, e); err != nil {
		return ctrl.Result{}, err
	}
	if phase != v1alpha1.ExemptionActive {
		return ctrl.Result{}, nil
	}
	return ctrl.Result{RequeueAfter: max(e.Spec.ExpiresAt.Sub(now), time.Millisecond)}, nil
}

// named is whom an exemption names.
type named struct {
	all       int32
	ofZitadel int32
}

func (r *Reconciler) users(ctx context.Context, e *v1alpha1.MFAExemption) (named, error) {
	namespace := e.Namespace
	if e.Spec.UserRef != nil && e.Spec.UserRef.Namespace != "" {
		namespace = e.Spec.UserRef.Namespace
	}
	list := &v1alpha1.MFAUserList{}
	// The cache's own objects: they are only read here.
	if err := r.Client.List(ctx, list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return named{}, fmt.Errorf("listing the users of an exemption: %w", err)
	}
	var n named
	for i := range list.Items {
		if policy.ExemptionNames(e, &list.Items[i]) {
			n.all++
			if list.Items[i].Spec.Source == v1alpha1.SourceZitadel {
				n.ofZitadel++
			}
		}
	}
	return n, nil
}

func (r *Reconciler) policyMissing(ctx context.Context, e *v1alpha1.MFAExemption) (bool, error) {
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: e.Namespace, Name: e.Spec.PolicyRef.Name}, &v1alpha1.SecurityPolicy{})
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the policy of an exemption: %w", err)
	}
	return false, nil
}

func (r *Reconciler) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}
