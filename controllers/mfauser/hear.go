package mfauser

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
)

// Heard takes note of what Zitadel's events say of users, and wakes those
// concerned. What was heard of a user is written into the status, so that
// whatever ends the process, the next one reads the user again. What was heard of
// sessions is only remembered: they are counted anew with the next one, or the
// next complete reading.
func (r *Reconciler) Heard(ctx context.Context, connection string, events []idp.Event) error {
	newest := map[string]int64{}
	sessions := map[string]bool{}
	anybody := false
	scopes := map[idp.Scope]bool{}
	for i := range events {
		e := &events[i]
		switch e.Kind {
		case idp.SettingsChanged:
			if e.Group == idp.Login {
				scopes[e.Scope] = true
			}
		case idp.UserAdded, idp.OrganizationAdded, idp.OrganizationChanged:
			anybody = true // a reference may match at last
		case idp.UserChanged:
			anybody = true
			newest[e.UserID] = int64(e.Sequence)
		case idp.UserLocked, idp.UserUnlocked, idp.UserDeactivated, idp.UserReactivated, idp.UserRemoved,
			idp.PhoneRemoved, idp.PasswordChanged, idp.FactorAdded, idp.FactorRemoved, idp.IDPLinked, idp.IDPUnlinked:
			newest[e.UserID] = int64(e.Sequence)
		case idp.SessionUserChecked:
			r.rooms.belongs(session{connection, e.Aggregate.ID}, e.UserID)
			sessions[e.UserID] = true
		case idp.SessionFactorChecked, idp.SessionEnded:
			if id := r.rooms.whose(session{connection, e.Aggregate.ID}, e.Kind == idp.SessionEnded); id != "" {
				sessions[id] = true
			}
		default: // says nothing of what a status shows
		}
	}
	for scope := range scopes {
		r.settings.heard(connection, scope, r.now())
		if err := r.wakeAll(ctx, client.MatchingFields{indexTenant: tenantKey(connection, scope.OrganizationID)}); err != nil {
			return err
		}
	}
	if anybody {
		if err := r.wakeAll(ctx, client.MatchingFields{indexPerson: personKey(connection, "")}); err != nil {
			return err
		}
	}
	for userID, sequence := range newest {
		if err := r.note(ctx, person{connection, userID}, sequence); err != nil {
			return err
		}
	}
	for userID := range sessions {
		users, err := r.users(ctx, client.MatchingFields{indexPerson: personKey(connection, userID)})
		if err != nil {
			return err
		}
		for i := range users {
			r.rooms.sessionsChanged(client.ObjectKeyFromObject(&users[i]))
			if err := wake(ctx, r.wakeups, client.ObjectKeyFromObject(&users[i])); err != nil {
				return err
			}
		}
	}
	return nil
}

// Began takes note that the settings of organizations may have changed unheard.
// Of users the connection's status says so, which wakes them: unlike what is
// remembered of settings, they outlive the process.
func (r *Reconciler) Began(connection string) { r.settings.heard(connection, idp.Instance, r.now()) }

// note writes into the status of every MFAUser of a person what was heard last.
func (r *Reconciler) note(ctx context.Context, p person, sequence int64) error {
	users, err := r.users(ctx, client.MatchingFields{indexPerson: personKey(p.connection, p.userID)})
	if err != nil {
		return err
	}
	keys := r.rooms.resolvingAs(p)
	for i := range users {
		if z := users[i].Status.Zitadel; z.HeardSequence < sequence {
			keys = append(keys, client.ObjectKeyFromObject(&users[i]))
		}
	}
	for _, key := range keys {
		u := &v1alpha1.MFAUser{}
		u.Namespace, u.Name = key.Namespace, key.Name
		patch := fmt.Appendf(nil, `{"status":{"zitadel":{"heardSequence":%d}}}`, sequence)
		err := r.Client.Status().Patch(ctx, u, client.RawPatch(types.MergePatchType, patch))
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("noting that user %s changed: %w", p.userID, err)
		}
	}
	return nil
}

func (r *Reconciler) users(ctx context.Context, which ...client.ListOption) ([]v1alpha1.MFAUser, error) {
	list := &v1alpha1.MFAUserList{}
	// The cache's own objects: they are only read here.
	if err := r.Client.List(ctx, list, append(which, client.UnsafeDisableDeepCopy)...); err != nil {
		return nil, fmt.Errorf("listing users: %w", err)
	}
	return list.Items, nil
}

// wakeAll wakes users who may wait for those who are woken alone.
func (r *Reconciler) wakeAll(ctx context.Context, which client.ListOption) error {
	users, err := r.users(ctx, which)
	if err != nil {
		return err
	}
	for i := range users {
		if err := wake(ctx, r.crowds, client.ObjectKeyFromObject(&users[i])); err != nil {
			return err
		}
	}
	return nil
}

// wake puts a user into the queue. It fails only when ctx ends.
func wake(ctx context.Context, wakeups chan<- event.GenericEvent, key client.ObjectKey) error {
	u := &v1alpha1.MFAUser{}
	u.Namespace, u.Name = key.Namespace, key.Name
	select {
	case wakeups <- event.GenericEvent{Object: u}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
