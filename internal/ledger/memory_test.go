package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
)

// memory is a Store that behaves like an API server: it keeps what it is given,
// says what is there and what is not, and tells those who watch. fault, if set,
// is asked before every operation and may do what it likes instead.
type memory struct {
	mu        sync.Mutex
	batches   map[string]audit.Batch // by namespace/name
	ledgers   map[string]*v1alpha1.MFALedger
	snapshots map[string][]byte
	log       []memoryEvent
	changed   chan struct{}
	uids      int
	calls     map[string]int

	fault func(op string, sequence int64, do func() error) error
}

type memoryEvent struct {
	namespace string
	batch     audit.Batch
	removed   bool
}

func newMemory() *memory {
	return &memory{
		batches: map[string]audit.Batch{}, ledgers: map[string]*v1alpha1.MFALedger{}, snapshots: map[string][]byte{},
		changed: make(chan struct{}), calls: map[string]int{},
	}
}

func (m *memory) do(ctx context.Context, op string, sequence int64, do func() error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	m.mu.Lock()
	m.calls[op]++
	fault := m.fault
	m.mu.Unlock()
	locked := func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		return do()
	}
	if fault != nil {
		return fault(op, sequence, locked)
	}
	return locked()
}

func (m *memory) setFault(fault func(op string, sequence int64, do func() error) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = fault
}

func (m *memory) tell(e memoryEvent) {
	m.log = append(m.log, e)
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *memory) Create(ctx context.Context, namespace string, b audit.Batch) error {
	return m.do(ctx, "Create", b.Sequence, func() error {
		key := namespace + "/" + Name(b.Sequence)
		if _, ok := m.batches[key]; ok {
			return errExists
		}
		b.Records = slices.Clone(b.Records)
		m.batches[key] = b
		m.tell(memoryEvent{namespace, b, false})
		return nil
	})
}

func (m *memory) Batch(ctx context.Context, namespace string, sequence int64) (b audit.Batch, err error) {
	err = m.do(ctx, "Batch", sequence, func() error {
		var ok bool
		if b, ok = m.batches[namespace+"/"+Name(sequence)]; !ok {
			return errAbsent
		}
		return nil
	})
	return b, err
}

func (m *memory) Remove(ctx context.Context, namespace string, sequence int64) error {
	return m.do(ctx, "Remove", sequence, func() error {
		key := namespace + "/" + Name(sequence)
		if b, ok := m.batches[key]; ok {
			delete(m.batches, key)
			m.tell(memoryEvent{namespace, b, true})
		}
		return nil
	})
}

func (m *memory) Ask(ctx context.Context) error {
	return m.do(ctx, "Ask", 0, func() error { return nil })
}

func (m *memory) Any(ctx context.Context, namespace string) (found bool, err error) {
	err = m.do(ctx, "Any", 0, func() error {
		found = len(m.sequences(namespace)) > 0
		return nil
	})
	return found, err
}

// sequences lists the batches there are.
func (m *memory) sequences(namespace string) []int64 {
	var out []int64
	for key, b := range m.batches {
		if key == namespace+"/"+Name(b.Sequence) {
			out = append(out, b.Sequence)
		}
	}
	slices.Sort(out)
	return out
}

func (m *memory) Ledger(ctx context.Context, namespace string) (obj *v1alpha1.MFALedger, err error) {
	err = m.do(ctx, "Ledger", 0, func() error {
		found, ok := m.ledgers[namespace]
		if !ok {
			return errAbsent
		}
		obj = found.DeepCopy()
		return nil
	})
	return obj, err
}

func (m *memory) CreateLedger(ctx context.Context, namespace string) error {
	return m.do(ctx, "CreateLedger", 0, func() error {
		if _, ok := m.ledgers[namespace]; ok {
			return nil
		}
		m.uids++
		obj := &v1alpha1.MFALedger{}
		obj.Namespace, obj.Name, obj.UID, obj.ResourceVersion = namespace, v1alpha1.LedgerName, types.UID(fmt.Sprint("uid-", m.uids)), "1"
		obj.Spec.Retention = v1alpha1.LedgerRetention{MaxAgeDays: 30, MaxMebibytes: 64}
		m.ledgers[namespace] = obj
		return nil
	})
}

func (m *memory) UpdateLedgerStatus(ctx context.Context, obj *v1alpha1.MFALedger) error {
	return m.do(ctx, "UpdateLedgerStatus", 0, func() error {
		found, ok := m.ledgers[obj.Namespace]
		if !ok {
			return errAbsent
		}
		if found.ResourceVersion != obj.ResourceVersion || found.UID != obj.UID {
			return errors.New("conflict")
		}
		version, err := strconv.Atoi(found.ResourceVersion)
		if err != nil {
			return err
		}
		obj.ResourceVersion = strconv.Itoa(version + 1)
		m.ledgers[obj.Namespace] = obj.DeepCopy()
		return nil
	})
}

func (m *memory) Snapshot(ctx context.Context, namespace, name string) (data []byte, err error) {
	err = m.do(ctx, "Snapshot", 0, func() error {
		var ok bool
		if data, ok = m.snapshots[namespace+"/"+name]; !ok {
			return errAbsent
		}
		return nil
	})
	return data, err
}

func (m *memory) CreateSnapshot(ctx context.Context, namespace, name string, spec v1alpha1.MFALedgerSnapshotSpec) error {
	return m.do(ctx, "CreateSnapshot", spec.Sequence, func() error {
		if _, ok := m.snapshots[namespace+"/"+name]; !ok {
			m.snapshots[namespace+"/"+name] = slices.Clone(spec.Data)
		}
		return nil
	})
}

func (m *memory) Snapshots(ctx context.Context, namespace string) (names []string, err error) {
	err = m.do(ctx, "Snapshots", 0, func() error {
		for key := range maps.Keys(m.snapshots) {
			if name, ok := cut(key, namespace+"/"); ok {
				names = append(names, name)
			}
		}
		return nil
	})
	return names, err
}

func cut(key, prefix string) (string, bool) {
	if len(key) > len(prefix) && key[:len(prefix)] == prefix {
		return key[len(prefix):], true
	}
	return "", false
}

func (m *memory) RemoveSnapshot(ctx context.Context, namespace, name string) error {
	return m.do(ctx, "RemoveSnapshot", 0, func() error {
		delete(m.snapshots, namespace+"/"+name)
		return nil
	})
}

func (m *memory) Now(ctx context.Context, _ string) (point string, err error) {
	err = m.do(ctx, "Now", 0, func() error {
		point = strconv.Itoa(len(m.log))
		return nil
	})
	return point, err
}

func (m *memory) Watch(ctx context.Context, namespace, point string, heard func(News) error) error {
	next, err := strconv.Atoi(point)
	if err != nil {
		return err
	}
	for {
		m.mu.Lock()
		events, changed := m.log[next:], m.changed
		next = len(m.log)
		m.mu.Unlock()
		for _, e := range events {
			if e.namespace != namespace {
				continue
			}
			if err := m.do(ctx, "Watch", e.batch.Sequence, func() error { return nil }); err != nil {
				return err
			}
			if err := heard(News{Sequence: e.batch.Sequence, Removed: e.removed, Batch: func() (audit.Batch, error) { return e.batch, nil }}); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
