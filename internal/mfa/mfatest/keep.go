package mfatest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/neosc/mfa-operator/internal/mfa"
)

// Vault keeps credentials in memory.
type Vault struct {
	mu   sync.Mutex
	kept map[mfa.Owner]mfa.Kept
	fail error
}

// Load implements mfa.Vault.
func (v *Vault) Load(_ context.Context, owner mfa.Owner) (mfa.Kept, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.fail != nil {
		return mfa.Kept{}, v.fail
	}
	kept := v.kept[owner]
	kept.Credentials = slices.Clone(kept.Credentials)
	return kept, nil
}

// Save implements mfa.Vault.
func (v *Vault) Save(_ context.Context, owner mfa.Owner, kept mfa.Kept) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.fail != nil {
		return v.fail
	}
	old := v.kept[owner].Version
	if old != kept.Version {
		return fmt.Errorf("saving: %w", mfa.ErrConflict)
	}
	n := 0
	if old != "" {
		var err error
		if n, err = strconv.Atoi(old); err != nil {
			return err
		}
	}
	if v.kept == nil {
		v.kept = map[mfa.Owner]mfa.Kept{}
	}
	v.kept[owner] = mfa.Kept{Version: strconv.Itoa(n + 1), Credentials: slices.Clone(kept.Credentials)}
	return nil
}

// Fail makes every call fail with err, until it is called with nil.
func (v *Vault) Fail(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.fail = err
}

// Change changes what is kept of a user behind everybody's back.
func (v *Vault) Change(owner mfa.Owner, change func([]mfa.Credential) []mfa.Credential) {
	v.mu.Lock()
	defer v.mu.Unlock()
	kept := v.kept[owner]
	kept.Credentials = change(slices.Clone(kept.Credentials))
	v.kept[owner] = kept
}

// Courier keeps what it was to send.
type Courier struct {
	mu   sync.Mutex
	sent []mfa.Message
	fail error
}

// Offers implements mfa.Courier.
func (c *Courier) Offers(mfa.Method) bool { return true }

// Send implements mfa.Courier.
func (c *Courier) Send(_ context.Context, m mfa.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return c.fail
	}
	c.sent = append(c.sent, m)
	return nil
}

// Fail makes sending fail with err, until it is called with nil.
func (c *Courier) Fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = err
}

// Sent returns what was sent.
func (c *Courier) Sent() []mfa.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sent)
}
