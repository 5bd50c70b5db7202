package admission

import (
	"slices"
	"sync"

	toolscache "k8s.io/client-go/tools/cache"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/policy"
)

// Named keeps which policies name which organizations, ready to be gone through
// for every request about an instance. It handles the events of the informer of
// SecurityPolicies. The zero value is ready.
type Named struct {
	mu           sync.RWMutex
	byConnection map[string][]naming // replaced, never changed
}

// naming is a target of a policy that is an organization.
type naming struct {
	// policy is the informer's, and only read.
	policy *v1alpha1.SecurityPolicy
	target *v1alpha1.OrganizationSelector
	// key is that of the selector.
	key  string
	ways policy.Ways
}

var _ toolscache.ResourceEventHandler = (*Named)(nil)

// OnAdd implements cache.ResourceEventHandler.
func (n *Named) OnAdd(obj any, _ bool) { n.replace(nil, obj.(*v1alpha1.SecurityPolicy)) }

// OnUpdate implements cache.ResourceEventHandler.
func (n *Named) OnUpdate(old, obj any) {
	n.replace(old.(*v1alpha1.SecurityPolicy), obj.(*v1alpha1.SecurityPolicy))
}

// OnDelete implements cache.ResourceEventHandler.
func (n *Named) OnDelete(obj any) {
	if last, missed := obj.(toolscache.DeletedFinalStateUnknown); missed {
		obj = last.Obj
	}
	if p, ok := obj.(*v1alpha1.SecurityPolicy); ok {
		n.replace(p, nil)
	}
}

func (n *Named) replace(old, p *v1alpha1.SecurityPolicy) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if old != nil {
		for _, connection := range policy.ConnectionsOf(&old.Spec) {
			others := slices.Clone(n.byConnection[connection])
			n.put(connection, slices.DeleteFunc(others, func(one naming) bool { return sameObject(one.policy, old) }))
		}
	}
	if p == nil {
		return
	}
	ways := policy.WaysInForce(&p.Spec)
	for i := range p.Spec.Targets.Zitadel {
		if t := &p.Spec.Targets.Zitadel[i]; t.Organization != nil {
			key := policy.OrganizationKey(t.Connection, t.Organization)
			n.put(t.Connection, append(slices.Clip(n.byConnection[t.Connection]), naming{p, t.Organization, key, ways}))
		}
	}
}

func (n *Named) put(connection string, list []naming) {
	if len(list) == 0 {
		delete(n.byConnection, connection)
		return
	}
	put(&n.byConnection, connection, list)
}

// at lists what policies name of a connection.
func (n *Named) at(connection string) []naming {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.byConnection[connection]
}
