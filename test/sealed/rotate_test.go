package sealed

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/sealed"
)

// Users enrol and sign in at three replicas while the keys are rotated three
// times: every load succeeds, nothing that was acknowledged is lost, and in the
// end nothing needs an old key.
func TestRotationUnderLoadLosesNothing(t *testing.T) {
	const users, each, idle = 12, 24, 40
	o := install(t)
	namespace := newNamespace(t)
	var replicas []mfa.Vault
	for range 2 {
		var w wire
		replicas = append(replicas, o.replica(t, &w))
	}
	replicas = append(replicas, o.vault(t)) // told nothing, and asks

	for u := range idle { // they enrolled before, and are away
		save(t, replicas[0], away(namespace, u), factor("phone", u))
	}
	var loads, conflicts, enrolled atomic.Int64
	enrol := func(replica mfa.Vault, owner mfa.Owner, n int) {
		for {
			kept, err := replica.Load(t.Context(), owner)
			loads.Add(1)
			if err == nil && !strings.Contains(ids(kept)+" ", fmt.Sprintf("factor-%d ", n)) { // unless it had been saved
				kept.Credentials = append(kept.Credentials, factor(fmt.Sprint("factor-", n), n))
				err = replica.Save(t.Context(), owner, kept)
			}
			if errors.Is(err, mfa.ErrConflict) {
				conflicts.Add(1)
				continue
			}
			if errors.Is(err, mfa.ErrUnavailable) { // on a busy machine; it is not known whether it was saved
				continue
			}
			if err != nil {
				t.Error(err)
			}
			enrolled.Add(1)
			return
		}
	}
	owners := make([]mfa.Owner, users)
	var work sync.WaitGroup
	for u := range owners {
		owners[u] = mfa.Owner{Namespace: namespace, Name: fmt.Sprint("user-", u), UID: fmt.Sprint("uid-", u)}
		for r, replica := range replicas { // the replicas meet at the same users
			work.Go(func() {
				for n := r; n < each; n += len(replicas) {
					enrol(replica, owners[u], n)
				}
			})
		}
	}
	admin := o.admin()
	reseal := func() sealed.Resealed {
		last := -1
		result, err := admin.Reseal(t.Context(), func(done, total int) {
			if done < last || done > total {
				t.Errorf("progress went from %d to %d of %d", last, done, total)
			}
			last = done
		})
		ok(t, err)
		return result
	}
	changed := 0
	for rotation := range 3 {
		due := int64(users * each * (rotation + 1) / 5)
		eventually(t, "there is something to seal anew", func() bool { return enrolled.Load() >= due })
		_, _, err := admin.Rotate(t.Context())
		ok(t, err)
		changed += reseal().Changed // who loses each race here is seen to below
	}
	work.Wait()
	result := reseal()
	if len(result.Failed) > 0 {
		t.Errorf("not sealed anew: %v", result.Failed)
	}

	for _, owner := range owners {
		kept, err := o.vault(t).Load(t.Context(), owner)
		ok(t, err)
		if len(kept.Credentials) != each {
			t.Errorf("%s has %d factors, enrolled were %d: %s", owner.Name, len(kept.Credentials), each, ids(kept))
		}
		for n, c := range kept.Credentials {
			if want := factor(fmt.Sprint("factor-", n), n); string(c.Secret) != string(want.Secret) {
				t.Errorf("%s: factor %d is %+v", owner.Name, n, c)
			}
		}
	}
	for u := range idle {
		kept, err := o.vault(t).Load(t.Context(), away(namespace, u))
		ok(t, err)
		if want := factor("phone", u); len(kept.Credentials) != 1 || string(kept.Credentials[0].Secret) != string(want.Secret) {
			t.Errorf("of user %d, who was away, %+v is kept", u, kept)
		}
	}
	usage, err := admin.Usage(t.Context())
	ok(t, err)
	if usage.Users != users+idle || usage.Credentials != users*each+idle || len(usage.Unopened) > 0 || len(usage.Keys) != 8 {
		t.Errorf("usage: %+v", usage)
	}
	for _, key := range usage.Keys {
		if strings.HasPrefix(key.ID, "seal-") && key.Primary != (key.Credentials == users*each+idle) || !key.Primary && key.Credentials > 0 {
			t.Errorf("%s, primary %t, is the key of %d credentials", key.ID, key.Primary, key.Credentials)
		}
	}
	if changed < 3*idle {
		t.Errorf("three rotations sealed %d Secrets anew, there are %d users who were away", changed, idle)
	}
	t.Logf("%d loads, %d conflicts, %d Secrets sealed anew", loads.Load(), conflicts.Load(), changed)
}

