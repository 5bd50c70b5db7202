package sealed

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/sealed"
	"github.com/neosc/mfa-operator/test/harness"
)

func (o *operator) secret(t testing.TB) *corev1.Secret {
	t.Helper()
	s, err := cluster.core.Secrets(o.namespace).Get(t.Context(), sealed.KeysName, metav1.GetOptions{})
	ok(t, err)
	return s
}

func TestReplicasThatStartTogetherShareOneKey(t *testing.T) {
	o := install(t)
	var all [8]*sealed.Keyset
	var together sync.WaitGroup
	for i := range all {
		together.Go(func() {
			keys, err := o.open(t, cluster.secrets)
			if err != nil {
				t.Error(err)
			}
			all[i] = keys
		})
	}
	together.Wait()
	if t.Failed() {
		return
	}
	owner := alice("shop")
	for i, from := range all {
		value, err := from.Seal(owner, "challenge", []byte(seed))
		ok(t, err)
		for j, to := range all {
			if plain, err := to.Open(owner, "challenge", value); err != nil || string(plain) != seed {
				t.Errorf("what replica %d sealed, replica %d opens as %q, %v", i, j, plain, err)
			}
		}
	}
	if s := o.secret(t); s.Type != sealed.TypeKeys {
		t.Errorf("its type is %s", s.Type)
	}
}

func TestKeysThatAreLostAreNotMadeAnew(t *testing.T) {
	o := install(t)
	owner := alice(newNamespace(t))
	v := o.vault(t)
	save(t, v, owner, factor("phone", 0))
	backup := o.secret(t)
	ok(t, cluster.core.Secrets(o.namespace).Delete(t.Context(), sealed.KeysName, metav1.DeleteOptions{}))

	_, err := o.open(t, cluster.secrets)
	is(t, "starting without the keys", err, sealed.ErrKeysLost)
	if err == nil || !strings.Contains(err.Error(), "rotate-keys.md") || !strings.Contains(err.Error(), owner.Namespace) {
		t.Errorf("it says %v", err)
	}
	if _, err := cluster.core.Secrets(o.namespace).Get(t.Context(), sealed.KeysName, metav1.GetOptions{}); err == nil {
		t.Error("new keys were made")
	}

	backup.ResourceVersion, backup.UID = "", ""
	_, err = cluster.core.Secrets(o.namespace).Create(t.Context(), backup, metav1.CreateOptions{})
	ok(t, err)
	if kept, err := o.vault(t).Load(t.Context(), owner); err != nil || ids(kept) != "phone" {
		t.Errorf("after restoring the keys: %s, %v", ids(kept), err)
	}
}

func TestKeysThatAreDeletedSealNothingMore(t *testing.T) {
	o := install(t)
	owner := alice(newNamespace(t))
	keys := o.keys(t)
	v := sealed.NewVault(cluster.secrets, keys)
	save(t, v, owner, factor("phone", 0))
	running(t, keys)
	backup := o.secret(t)
	ok(t, cluster.core.Secrets(o.namespace).Delete(t.Context(), sealed.KeysName, metav1.DeleteOptions{}))
	eventually(t, "it is noticed", func() bool { return keys.Check() != nil })

	kept, err := v.Load(t.Context(), owner)
	ok(t, err) // what was sealed before still opens
	is(t, "saving", v.Save(t.Context(), owner, kept), mfa.ErrUnavailable)
	_, err = keys.Seal(owner, "challenge", []byte("x"))
	is(t, "sealing", err, mfa.ErrUnavailable)
	_, _, err = keys.Hash(owner, "codes", []byte("x"))
	is(t, "hashing", err, mfa.ErrUnavailable)

	backup.ResourceVersion, backup.UID = "", ""
	_, err = cluster.core.Secrets(o.namespace).Create(t.Context(), backup, metav1.CreateOptions{})
	ok(t, err)
	eventually(t, "the restored keys are noticed", func() bool { return keys.Check() == nil })
	ok(t, v.Save(t.Context(), owner, kept))
}

func TestKeysThatCannotBeReadAreNotTaken(t *testing.T) {
	o := install(t)
	owner := alice("shop")
	var logs harness.Recorder
	o.log = funcr.New(func(_, line string) { fmt.Fprintln(&logs, line) }, funcr.Options{})
	keys := o.keys(t)
	running(t, keys)
	before, err := keys.Seal(owner, "challenge", []byte(seed))
	ok(t, err)
	s := o.secret(t)
	s.Data["sealing.json"] = []byte(`{"key": "` + seed)
	update(t, s)

	eventually(t, "it is logged", func() bool { return strings.Contains(logs.String(), "cannot be read") })
	if strings.Contains(logs.String(), seed) {
		t.Errorf("the log tells keys:\n%s", logs.String())
	}
	if _, err := o.open(t, cluster.secrets); err == nil || strings.Contains(err.Error(), seed) {
		t.Errorf("a new replica starts with keys that nobody can read, or tells them: %v", err)
	}
	if plain, err := keys.Open(owner, "challenge", before); err != nil || string(plain) != seed {
		t.Errorf("a running replica lost its keys: %q, %v", plain, err)
	}
	o.clock.advance(6 * time.Minute)
	if keys.Check() == nil {
		t.Error("ready, though the keys could not be read for six minutes")
	}
}

