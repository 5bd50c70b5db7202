package sealed

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/neosc/mfa-operator/internal/mfa"
)

// The data entries of the Secret with the keys. The first two are keysets of
// Tink in JSON, in clear: the Secret is what keeps them.
const (
	entrySealing = "sealing.json"
	entryHashing = "hashing.json"
	entryTimes   = "times.json"
)

// The ids of keys, as users see them and as they stand beside hashes. Nothing
// else looks like this, so that a search for one in an opened credential finds
// every use of it.
const (
	prefixSealing = "seal-"
	prefixHashing = "hash-"
)

// macLength is the length of a keyed hash in bytes.
const macLength = 32

// keys is the state of all keys at one time. It does not change.
type keys struct {
	version          string // of the Secret it was read from
	sealing, hashing *keyset.Handle
	aead             tink.AEAD
	prfs             *prf.Set
	times            map[string]keyTimes
	enabled          map[string]bool // by id
}

// keyTimes are of one key. Retired is when another became primary in its place.
type keyTimes struct {
	Made    time.Time `json:"made,omitzero"`
	Retired time.Time `json:"retired,omitzero"`
}

// sealingTemplate is AES-256-GCM with nonces of 192 bits: 96 bits, drawn at
// random, would bound how many challenges one key may seal.
func sealingTemplate() *tinkpb.KeyTemplate { return aead.XAES256GCM192BitNonceKeyTemplate() }

func hashingTemplate() *tinkpb.KeyTemplate { return prf.HMACSHA256PRFKeyTemplate() }

// makeKeys makes the first keys.
func makeKeys(now time.Time) (*keys, error) {
	sealing, err := keyset.NewHandle(sealingTemplate())
	if err != nil {
		return nil, fmt.Errorf("making a sealing key: %w", err)
	}
	hashing, err := keyset.NewHandle(hashingTemplate())
	if err != nil {
		return nil, fmt.Errorf("making a hashing key: %w", err)
	}
	k, err := newKeys(sealing, hashing, map[string]keyTimes{})
	if err != nil {
		return nil, err
	}
	for _, one := range k.list() {
		k.times[one.ID] = keyTimes{Made: now.UTC()}
	}
	return k, nil
}

func newKeys(sealing, hashing *keyset.Handle, times map[string]keyTimes) (*keys, error) {
	k := &keys{sealing: sealing, hashing: hashing, times: times, enabled: map[string]bool{}}
	for _, one := range k.list() {
		k.enabled[one.ID] = one.Enabled
	}
	var err error
	if k.aead, err = aead.New(sealing); err != nil {
		return nil, fmt.Errorf("using the sealing keys: %w", err)
	}
	if k.prfs, err = prf.NewPRFSet(hashing); err != nil {
		return nil, fmt.Errorf("using the hashing keys: %w", err)
	}
	return k, nil
}

// decodeKeys reads the data of the Secret. Its errors hold nothing of the keys.
func decodeKeys(version string, data map[string][]byte) (*keys, error) {
	handles := map[string]*keyset.Handle{}
	for _, entry := range []string{entrySealing, entryHashing} {
		handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(data[entry])))
		if err != nil {
			return nil, fmt.Errorf("its entry %s is not a keyset", entry) // the cause may quote it
		}
		handles[entry] = handle
	}
	times := map[string]keyTimes{}
	if err := json.Unmarshal(data[entryTimes], &times); err != nil {
		return nil, fmt.Errorf("its entry %s: %w", entryTimes, err)
	}
	k, err := newKeys(handles[entrySealing], handles[entryHashing], times)
	if err != nil {
		return nil, err
	}
	k.version = version
	return k, nil
}

// encode is the data of the Secret.
func (k *keys) encode() (map[string][]byte, error) {
	data := map[string][]byte{}
	for entry, handle := range map[string]*keyset.Handle{entrySealing: k.sealing, entryHashing: k.hashing} {
		var out bytes.Buffer
		if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&out)); err != nil {
			return nil, fmt.Errorf("encoding %s: %w", entry, err)
		}
		data[entry] = out.Bytes()
	}
	times, err := json.Marshal(k.times)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", entryTimes, err)
	}
	data[entryTimes] = times
	return data, nil
}

// Key is what may be known of a key.
type Key struct {
	// ID is seal-… for a key that seals, hash-… for one that makes keyed hashes.
	ID string
	// Primary: new values are made with it.
	Primary bool
	// Enabled: what was made with it can still be opened.
	Enabled bool
	// Made is when the key was made; Retired, if not zero, when another became
	// primary in its place.
	Made, Retired time.Time
}

