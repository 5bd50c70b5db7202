package zitadelconnection

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/policy"
	"github.com/neosc/mfa-operator/internal/tracing"
)

// +kubebuilder:rbac:groups=security.neosc.io,resources=mfausers,verbs=get;list;watch;create;delete
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch

// Discovery makes and removes the MFAUsers that spec.discovery asks for. Whom the
// organizations have it knows from the census, so it costs Zitadel no call but
// those that find the organizations; each MFAUser is then read by its own
// reconciler. It never touches an MFAUser that it has not made.
type Discovery struct {
	Client client.Client
	// Live reads past the cache.
	Live    client.Reader
	Census  *Census
	Tenants Tenants

	mu      sync.Mutex
	found   map[string]tenants // by connection
	wakeups chan event.GenericEvent
}

// TenantFinder finds organizations. Every error is one of the four kinds of
// package idp.
type TenantFinder interface {
	Organization(ctx context.Context, ref idp.OrganizationRef) (idp.Organization, error)
}

// Tenants finds the TenantFinder of a connection; false as long as nothing is
// connected.
type Tenants interface {
	TenantFinder(connection string) (TenantFinder, bool)
}

// tenants are the organizations that a spec was found to mean.
type tenants struct {
	generation int64
	list       []idp.Organization
}

const (
	// discoveryBatch is how many MFAUsers are made or removed between two reports
	// of progress.
	discoveryBatch = 250
	// showing is the pause between two reports while the users that were made are
	// read from Zitadel.
	showing = 10 * time.Second
)