func TestARotationReachesReplicasThatRun(t *testing.T) {
	o := install(t)
	owner := alice(newNamespace(t))
	told, untold := o.keys(t), o.keys(t)
	running(t, told)
	old, err := told.Seal(owner, "challenge", []byte(seed))
	ok(t, err)
	oldHash, mac, err := told.Hash(owner, "codes", []byte("code"))
	ok(t, err)

	sealing, hashing, err := o.admin().Rotate(t.Context())
	ok(t, err)
	eventually(t, "the watch tells of the new key", func() bool {
		id, _, err := told.Hash(owner, "codes", []byte("code"))
		ok(t, err)
		return id == hashing
	})
	if !strings.HasPrefix(sealing, "seal-") || !strings.HasPrefix(hashing, "hash-") || hashing == oldHash {
		t.Errorf("new keys %s and %s, before %s", sealing, hashing, oldHash)
	}
	fresh, err := told.Seal(owner, "challenge", []byte("new"))
	ok(t, err)
	if bytes.Equal(fresh[:5], old[:5]) {
		t.Error("it still seals with the old key")
	}
	for name, keys := range map[string]*sealed.Keyset{"told by the watch": told, "told nothing": untold, "started later": o.keys(t)} {
		if plain, err := keys.Open(owner, "challenge", fresh); err != nil || string(plain) != "new" {
			t.Errorf("%s: opens the new as %q, %v", name, plain, err)
		}
		if plain, err := keys.Open(owner, "challenge", old); err != nil || string(plain) != seed {
			t.Errorf("%s: opens the old as %q, %v", name, plain, err)
		}
		if again, err := keys.HashWith(oldHash, owner, "codes", []byte("code")); err != nil || !bytes.Equal(again, mac) {
			t.Errorf("%s: the hash under the old key has become %x, %v", name, again, err)
		}
	}
}

func TestSealedValuesAreBoundToTheirUse(t *testing.T) {
	o := install(t)
	keys, owner := o.keys(t), alice("shop")
	value, err := keys.Seal(owner, "challenge", []byte(seed))
	ok(t, err)
	flipped := bytes.Clone(value)
	flipped[len(flipped)/2] ^= 1
	unknown := bytes.Clone(value)
	unknown[1] ^= 1
	for _, c := range []struct {
		reason  string
		owner   mfa.Owner
		purpose string
		value   []byte
	}{
		{"another purpose", owner, "enrolment", value},
		{"another user", mfa.Owner{Namespace: "shop", Name: "bob", UID: owner.UID}, "challenge", value},
		{"another UID", mfa.Owner{Namespace: "shop", Name: "alice", UID: "x"}, "challenge", value},
		{"another namespace", alice("blog"), "challenge", value},
		{"the same letters, divided otherwise", mfa.Owner{Namespace: "shopa", Name: "lice", UID: owner.UID}, "challenge", value},
		{"one bit flipped", owner, "challenge", flipped},
		{"a key that does not exist", owner, "challenge", unknown},
		{"cut off", owner, "challenge", value[:5]},
		{"nothing", owner, "challenge", nil},
		{"plain text", owner, "challenge", []byte(seed)},
	} {
		if plain, err := keys.Open(c.owner, c.purpose, c.value); !errors.Is(err, mfa.ErrUnsealable) || plain != nil {
			t.Errorf("%s: %q, %v", c.reason, plain, err)
		}
	}
	id, mac, err := keys.Hash(owner, "codes", []byte("code"))
	ok(t, err)
	for reason, other := range map[string]func() ([]byte, error){
		"another code":    func() ([]byte, error) { return keys.HashWith(id, owner, "codes", []byte("edoc")) },
		"another purpose": func() ([]byte, error) { return keys.HashWith(id, owner, "links", []byte("code")) },
		"another user":    func() ([]byte, error) { return keys.HashWith(id, alice("blog"), "codes", []byte("code")) },
	} {
		if is, err := other(); err != nil || len(is) != 32 || bytes.Equal(is, mac) {
			t.Errorf("%s: %x, %v, the same as %x", reason, is, err, mac)
		}
	}
	_, err = keys.HashWith("hash-00000000", owner, "codes", []byte("code"))
	is(t, "a hashing key that does not exist", err, mfa.ErrUnsealable)
}

