package compliance

import (
	"context"
	"fmt"
	"time"

	openreports "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/tracing"
)

// +kubebuilder:rbac:groups=openreports.io,resources=reports,verbs=get;list;create;update;delete

// reportPause gathers changes before a Report is written.
const reportPause = 10 * time.Second

// Reports keeps a Report in each namespace with MFAUsers, if the cluster has the
// kind.
type Reports struct {
	Client client.Client
	// Live reads Reports: it is not known beforehand whether there are any to
	// watch.
	Live client.Reader
}

// Reconcile writes the Report of one namespace, or removes it with the last user.
func (r *Reports) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	users := &v1alpha1.MFAUserList{}
	if err := r.Client.List(ctx, users, client.InNamespace(req.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return ctrl.Result{}, fmt.Errorf("listing the users of %s: %w", req.Namespace, err)
	}
	report := &openreports.Report{}
	err := r.Live.Get(ctx, req.NamespacedName, report)
	switch {
	case meta.IsNoMatchError(err):
		return ctrl.Result{}, nil // the kind is not installed, nobody reads it
	case err == nil && report.Labels[labelManagedBy] != managedBy:
		ctrl.LoggerFrom(ctx).Info("There is a Report that somebody else made; it is left alone")
		return ctrl.Result{}, nil
	case err == nil && len(users.Items) == 0:
		err = client.IgnoreNotFound(r.Client.Delete(ctx, report))
	case err == nil:
		before := report.DeepCopy()
		write(report, users.Items, time.Now())
		if !equality.Semantic.DeepEqual(before, report) {
			err = r.Client.Update(ctx, report)
		}
	case apierrors.IsNotFound(err) && len(users.Items) == 0:
		return ctrl.Result{}, nil
	case apierrors.IsNotFound(err):
		report.ObjectMeta = metav1.ObjectMeta{Namespace: req.Namespace, Name: req.Name, Labels: map[string]string{labelManagedBy: managedBy}}
		write(report, users.Items, time.Now())
		err = r.Client.Create(ctx, report)
	}
	if apierrors.HasStatusCause(err, "NamespaceTerminating") {
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("writing the Report %s: %w", req, err)
	}
	return ctrl.Result{}, nil
}

// SetupWithManager wakes the Report of a namespace when what a user counts for
// changes, and once those there are: the last users may have gone meanwhile.
func (r *Reports) SetupWithManager(mgr ctrl.Manager) error {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	wake := func(q queue, obj client.Object) {
		q.AddAfter(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: obj.GetNamespace(), Name: ReportName}}, reportPause)
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("compliance-reports").
		Watches(&v1alpha1.MFAUser{}, handler.Funcs{
			CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { wake(q, e.Object) },
			DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { wake(q, e.Object) },
			UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
				was, is := resultOf(userOf(e.ObjectOld)), resultOf(userOf(e.ObjectNew))
				if !sameResult(was, is) {
					wake(q, e.ObjectNew)
				}
			},
		}).
		WatchesRawSource(source.Func(r.wakeExisting)).
		Complete(tracing.Reconciler("compliance-reports", "Report", r))
}

func (r *Reports) wakeExisting(ctx context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	reports := &openreports.ReportList{}
	err := r.Live.List(ctx, reports, client.MatchingLabels{labelManagedBy: managedBy})
	if err != nil && !meta.IsNoMatchError(err) {
		return fmt.Errorf("listing the Reports: %w", err)
	}
	for i := range reports.Items {
		q.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&reports.Items[i])})
	}
	return nil
}
