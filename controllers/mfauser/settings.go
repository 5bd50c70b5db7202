package mfauser

import (
	"context"
	"sync"
	"time"

	"github.com/neosc/mfa-operator/internal/idp"
)

// settings remembers the login settings that hold in each organization, so that
// judging its users costs one call for all of them. Zitadel's events say when to
// read them again; so does time.
type settings struct {
	mu sync.Mutex
	of map[tenant]*tenantSettings
	// changed is when a connection's instance settings were last heard to change.
	changed map[string]time.Time
}

// tenant is an organization of a connection.
type tenant struct{ connection, organizationID string }

type tenantSettings struct {
	reading sync.Mutex // held while they are read, so that users wait instead of asking, too

	// What follows is guarded by settings.mu.
	found   idp.Settings
	at      time.Time
	changed time.Time
}

// at returns the login settings of an organization, and until when they may be
// taken for those that hold.
func (s *settings) at(ctx context.Context, t tenant, provider Provider, now time.Time, period, lag time.Duration) (idp.Settings, time.Time, error) {
	one := s.tenant(t)
	one.reading.Lock()
	defer one.reading.Unlock()
	if found, until := s.known(t, now, period, lag); found != nil {
		return found, until, nil
	}
	state, err := provider.Observe(ctx, idp.InOrganization(t.organizationID), idp.Login)
	if err != nil {
		return nil, time.Time{}, err
	}
	s.mu.Lock()
	one.found, one.at = state.Settings, now
	s.mu.Unlock()
	_, until := s.known(t, now, period, lag)
	return state.Settings, until, nil
}

func (s *settings) tenant(t tenant) *tenantSettings {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of, s.changed = map[tenant]*tenantSettings{}, map[string]time.Time{}
	}
	if s.of[t] == nil {
		s.of[t] = &tenantSettings{}
	}
	return s.of[t]
}

// known returns what was read and is not too old. What was read right after a
// change may not show it yet, so it is read again once after the lag.
func (s *settings) known(t tenant, now time.Time, period, lag time.Duration) (idp.Settings, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.of[t]
	changed := one.changed
	if instance := s.changed[t.connection]; instance.After(changed) {
		changed = instance
	}
	until := one.at.Add(period)
	if shown := changed.Add(lag); !changed.IsZero() && one.at.Before(shown) {
		until = earliest(until, shown)
	}
	if one.found == nil || one.at.Before(changed) || !now.Before(until) {
		return nil, until
	}
	return one.found, until
}

// heard notes that the settings of a scope changed.
func (s *settings) heard(connection string, scope idp.Scope, now time.Time) {
	one := s.tenant(tenant{connection, scope.OrganizationID})
	s.mu.Lock()
	defer s.mu.Unlock()
	if scope.IsInstance() {
		s.changed[connection] = now
		return
	}
	one.changed = now
}