func TestAnUnknownKeyIsUnavailableWhileNobodyCanBeAsked(t *testing.T) {
	o := install(t)
	var w wire
	keys, err := o.open(t, w.secrets(t))
	ok(t, err)
	w.cut.Store(true)
	value, err := keys.Seal(alice("shop"), "challenge", []byte(seed))
	ok(t, err)
	value[1] ^= 1
	_, err = keys.Open(alice("shop"), "challenge", value)
	is(t, "opening", err, mfa.ErrUnavailable)
	_, err = keys.HashWith("hash-00000000", alice("shop"), "codes", []byte("code"))
	is(t, "hashing", err, mfa.ErrUnavailable)
	o.clock.advance(6 * time.Minute)
	if keys.Check() == nil {
		t.Error("ready, though the keys were not read for six minutes")
	}
}

// Whoever makes up key ids must not be able to make every request a request to
// the API server.
func TestCallersWithUnknownKeysShareOneReading(t *testing.T) {
	o := install(t)
	var w wire
	keys, err := o.open(t, w.secrets(t))
	ok(t, err)
	value, err := keys.Seal(alice("shop"), "challenge", []byte(seed))
	ok(t, err)
	value[1] ^= 1
	before := w.reads.Load()
	w.hold.Lock() // the first reading does not end before all have come
	var all sync.WaitGroup
	var came sync.WaitGroup
	came.Add(64)
	for range 64 {
		all.Go(func() {
			came.Done()
			_, err := keys.Open(alice("shop"), "challenge", value)
			is(t, "a made-up key", err, mfa.ErrUnsealable)
		})
	}
	came.Wait()
	eventually(t, "one is reading", func() bool { return w.reads.Load() > before })
	w.hold.Unlock()
	all.Wait()
	if asked := w.reads.Load() - before; asked > 32 {
		t.Errorf("64 callers asked the API server %d times", asked)
	}
}

// emptySecret is what manifests leave to those who may not create Secrets.
func (o *operator) emptySecret(t testing.TB, name string, kind corev1.SecretType) {
	t.Helper()
	_, err := cluster.core.Secrets(o.namespace).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Type: kind}, metav1.CreateOptions{})
	ok(t, err)
}

func TestReplicasFillAnEmptySecretOnce(t *testing.T) {
	o := install(t)
	o.emptySecret(t, sealed.KeysName, sealed.TypeKeys)
	var all [8]*sealed.Keyset
	var together sync.WaitGroup
	for i := range all {
		together.Go(func() {
			keys, err := o.open(t, cluster.secrets)
			if err != nil {
				t.Error(err)
			}
			all[i] = keys
		})
	}
	together.Wait()
	if t.Failed() {
		return
	}
	value, err := all[0].Seal(alice("shop"), "challenge", []byte(seed))
	ok(t, err)
	for i, keys := range all {
		if plain, err := keys.Open(alice("shop"), "challenge", value); err != nil || string(plain) != seed {
			t.Errorf("replica %d has other keys: %q, %v", i, plain, err)
		}
	}
}

// Whoever deletes the keys and applies the manifests again must not have the loss
// hidden by new keys, nor running replicas seal what nobody will open.
func TestAnEmptySecretIsNotFilledWhereKeysWereLost(t *testing.T) {
	o := install(t)
	owner := alice(newNamespace(t))
	keys := o.keys(t)
	save(t, sealed.NewVault(cluster.secrets, keys), owner, factor("phone", 0))
	running(t, keys)
	backup := o.secret(t)
	ok(t, cluster.core.Secrets(o.namespace).Delete(t.Context(), sealed.KeysName, metav1.DeleteOptions{}))
	o.emptySecret(t, sealed.KeysName, sealed.TypeKeys)

	eventually(t, "a running replica notices", func() bool {
		_, err := keys.Seal(owner, "challenge", []byte("x"))
		return errors.Is(err, mfa.ErrUnavailable) && keys.Check() != nil
	})
	_, err := o.open(t, cluster.secrets)
	is(t, "starting with an empty Secret", err, sealed.ErrKeysLost)
	if s := o.secret(t); len(s.Data) != 0 {
		t.Error("new keys were made")
	}

	s := o.secret(t)
	s.Data = backup.Data
	update(t, s)
	eventually(t, "the restored keys are noticed", func() bool { return keys.Check() == nil })
	if kept, err := o.vault(t).Load(t.Context(), owner); err != nil || ids(kept) != "phone" {
		t.Errorf("after restoring the keys: %s, %v", ids(kept), err)
	}
}
