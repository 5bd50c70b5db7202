package sealed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/util/retry"

	"github.com/neosc/mfa-operator/internal/kube"
)

// Travel is how long a value made by Seal may be under way.
const Travel = 24 * time.Hour

// rest is how long a key must have been out of use before it is ended. A replica
// that is not told of a rotation may seal with the old key for some minutes more.
const rest = Travel + time.Hour

// pageSize is how many Secrets are read at a time.
const pageSize = 200

// Administration is what is done to the keys while the replicas go on working.
// Whoever does it must be able to read and write the Secrets with the keys and
// with the credentials, in all namespaces.
type Administration struct {
	secrets corev1client.SecretsGetter
	shared  kube.SharedSecret
	clock   func() time.Time
}

// NewAdministration makes an Administration; for secrets see kube.Secrets,
// namespace is the operator's.
func NewAdministration(secrets corev1client.SecretsGetter, namespace string, clock func() time.Time) *Administration {
	return &Administration{secrets, kube.SharedSecret{Client: secrets, Namespace: namespace, Name: KeysName}, clock}
}

// Usage is the keys and what they are used for.
type Usage struct {
	Keys []KeyUsage
	// Users is how many have credentials, Credentials how many there are.
	Users, Credentials int
	// Unopened are the Secrets, as namespace/name, in which something does not
	// open, or of which nobody can say whose they are.
	Unopened []string
}

// KeyUsage is one key, and of how many credentials it is the key.
type KeyUsage struct {
	Key
	Credentials int
}

// read reads the keys.
func (a *Administration) read(ctx context.Context) (*keys, error) {
	secret, err := a.shared.Get(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the sealing keys: %w", err)
	}
	return decodeKeys(secret.ResourceVersion, secret.Data)
}

// Usage reads every credential.
func (a *Administration) Usage(ctx context.Context) (Usage, error) {
	known, err := a.read(ctx)
	if err != nil {
		return Usage{}, err
	}
	var u Usage
	count := map[string]int{}
	err = a.each(ctx, func(secret *corev1.Secret) error {
		if len(secret.Data) > 0 {
			u.Users++
		}
		u.Credentials += len(secret.Data)
		if !references(known, secret, count) {
			u.Unopened = append(u.Unopened, secret.Namespace+"/"+secret.Name)
		}
		return nil
	})
	for _, key := range known.list() {
		u.Keys = append(u.Keys, KeyUsage{key, count[key.ID]})
	}
	return u, err
}

// references counts, by key, the credentials of a Secret, and tells whether all
// of them open.
func references(known *keys, secret *corev1.Secret, count map[string]int) bool {
	owner, all := ownerOf(secret)
	for id, data := range secret.Data {
		c, sealed, err := decodeEnvelope(id, data)
		if err != nil {
			all = false
			continue
		}
		if key, ok := sealedUnder(sealed); ok {
			count[key]++
		}
		plain, err := known.open(sealed, credentialBound(owner, c))
		if err != nil {
			all = false
			continue
		}
		for _, key := range known.list() {
			if bytes.Contains(plain, []byte(key.ID)) {
				count[key.ID]++
			}
		}
	}
	return all
}

// each calls visit for every Secret with credentials.
func (a *Administration) each(ctx context.Context, visit func(secret *corev1.Secret) error) error {
	options := metav1.ListOptions{LabelSelector: Selector().String(), Limit: pageSize}
	for {
		page, err := a.secrets.Secrets(metav1.NamespaceAll).List(ctx, options)
		if err != nil {
			return fmt.Errorf("listing the Secrets with credentials: %w", err)
		}
		for i := range page.Items {
			if err := visit(&page.Items[i]); err != nil {
				return err
			}
		}
		if options.Continue = page.Continue; options.Continue == "" {
			return nil
		}
	}
}

// change alters the keys.
func (a *Administration) change(ctx context.Context, how func(*keys) (*keys, error)) (*keys, error) {
	var after *keys
	_, err := a.shared.Change(ctx, func(secret *corev1.Secret) (bool, error) {
		before, err := decodeKeys(secret.ResourceVersion, secret.Data)
		if err != nil {
			return false, err
		}
		if after, err = how(before); err != nil {
			return false, err
		}
		secret.Data, err = after.encode()
		return true, err
	})
	if err != nil {
		return nil, fmt.Errorf("changing the sealing keys: %w", err)
	}
	return after, nil
}

// Rotate adds a new key of each use and makes it primary. Replicas use it as soon
// as the watch tells them, and look for it when they meet something sealed with
// it before that: nothing fails meanwhile. It returns the ids of both.
func (a *Administration) Rotate(ctx context.Context) (sealing, hashing string, err error) {
	after, err := a.change(ctx, func(k *keys) (*keys, error) { return k.rotated(a.clock()) })
	if err != nil {
		return "", "", err
	}
	return after.primary(prefixSealing), after.primary(prefixHashing), nil
}

// Resealed is what Reseal did.
type Resealed struct {
	// Changed is how many Secrets have been sealed anew; the others were under
	// the primary key already.
	Changed int
	// Failed are those, as namespace/name, that could not be, each with why.
	Failed []error
}

