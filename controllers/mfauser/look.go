package mfauser

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/policy"
)

// errConnecting: the manager has just started and the connection is being made.
var errConnecting = errors.New("the connection is being made")

// look brings the status of a user of Zitadel up to date, and says when to look
// again.
func (r *Reconciler) look(ctx context.Context, u *v1alpha1.MFAUser) (again time.Time, err error) {
	conn, provider, err := r.connection(ctx, u.Spec.Zitadel.Connection)
	if err != nil {
		return time.Time{}, err
	}
	ns := &corev1.Namespace{}
	if err := r.Client.Get(ctx, types.NamespacedName{Name: u.Namespace}, ns); err != nil {
		return time.Time{}, fmt.Errorf("reading namespace %s: %w", u.Namespace, err)
	}
	if u.Status.ObservedGeneration != u.Generation { // it may be somebody else now
		u.Status = v1alpha1.MFAUserStatus{Conditions: u.Status.Conditions, User: reference(u)}
	}
	due := r.due(u, conn)
	if due.everything {
		if err := r.readPerson(ctx, u, conn, provider, ns); err != nil {
			unknow(u, err)
			return time.Time{}, err
		}
	}
	applied, err := r.maySee(ctx, conn, ns, u.Status.Zitadel.OrganizationID)
	if err != nil {
		unknow(u, err)
		return time.Time{}, err
	}
	if due.everything || due.sessions {
		if err := r.readSessions(ctx, u, provider); err != nil {
			return time.Time{}, err
		}
	}
	judged, err := r.judge(ctx, u, provider, applied)
	if err != nil {
		return time.Time{}, err
	}
	next := due.next
	if due.everything {
		next = earliest(r.read(u), r.missed(u, conn), r.now().Add(kube.Jitter(r.Resync)))
	}
	if suspensionFailed(u) {
		next = earliest(next, r.now().Add(kube.Jitter(kube.SlowRetry)))
	}
	return earliest(next, judged, sessionsEnd(u)), nil
}

// dues say what has to be asked of Zitadel.
type dues struct {
	everything, sessions bool
	// next is when something will be due, where nothing else wakes us.
	next time.Time
}

func (r *Reconciler) due(u *v1alpha1.MFAUser, conn *v1alpha1.ZitadelConnection) dues {
	z, now := u.Status.Zitadel, r.now()
	if z == nil || z.UserID == "" || z.CheckedTime == nil || suspensionFailed(u) ||
		!meta.IsStatusConditionTrue(u.Status.Conditions, v1alpha1.ConditionReady) {
		return dues{everything: true}
	}
	key := client.ObjectKeyFromObject(u)
	r.rooms.resolved(key, person{u.Spec.Zitadel.Connection, z.UserID})
	check := earliest(z.CheckedTime.Add(r.Resync), r.missed(u, conn))
	if z.HeardSequence != z.ReadSequence {
		if at := r.rooms.nextReading(key, z.HeardSequence); at.After(now) {
			check = earliest(check, at)
		} else {
			return dues{everything: true}
		}
	}
	if !now.Before(check) {
		return dues{everything: true}
	}
	stale, at := r.rooms.sessionsDue(key, now)
	ended := sessionsEnd(u)
	return dues{
		sessions: stale || !ended.IsZero() && !now.Before(ended),
		next:     earliest(check, at),
	}
}

// missed says when to read a user again of whom events may have been missed, in
// the past if that is overdue; zero: none was. Whoever was read before the log was
// followed is read at once. A reading soon after that may not show yet what
// happened just before, so those are read once more. CheckedTime is known to the
// minute only.
func (r *Reconciler) missed(u *v1alpha1.MFAUser, conn *v1alpha1.ZitadelConnection) time.Time {
	since, checked := followedSince(&conn.Status), u.Status.Zitadel.CheckedTime
	if since == nil {
		return time.Time{}
	}
	shown := since.Add(r.lag() + time.Minute - 1).Truncate(time.Minute)
	switch {
	case checked.Time.Before(since.Truncate(time.Minute)):
		return since.Time
	case checked.Time.Before(shown):
		return shown
	default:
		return time.Time{}
	}
}

// read notes that everything was read, and says when to do so again because
// reads may be behind what was heard; zero: they are not.
func (r *Reconciler) read(u *v1alpha1.MFAUser) time.Time {
	z := u.Status.Zitadel
	z.CheckedTime = &metav1.Time{Time: r.now().UTC().Truncate(time.Minute)}
	if z.HeardSequence == z.ReadSequence {
		return time.Time{}
	}
	next, settled := r.rooms.settling(client.ObjectKeyFromObject(u), z.HeardSequence, r.now(), r.lag())
	if settled {
		z.ReadSequence = z.HeardSequence
	}
	return next
}

// readPerson finds the person and reads their factors.
func (r *Reconciler) readPerson(ctx context.Context, u *v1alpha1.MFAUser, conn *v1alpha1.ZitadelConnection, provider Provider, ns *corev1.Namespace) error {
	one, err := r.find(ctx, u, conn, provider, ns)
	if err != nil {
		return err
	}
	one.State = r.suspend(ctx, u, one, provider)
	has, err := provider.Credentials(ctx, one.UserID)
	if err != nil {
		return err
	}
	z := u.Status.Zitadel
	if z == nil || z.UserID != one.UserID {
		z = &v1alpha1.ZitadelUserStatus{}
	}
	z.UserID, z.OrganizationID, z.LoginName = one.UserID, one.OrganizationID, one.LoginName
	u.Status.Zitadel, u.Status.User = z, one.LoginName
	setFactors(u, one.State, has)
	return nil
}