// SetupWithManager makes the manager discover users on the leader.
func (d *Discovery) SetupWithManager(mgr ctrl.Manager) error {
	d.wakeups = make(chan event.GenericEvent)
	return ctrl.NewControllerManagedBy(mgr).
		Named("zitadeldiscovery").
		For(&v1alpha1.ZitadelConnection{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(source.Channel(d.wakeups, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{RateLimiter: kube.RetryLimiter(), MaxConcurrentReconciles: followers}).
		Complete(tracing.Reconciler("zitadeldiscovery", "ZitadelConnection", d))
}

// Heard implements Listener.
func (d *Discovery) Heard(ctx context.Context, connection string, events []idp.Event) error {
	concerned := false
	for i := range events {
		switch events[i].Kind {
		case idp.UserAdded, idp.UserRemoved:
			concerned = true
		case idp.OrganizationAdded, idp.OrganizationChanged, idp.OrganizationRemoved:
			concerned = true
			d.forget(connection) // a selector may mean another one now
		default:
		}
	}
	if !concerned {
		return nil
	}
	return d.CensusTaken(ctx, connection)
}

// Began implements Beginner: an organization may have been renamed unheard.
// CensusTaken follows, for the census is taken anew.
func (d *Discovery) Began(connection string) { d.forget(connection) }

// CensusTaken wakes the connection whose users are known now.
func (d *Discovery) CensusTaken(ctx context.Context, connection string) error {
	conn := &v1alpha1.ZitadelConnection{}
	conn.Name = connection
	select {
	case d.wakeups <- event.GenericEvent{Object: conn}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Reconcile makes and removes what is missing and too much, a batch at a time.
func (d *Discovery) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	conn := &v1alpha1.ZitadelConnection{}
	if err := d.Live.Get(ctx, req.NamespacedName, conn); err != nil {
		if apierrors.IsNotFound(err) {
			d.forget(req.Name)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !conn.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil // what was made goes with its owner
	}
	made, err := d.made(ctx, conn)
	if err != nil {
		return ctrl.Result{}, err
	}
	if conn.Spec.Discovery == nil {
		return d.stop(ctx, conn, made)
	}
	wanted, err := d.wanted(ctx, conn)
	reason, message, explained := kube.Explain(err)
	switch {
	case err == nil:
	case !explained:
		return ctrl.Result{}, err
	default:
		if reportErr := d.report(ctx, conn, condition(conn, reason, message), nil); reportErr != nil {
			return ctrl.Result{}, errors.Join(err, reportErr)
		}
		switch {
		case reason == v1alpha1.ReasonCensusIncomplete:
			return ctrl.Result{RequeueAfter: recount}, nil
		case errors.Is(err, idp.ErrUnreachable):
			return ctrl.Result{}, err
		}
		return ctrl.Result{RequeueAfter: kube.Jitter(kube.SlowRetry)}, nil
	}
	return d.settle(ctx, conn, wanted, made)
}

// stop removes what was made.
func (d *Discovery) stop(ctx context.Context, conn *v1alpha1.ZitadelConnection, made map[client.ObjectKey]*v1alpha1.MFAUser) (ctrl.Result, error) {
	d.forget(conn.Name)
	more, err := d.remove(ctx, slices.Collect(maps.Values(made)))
	if err != nil || more {
		return ctrl.Result{RequeueAfter: time.Millisecond}, err
	}
	return ctrl.Result{}, d.report(ctx, conn, nil, nil)
}

// made lists the MFAUsers that discovery has made for a connection.
func (d *Discovery) made(ctx context.Context, conn *v1alpha1.ZitadelConnection) (map[client.ObjectKey]*v1alpha1.MFAUser, error) {
	list := &v1alpha1.MFAUserList{}
	// The cache's own objects: they are only read here.
	if err := d.Client.List(ctx, list, client.MatchingLabels{v1alpha1.LabelDiscovered: conn.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the users that were discovered: %w", err)
	}
	made := make(map[client.ObjectKey]*v1alpha1.MFAUser, len(list.Items))
	for i := range list.Items {
		if u := &list.Items[i]; metav1.IsControlledBy(u, conn) { // a label alone is anybody's
			made[client.ObjectKeyFromObject(u)] = u
		}
	}
	return made, nil
}

// wanted makes the MFAUser of every human of the organizations. Whatever keeps it
// from knowing them all is an error: who is not known is never taken for gone.
func (d *Discovery) wanted(ctx context.Context, conn *v1alpha1.ZitadelConnection) (map[client.ObjectKey]*v1alpha1.MFAUser, error) {
	in := conn.Spec.Discovery.Namespace
	ns := &corev1.Namespace{}
	err := d.Client.Get(ctx, client.ObjectKey{Name: in}, ns)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading namespace %s: %w", in, err)
	}
	if err != nil || !ns.DeletionTimestamp.IsZero() {
		return nil, kube.Refuse(v1alpha1.ReasonDiscoveryNamespaceMissing, "there is no namespace %s, or it is being deleted", in)
	}
	organizations, err := d.organizations(ctx, conn)
	if err != nil {
		return nil, err
	}
	granted, err := policy.GrantedTo(ns.Labels, conn.Spec.Access)
	var ids []string
	for _, org := range organizations {
		if !granted.Cover(&org) {
			return nil, kube.Refuse(v1alpha1.ReasonNamespaceNotAllowed, "no rule in spec.access lets namespace %s target organization %s%s", in, org.Name, because(err))
		}
		ids = append(ids, org.ID)
	}
	humans, known := d.Census.Humans(conn.Name, ids...)
	if !known {
		return nil, kube.Refuse(v1alpha1.ReasonCensusIncomplete, "the users of the instance are being counted from its event log; the condition EventsFollowed says if that cannot be done")
	}
	wanted := make(map[client.ObjectKey]*v1alpha1.MFAUser, len(humans))
	for id, organization := range humans {
		u := discovered(conn, id, organization)
		wanted[client.ObjectKeyFromObject(u)] = u
	}
	return wanted, nil
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

// organizations finds those of the spec, once until something changes.
func (d *Discovery) organizations(ctx context.Context, conn *v1alpha1.ZitadelConnection) ([]idp.Organization, error) {
	d.mu.Lock()
	known, ok := d.found[conn.Name]
	d.mu.Unlock()
	if ok && known.generation == conn.Generation {
		return known.list, nil
	}
	finder, connected := d.Tenants.TenantFinder(conn.Name)
	if !connected {
		return nil, kube.Refuse(v1alpha1.ReasonCensusIncomplete, "the connection has not been made yet")
	}
	now := tenants{generation: conn.Generation}
	for _, s := range conn.Spec.Discovery.Organizations {
		ref := idp.OrganizationRef{ID: s.ID, Name: s.Name, PrimaryDomain: s.PrimaryDomain}
		org, err := finder.Organization(ctx, ref)
		if errors.Is(err, idp.ErrNotFound) {
			return nil, kube.Refuse(v1alpha1.ReasonOrganizationNotFound, "there is no organization with %s, or the account may not see it", ref)
		}
		if err != nil {
			return nil, err
		}
		now.list = append(now.list, org)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.found == nil {
		d.found = map[string]tenants{}
	}
	d.found[conn.Name] = now
	return now.list, nil
}

func (d *Discovery) forget(connection string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.found, connection)
}

// discovered is the MFAUser of a human.
func discovered(conn *v1alpha1.ZitadelConnection, userID, organization string) *v1alpha1.MFAUser {
	labels := map[string]string{v1alpha1.LabelDiscovered: conn.Name}
	if len(validation.IsValidLabelValue(organization)) == 0 {
		labels[v1alpha1.LabelOrganization] = organization
	}
	return &v1alpha1.MFAUser{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: conn.Spec.Discovery.Namespace, Name: discoveredName(conn.Name, userID), Labels: labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(conn, v1alpha1.GroupVersion.WithKind("ZitadelConnection"))},
		},
		Spec: v1alpha1.MFAUserSpec{
			Source: v1alpha1.SourceZitadel, Zitadel: &v1alpha1.ZitadelUserRef{Connection: conn.Name, UserID: userID},
		},
	}
}

// discoveredName is one for each user of a connection, and stays when the user is
// renamed. An id may be chosen by whoever creates the user; one that cannot be
// part of a name is replaced by its hash.
func discoveredName(connection, userID string) string {
	name := connection + "-" + userID
	if len(validation.IsDNS1123Label(userID)) > 0 || strings.HasPrefix(userID, hashed) {
		sum := sha256.Sum256([]byte(userID))
		name = connection + "-" + hashed + hex.EncodeToString(sum[:16])
	}
	return name
}

// hashed marks an id that is a hash.
const hashed = "sha256-"

// settle makes and removes a batch, and reports how far that is.
func (d *Discovery) settle(ctx context.Context, conn *v1alpha1.ZitadelConnection, wanted, made map[client.ObjectKey]*v1alpha1.MFAUser) (ctrl.Result, error) {
	var missing, tooMuch []*v1alpha1.MFAUser
	status := &v1alpha1.DiscoveryStatus{Users: int32(len(wanted))}
	for key, u := range made {
		if wanted[key] == nil {
			tooMuch = append(tooMuch, u)
			continue
		}
		status.Made++
		if z := u.Status.Zitadel; z != nil && z.CheckedTime != nil {
			status.Shown++
		}
	}
	for key, u := range wanted {
		if made[key] == nil {
			missing = append(missing, u)
		}
	}
	taken, more, err := d.make(ctx, missing)
	if err != nil {
		return ctrl.Result{}, err
	}
	moreToRemove, err := d.remove(ctx, tooMuch)
	if err != nil {
		return ctrl.Result{}, err
	}
	c := condition(conn, v1alpha1.ReasonDiscovered, fmt.Sprintf("%d users", status.Users))
	switch {
	case len(taken) > 0:
		slices.Sort(taken)
		c = condition(conn, v1alpha1.ReasonDiscoveryNameTaken, fmt.Sprintf("%d users have no MFAUser of discovery's, because somebody else has made one of that name; delete or rename it: %s",
			len(taken), strings.Join(taken[:min(len(taken), 5)], ", ")))
	case len(missing) > 0 || len(tooMuch) > 0:
		c = condition(conn, v1alpha1.ReasonDiscovering, fmt.Sprintf("%d of %d MFAUsers are made", status.Made, status.Users))
	}
	if err := d.report(ctx, conn, c, status); err != nil {
		return ctrl.Result{}, err
	}
	switch {
	case more || moreToRemove:
		return ctrl.Result{RequeueAfter: time.Millisecond}, nil
	case len(taken) > 0:
		return ctrl.Result{RequeueAfter: kube.Jitter(kube.SlowRetry)}, nil
	case len(missing) > 0 || len(tooMuch) > 0: // until the cache has them
		return ctrl.Result{RequeueAfter: time.Second}, nil
	case status.Shown < status.Made:
		return ctrl.Result{RequeueAfter: showing}, nil
	}
	return ctrl.Result{}, nil
}

// make makes a batch of users, and returns the names that somebody else has.
func (d *Discovery) make(ctx context.Context, missing []*v1alpha1.MFAUser) (taken []string, more bool, err error) {
	slices.SortFunc(missing, func(a, b *v1alpha1.MFAUser) int { return cmp.Compare(a.Name, b.Name) })
	created := 0
	for _, u := range missing {
		if created == discoveryBatch {
			return taken, true, nil
		}
		err := d.Client.Create(ctx, u)
		switch {
		case err == nil:
			created++
		case apierrors.IsAlreadyExists(err):
			now := &v1alpha1.MFAUser{}
			if err := d.Live.Get(ctx, client.ObjectKeyFromObject(u), now); client.IgnoreNotFound(err) != nil {
				return nil, false, fmt.Errorf("reading a user: %w", err)
			}
			if owner := metav1.GetControllerOf(now); owner == nil || owner.UID != u.OwnerReferences[0].UID {
				taken = append(taken, u.Name)
			}
		default:
			return nil, false, fmt.Errorf("making a user: %w", err)
		}
	}
	return taken, false, nil
}

// remove removes a batch of users.
func (d *Discovery) remove(ctx context.Context, tooMuch []*v1alpha1.MFAUser) (more bool, err error) {
	for i, u := range tooMuch {
		if i == discoveryBatch {
			return true, nil
		}
		err := d.Client.Delete(ctx, &v1alpha1.MFAUser{ObjectMeta: metav1.ObjectMeta{Namespace: u.Namespace, Name: u.Name}}, client.Preconditions{UID: &u.UID})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return false, fmt.Errorf("removing a user: %w", err)
		}
	}
	return false, nil
}

func condition(conn *v1alpha1.ZitadelConnection, reason, message string) *metav1.Condition {
	c := &metav1.Condition{
		Type: v1alpha1.ConditionUsersDiscovered, Status: metav1.ConditionFalse, Reason: reason, Message: message, ObservedGeneration: conn.Generation,
	}
	switch reason {
	case v1alpha1.ReasonDiscovered:
		c.Status = metav1.ConditionTrue
	case v1alpha1.ReasonCensusIncomplete:
		c.Status = metav1.ConditionUnknown
	}
	return c
}

// report writes discovery's part of the status. Without status the counts stay
// as they were, without a condition there is no discovery.
func (d *Discovery) report(ctx context.Context, conn *v1alpha1.ZitadelConnection, c *metav1.Condition, status *v1alpha1.DiscoveryStatus) error {
	_, err := writeStatus(ctx, d.Client, d.Live, conn, func(conn *v1alpha1.ZitadelConnection) error {
		if c == nil {
			conn.Status.Discovery = nil
			meta.RemoveStatusCondition(&conn.Status.Conditions, v1alpha1.ConditionUsersDiscovered)
			return nil
		}
		meta.SetStatusCondition(&conn.Status.Conditions, *c)
		if status != nil {
			conn.Status.Discovery = status
		}
		return nil
	})
	return err
}
