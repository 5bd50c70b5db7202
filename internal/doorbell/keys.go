package doorbell

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// RollOver is how long a key that was replaced still opens: a call signed
// before may be on its way for as long as a signature is good.
const RollOver = Tolerance

// maxKeys bounds what is tried for one call.
const maxKeys = 2

// Key signs calls. Zitadel makes it up, 36 letters and digits.
type Key struct {
	Key string `json:"key"`
	// Until is when it ends; nil: with the next one.
	Until *time.Time `json:"until,omitempty"`
}

// Format makes every verb of package fmt say what a Key is, and not the key.
func (k Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("signing key")) }

// Keys are those of one bell, the newest first.
type Keys []Key

// ParseKeys reads the entry of the Secret. Errors never have any of it.
func ParseKeys(entry []byte) (Keys, error) {
	var keys Keys
	if err := json.Unmarshal(entry, &keys); err != nil {
		return nil, errors.New("reading the keys of a doorbell: they are not as we write them")
	}
	if len(keys) > maxKeys || slices.ContainsFunc(keys, func(k Key) bool { return k.Key == "" }) {
		return nil, errors.New("reading the keys of a doorbell: too many, or an empty one")
	}
	return keys, nil
}

// Entry is what ParseKeys reads.
func (k Keys) Entry() ([]byte, error) {
	entry, err := json.Marshal([]Key(k))
	if err != nil {
		return nil, fmt.Errorf("writing the keys of a doorbell: %w", err)
	}
	return entry, nil
}

// With are the keys once this one is the key: the one before goes on for the
// roll-over, what has ended is gone.
func (k Keys) With(key string, now time.Time) Keys {
	next := Keys{{Key: key}}
	for _, old := range k {
		switch {
		case old.Key == key || len(next) == maxKeys:
		case old.Until == nil:
			end := now.Add(RollOver).UTC().Truncate(time.Second)
			next = append(next, Key{Key: old.Key, Until: &end})
		case now.Before(*old.Until):
			next = append(next, old)
		}
	}
	return next
}

// valid are the keys that open at this time.
func (k Keys) valid(now time.Time) []string {
	var valid []string
	for _, key := range k {
		if key.Until == nil || now.Before(*key.Until) {
			valid = append(valid, key.Key)
		}
	}
	return valid
}
