package mfauser

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/policy"
	"github.com/neosc/mfa-operator/internal/tracing"
)

// Field indexes.
const (
	// indexConnection leads from a connection to its users.
	indexConnection = "spec.zitadel.connection"
	// indexPerson leads from a person of a connection to the MFAUsers that are
	// known to be them; from nobody, to those who were not found.
	indexPerson = "status.zitadel.userID"
	// indexTenant leads from an organization of a connection to its users, and
	// from no organization to all of the connection.
	indexTenant = "status.zitadel.organizationID"
	// indexUID leads from a UID, by which the ledger knows them, to a local user.
	indexUID = "metadata.uid"
	// indexLocal has the policies that name local users.
	indexLocal   = "spec.targets.localUsers"
	indexedLocal = "yes"
	// indexExempted leads from a policy's name to the exemptions from it.
	indexExempted = "spec.policyRef.name"
)

func personKey(connection, userID string) string         { return connection + "/" + userID }
func tenantKey(connection, organizationID string) string { return connection + "/" + organizationID }

// parallelUsers is how many users are looked at at a time. The connection's rate
// limit is what really paces them.
const parallelUsers = 4

// SetupWithManager says what wakes the reconciler: a user's spec and labels, what
// Zitadel's events and the ledger say, policies, exemptions, its connection's spec or
// readiness, and its namespace's labels.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	for _, index := range []struct {
		obj   client.Object
		field string
		of    client.IndexerFunc
	}{
		{&v1alpha1.MFAUser{}, indexConnection, ofZitadel(func(u *v1alpha1.MFAUser) []string { return []string{u.Spec.Zitadel.Connection} })},
		{&v1alpha1.MFAUser{}, indexPerson, ofZitadel(func(u *v1alpha1.MFAUser) []string {
			return []string{personKey(u.Spec.Zitadel.Connection, known(u).UserID)}
		})},
		{&v1alpha1.MFAUser{}, indexTenant, ofZitadel(func(u *v1alpha1.MFAUser) []string {
			return []string{tenantKey(u.Spec.Zitadel.Connection, ""), tenantKey(u.Spec.Zitadel.Connection, known(u).OrganizationID)}
		})},
		{&v1alpha1.MFAUser{}, indexUID, func(obj client.Object) []string {
			if obj.(*v1alpha1.MFAUser).Spec.Source != v1alpha1.SourceLocal {
				return nil
			}
			return []string{string(obj.GetUID())}
		}},
		{&v1alpha1.SecurityPolicy{}, indexLocal, func(obj client.Object) []string {
			if obj.(*v1alpha1.SecurityPolicy).Spec.Targets.LocalUsers == nil {
				return nil
			}
			return []string{indexedLocal}
		}},
		{&v1alpha1.MFAExemption{}, indexExempted, func(obj client.Object) []string {
			return []string{obj.(*v1alpha1.MFAExemption).Spec.PolicyRef.Name}
		}},
	} {
		if err := mgr.GetFieldIndexer().IndexField(context.Background(), index.obj, index.field, index.of); err != nil {
			return fmt.Errorf("indexing by %s: %w", index.field, err)
		}
	}
	r.wakeups, r.crowds = make(chan event.GenericEvent), make(chan event.GenericEvent)
	r.listener = newListener(r)
	if err := mgr.Add(r.listener); err != nil {
		return fmt.Errorf("adding the listener to ledgers: %w", err)
	}
	changed := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	return ctrl.NewControllerManagedBy(mgr).
		Named("mfauser").
		For(&v1alpha1.MFAUser{}, builder.WithPredicates(predicate.Or[client.Object](
			predicate.GenerationChangedPredicate{}, predicate.LabelChangedPredicate{}, heardChanged, deletionBegun))).
		Watches(&v1alpha1.SecurityPolicy{}, crowd(r.usersOfPolicy), changed).
		Watches(&v1alpha1.MFAExemption{}, crowd(r.usersOfExemption),
			builder.WithPredicates(predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, deletionBegun))).
		Watches(&v1alpha1.ZitadelConnection{}, crowd(r.usersOfConnection), builder.WithPredicates(connectionChanged)).
		Watches(&corev1.Namespace{}, crowd(r.usersInNamespace), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WatchesRawSource(source.Channel(r.wakeups, &handler.EnqueueRequestForObject{})).
		WatchesRawSource(source.Channel(r.crowds, crowd(itself))).
		WatchesRawSource(r.listener.source()).
		WithOptions(controller.Options{MaxConcurrentReconciles: parallelUsers, RateLimiter: kube.RetryLimiter()}).
		Complete(tracing.Reconciler("mfauser", "MFAUser", r))
}

