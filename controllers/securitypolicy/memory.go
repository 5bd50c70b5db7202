package securitypolicy

import (
	"context"
	"sync"
	"time"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
)

// memory keeps what became of each target, so that several policies at one
// target, and a policy that is looked at again, cost no call. It also sees to
// it that a target is worked on by one at a time.
type memory struct {
	mu      sync.Mutex
	targets map[targetKey]*remembered
}

// remembered is one target.
type remembered struct {
	working sync.Mutex

	// What follows belongs to whoever holds working.
	fingerprint string
	provider    Provider
	at          time.Time
	outcome     *settled

	// What follows may be asked for while somebody works.
	mu  sync.Mutex
	org idp.Organization
	// heard counts the changes in Zitadel that were told of, and seen those
	// that the outcome includes.
	heard, seen int
}

func (m *memory) of(key targetKey) *remembered {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.targets == nil {
		m.targets = map[targetKey]*remembered{}
	}
	if m.targets[key] == nil {
		m.targets[key] = &remembered{}
	}
	return m.targets[key]
}

// heardOf notes that a target was changed in Zitadel.
func (m *memory) heardOf(key targetKey) {
	one := m.of(key)
	one.mu.Lock()
	defer one.mu.Unlock()
	one.heard++
}

// heardOfAll notes that any target of a connection may have been changed.
func (m *memory) heardOfAll(connection string) {
	m.mu.Lock()
	var all []targetKey
	for key := range m.targets {
		if key.connection == connection {
			all = append(all, key)
		}
	}
	m.mu.Unlock()
	for _, key := range all {
		m.heardOf(key)
	}
}

func (one *remembered) changes() (heard int, stale bool) {
	one.mu.Lock()
	defer one.mu.Unlock()
	return one.heard, one.heard != one.seen
}

func (one *remembered) includes(heard int, org idp.Organization) {
	one.mu.Lock()
	defer one.mu.Unlock()
	one.seen, one.org = heard, org
}

// settleOnce settles a target, unless all is as it was when that was last done
// and that is not too long ago. anew tells that it was done now.
func (r *Reconciler) settleOnce(ctx context.Context, p *v1alpha1.SecurityPolicy, t target, a applicable) (outcome settled, anew bool, err error) {
	one := r.memory.of(t.key)
	one.working.Lock()
	defer one.working.Unlock()
	heard, stale := one.changes()
	fingerprint := a.fingerprint()
	if one.outcome != nil && !stale && one.fingerprint == fingerprint && one.provider == t.provider && r.now().Sub(one.at) < r.resync(t.connection) {
		return *one.outcome, false, nil
	}
	one.outcome = nil
	outcome, err = r.settle(ctx, p, t, a)
	if err != nil {
		return outcome, true, err
	}
	one.fingerprint, one.provider, one.at, one.outcome = fingerprint, t.provider, r.now(), &outcome
	one.includes(heard, t.org)
	return outcome, true, nil
}

// organization is what is known of the organization that is a target; only its
// id if it was never settled.
func (m *memory) organization(key targetKey) idp.Organization {
	one := m.of(key)
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.org.ID == "" {
		return idp.Organization{ID: key.scope.OrganizationID}
	}
	return one.org
}
