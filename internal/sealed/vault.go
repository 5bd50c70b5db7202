package sealed

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/neosc/mfa-operator/internal/mfa"
)

// Vault keeps credentials sealed, and asks the API server at each Load. See
// Cached for one that does not.
type Vault struct {
	store *Store
	keys  *Keyset
}

var _ mfa.Vault = (*Vault)(nil)

// NewVault makes a Vault; for secrets see kube.Secrets.
func NewVault(secrets corev1client.SecretsGetter, keys *Keyset) *Vault {
	return &Vault{NewStore(secrets), keys}
}

// Load implements mfa.Vault.
func (v *Vault) Load(ctx context.Context, owner mfa.Owner) (mfa.Kept, error) {
	secret, err := v.store.get(ctx, owner)
	if err != nil || secret == nil {
		return mfa.Kept{}, err
	}
	return v.opened(ctx, secret, owner)
}

// opened opens every credential in a Secret, or fails.
func (v *Vault) opened(ctx context.Context, secret *corev1.Secret, owner mfa.Owner) (mfa.Kept, error) {
	kept := mfa.Kept{Version: secret.ResourceVersion}
	for id, data := range secret.Data {
		c, sealed, err := decodeEnvelope(id, data)
		if err == nil {
			c.Secret, err = v.keys.open(ctx, sealed, credentialBound(owner, c))
		}
		if err != nil {
			return mfa.Kept{}, inSecret(secret, fmt.Errorf("credential %s: %w", id, err))
		}
		kept.Credentials = append(kept.Credentials, c)
	}
	inOrder(kept.Credentials)
	return kept, nil
}

// Save implements mfa.Vault. Every credential is sealed anew, under the primary
// key. A Secret of that name that belongs to somebody else is replaced. After
// ErrUnavailable it may have been saved or not: read again.
func (v *Vault) Save(ctx context.Context, owner mfa.Owner, kept mfa.Kept) error {
	_, err := v.save(ctx, owner, kept)
	return err
}

func (v *Vault) save(ctx context.Context, owner mfa.Owner, kept mfa.Kept) (*corev1.Secret, error) {
	if err := v.keys.usable(); err != nil {
		return nil, err
	}
	data := map[string][]byte{}
	known := v.keys.current.Load()
	for _, c := range kept.Credentials {
		if err := validate(c); err != nil {
			return nil, err
		}
		if _, twice := data[c.ID]; twice {
			return nil, fmt.Errorf("two credentials have the id %q", c.ID)
		}
		entry, err := encodeEnvelope(known, owner, c)
		if err != nil {
			return nil, err
		}
		data[c.ID] = entry
	}
	return v.store.put(ctx, owner, kept.Version, data)
}
