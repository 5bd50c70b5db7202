package sealed

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/sealed"
)

// wire counts what is asked of the API server. It can let watches fall silent as
// a connection does that died without notice, can be cut, and can hold requests.
type wire struct {
	reads atomic.Int64
	mute  atomic.Bool
	cut   atomic.Bool
	hold  sync.RWMutex
}

var errCut = errors.New("the wire is cut")

func (w *wire) secrets(t testing.TB) corev1client.SecretsGetter {
	t.Helper()
	config := rest.CopyConfig(cluster.env.Config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Query().Get("watch") == "" && r.Method == http.MethodGet {
				w.reads.Add(1)
			}
			if w.cut.Load() {
				return nil, errCut
			}
			w.hold.RLock()
			defer w.hold.RUnlock()
			resp, err := next.RoundTrip(r)
			if err == nil && r.URL.Query().Get("watch") != "" {
				resp.Body = &silenced{resp.Body, r.Context(), w}
			}
			return resp, err
		})
	})
	secrets, err := kube.Secrets(config)
	ok(t, err)
	return secrets
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type silenced struct {
	io.ReadCloser
	ctx  context.Context
	wire *wire
}

func (s *silenced) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if s.wire.mute.Load() {
		<-s.ctx.Done()
		return 0, s.ctx.Err()
	}
	return n, err
}

// replica is a Cached that has read everything.
func (o *operator) replica(t testing.TB, w *wire) *sealed.Cached {
	t.Helper()
	secrets := w.secrets(t)
	keys, err := o.open(t, secrets)
	ok(t, err)
	c := sealed.NewCached(sealed.NewVault(secrets, keys), metav1.NamespaceAll)
	if c.Check() == nil {
		t.Error("ready before anything was read")
	}
	running(t, keys)
	running(t, c)
	eventually(t, "everything is read", func() bool { return c.Check() == nil })
	return c
}

func TestCachedAsksNothing(t *testing.T) {
	o := install(t)
	owner := alice(newNamespace(t))
	save(t, o.vault(t), owner, factor("phone", 0))
	var w wire
	c := o.replica(t, &w)
	before := w.reads.Load()
	for range 1000 {
		kept, err := c.Load(t.Context(), owner)
		ok(t, err)
		if ids(kept) != "phone" {
			t.Fatalf("loaded %s", ids(kept))
		}
		if kept, err = c.Load(t.Context(), mfa.Owner{Namespace: owner.Namespace, Name: "alice", UID: "another"}); err != nil || kept.Version != "" {
			t.Fatalf("loaded %+v, %v, which is another's", kept, err)
		}
	}
	if asked := w.reads.Load() - before; asked > 1 { // the keys are read each minute
		t.Errorf("2000 loads asked the API server %d times", asked)
	}
}

func TestWhatWasSavedHereIsKnownHereAtOnce(t *testing.T) {
	o := install(t)
	owner := alice(newNamespace(t))
	var w wire
	c := o.replica(t, &w)
	w.mute.Store(true) // so that the watch does not help
	save(t, c, owner, factor("phone", 0))
	save(t, c, owner, factor("phone", 0), factor("tablet", 1))
	kept, err := c.Load(t.Context(), owner)
	ok(t, err)
	if ids(kept) != "phone tablet" {
		t.Errorf("after adding, %s are kept", ids(kept))
	}
	save(t, c, owner, factor("tablet", 1))
	if kept, err = c.Load(t.Context(), owner); err != nil || ids(kept) != "tablet" {
		t.Errorf("a factor that was removed is back: %s, %v", ids(kept), err)
	}

	save(t, o.vault(t), owner, factor("elsewhere", 2))
	is(t, "saving over what another replica saved", c.Save(t.Context(), owner, kept), mfa.ErrConflict)
	if kept, err = c.Load(t.Context(), owner); err != nil || ids(kept) != "elsewhere" {
		t.Errorf("reading again after the conflict gave %s, %v", ids(kept), err)
	}
	ok(t, cluster.core.Secrets(owner.Namespace).Delete(t.Context(), sealed.SecretName(owner.Name), metav1.DeleteOptions{}))
	is(t, "saving over what was deleted", c.Save(t.Context(), owner, kept), mfa.ErrConflict)
	if kept, err = c.Load(t.Context(), owner); err != nil || kept.Version != "" {
		t.Errorf("reading again after the deletion gave %+v, %v", kept, err)
	}
	save(t, c, owner, factor("anew", 3))
	if kept, err = c.Load(t.Context(), owner); err != nil || ids(kept) != "anew" {
		t.Errorf("after saving anew %s, %v", ids(kept), err)
	}
}

// The watch must not bring back what was removed here, however late it is.
func TestTheWatchBringsNothingBack(t *testing.T) {
	o := install(t)
	owner := alice(newNamespace(t))
	var w wire
	c := o.replica(t, &w)
	for range 100 {
		save(t, c, owner, factor("phone", 0), factor("tablet", 1))
		save(t, c, owner, factor("tablet", 1))
		for range 20 {
			if kept, err := c.Load(t.Context(), owner); err != nil || ids(kept) != "tablet" {
				t.Fatalf("removed, and then loaded %s, %v", ids(kept), err)
			}
		}
	}
}

func TestWhatAnotherReplicaSavedIsHeard(t *testing.T) {
	o := install(t)
	owner := alice(newNamespace(t))
	var w wire
	c := o.replica(t, &w)
	loads := func(want string) func() bool {
		return func() bool {
			kept, err := c.Load(t.Context(), owner)
			ok(t, err)
			return ids(kept) == want
		}
	}
	other := o.vault(t)
	save(t, other, owner, factor("phone", 0))
	eventually(t, "the new factor is heard of", loads("phone"))
	_, err := sealed.NewStore(cluster.secrets).Remove(t.Context(), owner, mfa.TOTP)
	ok(t, err)
	eventually(t, "the removal by the manager is heard of", loads(""))
	save(t, other, owner, factor("phone", 0))
	eventually(t, "it is there again", loads("phone"))
	ok(t, cluster.core.Secrets(owner.Namespace).Delete(t.Context(), sealed.SecretName(owner.Name), metav1.DeleteOptions{}))
	eventually(t, "the deletion is heard of", loads(""))
}

func TestWhoHearsNothingAsks(t *testing.T) {
	o := install(t)
	owner := alice(newNamespace(t))
	save(t, o.vault(t), owner, factor("phone", 0), factor("tablet", 1))
	var w wire
	c := o.replica(t, &w)
	w.mute.Store(true)
	save(t, o.vault(t), owner, factor("tablet", 1)) // removed by another replica
	o.clock.advance(2*time.Minute + time.Second)
	kept, err := c.Load(t.Context(), owner)
	ok(t, err)
	if ids(kept) != "tablet" {
		t.Errorf("two minutes after the watch went silent, %s are loaded", ids(kept))
	}
}

func TestBeforeItHasReadEverythingItAsks(t *testing.T) {
	o := install(t)
	owner := alice(newNamespace(t))
	save(t, o.vault(t), owner, factor("phone", 0))
	c := sealed.NewCached(o.vault(t), metav1.NamespaceAll)
	if kept, err := c.Load(t.Context(), owner); err != nil || ids(kept) != "phone" {
		t.Errorf("loaded %s, %v", ids(kept), err)
	}
	if err := c.Check(); err == nil || !strings.Contains(err.Error(), "not been read") {
		t.Errorf("readiness says %v", err)
	}
}