// find returns the person the spec refers to. Whoever was found once stays the
// person as long as they exist: a name that somebody else takes over later must
// not carry over what was said of the first, such as an exemption.
func (r *Reconciler) find(ctx context.Context, u *v1alpha1.MFAUser, conn *v1alpha1.ZitadelConnection, provider Provider, ns *corev1.Namespace) (idp.Person, error) {
	ref := u.Spec.Zitadel
	if z := u.Status.Zitadel; z != nil && z.UserID != "" {
		one, err := provider.Person(ctx, idp.PersonRef{UserID: z.UserID})
		if !errors.Is(err, idp.ErrNotFound) || ref.UserID != "" {
			if err != nil {
				return idp.Person{}, err
			}
			_, err := r.maySee(ctx, conn, ns, one.OrganizationID)
			return one, err
		}
	}
	wanted := idp.PersonRef{UserID: ref.UserID, LoginName: ref.LoginName, Email: ref.Email}
	if s := ref.Organization; s != nil {
		asked := idp.Organization{ID: s.ID, Name: s.Name, PrimaryDomain: s.PrimaryDomain}
		org, _, err := r.Policies.InForceAt(ctx, conn, idp.OrganizationRef(asked))
		if errors.Is(err, idp.ErrNotFound) && !mayTarget(conn, ns, &asked) {
			// Whoever may not look there is not told whether it exists.
			return idp.Person{}, refused(conn, ns)
		}
		if err != nil {
			return idp.Person{}, err
		}
		if !mayTarget(conn, ns, &org) {
			return idp.Person{}, refused(conn, ns)
		}
		wanted.OrganizationID = org.ID
	}
	one, err := provider.Person(ctx, wanted)
	if err != nil {
		if ref.UserID != "" && errors.Is(err, idp.ErrNotFound) && !seesEverybody(conn, ns) {
			return idp.Person{}, refused(conn, ns)
		}
		return idp.Person{}, err
	}
	if _, err := r.maySee(ctx, conn, ns, one.OrganizationID); err != nil {
		return idp.Person{}, err
	}
	// From here on events of the person are heard, so what has changed since is
	// read here or heard of later.
	r.rooms.resolve(client.ObjectKeyFromObject(u), person{conn.Name, one.UserID})
	return provider.Person(ctx, idp.PersonRef{UserID: one.UserID})
}

// maySee refuses a person of an organization that the user's namespace may not
// target: who may set the rules for an organization may know whom they hit. It
// returns what the policies put in force there.
func (r *Reconciler) maySee(ctx context.Context, conn *v1alpha1.ZitadelConnection, ns *corev1.Namespace, organizationID string) (policy.Applied, error) {
	org, applied, err := r.Policies.InForceAt(ctx, conn, idp.OrganizationRef{ID: organizationID})
	if err != nil {
		return policy.Applied{}, err
	}
	if !mayTarget(conn, ns, &org) {
		return policy.Applied{}, refused(conn, ns)
	}
	return applied, nil
}

func mayTarget(conn *v1alpha1.ZitadelConnection, ns *corev1.Namespace, org *idp.Organization) bool {
	ok, err := policy.MayTarget(conn.Spec.Access, labels.Set(ns.Labels), org)
	return ok && err == nil // rules that cannot be read let nobody
}

// seesEverybody tells whether no organization is hidden from a namespace, so that
// it may be told that somebody does not exist.
func seesEverybody(conn *v1alpha1.ZitadelConnection, ns *corev1.Namespace) bool {
	return mayTarget(conn, ns, &idp.Organization{})
}

func refused(conn *v1alpha1.ZitadelConnection, ns *corev1.Namespace) error {
	return kube.Refuse(v1alpha1.ReasonNamespaceNotAllowed,
		"no rule in spec.access of ZitadelConnection %s lets namespace %s target the user's organization, or there is no such user", conn.Name, ns.Name)
}

// readSessions counts the sessions of the person, and knows them again later.
func (r *Reconciler) readSessions(ctx context.Context, u *v1alpha1.MFAUser, provider Provider) error {
	z, now := u.Status.Zitadel, r.now()
	r.rooms.sessionsReading(client.ObjectKeyFromObject(u), now)
	sessions, err := provider.Sessions(ctx, z.UserID, z.OrganizationID)
	if errors.Is(err, idp.ErrDenied) {
		setSessions(u, nil, now, err)
		return nil
	}
	if err != nil {
		r.rooms.sessionsChanged(client.ObjectKeyFromObject(u))
		return err
	}
	for _, s := range sessions {
		r.rooms.belongs(session{u.Spec.Zitadel.Connection, s.ID}, z.UserID)
	}
	setSessions(u, sessions, now, nil)
	return nil
}

// connection finds a connection by name, and the provider behind it.
func (r *Reconciler) connection(ctx context.Context, name string) (*v1alpha1.ZitadelConnection, Provider, error) {
	conn := &v1alpha1.ZitadelConnection{}
	err := r.Client.Get(ctx, types.NamespacedName{Name: name}, conn)
	if apierrors.IsNotFound(err) {
		return nil, nil, kube.Refuse(v1alpha1.ReasonConnectionNotFound, "there is no ZitadelConnection %q; create it, or correct the name", name)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading ZitadelConnection %s: %w", name, err)
	}
	if provider, ok := r.Providers.Provider(name); ok {
		return conn, provider, nil
	}
	ready := meta.FindStatusCondition(conn.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Status == metav1.ConditionTrue {
		return nil, nil, errConnecting
	}
	return nil, nil, kube.Refuse(v1alpha1.ReasonConnectionNotReady, "ZitadelConnection %s is not ready: %s", name, ready.Message)
}
