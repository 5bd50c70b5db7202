package courier

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/time/rate"

	"github.com/neosc/mfa-operator/internal/mfa"
)

// Courier sends codes by what is configured.
type Courier struct {
	clock func() time.Time
	ways  map[mfa.Method]way
}

// way is one way to send. Its limit is a last resort: it protects the gateway
// and whoever pays for it, not the user.
type way struct {
	send  func(context.Context, mfa.Message) error
	limit *rate.Limiter
}

var _ mfa.Courier = (*Courier)(nil)

// New makes a Courier. Its error names every field that cannot be used.
func New(c Config, clock func() time.Time) (*Courier, error) {
	c, err := c.complete()
	if err != nil {
		return nil, fmt.Errorf("configuring how codes are sent: %w", err)
	}
	courier := &Courier{clock: clock, ways: map[mfa.Method]way{}}
	if c.Email != nil {
		mailer, err := newMailer(*c.Email, clock)
		if err != nil {
			return nil, err
		}
		courier.ways[mfa.Email] = way{mailer.send, perMinute(c.Email.PerMinute)}
	}
	if c.SMS != nil {
		gateway, err := newGateway(*c.SMS, clock)
		if err != nil {
			return nil, err
		}
		courier.ways[mfa.SMS] = way{gateway.send, perMinute(c.SMS.PerMinute)}
	}
	return courier, nil
}

func perMinute(n int) *rate.Limiter { return rate.NewLimiter(rate.Limit(n)/60, n) }

// Offers implements mfa.Courier.
func (c *Courier) Offers(method mfa.Method) bool {
	_, ok := c.ways[method]
	return ok
}

// Send implements mfa.Courier. mfa.ErrUnavailable: it may work later. Any other
// error: not to this address, or not with this configuration. No error holds the
// code, the address, a credential, or what the other side wrote.
func (c *Courier) Send(ctx context.Context, m mfa.Message) error {
	way, ok := c.ways[m.Method]
	if !ok {
		return fmt.Errorf("nothing is configured to send a code by %s", m.Method)
	}
	m, err := tidy(m)
	if err != nil {
		return err
	}
	if !way.limit.AllowN(c.clock(), 1) {
		return fmt.Errorf("too many codes by %s within a minute: %w", m.Method, mfa.ErrUnavailable)
	}
	return way.send(ctx, m)
}
