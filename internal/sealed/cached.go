package sealed

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/neosc/mfa-operator/internal/mfa"
)

const (
	// deafAfter is how long nothing may be heard of the API server before Load
	// asks it. Its watch sends at least a bookmark a minute.
	deafAfter = 2 * time.Minute
	// listen is the pause between two looks at whether something was heard.
	listen = 10 * time.Second
)

// Cached is a Vault for one namespace, or for all, that answers Load from what a watch has told, so that a
// verification costs the API server nothing. Before Start, and when nothing has
// been heard for two minutes, it asks.
//
// What was saved here is known here at once. What another replica saved is known
// here when the watch tells, usually within milliseconds. So a factor that was
// removed there may be loaded here for that long: whoever removes one also
// records it in the ledger, whose order is the same for all, and accepts no claim
// by a factor recorded as removed.
//
// Only sealed values are kept in memory.
type Cached struct {
	*Vault
	namespace string
	heard     atomic.Int64 // Unix nanoseconds; 0: not all has been read yet

	mu    sync.RWMutex
	known map[types.NamespacedName]version
}

// version is what is known of one Secret. A deletion is remembered, lest an
// answer that comes late bring it back.
type version struct {
	number   string
	secret   *corev1.Secret // nil: deleted
	doubtful bool           // there is something newer, nobody knows what
}

var _ mfa.Vault = (*Cached)(nil)

// NewCached makes a Cached of a Vault; metav1.NamespaceAll is all namespaces.
func NewCached(v *Vault, namespace string) *Cached {
	return &Cached{Vault: v, namespace: namespace, known: map[types.NamespacedName]version{}}
}

// Start listens until ctx ends. Every replica does.
func (c *Cached) Start(ctx context.Context) error {
	secrets := c.store.secrets.Secrets(c.namespace)
	only := Selector().String()
	_, controller := toolscache.NewInformerWithOptions(toolscache.InformerOptions{
		ListerWatcher: &toolscache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
				o.LabelSelector = only
				return secrets.List(ctx, o)
			},
			WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
				o.LabelSelector = only
				return secrets.Watch(ctx, o)
			},
		},
		ObjectType: &corev1.Secret{},
		Transform:  toolscache.TransformFunc(stripped),
		Handler: toolscache.ResourceEventHandlerFuncs{
			AddFunc:    func(obj any) { c.note(obj, false) },
			UpdateFunc: func(_, obj any) { c.note(obj, false) },
			DeleteFunc: func(obj any) {
				if missed, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
					c.doubtMissed(missed.Obj)
					return
				}
				c.note(obj, true)
			},
		},
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		controller.RunWithContext(ctx)
	}()
	if toolscache.WaitForCacheSync(ctx.Done(), controller.HasSynced) {
		var last string
		wait.UntilWithContext(ctx, func(context.Context) {
			if now := controller.LastSyncResourceVersion(); now != last {
				last = now
				c.heard.Store(c.keys.clock().UnixNano())
			}
		}, listen)
	}
	<-done
	c.heard.Store(0)
	return nil
}

// NeedLeaderElection is false: every replica verifies.
func (*Cached) NeedLeaderElection() bool { return false }

// Check says whether all that there was at the start has been read.
func (c *Cached) Check() error {
	if c.heard.Load() == 0 {
		return errors.New("the stored credentials have not been read yet")
	}
	return nil
}

// stripped leaves out what nobody here reads.
func stripped(obj any) (any, error) {
	if secret, ok := obj.(*corev1.Secret); ok {
		secret.ManagedFields, secret.Annotations = nil, nil
	}
	return obj, nil
}

// note remembers a Secret, unless something newer is known.
func (c *Cached) note(obj any, deleted bool) {
	secret, ok := obj.(*corev1.Secret)
	if !ok {
		return
	}
	name := types.NamespacedName{Namespace: secret.Namespace, Name: secret.Name}
	is := version{number: secret.ResourceVersion, secret: secret}
	if deleted {
		is.secret = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if was, found := c.known[name]; found {
		if order, err := resourceversion.CompareResourceVersion(is.number, was.number); err == nil && order < 0 {
			return
		}
	}
	c.known[name] = is
}

// doubtMissed doubts a Secret of which the watch has missed the end: what was saved
// here may be newer than what it last saw.
func (c *Cached) doubtMissed(obj any) {
	if secret, ok := obj.(*corev1.Secret); ok {
		c.doubt(types.NamespacedName{Namespace: secret.Namespace, Name: secret.Name})
	}
}

// doubt has the next Load ask.
func (c *Cached) doubt(name types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	is := c.known[name]
	is.doubtful = true
	c.known[name] = is
}

// Load implements mfa.Vault.
func (c *Cached) Load(ctx context.Context, owner mfa.Owner) (mfa.Kept, error) {
	heard := c.heard.Load()
	if heard == 0 || c.keys.clock().Sub(time.Unix(0, heard)) > deafAfter {
		return c.Vault.Load(ctx, owner)
	}
	c.mu.RLock()
	is := c.known[types.NamespacedName{Namespace: owner.Namespace, Name: SecretName(owner.Name)}]
	c.mu.RUnlock()
	if is.doubtful {
		secret, err := c.store.get(ctx, owner)
		if err != nil || secret == nil {
			return mfa.Kept{}, err
		}
		c.note(secret, false)
		is.secret = secret
	}
	if is.secret == nil || !isOf(is.secret, owner) {
		return mfa.Kept{}, nil
	}
	return c.opened(ctx, is.secret, owner)
}

// Save implements mfa.Vault. If it fails, the next Load here asks the API server:
// after ErrConflict it returns what the conflict was with, and when nobody knows
// whether it was saved, that.
func (c *Cached) Save(ctx context.Context, owner mfa.Owner, kept mfa.Kept) error {
	written, err := c.save(ctx, owner, kept)
	if err != nil {
		c.doubt(types.NamespacedName{Namespace: owner.Namespace, Name: SecretName(owner.Name)})
		return err
	}
	c.note(written, false)
	return nil
}
