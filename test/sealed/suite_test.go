// Package sealed holds what is kept in Secrets - credentials, the keys that seal
// them, the keys that sign sessions - to what it promises, on a real API server
// and etcd.
package sealed

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/sealed"
	"github.com/neosc/mfa-operator/test/harness"
)

// cluster is the control plane all tests of the package share. They run one
// after the other, as the keys look for credentials in all namespaces.
var cluster struct {
	env     *envtest.Environment
	secrets corev1client.SecretsGetter
	core    *corev1client.CoreV1Client
}

func TestMain(m *testing.M) {
	harness.Main(m, func(_ context.Context, c *harness.Cluster) (err error) {
		cluster.env = c.Env
		if cluster.secrets, err = kube.Secrets(c.Env.Config); err != nil {
			return err
		}
		cluster.core, err = corev1client.NewForConfig(c.Env.Config)
		return err
	})
}

var namespaces atomic.Int32

func newNamespace(t testing.TB) string {
	t.Helper()
	name := fmt.Sprint("ns-", namespaces.Add(1))
	_, err := cluster.core.Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	ok(t, err)
	return name
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t testing.TB, reason string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", reason, err, want)
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; <-time.After(5 * time.Millisecond) {
		if holds() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// clock is a clock that tests set.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time           { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(by time.Duration) { c.ahead.Add(int64(by)) }

// operator is an installation in a namespace of its own.
type operator struct {
	namespace string
	clock     *clock
	log       logr.Logger
}

// install makes an installation; no credentials of earlier tests are left.
func install(t testing.TB) *operator {
	t.Helper()
	left, err := cluster.core.Secrets(metav1.NamespaceAll).List(t.Context(), metav1.ListOptions{LabelSelector: sealed.Selector().String()})
	ok(t, err)
	for _, s := range left.Items {
		ok(t, cluster.core.Secrets(s.Namespace).Delete(t.Context(), s.Name, metav1.DeleteOptions{}))
	}
	return &operator{namespace: newNamespace(t), clock: &clock{}, log: logr.Discard()}
}

func (o *operator) open(t testing.TB, secrets corev1client.SecretsGetter) (*sealed.Keyset, error) {
	t.Helper()
	return sealed.OpenKeyset(t.Context(), sealed.KeysetConfig{Secrets: secrets, Namespace: o.namespace, Clock: o.clock.now, Log: o.log})
}

// keys opens the keys as a replica does that is not told of changes.
func (o *operator) keys(t testing.TB) *sealed.Keyset {
	t.Helper()
	keys, err := o.open(t, cluster.secrets)
	ok(t, err)
	return keys
}

func (o *operator) vault(t testing.TB) *sealed.Vault {
	t.Helper()
	return sealed.NewVault(cluster.secrets, o.keys(t))
}

func (o *operator) admin() *sealed.Administration {
	return sealed.NewAdministration(cluster.secrets, o.namespace, o.clock.now)
}

// running runs something until the test ends.
func running(t testing.TB, what interface{ Start(context.Context) error }) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		if err := what.Start(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = func() { cancel(); ended.Wait() }
	t.Cleanup(stop)
	return stop
}

const seed = "JBSWY3DPEHPK3PXP-the-seed-nobody-may-read"

func alice(namespace string) mfa.Owner {
	return mfa.Owner{Namespace: namespace, Name: "alice", UID: "uid-alice"}
}

// factor is a credential with that id.
func factor(id string, at int) mfa.Credential {
	return mfa.Credential{
		ID: id, Method: mfa.TOTP, Name: "Phone of " + id, AddedAt: time.Date(2026, 1, 1, 0, 0, at, 123456789, time.UTC), Secret: []byte(seed + id),
	}
}

func save(t testing.TB, v mfa.Vault, owner mfa.Owner, credentials ...mfa.Credential) {
	t.Helper()
	kept, err := v.Load(t.Context(), owner)
	ok(t, err)
	ok(t, v.Save(t.Context(), owner, mfa.Kept{Version: kept.Version, Credentials: credentials}))
}

func stored(t testing.TB, owner mfa.Owner) *corev1.Secret {
	t.Helper()
	s, err := cluster.core.Secrets(owner.Namespace).Get(t.Context(), sealed.SecretName(owner.Name), metav1.GetOptions{})
	ok(t, err)
	return s
}

func ids(kept mfa.Kept) string {
	var all []string
	for _, c := range kept.Credentials {
		all = append(all, c.ID)
	}
	return strings.Join(all, " ")
}

// nowhere is a client whose API server is not there.
func nowhere(t testing.TB) corev1client.SecretsGetter {
	t.Helper()
	secrets, err := kube.Secrets(&rest.Config{Host: "http://127.0.0.1:1"})
	ok(t, err)
	return secrets
}