// list is every key, sealing keys first, in the order in which they were added.
func (k *keys) list() []Key {
	var all []Key
	for _, set := range []struct {
		prefix string
		handle *keyset.Handle
	}{{prefixSealing, k.sealing}, {prefixHashing, k.hashing}} {
		for i := range set.handle.Len() {
			entry, err := set.handle.Entry(i)
			if err != nil {
				panic("reading a key within the length of its set: " + err.Error())
			}
			id := keyID(set.prefix, entry.KeyID())
			all = append(all, Key{
				ID: id, Primary: entry.IsPrimary(), Enabled: entry.KeyStatus() == keyset.Enabled,
				Made: k.times[id].Made, Retired: k.times[id].Retired,
			})
		}
	}
	return all
}

func keyID(prefix string, id uint32) string { return fmt.Sprintf("%s%08x", prefix, id) }

// find returns the key of that id.
func (k *keys) find(id string) (Key, bool) {
	for _, one := range k.list() {
		if one.ID == id {
			return one, true
		}
	}
	return Key{}, false
}

// sealedUnder returns the id of the key that a value says it was sealed with:
// Tink puts a one and the key's number in front.
func sealedUnder(sealed []byte) (id string, ok bool) {
	if len(sealed) <= 5 || sealed[0] != 1 {
		return "", false
	}
	return keyID(prefixSealing, binary.BigEndian.Uint32(sealed[1:5])), true
}

func (k *keys) seal(plain, boundTo []byte) ([]byte, error) {
	sealed, err := k.aead.Encrypt(plain, boundTo)
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	return sealed, nil
}

func (k *keys) open(sealed, boundTo []byte) ([]byte, error) {
	plain, err := k.aead.Decrypt(sealed, boundTo)
	if err != nil {
		return nil, fmt.Errorf("opening: %w", mfa.ErrUnsealable)
	}
	return plain, nil
}

// hash returns the keyed hash under the key of that id.
func (k *keys) hash(id string, text []byte) ([]byte, error) {
	for number, one := range k.prfs.PRFs {
		if keyID(prefixHashing, number) == id {
			return one.ComputePRF(text, macLength)
		}
	}
	return nil, fmt.Errorf("hashing with %s: %w", id, mfa.ErrUnsealable)
}

func (k *keys) primary(prefix string) string {
	if prefix == prefixHashing {
		return keyID(prefix, k.prfs.PrimaryID)
	}
	entry, err := k.sealing.Primary()
	if err != nil {
		panic("a set that seals has no primary key: " + err.Error()) // newKeys has refused it
	}
	return keyID(prefix, entry.KeyID())
}

// rotated is the same with new keys as primary.
func (k *keys) rotated(now time.Time) (*keys, error) {
	times := maps.Clone(k.times)
	add := func(prefix string, handle *keyset.Handle, template *tinkpb.KeyTemplate) (*keyset.Handle, error) {
		m := keyset.NewManagerFromHandle(handle)
		id, err := m.Add(template)
		if err != nil {
			return nil, fmt.Errorf("adding a key: %w", err)
		}
		if err := m.SetPrimary(id); err != nil {
			return nil, fmt.Errorf("making the new key primary: %w", err)
		}
		was := k.primary(prefix)
		times[was] = keyTimes{Made: times[was].Made, Retired: now.UTC()}
		times[keyID(prefix, id)] = keyTimes{Made: now.UTC()}
		return m.Handle()
	}
	sealing, err := add(prefixSealing, k.sealing, sealingTemplate())
	if err != nil {
		return nil, err
	}
	hashing, err := add(prefixHashing, k.hashing, hashingTemplate())
	if err != nil {
		return nil, err
	}
	return newKeys(sealing, hashing, times)
}

// step is what is done to one key that is not primary.
type step int

const (
	disable step = iota
	enable
	destroy
)

// with is the same after that was done to the key of that id.
func (k *keys) with(what step, id string) (*keys, error) {
	sealing, hashing, times := k.sealing, k.hashing, maps.Clone(k.times)
	change := &sealing
	var number uint32
	if _, err := fmt.Sscanf(id, prefixSealing+"%08x", &number); err != nil {
		change = &hashing
		if _, err := fmt.Sscanf(id, prefixHashing+"%08x", &number); err != nil {
			return nil, errors.New("a key's id looks like seal-0123abcd or hash-0123abcd")
		}
	}
	m := keyset.NewManagerFromHandle(*change)
	var err error
	switch what {
	case disable:
		err = m.Disable(number)
	case enable:
		err = m.Enable(number)
	case destroy:
		err = m.Delete(number)
		delete(times, id)
	}
	if err != nil {
		return nil, err
	}
	if *change, err = m.Handle(); err != nil {
		return nil, err
	}
	return newKeys(sealing, hashing, times)
}
