package app

import (
	"context"

	"github.com/neosc/mfa-operator/controllers/mfareset"
	"github.com/neosc/mfa-operator/controllers/mfauser"
	"github.com/neosc/mfa-operator/controllers/securitypolicy"
	"github.com/neosc/mfa-operator/controllers/zitadelconnection"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/zitadel"
)

// providers lets the policy reconciler use the clients of the pool.
type providers struct{ pool *zitadel.Pool }

func (p providers) Provider(connection string) (securitypolicy.Provider, bool) {
	c, ok := p.pool.Client(connection)
	return c, ok
}

// users lets the user reconciler use the clients of the pool.
type users struct{ pool *zitadel.Pool }

func (u users) Provider(connection string) (mfauser.Provider, bool) {
	c, ok := u.pool.Client(connection)
	return c, ok
}

// resets lets the reset reconciler use the clients of the pool.
type resets struct{ pool *zitadel.Pool }

func (r resets) Provider(connection string) (mfareset.Provider, bool) {
	c, ok := r.pool.Client(connection)
	return c, ok
}

// eventLogs lets the follower and the census use the clients of the pool.
type eventLogs struct{ pool *zitadel.Pool }

func (l eventLogs) EventLog(connection string) (zitadelconnection.EventLog, bool) {
	c, ok := l.pool.Client(connection)
	return c, ok
}

// tenants lets discovery use the clients of the pool.
type tenants struct{ pool *zitadel.Pool }

func (t tenants) TenantFinder(connection string) (zitadelconnection.TenantFinder, bool) {
	c, ok := t.pool.Client(connection)
	return c, ok
}

// bells lets the doorbell reconciler use the clients of the pool.
type bells struct{ pool *zitadel.Pool }

func (b bells) Bell(connection string) (zitadelconnection.Bell, bool) {
	c, ok := b.pool.Client(connection)
	return c, ok
}

// connector lets the connection reconciler fill the pool.
type connector struct{ pool *zitadel.Pool }

func (c connector) Connect(ctx context.Context, name string, to zitadelconnection.Instance) (idp.Account, error) {
	return c.pool.Connect(ctx, name, zitadel.Config{
		Domain:   to.Domain,
		Port:     to.Port,
		Insecure: to.Insecure,
		Address:  to.Address,
		CABundle: to.CABundle,
		Credentials: zitadel.Credentials{
			Type: zitadel.CredentialType(to.CredentialType), Secret: to.Credential,
		},
		RequestsPerSecond: float64(to.RequestsPerSecond),
		Burst:             to.Burst,
		Timeout:           to.Timeout,
	})
}

func (c connector) Connected(name string) bool {
	_, ok := c.pool.Client(name)
	return ok
}

func (c connector) Forget(name string) { c.pool.Forget(name) }
