package sealed

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"

	"github.com/neosc/mfa-operator/internal/mfa"
)

// The Secrets with credentials.
const (
	// TypeCredentials is their type.
	TypeCredentials corev1.SecretType = "security.neosc.io/mfa-credentials"
	// Label is on each, with the value LabelValue.
	Label      = "security.neosc.io/kept"
	LabelValue = "mfa-credentials"

	namePrefix = "mfa-credentials-"
	nameMax    = 253
)

// What owns them.
const (
	ownerAPIVersion = "security.neosc.io/v1alpha1"
	ownerKind       = "MFAUser"
)

// Selector selects the Secrets with credentials.
func Selector() labels.Selector { return labels.SelectorFromSet(labels.Set{Label: LabelValue}) }

// SecretName is the name of the Secret with the credentials of an MFAUser. A
// name that would be too long ends in a digest instead.
func SecretName(user string) string {
	if name := namePrefix + user; len(name) <= nameMax {
		return name
	}
	digest := fmt.Sprintf("-%x", sha256.Sum256([]byte(user)))
	return (namePrefix + user)[:nameMax-len(digest)] + digest
}

// Store keeps one Secret per user, for those who need not open what is in it.
type Store struct{ secrets corev1client.SecretsGetter }

// NewStore makes a Store; for secrets see kube.Secrets.
func NewStore(secrets corev1client.SecretsGetter) *Store { return &Store{secrets} }

// List returns what is kept of a user, each credential without its secret, and
// therefore without proof that it was not altered.
func (s *Store) List(ctx context.Context, owner mfa.Owner) (mfa.Kept, error) {
	secret, err := s.get(ctx, owner)
	if err != nil || secret == nil {
		return mfa.Kept{}, err
	}
	return listed(secret)
}

func listed(secret *corev1.Secret) (mfa.Kept, error) {
	kept := mfa.Kept{Version: secret.ResourceVersion}
	for id, data := range secret.Data {
		c, _, err := decodeEnvelope(id, data)
		if err != nil {
			return mfa.Kept{}, inSecret(secret, err)
		}
		kept.Credentials = append(kept.Credentials, c)
	}
	inOrder(kept.Credentials)
	return kept, nil
}

// Remove removes the credentials of these methods, and returns those removed
// without their secrets.
func (s *Store) Remove(ctx context.Context, owner mfa.Owner, methods ...mfa.Method) ([]mfa.Credential, error) {
	return s.remove(ctx, owner, func(c mfa.Credential) bool { return slices.Contains(methods, c.Method) })
}

// RemoveFactors removes the credentials of these ids, and returns those removed
// without their secrets. One that is not there is no error.
func (s *Store) RemoveFactors(ctx context.Context, owner mfa.Owner, ids ...string) ([]mfa.Credential, error) {
	return s.remove(ctx, owner, func(c mfa.Credential) bool { return slices.Contains(ids, c.ID) })
}

// RemoveAll removes every credential, also entries that cannot be read, and
// returns those removed without their secrets.
func (s *Store) RemoveAll(ctx context.Context, owner mfa.Owner) ([]mfa.Credential, error) {
	return s.remove(ctx, owner, func(mfa.Credential) bool { return true })
}

// remove removes what is to go; an entry that cannot be read has no method.
func (s *Store) remove(ctx context.Context, owner mfa.Owner, goes func(mfa.Credential) bool) ([]mfa.Credential, error) {
	var removed []mfa.Credential
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		removed = nil
		secret, err := s.get(ctx, owner)
		if err != nil || secret == nil {
			return err
		}
		for id, data := range secret.Data {
			c, _, err := decodeEnvelope(id, data)
			if err != nil {
				c = mfa.Credential{ID: id}
			}
			if goes(c) {
				delete(secret.Data, id)
				removed = append(removed, c)
			}
		}
		if len(removed) == 0 {
			return nil
		}
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		_, err = s.secrets.Secrets(owner.Namespace).Update(ctx, secret, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return nil, classify("removing credentials", owner, err)
	}
	inOrder(removed)
	return removed, nil
}

