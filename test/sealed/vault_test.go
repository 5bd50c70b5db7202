package sealed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/sealed"
)

func TestWhatIsSavedIsLoaded(t *testing.T) {
	o := install(t)
	v, owner := o.vault(t), alice(newNamespace(t))
	kept, err := v.Load(t.Context(), owner)
	ok(t, err)
	if kept.Version != "" || kept.Credentials != nil {
		t.Errorf("nothing was saved, and this is kept: %+v", kept)
	}
	key := factor("key-1", 1)
	key.Method, key.AAGUID, key.Name = mfa.WebAuthn, "2fc0579f-8113-47ea-b116-bb5a8db9202a", "Schlüssel"
	want := []mfa.Credential{factor("z-oldest", 0), key, factor("a-youngest", 2)}
	save(t, v, owner, want[2], want[0], want[1])

	other := sealed.NewVault(cluster.secrets, o.keys(t)) // another replica
	kept, err = other.Load(t.Context(), owner)
	ok(t, err)
	if !reflect.DeepEqual(kept.Credentials, want) {
		t.Errorf("loaded %+v, want %+v, in the order in which they were added", kept.Credentials, want)
	}

	s := stored(t, owner)
	if s.Type != sealed.TypeCredentials || !sealed.Selector().Matches(labels.Set(s.Labels)) {
		t.Errorf("type %s, labels %v", s.Type, s.Labels)
	}
	if ref := metav1.GetControllerOf(s); ref == nil || ref.Kind != "MFAUser" || ref.Name != "alice" || string(ref.UID) != owner.UID {
		t.Errorf("owned by %+v", ref)
	}
}

func TestNoSecretInEtcd(t *testing.T) {
	o := install(t)
	owner := alice(newNamespace(t))
	save(t, o.vault(t), owner, factor("phone", 0))
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{cluster.env.ControlPlane.Etcd.URL.String()}})
	ok(t, err)
	defer func() { ok(t, etcd.Close()) }()
	all, err := etcd.Get(t.Context(), "/registry/secrets/"+owner.Namespace+"/", clientv3.WithPrefix())
	ok(t, err)
	if len(all.Kvs) != 1 || !bytes.Contains(all.Kvs[0].Value, []byte("Phone of phone")) {
		t.Fatalf("%d entries; where is the name, which may be read?", len(all.Kvs))
	}
	if bytes.Contains(all.Kvs[0].Value, []byte(seed)) {
		t.Error("the seed is in etcd")
	}
}

func TestMovedDoesNotOpen(t *testing.T) {
	o := install(t)
	v, here, there := o.vault(t), newNamespace(t), newNamespace(t)
	bob := mfa.Owner{Namespace: here, Name: "bob", UID: "uid-bob"}
	save(t, v, alice(here), factor("phone", 0), factor("tablet", 1))
	original := stored(t, alice(here))

	change := func(field string, to any) func(*testing.T, mfa.Owner) {
		return func(t *testing.T, owner mfa.Owner) {
			s := stored(t, owner)
			var entry map[string]any
			ok(t, json.Unmarshal(s.Data["phone"], &entry))
			entry[field] = to
			var err error
			s.Data["phone"], err = json.Marshal(entry)
			ok(t, err)
			update(t, s)
		}
	}
	for _, c := range []struct {
		reason string
		owner  mfa.Owner
		change func(*testing.T, mfa.Owner)
	}{
		{"moved to another user", bob, nil},
		{"moved to another namespace", alice(there), nil},
		{"moved to an MFAUser of the same name that was made later", mfa.Owner{Namespace: here, Name: "alice", UID: "uid-of-a-later-alice"}, nil},
		{"moved to another credential of the same user", alice(here), func(t *testing.T, owner mfa.Owner) {
			s := stored(t, owner)
			s.Data["tablet"] = s.Data["phone"]
			update(t, s)
		}},
		{"its method was changed", alice(here), change("method", "WebAuthn")},
		{"its name was changed", alice(here), change("name", "Phone of mallory")},
		{"its age was changed", alice(here), change("addedAt", "2020-01-01T00:00:00Z")},
		{"its model was changed", alice(here), change("aaguid", "2fc0579f-8113-47ea-b116-bb5a8db9202a")},
		{"one bit of it was flipped", alice(here), func(t *testing.T, owner mfa.Owner) {
			var entry struct{ Sealed []byte }
			ok(t, json.Unmarshal(stored(t, owner).Data["phone"], &entry))
			entry.Sealed[len(entry.Sealed)-1] ^= 1
			change("sealed", entry.Sealed)(t, owner)
		}},
		{"it was cut off", alice(here), change("sealed", []byte{1, 2, 3})},
		{"it was replaced by the plain secret", alice(here), change("sealed", []byte(seed))},
		{"it is sealed under a key that nobody has", alice(here), change("sealed", append([]byte{1, 0xff, 0xff, 0xff, 0xff}, seed...))},
		{"it is no JSON", alice(here), func(t *testing.T, owner mfa.Owner) {
			s := stored(t, owner)
			s.Data["phone"] = []byte(seed)
			update(t, s)
		}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			save(t, v, c.owner, factor("phone", 0), factor("tablet", 1)) // so that all but the data is as it should be
			if c.change == nil {
				s := stored(t, c.owner)
				s.Data = original.Data
				update(t, s)
			} else {
				c.change(t, c.owner)
			}
			kept, err := v.Load(t.Context(), c.owner)
			if !errors.Is(err, mfa.ErrUnsealable) || kept.Credentials != nil {
				t.Errorf("%v, and it returned %+v", err, kept)
			}
			if err != nil && strings.Contains(err.Error(), seed) {
				t.Errorf("the error tells the secret: %v", err)
			}
			ok(t, cluster.core.Secrets(c.owner.Namespace).Delete(t.Context(), sealed.SecretName(c.owner.Name), metav1.DeleteOptions{}))
		})
	}
}

