package sealed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/wait"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/mfa"
)

// The Secret with the keys.
const (
	// KeysName is its name, in the operator's namespace.
	KeysName = "mfa-sealing-keys"
	// TypeKeys is its type.
	TypeKeys corev1.SecretType = "security.neosc.io/sealing-keys"
)

const (
	// patience bounds one request: who waits for a verification is told within
	// two seconds that it cannot be done now.
	patience = 1500 * time.Millisecond
	// lookAgain is the pause between two readings of the keys, whatever the
	// watch says. A replica whose watch has died without notice seals with a
	// retired key for no longer than that.
	lookAgain = time.Minute
)

// ErrKeysLost means that there are credentials, and that the keys that they are
// sealed with are gone. New keys would not open them, so none are made.
var ErrKeysLost = errors.New("the keys of the stored MFA credentials are gone")

// KeysetConfig is what a Keyset is made of.
type KeysetConfig struct {
	// Secrets reads Secrets of all these namespaces; see kube.Secrets.
	Secrets corev1client.SecretsGetter
	// Namespace is the operator's.
	Namespace string
	// Users are the namespaces that users are in; metav1.NamespaceAll among them,
	// or none: all.
	Users []string
	// Clock dates keys.
	Clock func() time.Time
	Log   logr.Logger
}

// Keyset is the keys, as all replicas share them.
type Keyset struct {
	secret  kube.SharedSecret
	log     logr.Logger
	current atomic.Pointer[keys]
	clock   func() time.Time
	users   []string
	seen    atomic.Int64 // Unix nanoseconds of the last successful reading
	gone    atomic.Bool  // the Secret has been deleted or emptied

	reading sync.Mutex // one reading at a time
	begun   atomic.Int64
	lastErr error
}

var _ mfa.Sealer = (*Keyset)(nil)

// OpenKeyset reads the keys. If there are none yet it makes them, in the Secret that
// is there and empty, or in one that it creates; if there are credentials of any
// user, which would be lost, it makes none and returns ErrKeysLost.
func OpenKeyset(ctx context.Context, c KeysetConfig) (*Keyset, error) {
	k := &Keyset{
		secret: kube.SharedSecret{Client: c.Secrets, Namespace: c.Namespace, Name: KeysName},
		log:    c.Log, clock: c.Clock, users: everywhereIfNone(c.Users),
	}
	secret, err := k.secret.Get(ctx)
	if absent := apierrors.IsNotFound(err); absent || err == nil && len(secret.Data) == 0 {
		secret, err = k.make(ctx, absent)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the sealing keys in Secret %s/%s: %w", c.Namespace, KeysName, err)
	}
	if err := k.adopt(secret); err != nil {
		return nil, err
	}
	return k, nil
}

// make makes the keys, and the Secret if that is absent, unless they have been lost
// or another replica is faster.
func (k *Keyset) make(ctx context.Context, absent bool) (*corev1.Secret, error) {
	for _, namespace := range k.users {
		some, err := k.secret.Client.Secrets(namespace).List(ctx, metav1.ListOptions{LabelSelector: Selector().String(), Limit: 1})
		if err != nil {
			return nil, fmt.Errorf("looking for credentials that need keys: %w", err)
		}
		if len(some.Items) > 0 {
			return nil, fmt.Errorf("%w (Secret %s/%s has some): restore the keys from your backup, as docs/how-to/rotate-keys.md says",
				ErrKeysLost, some.Items[0].Namespace, some.Items[0].Name)
		}
	}
	made, err := makeKeys(k.clock())
	if err != nil {
		return nil, err
	}
	data, err := made.encode()
	if err != nil {
		return nil, err
	}
	if absent {
		secret, err := k.secret.Create(ctx, TypeKeys, data)
		if !apierrors.IsAlreadyExists(err) {
			return secret, err
		}
	}
	return k.secret.Fill(ctx, data)
}

// adopt takes the keys that are in the Secret, unless newer ones are known.
// Keys that cannot be read change nothing: those known stay in use. A Secret with
// none, such as one that was deleted and applied again, is as good as deleted.
func (k *Keyset) adopt(secret *corev1.Secret) error {
	if len(secret.Data) == 0 {
		k.gone.Store(true)
		return k.usable()
	}
	read, err := decodeKeys(secret.ResourceVersion, secret.Data)
	if err != nil {
		return fmt.Errorf("reading the sealing keys in Secret %s/%s: %w", secret.Namespace, secret.Name, err)
	}
	k.gone.Store(false)
	k.seen.Store(k.clock().UnixNano())
	for {
		was := k.current.Load()
		if was != nil {
			if order, err := resourceversion.CompareResourceVersion(read.version, was.version); err != nil || order <= 0 {
				return err
			}
		}
		if k.current.CompareAndSwap(was, read) {
			if was != nil {
				k.log.Info("The sealing keys have changed", "sealing", read.primary(prefixSealing), "hashing", read.primary(prefixHashing))
			}
			return nil
		}
	}
}