// Reseal seals everything that is under another key than the primary one anew,
// user by user, and calls progress at the start and after each. What is changed
// meanwhile is neither lost nor overwritten. It can be ended and run again at any
// time.
func (a *Administration) Reseal(ctx context.Context, progress func(done, total int)) (Resealed, error) {
	known, err := a.read(ctx)
	if err != nil {
		return Resealed{}, err
	}
	var due []types.NamespacedName
	total := 0
	if err := a.each(ctx, func(secret *corev1.Secret) error {
		total++
		if changed, err := resealed(known, secret); changed || err != nil {
			due = append(due, types.NamespacedName{Namespace: secret.Namespace, Name: secret.Name})
		}
		return nil
	}); err != nil {
		return Resealed{}, err
	}
	var result Resealed
	done := total - len(due)
	progress(done, total)
	for _, name := range due {
		changed, err := a.reseal(ctx, known, name)
		if ctx.Err() != nil {
			return result, ctx.Err()
		}
		if err != nil {
			result.Failed = append(result.Failed, fmt.Errorf("in Secret %s: %w", name, err))
		}
		if changed {
			result.Changed++
		}
		done++
		progress(done, total)
	}
	return result, nil
}

// reseal seals what is in one Secret anew.
func (a *Administration) reseal(ctx context.Context, known *keys, name types.NamespacedName) (changed bool, err error) {
	secrets := a.secrets.Secrets(name.Namespace)
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		secret, err := secrets.Get(ctx, name.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if changed, err = resealed(known, secret); err != nil || !changed {
			return err
		}
		_, err = secrets.Update(ctx, secret, metav1.UpdateOptions{})
		return err
	})
	if apierrors.IsNotFound(err) { // deleted meanwhile
		return false, nil
	}
	return changed && err == nil, err
}

// resealed changes the entries of a Secret that are not under the primary key.
func resealed(known *keys, secret *corev1.Secret) (changed bool, err error) {
	owner, ok := ownerOf(secret)
	if !ok {
		return false, errors.New("it belongs to no MFAUser")
	}
	for id, data := range secret.Data {
		c, sealed, err := decodeEnvelope(id, data)
		if err != nil {
			return false, err
		}
		if key, ok := sealedUnder(sealed); ok && key == known.primary(prefixSealing) {
			continue
		}
		if c.Secret, err = known.open(sealed, credentialBound(owner, c)); err != nil {
			return false, fmt.Errorf("credential %s: %w", id, err)
		}
		if secret.Data[id], err = encodeEnvelope(known, owner, c); err != nil {
			return false, err
		}
		changed = true
	}
	return changed, nil
}

// Disable takes a key out of use that is not primary, has not been for 25 hours,
// and is that of no credential. It can be enabled again.
func (a *Administration) Disable(ctx context.Context, id string) error {
	if err := a.unused(ctx, id); err != nil {
		return err
	}
	_, err := a.change(ctx, func(k *keys) (*keys, error) {
		key, found := k.find(id)
		switch {
		case !found:
			return nil, fmt.Errorf("there is no key %s", id)
		case key.Primary:
			return nil, fmt.Errorf("%s is primary: rotate first", id)
		}
		if age := a.clock().Sub(key.Retired); age < rest {
			return nil, fmt.Errorf("%s was primary until %s: what was sealed with it may be under way for %s more",
				id, key.Retired.Format(time.RFC3339), (rest - age).Round(time.Minute))
		}
		return k.with(disable, id)
	})
	return err
}

// Enable undoes Disable.
func (a *Administration) Enable(ctx context.Context, id string) error {
	_, err := a.change(ctx, func(k *keys) (*keys, error) {
		if _, found := k.find(id); !found {
			return nil, fmt.Errorf("there is no key %s", id)
		}
		return k.with(enable, id)
	})
	return err
}

// Destroy removes a disabled key that is that of no credential. What was sealed
// with it, as in a backup, can be opened by nobody afterwards.
func (a *Administration) Destroy(ctx context.Context, id string) error {
	if err := a.unused(ctx, id); err != nil {
		return err
	}
	_, err := a.change(ctx, func(k *keys) (*keys, error) {
		switch key, found := k.find(id); {
		case !found:
			return nil, fmt.Errorf("there is no key %s", id)
		case key.Enabled:
			return nil, fmt.Errorf("%s is enabled: disable it first, and destroy it when nobody has missed it", id)
		}
		return k.with(destroy, id)
	})
	return err
}

// unused refuses if any credential needs the key, or might.
func (a *Administration) unused(ctx context.Context, id string) error {
	usage, err := a.Usage(ctx)
	if err != nil {
		return err
	}
	for _, key := range usage.Keys {
		if key.ID == id && key.Credentials > 0 {
			return fmt.Errorf("%s is the key of %d credentials", id, key.Credentials)
		}
	}
	if len(usage.Unopened) > 0 {
		return fmt.Errorf("nobody can say what is in %q, as not everything there opens: remove or restore it first", usage.Unopened)
	}
	return nil
}