func TestOneOfTwoWritersWins(t *testing.T) {
	o := install(t)
	first, second, owner := o.vault(t), o.vault(t), alice(newNamespace(t))
	for round := range 50 { // the first round creates
		kept, err := first.Load(t.Context(), owner)
		ok(t, err)
		var errs [2]error
		var both sync.WaitGroup
		for i, v := range []mfa.Vault{first, second} {
			both.Go(func() {
				added := append(slices.Clone(kept.Credentials), factor(fmt.Sprintf("round-%d-%d", round, i), round))
				errs[i] = v.Save(t.Context(), owner, mfa.Kept{Version: kept.Version, Credentials: added})
			})
		}
		both.Wait()
		winner, loser := 0, 1
		if errs[0] != nil {
			winner, loser = 1, 0
		}
		if errs[winner] != nil || !errors.Is(errs[loser], mfa.ErrConflict) {
			t.Fatalf("round %d: %v and %v; one should have won and the other been told", round, errs[0], errs[1])
		}
		now, err := first.Load(t.Context(), owner)
		ok(t, err)
		if want := fmt.Sprintf("round-%d-%d", round, winner); len(now.Credentials) != round+1 || now.Credentials[round].ID != want {
			t.Fatalf("round %d: kept are %s, the last should be %s", round, ids(now), want)
		}
	}
	is(t, "a version of something that was deleted", func() error {
		kept, err := first.Load(t.Context(), owner)
		ok(t, err)
		ok(t, cluster.core.Secrets(owner.Namespace).Delete(t.Context(), sealed.SecretName(owner.Name), metav1.DeleteOptions{}))
		return first.Save(t.Context(), owner, kept)
	}(), mfa.ErrConflict)
}

func TestWhatIsAnothersIsNotOurs(t *testing.T) {
	o := install(t)
	v, store, namespace := o.vault(t), sealed.NewStore(cluster.secrets), newNamespace(t)
	owner := alice(namespace)
	for _, c := range []struct {
		reason string
		there  func()
	}{
		{"of an MFAUser of the same name that was deleted", func() {
			save(t, v, mfa.Owner{Namespace: namespace, Name: "alice", UID: "uid-of-an-earlier-alice"}, factor("old", 0))
		}},
		{"of another type, which cannot be changed", func() {
			_, err := cluster.core.Secrets(namespace).Create(t.Context(), &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Name: sealed.SecretName("alice")}, Type: corev1.SecretTypeOpaque,
			}, metav1.CreateOptions{})
			ok(t, err)
		}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			c.there()
			kept, err := v.Load(t.Context(), owner)
			ok(t, err)
			listed, err := store.List(t.Context(), owner)
			ok(t, err)
			removed, err := store.RemoveAll(t.Context(), owner)
			ok(t, err)
			if kept.Version != "" || listed.Version != "" || len(removed) > 0 {
				t.Errorf("loaded %+v, listed %+v, removed %+v", kept, listed, removed)
			}
			ok(t, v.Save(t.Context(), owner, mfa.Kept{Credentials: []mfa.Credential{factor("new", 0)}}))
			if kept, err = v.Load(t.Context(), owner); err != nil || ids(kept) != "new" {
				t.Errorf("then loaded %s, %v", ids(kept), err)
			}
			ok(t, cluster.core.Secrets(namespace).Delete(t.Context(), sealed.SecretName("alice"), metav1.DeleteOptions{}))
		})
	}
}