// Start follows the keys until ctx ends. Every replica does.
func (k *Keyset) Start(ctx context.Context) error {
	tell := func(err error) {
		if err != nil && ctx.Err() == nil {
			k.log.Error(err, "The sealing keys cannot be read; those known stay in use")
		}
	}
	var both errgroup.Group
	both.Go(func() error {
		k.secret.Watch(ctx, func(secret *corev1.Secret) {
			if secret == nil {
				k.gone.Store(true)
				tell(k.usable())
				return
			}
			tell(k.adopt(secret))
		})
		return nil
	})
	both.Go(func() error {
		wait.UntilWithContext(ctx, func(ctx context.Context) { tell(k.read(ctx)) }, lookAgain)
		return nil
	})
	return both.Wait()
}

// NeedLeaderElection is false: every replica needs the keys.
func (*Keyset) NeedLeaderElection() bool { return false }

// Check says whether the Secret is there and has been read within the last five
// minutes.
func (k *Keyset) Check() error {
	if err := k.usable(); err != nil {
		return err
	}
	if age := k.clock().Sub(time.Unix(0, k.seen.Load())); age > 5*lookAgain {
		return fmt.Errorf("the sealing keys in Secret %s/%s were last read %s ago", k.secret.Namespace, KeysName, age.Round(time.Second))
	}
	return nil
}

// usable refuses new values once the keys have been deleted: no process started
// from then on could open them. What was sealed before still opens here.
func (k *Keyset) usable() error {
	if k.gone.Load() {
		return fmt.Errorf("%w: the sealing keys in Secret %s/%s have been deleted", mfa.ErrUnavailable, k.secret.Namespace, KeysName)
	}
	return nil
}

// read reads the keys anew. Of callers that wait, one reads for all.
func (k *Keyset) read(ctx context.Context) error {
	before := k.begun.Load()
	k.reading.Lock()
	defer k.reading.Unlock()
	if k.begun.Load() > before {
		return k.lastErr // begun after this call, and done
	}
	k.begun.Add(1)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	secret, err := k.secret.Get(ctx)
	switch {
	case err == nil:
		err = k.adopt(secret)
	case apierrors.IsNotFound(err):
		k.gone.Store(true)
	}
	k.lastErr = err
	return err
}

// having returns keys among which the one of that id is. A key that is not known
// may have been added a moment ago: then it is looked for.
func (k *Keyset) having(ctx context.Context, id string) (*keys, error) {
	known := k.current.Load()
	if known.enabled[id] {
		return known, nil
	}
	if err := k.read(ctx); err != nil {
		return nil, fmt.Errorf("looking for the key %s: %w: %w", id, mfa.ErrUnavailable, err)
	}
	if known = k.current.Load(); known.enabled[id] {
		return known, nil
	}
	return nil, fmt.Errorf("there is no key %s: %w", id, mfa.ErrUnsealable)
}

func (k *Keyset) open(ctx context.Context, sealed, boundTo []byte) ([]byte, error) {
	id, ok := sealedUnder(sealed)
	if !ok {
		return nil, fmt.Errorf("this is nothing sealed: %w", mfa.ErrUnsealable)
	}
	known, err := k.having(ctx, id)
	if err != nil {
		return nil, err
	}
	return known.open(sealed, boundTo)
}

// Seal implements mfa.Sealer. What it returns can be opened for 24 hours at
// least (Travel); after that its key may have been ended.
func (k *Keyset) Seal(owner mfa.Owner, purpose string, plain []byte) ([]byte, error) {
	if err := k.usable(); err != nil {
		return nil, err
	}
	return k.current.Load().seal(plain, bound(useTravel, owner, purpose))
}

// Open implements mfa.Sealer. ErrUnavailable: sealed by a key not known here, and
// the API server cannot be asked.
func (k *Keyset) Open(owner mfa.Owner, purpose string, sealed []byte) ([]byte, error) {
	return k.open(context.Background(), sealed, bound(useTravel, owner, purpose))
}

// Hash implements mfa.Sealer: 32 bytes of HMAC-SHA-256. Whoever keeps the hash
// keeps the key's id with it, letter for letter, in the secret of the credential:
// a key is ended only when its id is found in none.
func (k *Keyset) Hash(owner mfa.Owner, purpose string, plain []byte) (string, []byte, error) {
	if err := k.usable(); err != nil {
		return "", nil, err
	}
	known := k.current.Load()
	id := known.primary(prefixHashing)
	mac, err := known.hash(id, bound(useHash, owner, purpose, string(plain)))
	return id, mac, err
}

// HashWith implements mfa.Sealer. ErrUnavailable: as for Open.
func (k *Keyset) HashWith(keyID string, owner mfa.Owner, purpose string, plain []byte) ([]byte, error) {
	known, err := k.having(context.Background(), keyID)
	if err != nil {
		return nil, err
	}
	return known.hash(keyID, bound(useHash, owner, purpose, string(plain)))
}
