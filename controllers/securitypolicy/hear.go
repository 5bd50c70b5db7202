package securitypolicy

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
)

// Heard takes note of what Zitadel's events say was changed, and wakes the
// policies concerned. To hear of the same event again does no harm: a target
// that is as it should be costs one look.
func (r *Reconciler) Heard(ctx context.Context, connection string, events []idp.Event) error {
	concerned := map[reconcile.Request]bool{}
	note := func(which client.ListOption) {
		for _, request := range r.policies(ctx, which) {
			concerned[request] = true
		}
	}
	for i := range events {
		switch e := &events[i]; e.Kind {
		case idp.SettingsChanged:
			key := targetKey{connection, e.Scope}
			r.memory.heardOf(key)
			// The policies of the instance hold in every organization.
			note(client.MatchingFields{IndexTarget: policy.InstanceKey(connection)})
			for _, name := range policy.KeysOf(connection, r.memory.organization(key)) {
				note(client.MatchingFields{IndexTarget: name})
			}
		case idp.OrganizationAdded, idp.OrganizationChanged, idp.OrganizationRemoved:
			// A selector may mean another organization now, or one at last.
			r.directory.forget(connection)
			note(client.MatchingFields{IndexConnection: connection})
		default:
		}
	}
	for request := range concerned {
		if err := r.wake(ctx, request); err != nil {
			return err
		}
	}
	return nil
}

// Began takes note that events are heard from now on only: what was changed
// before, since a target was last looked at or looked up, nobody will tell of. The
// policies are woken by CensusTaken, for the census is taken anew then.
func (r *Reconciler) Began(connection string) {
	r.directory.forget(connection)
	r.memory.heardOfAll(connection)
}

// CensusTaken wakes the policies of a connection whose users or organizations
// are known now, or have changed.
func (r *Reconciler) CensusTaken(ctx context.Context, connection string) error {
	for _, request := range r.policies(ctx, client.MatchingFields{IndexConnection: connection}) {
		if err := r.wake(ctx, request); err != nil {
			return err
		}
	}
	return nil
}

// wakeOthers wakes the other policies at the targets that p has just changed,
// so that their status tells of it.
func (r *Reconciler) wakeOthers(ctx context.Context, p *v1alpha1.SecurityPolicy, seen pass) {
	concerned := map[reconcile.Request]bool{}
	for i := range seen.results {
		for _, one := range seen.results[i].withBelow() {
			if !one.anew || !one.settled.changed() && !one.settled.drifted {
				continue
			}
			for _, other := range one.applicable.all() {
				if other.UID != p.UID {
					concerned[reconcile.Request{NamespacedName: client.ObjectKeyFromObject(other)}] = true
				}
			}
		}
	}
	for request := range concerned {
		if r.wake(ctx, request) != nil {
			return // we are being stopped
		}
	}
}

// wake puts a policy into the queue. It fails only when ctx ends.
func (r *Reconciler) wake(ctx context.Context, request reconcile.Request) error {
	p := &v1alpha1.SecurityPolicy{}
	p.Namespace, p.Name = request.Namespace, request.Name
	select {
	case r.wakeups <- event.GenericEvent{Object: p}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