func TestWithoutTheKeysFactorsAreListedAndRemoved(t *testing.T) {
	o := install(t)
	v, owner := o.vault(t), alice(newNamespace(t))
	key, codes := factor("key", 1), factor("codes", 2)
	key.Method, codes.Method = mfa.WebAuthn, mfa.RecoveryCodes
	save(t, v, owner, factor("phone", 0), key, codes)
	ok(t, cluster.core.Secrets(o.namespace).Delete(t.Context(), sealed.KeysName, metav1.DeleteOptions{}))

	store := sealed.NewStore(cluster.secrets)
	listed, err := store.List(t.Context(), owner)
	ok(t, err)
	if ids(listed) != "phone key codes" || listed.Credentials[1].Method != mfa.WebAuthn || listed.Credentials[0].Secret != nil {
		t.Errorf("listed %+v", listed)
	}
	removed, err := store.Remove(t.Context(), owner)
	if err != nil || len(removed) > 0 {
		t.Errorf("no methods were named, removed were %+v, %v", removed, err)
	}
	removed, err = store.Remove(t.Context(), owner, mfa.TOTP, mfa.RecoveryCodes)
	ok(t, err)
	if ids(mfa.Kept{Credentials: removed}) != "phone codes" {
		t.Errorf("removed %+v", removed)
	}
	kept, err := v.Load(t.Context(), owner) // this replica has the keys in memory
	ok(t, err)
	if !reflect.DeepEqual(kept.Credentials, []mfa.Credential{key}) {
		t.Errorf("left is %+v, which should be the key as it was", kept)
	}
	s := stored(t, owner)
	s.Data["broken"] = []byte("no JSON")
	update(t, s)
	if removed, err = store.RemoveAll(t.Context(), owner); err != nil || len(removed) != 2 {
		t.Errorf("removed %+v, %v; what cannot be read should go with all", removed, err)
	}
	if left := stored(t, owner).Data; len(left) != 0 {
		t.Errorf("left is %v", left)
	}
}

func TestInvalidCredentialsAreRefused(t *testing.T) {
	o := install(t)
	v, owner := o.vault(t), alice(newNamespace(t))
	with := func(change func(*mfa.Credential)) []mfa.Credential {
		c := factor("phone", 0)
		change(&c)
		return []mfa.Credential{c}
	}
	for reason, credentials := range map[string][]mfa.Credential{
		"no id":                        with(func(c *mfa.Credential) { c.ID = "" }),
		"an id that leaves the folder": with(func(c *mfa.Credential) { c.ID = "../phone" }),
		"an id of 64":                  with(func(c *mfa.Credential) { c.ID = strings.Repeat("a", 64) }),
		"no method":                    with(func(c *mfa.Credential) { c.Method = "" }),
		"a name that is no text":       with(func(c *mfa.Credential) { c.Name = "\xff" }),
		"a name of 65":                 with(func(c *mfa.Credential) { c.Name = strings.Repeat("ü", 65) }),
		"no secret":                    with(func(c *mfa.Credential) { c.Secret = nil }),
		"the same id twice":            {factor("phone", 0), factor("phone", 1)},
	} {
		if err := v.Save(t.Context(), owner, mfa.Kept{Credentials: credentials}); err == nil {
			t.Errorf("%s: saved", reason)
		}
	}
}

func TestAnAPIServerThatIsAwayIsSaidSo(t *testing.T) {
	o := install(t)
	v, owner := sealed.NewVault(nowhere(t), o.keys(t)), alice(newNamespace(t))
	start := time.Now()
	_, err := v.Load(t.Context(), owner)
	is(t, "loading", err, mfa.ErrUnavailable)
	is(t, "saving", v.Save(t.Context(), owner, mfa.Kept{Credentials: []mfa.Credential{factor("phone", 0)}}), mfa.ErrUnavailable)
	_, err = sealed.NewStore(nowhere(t)).RemoveAll(t.Context(), owner)
	is(t, "removing", err, mfa.ErrUnavailable)
	if took := time.Since(start); took > 6*time.Second {
		t.Errorf("it took %s to say so three times", took)
	}
}

func TestNamesThatAreLong(t *testing.T) {
	longest := strings.Repeat("a", 253)
	one, other := sealed.SecretName(longest), sealed.SecretName(longest[:252]+"b")
	if len(one) > 253 || one == other || one != sealed.SecretName(longest) {
		t.Errorf("%s, %s", one, other)
	}
}

func update(t testing.TB, s *corev1.Secret) {
	t.Helper()
	_, err := cluster.core.Secrets(s.Namespace).Update(t.Context(), s, metav1.UpdateOptions{})
	ok(t, err)
}

func BenchmarkLoad(b *testing.B) {
	o := install(b)
	owner := alice(newNamespace(b))
	live := o.vault(b)
	save(b, live, owner, factor("phone", 0), factor("key", 1), factor("codes", 2))
	cached := sealed.NewCached(live, metav1.NamespaceAll)
	running(b, cached)
	eventually(b, "all is read", func() bool { return cached.Check() == nil })
	for name, v := range map[string]mfa.Vault{"live": live, "cached": cached} {
		for _, callers := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s/callers=%d", name, callers), func(b *testing.B) {
				b.SetParallelism(callers)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if kept, err := v.Load(b.Context(), owner); err != nil || len(kept.Credentials) != 3 {
							b.Errorf("%v, %v", kept, err)
						}
					}
				})
			})
		}
	}
}
