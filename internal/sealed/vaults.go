package sealed

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/neosc/mfa-operator/internal/mfa"
)

// Vaults are the Cached of some namespaces, so that no right to the Secrets of
// any other is needed.
type Vaults struct {
	of map[string]*Cached
}

var _ mfa.Vault = (*Vaults)(nil)

// NewVaults makes a Cached of a Vault for each namespace; metav1.NamespaceAll
// among them is all.
func NewVaults(v *Vault, namespaces []string) *Vaults {
	vaults := &Vaults{of: map[string]*Cached{}}
	for _, namespace := range namespaces {
		vaults.of[namespace] = NewCached(v, namespace)
	}
	return vaults
}

func (v *Vaults) cached(namespace string) *Cached {
	if c := v.of[namespace]; c != nil {
		return c
	}
	return v.of[metav1.NamespaceAll]
}

// Serves tells whether the users of a namespace are kept here.
func (v *Vaults) Serves(namespace string) bool { return v.cached(namespace) != nil }

// Load implements mfa.Vault.
func (v *Vaults) Load(ctx context.Context, owner mfa.Owner) (mfa.Kept, error) {
	c := v.cached(owner.Namespace)
	if c == nil {
		return mfa.Kept{}, fmt.Errorf("%w: the users of namespace %s are not kept here", mfa.ErrUnavailable, owner.Namespace)
	}
	return c.Load(ctx, owner)
}

// Save implements mfa.Vault.
func (v *Vaults) Save(ctx context.Context, owner mfa.Owner, kept mfa.Kept) error {
	c := v.cached(owner.Namespace)
	if c == nil {
		return fmt.Errorf("%w: the users of namespace %s are not kept here", mfa.ErrUnavailable, owner.Namespace)
	}
	return c.Save(ctx, owner, kept)
}

// Start listens until ctx ends. Every replica does.
func (v *Vaults) Start(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	for _, c := range v.of {
		all.Go(func() error { return c.Start(ctx) })
	}
	return all.Wait()
}

// NeedLeaderElection is false: every replica verifies.
func (*Vaults) NeedLeaderElection() bool { return false }

// Check says whether all that there was at the start has been read.
func (v *Vaults) Check() error {
	var errs []error
	for namespace, c := range v.of {
		if err := c.Check(); err != nil {
			errs = append(errs, fmt.Errorf("namespace %q: %w", namespace, err))
		}
	}
	return errors.Join(errs...)
}

// everywhereIfNone is all namespaces if none is named.
func everywhereIfNone(namespaces []string) []string {
	if len(namespaces) == 0 {
		return []string{metav1.NamespaceAll}
	}
	return namespaces
}
