package admission

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
)

// Published keeps what the manager publishes in ConfigMaps, read and ready to be
// asked, so that no request has to read a census. It handles the events of their
// informer. The zero value is ready.
type Published struct {
	mu            sync.RWMutex
	censuses      map[string]*census           // by connection
	organizations map[string]idp.Organization  // by each key of the organization
	holders       map[string]map[string]string // by policy: claim to connection
}

var _ toolscache.ResourceEventHandler = (*Published)(nil)

// census is a census with the sums that every request needs.
type census struct {
	policy.Census
	unreadable error
	// following are the users whom the login settings of the instance reach,
	// owning those of organizations with login settings of their own.
	following, owning policy.Histogram
}

// OnAdd implements cache.ResourceEventHandler.
func (p *Published) OnAdd(obj any, _ bool) { p.take(obj.(*corev1.ConfigMap)) }

// OnUpdate implements cache.ResourceEventHandler.
func (p *Published) OnUpdate(old, obj any) {
	before, now := old.(*corev1.ConfigMap), obj.(*corev1.ConfigMap)
	if before.ResourceVersion == now.ResourceVersion {
		return // a resync
	}
	p.forget(before)
	p.take(now)
}

// OnDelete implements cache.ResourceEventHandler.
func (p *Published) OnDelete(obj any) {
	if last, missed := obj.(toolscache.DeletedFinalStateUnknown); missed {
		obj = last.Obj
	}
	if cm, ok := obj.(*corev1.ConfigMap); ok {
		p.forget(cm)
	}
}

func (p *Published) take(cm *corev1.ConfigMap) {
	if policy.IsCensus(cm.Labels) {
		c := readCensus(cm)
		p.mu.Lock()
		defer p.mu.Unlock()
		put(&p.censuses, policy.CensusOf(cm.Name), c)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	connection := cm.Labels[policy.LabelConnection]
	if org := policy.OrganizationOf(cm.Annotations); org.ID != "" {
		for _, key := range policy.KeysOf(connection, org) {
			put(&p.organizations, key, org)
		}
	}
	for _, holder := range policy.HoldersOf(cm.Annotations) {
		claims := p.holders[holder]
		put(&claims, cm.Name, connection)
		put(&p.holders, holder, claims)
	}
}

func (p *Published) forget(cm *corev1.ConfigMap) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if policy.IsCensus(cm.Labels) {
		delete(p.censuses, policy.CensusOf(cm.Name))
		return
	}
	connection := cm.Labels[policy.LabelConnection]
	for _, key := range policy.KeysOf(connection, policy.OrganizationOf(cm.Annotations)) {
		delete(p.organizations, key)
	}
	for _, holder := range policy.HoldersOf(cm.Annotations) {
		if delete(p.holders[holder], cm.Name); len(p.holders[holder]) == 0 {
			delete(p.holders, holder)
		}
	}
}

// census returns the census of a connection, nil if there is none.
func (p *Published) census(connection string) *census {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.censuses[connection]
}

// organization returns what is known of the organization with that key, as far
// as policies hold something of it.
func (p *Published) organization(key string) (org idp.Organization, known bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	org, known = p.organizations[key]
	return org, known
}

// held counts the targets that a policy, as namespace/name, has a part in, and
// lists the connections they are reached by.
func (p *Published) held(holder string) (targets int, connections []string) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, connection := range p.holders[holder] {
		connections = append(connections, connection)
	}
	return len(connections), connections
}

func readCensus(cm *corev1.ConfigMap) *census {
	c := &census{following: policy.Histogram{}, owning: policy.Histogram{}}
	c.Census, c.unreadable = policy.ReadCensus([]byte(cm.Data[policy.CensusKey]))
	sum := func(t policy.Tenant) {
		into := c.following
		if t.Owns(idp.Login) {
			into = c.owning
		}
		into.Add(t.Users)
	}
	for _, t := range c.Organizations {
		sum(t)
	}
	for _, t := range c.Rest {
		sum(t)
	}
	return c
}

// whyNot says why the census of a connection cannot be relied on; empty if it
// can.
func (c *census) whyNot(connection string) string {
	switch {
	case c == nil:
		return "users of " + connection + " have not been counted; that needs a Ready connection whose account may read Zitadel's events"
	case c.unreadable != nil:
		return "the census of " + connection + " cannot be read"
	case !c.Complete:
		return "users of " + connection + " are still being counted"
	default:
		return ""
	}
}

func put[K comparable, V any](m *map[K]V, key K, value V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[key] = value
}
