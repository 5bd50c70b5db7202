package securitypolicy

import (
	"context"
	"sync"
	"time"

	"github.com/neosc/mfa-operator/internal/idp"
)

// directory remembers which organization a selector means, so that a policy
// that did not change costs no look-up. Zitadel's events say when to forget; so
// does time.
type directory struct {
	mu    sync.Mutex
	known map[selection]located
}

type selection struct {
	connection string
	ref        idp.OrganizationRef
}

type located struct {
	org      idp.Organization
	provider Provider
	at       time.Time
}

// find looks an organization up, once in each period.
func (d *directory) find(ctx context.Context, connection string, provider Provider, ref idp.OrganizationRef, now time.Time, period time.Duration) (idp.Organization, error) {
	key := selection{connection, ref}
	d.mu.Lock()
	known, ok := d.known[key]
	d.mu.Unlock()
	if ok && known.provider == provider && now.Sub(known.at) < period {
		return known.org, nil
	}
	org, err := provider.Organization(ctx, ref)
	if err != nil {
		return idp.Organization{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		d.known = map[selection]located{}
	}
	d.known[key] = located{org, provider, now}
	return org, nil
}

// forget drops what is known of a connection's organizations.
func (d *directory) forget(connection string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key := range d.known {
		if key.connection == connection {
			delete(d.known, key)
		}
	}
}