func away(namespace string, u int) mfa.Owner {
	return mfa.Owner{Namespace: namespace, Name: fmt.Sprint("away-", u), UID: fmt.Sprint("uid-away-", u)}
}

func TestAnOldKeyEndsWhenNothingNeedsIt(t *testing.T) {
	o := install(t)
	owner := alice(newNamespace(t))
	keys := o.keys(t)
	v := sealed.NewVault(cluster.secrets, keys)
	oldHash, _, err := keys.Hash(owner, "codes", []byte("code"))
	ok(t, err)
	codes := factor("codes", 0)
	codes.Secret = []byte(`{"key":"` + oldHash + `","hashes":["…"]}`)
	save(t, v, owner, codes)
	admin := o.admin()
	usage, err := admin.Usage(t.Context())
	ok(t, err)
	oldSeal := usage.Keys[0].ID

	refused := func(reason, says string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, which should say %q", reason, err, says)
		}
	}
	quiet := func(int, int) {}
	refused("ending the primary key", "is the key of 1 cred", admin.Disable(t.Context(), oldSeal))
	_, _, err = admin.Rotate(t.Context())
	ok(t, err)
	refused("ending a key before sealing anew", "is the key of 1 cred", admin.Disable(t.Context(), oldSeal))
	_, err = admin.Reseal(t.Context(), quiet)
	ok(t, err)
	refused("while something may be under way", "under way", admin.Disable(t.Context(), oldSeal))
	o.clock.advance(25*time.Hour + time.Minute)
	refused("a hashing key that recovery codes need", "is the key of 1 cred", admin.Disable(t.Context(), oldHash))
	refused("a key that there is not", "no key", admin.Disable(t.Context(), "seal-00000000"))
	refused("destroying what is enabled", "disable it first", admin.Destroy(t.Context(), oldSeal))

	// One credential that nobody can judge keeps every key.
	bob := mfa.Owner{Namespace: owner.Namespace, Name: "bob", UID: "uid-bob"}
	save(t, o.vault(t), bob, factor("phone", 0))
	s := stored(t, bob)
	s.OwnerReferences = nil
	update(t, s)
	refused("something that does not open", "nobody can say", admin.Disable(t.Context(), oldSeal))
	result, err := admin.Reseal(t.Context(), quiet)
	ok(t, err)
	if len(result.Failed) != 1 || !strings.Contains(result.Failed[0].Error(), s.Name) {
		t.Errorf("sealing anew what does not open: %v", result.Failed)
	}
	ok(t, cluster.core.Secrets(s.Namespace).Delete(t.Context(), s.Name, metav1.DeleteOptions{}))

	ok(t, admin.Disable(t.Context(), oldSeal))
	ok(t, admin.Enable(t.Context(), oldSeal))
	ok(t, admin.Disable(t.Context(), oldSeal))
	ok(t, admin.Destroy(t.Context(), oldSeal))
	kept, err := o.vault(t).Load(t.Context(), owner)
	ok(t, err)
	if string(kept.Credentials[0].Secret) != string(codes.Secret) {
		t.Errorf("afterwards %q is kept", kept.Credentials[0].Secret)
	}

	// New recovery codes, under the new key, let the old hashing key go.
	newHash, _, err := o.keys(t).Hash(owner, "codes", []byte("code"))
	ok(t, err)
	codes.Secret = []byte(`{"key":"` + newHash + `"}`)
	save(t, o.vault(t), owner, codes)
	ok(t, admin.Disable(t.Context(), oldHash))
	_, err = o.keys(t).HashWith(oldHash, owner, "codes", []byte("code"))
	is(t, "a hashing key that was disabled", err, mfa.ErrUnsealable)
}

// A value sealed with a key that was disabled does not open, also at a replica
// that has known the key.
func TestADisabledKeyOpensNothing(t *testing.T) {
	o := install(t)
	keys := o.keys(t)
	running(t, keys)
	value, err := keys.Seal(alice("shop"), "challenge", []byte(seed))
	ok(t, err)
	usage, err := o.admin().Usage(t.Context())
	ok(t, err)
	_, _, err = o.admin().Rotate(t.Context())
	ok(t, err)
	o.clock.advance(26 * time.Hour)
	ok(t, o.admin().Disable(t.Context(), usage.Keys[0].ID))
	eventually(t, "the running replica refuses it", func() bool {
		_, err := keys.Open(alice("shop"), "challenge", value)
		return errors.Is(err, mfa.ErrUnsealable)
	})
	ok(t, o.admin().Enable(t.Context(), usage.Keys[0].ID))
	eventually(t, "it opens again", func() bool {
		_, err := keys.Open(alice("shop"), "challenge", value)
		return err == nil
	})
}