// crowd wakes everybody whom an object concerns. They queue up behind whoever is
// woken alone: an enrolment shows within one poll, also while everybody is read.
func crowd(whom handler.MapFunc) handler.EventHandler {
	wake := handler.EnqueueRequestsFromMapFunc(whom)
	return handler.Funcs{
		CreateFunc:  func(ctx context.Context, e event.CreateEvent, q requestQueue) { wake.Create(ctx, e, behind(q)) },
		UpdateFunc:  func(ctx context.Context, e event.UpdateEvent, q requestQueue) { wake.Update(ctx, e, behind(q)) },
		DeleteFunc:  func(ctx context.Context, e event.DeleteEvent, q requestQueue) { wake.Delete(ctx, e, behind(q)) },
		GenericFunc: func(ctx context.Context, e event.GenericEvent, q requestQueue) { wake.Generic(ctx, e, behind(q)) },
	}
}

func itself(_ context.Context, obj client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: client.ObjectKeyFromObject(obj)}}
}

type requestQueue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// behind adds at low priority to a queue that has priorities.
func behind(q requestQueue) requestQueue {
	if prioritized, ok := q.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		return lastInLine{prioritized}
	}
	return q
}

type lastInLine struct {
	priorityqueue.PriorityQueue[reconcile.Request]
}

func (l lastInLine) Add(request reconcile.Request) {
	l.AddWithOpts(priorityqueue.AddOpts{Priority: ptr.To(handler.LowPriority)}, request)
}

func ofZitadel(keys func(*v1alpha1.MFAUser) []string) client.IndexerFunc {
	return func(obj client.Object) []string {
		if u := obj.(*v1alpha1.MFAUser); u.Spec.Zitadel != nil {
			return keys(u)
		}
		return nil
	}
}

func known(u *v1alpha1.MFAUser) v1alpha1.ZitadelUserStatus {
	if u.Status.Zitadel == nil {
		return v1alpha1.ZitadelUserStatus{}
	}
	return *u.Status.Zitadel
}

// heardChanged passes a user of whom something was heard.
var heardChanged = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		was, is := known(e.ObjectOld.(*v1alpha1.MFAUser)), known(e.ObjectNew.(*v1alpha1.MFAUser))
		return was.HeardSequence != is.HeardSequence
	},
}

var deletionBegun = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero()
	},
}

// connectionChanged passes a new or deleted connection, a new spec, a change of
// readiness, and that its events are followed anew. Its status is written with
// nearly every poll, which concerns no user.
var connectionChanged = predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		was, is := e.ObjectOld.(*v1alpha1.ZitadelConnection).Status, e.ObjectNew.(*v1alpha1.ZitadelConnection).Status
		ready := func(s *v1alpha1.ZitadelConnectionStatus) bool {
			return meta.IsStatusConditionTrue(s.Conditions, v1alpha1.ConditionReady)
		}
		return ready(&was) != ready(&is) || !followedSince(&was).Equal(followedSince(&is))
	},
})

func followedSince(s *v1alpha1.ZitadelConnectionStatus) *metav1.Time {
	if s.Events == nil {
		return nil
	}
	return s.Events.FollowedSince
}

// usersOfPolicy lists whom a policy may reach: those of its connections, and
// local users.
func (r *Reconciler) usersOfPolicy(ctx context.Context, obj client.Object) []reconcile.Request {
	p := obj.(*v1alpha1.SecurityPolicy)
	seen := map[string]bool{}
	var requests []reconcile.Request
	for _, t := range p.Spec.Targets.Zitadel {
		if !seen[t.Connection] {
			seen[t.Connection] = true
			requests = append(requests, r.requests(ctx, client.MatchingFields{indexConnection: t.Connection})...)
		}
	}
	// Also of a policy that names no local users any more.
	return append(requests, r.localUsers(ctx)...)
}

func (r *Reconciler) localUsers(ctx context.Context) []reconcile.Request {
	users, err := r.users(ctx)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing the local users to wake")
	}
	var requests []reconcile.Request
	for i := range users {
		if users[i].Spec.Source == v1alpha1.SourceLocal {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&users[i])})
		}
	}
	return requests
}

// usersOfExemption lists whom an exemption names.
func (r *Reconciler) usersOfExemption(ctx context.Context, obj client.Object) []reconcile.Request {
	e := obj.(*v1alpha1.MFAExemption)
	namespace := e.Namespace
	if e.Spec.UserRef != nil && e.Spec.UserRef.Namespace != "" {
		namespace = e.Spec.UserRef.Namespace
	}
	users, err := r.users(ctx, client.InNamespace(namespace))
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing the users of an exemption to wake")
	}
	var requests []reconcile.Request
	for i := range users {
		if policy.ExemptionNames(e, &users[i]) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&users[i])})
		}
	}
	return requests
}

func (r *Reconciler) usersOfConnection(ctx context.Context, conn client.Object) []reconcile.Request {
	return r.requests(ctx, client.MatchingFields{indexConnection: conn.GetName()})
}

func (r *Reconciler) usersInNamespace(ctx context.Context, namespace client.Object) []reconcile.Request {
	return r.requests(ctx, client.InNamespace(namespace.GetName()))
}

func (r *Reconciler) requests(ctx context.Context, which client.ListOption) []reconcile.Request {
	users, err := r.users(ctx, which)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing the users to wake")
	}
	requests := make([]reconcile.Request, len(users))
	for i := range users {
		requests[i].NamespacedName = client.ObjectKeyFromObject(&users[i])
	}
	return requests
}