// get reads the Secret of a user; nil if there is none, or it is another's.
func (s *Store) get(ctx context.Context, owner mfa.Owner) (*corev1.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	secret, err := s.secrets.Secrets(owner.Namespace).Get(ctx, SecretName(owner.Name), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // nothing is kept, and that is no error
	}
	if err != nil {
		return nil, classify("reading the credentials", owner, err)
	}
	if !isOf(secret, owner) {
		return nil, nil //nolint:nilnil // nothing of theirs is kept
	}
	return secret, nil
}

// put writes the entries in place of what was read at version, and returns the
// Secret as written.
func (s *Store) put(ctx context.Context, owner mfa.Owner, version string, data map[string][]byte) (*corev1.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	secrets := s.secrets.Secrets(owner.Namespace)
	wanted := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: owner.Namespace, Name: SecretName(owner.Name), ResourceVersion: version,
			Labels: map[string]string{Label: LabelValue},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: ownerAPIVersion, Kind: ownerKind, Name: owner.Name, UID: types.UID(owner.UID), Controller: ptr.To(true),
			}},
		},
		Type: TypeCredentials,
		Data: data,
	}
	const doing = "writing the credentials"
	if version != "" {
		written, err := secrets.Update(ctx, wanted, metav1.UpdateOptions{})
		if apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("%s of %s/%s: %w: they are gone", doing, owner.Namespace, owner.Name, mfa.ErrConflict)
		}
		return written, classify(doing, owner, err)
	}
	written, err := secrets.Create(ctx, wanted, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		return written, classify(doing, owner, err)
	}
	// Something of that name is there. Another's is in the way: of an MFAUser of
	// that name that was deleted, or no credentials at all.
	there, err := secrets.Get(ctx, wanted.Name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, classify(doing, owner, err)
	}
	if err == nil && isOf(there, owner) {
		return nil, fmt.Errorf("%s of %s/%s: %w", doing, owner.Namespace, owner.Name, mfa.ErrConflict)
	}
	if err == nil {
		same := &metav1.Preconditions{UID: &there.UID, ResourceVersion: &there.ResourceVersion}
		err := secrets.Delete(ctx, there.Name, metav1.DeleteOptions{Preconditions: same})
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, classify(doing, owner, err)
		}
	}
	written, err = secrets.Create(ctx, wanted, metav1.CreateOptions{})
	return written, classify(doing, owner, err)
}

// isOf tells whether a Secret has the credentials of that very MFAUser.
func isOf(secret *corev1.Secret, owner mfa.Owner) bool {
	is, ok := ownerOf(secret)
	return ok && is == owner
}

// ownerOf returns whose credentials a Secret has.
func ownerOf(secret *corev1.Secret) (mfa.Owner, bool) {
	ref := metav1.GetControllerOfNoCopy(secret)
	if secret.Type != TypeCredentials || ref == nil || ref.APIVersion != ownerAPIVersion || ref.Kind != ownerKind {
		return mfa.Owner{}, false
	}
	return mfa.Owner{Namespace: secret.Namespace, Name: ref.Name, UID: string(ref.UID)}, true
}

// classify turns an answer of the API server into one of the ends that a Vault
// knows. What is not a conflict is unavailable, also a missing right: it says
// nothing about a code. After a time-out a write may have been done or not.
func classify(doing string, owner mfa.Owner, err error) error {
	if err == nil {
		return nil
	}
	kind := mfa.ErrUnavailable
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		kind = mfa.ErrConflict
	}
	if errors.Is(err, kind) { // classified already
		return err
	}
	return fmt.Errorf("%s of %s/%s: %w: %w", doing, owner.Namespace, owner.Name, kind, err)
}

func inSecret(secret *corev1.Secret, err error) error {
	return fmt.Errorf("in Secret %s/%s: %w", secret.Namespace, secret.Name, err)
}
