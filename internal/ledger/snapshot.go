package ledger

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"k8s.io/utils/ptr"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
)

// partBytes is the size of one part of a snapshot; an object may have about
// twice that, and the data grows by a third on the way.
const partBytes = 512 << 10

// A snapshot is JSON lines: first a snapshotHead, then a snapshotLine for each
// entry, in the order of the keys.
type snapshotHead struct {
	Form     string    `json:"form"`
	Ledger   string    `json:"ledger"`
	Sequence int64     `json:"sequence"`
	Hash     string    `json:"hash"`
	Time     time.Time `json:"time"`
	Bytes    int64     `json:"bytes"`
	Values   int       `json:"values"`
	Origins  int       `json:"origins"`
}

type snapshotLine[V any] struct {
	Key   string `json:"k"`
	Value V      `json:"v"`
}

const snapshotForm = "neosc-mfa-state/1"

// encode writes the state, without what has expired.
func (s *state[V]) encode(expired func(key string, value V, at time.Time) bool) ([]byte, error) {
	s.prune(expired)
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	lines := json.NewEncoder(zip)
	err := lines.Encode(snapshotHead{
		Form: snapshotForm, Ledger: s.head.Ledger, Sequence: s.head.Sequence, Hash: s.head.Hash, Time: s.head.Time,
		Bytes: s.bytes, Values: len(s.values), Origins: len(s.origins),
	})
	if err == nil {
		err = encodeSorted(lines, s.values)
	}
	if err == nil {
		err = encodeSorted(lines, s.origins)
	}
	if err == nil {
		err = zip.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("encoding the ledger's state: %w", err)
	}
	return out.Bytes(), nil
}

func encodeSorted[V any](lines *json.Encoder, m map[string]V) error {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if err := lines.Encode(snapshotLine[V]{key, m[key]}); err != nil {
			return err
		}
	}
	return nil
}

func decodeState[V any](data []byte) (*state[V], error) {
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	lines := json.NewDecoder(zip)
	var head snapshotHead
	if err := lines.Decode(&head); err != nil {
		return nil, err
	}
	if head.Form != snapshotForm {
		return nil, fmt.Errorf("the form %q is not known", head.Form)
	}
	s := newState[V](head.Ledger)
	s.head = audit.Head{Ledger: head.Ledger, Sequence: head.Sequence, Hash: head.Hash, Time: head.Time}
	s.bytes = head.Bytes
	if err := decodeInto(lines, head.Values, s.values); err != nil {
		return nil, err
	}
	if err := decodeInto(lines, head.Origins, s.origins); err != nil {
		return nil, err
	}
	if _, err := lines.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than it says")
	}
	return s, nil
}

func decodeInto[V any](lines *json.Decoder, n int, m map[string]V) error {
	for range n {
		var line snapshotLine[V]
		if err := lines.Decode(&line); err != nil {
			return err
		}
		m[line.Key] = line.Value
	}
	return nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// readSnapshot reads the state at the checkpoint of a ledger.
func readSnapshot[V any](ctx context.Context, namespace string, store Store, ledger *v1alpha1.MFALedger) (*state[V], error) {
	cp := ledger.Status.Checkpoint
	var data []byte
	for part := range int(cp.Parts) {
		var piece []byte
		err := persist(ctx, func(ctx context.Context) (err error) {
			piece, err = store.Snapshot(ctx, namespace, snapshotName(cp.Sequence, cp.Digest, part))
			return err
		})
		if err != nil {
			return nil, err
		}
		data = append(data, piece...)
	}
	if got := digest(data); got != cp.Digest {
		return nil, fmt.Errorf("%w: the snapshot at batch %d is not the one that was taken", audit.ErrBroken, cp.Sequence)
	}
	s, err := decodeState[V](data)
	if err != nil {
		return nil, fmt.Errorf("%w: the snapshot at batch %d cannot be read: %w", audit.ErrBroken, cp.Sequence, err)
	}
	if s.head.Ledger != string(ledger.UID) || s.head.Sequence != cp.Sequence || s.head.Hash != cp.Hash {
		return nil, fmt.Errorf("%w: the snapshot is of another place than the checkpoint, batch %d", audit.ErrBroken, cp.Sequence)
	}
	return s, nil
}

// writeSnapshot writes it in parts and returns their number.
func writeSnapshot(ctx context.Context, namespace string, store Store, sequence int64, data []byte) (parts int, err error) {
	sum := digest(data)
	for piece := range slices.Chunk(data, partBytes) {
		spec := v1alpha1.MFALedgerSnapshotSpec{Sequence: sequence, Part: ptr.To(int32(parts)), Data: piece}
		if err := store.CreateSnapshot(ctx, namespace, snapshotName(sequence, sum, parts), spec); err != nil {
			return 0, err
		}
		parts++
	}
	return parts, nil
}

// removeSnapshots removes every snapshot that is older than the checkpoint.
func removeSnapshots(ctx context.Context, namespace string, store Store, checkpoint *v1alpha1.LedgerCheckpoint) error {
	names, err := store.Snapshots(ctx, namespace)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name < Name(checkpoint.Sequence) {
			if err := store.RemoveSnapshot(ctx, namespace, name); err != nil {
				return err
			}
		}
	}
	return nil
}
