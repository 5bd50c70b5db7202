// Package ledger holds the ledger to what it promises, on a real API server and
// etcd: what is acknowledged is there once, and nothing is accepted twice.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/ledger"
	"github.com/neosc/mfa-operator/test/harness"
)

// cluster is the control plane all tests of the package share. Tests keep apart
// by namespace.
var cluster struct {
	env    *envtest.Environment
	client client.Client
}

func TestMain(m *testing.M) {
	harness.Main(m, func(_ context.Context, c *harness.Cluster) error {
		cluster.env, cluster.client = c.Env, c.Client
		return nil
	}, harness.Durable)
}

var namespaces atomic.Int32

// newNamespace makes a namespace for a test.
func newNamespace(t testing.TB) string {
	t.Helper()
	name := fmt.Sprint("team-", namespaces.Add(1))
	ok(t, cluster.client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	return name
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// try is an attempt of the tests: to use up a thing, which only the first may.
type try struct {
	Thing string
	Who   string
	What  what
}

type what int

const (
	claim     what = iota // use it up; recorded as Replayed if it is used up
	claimOnly             // use it up; refused, without a record, if it is used up
	free                  // make it new again
)

var errUsed = errors.New("it is used up")

// things is the fold of the tests: by thing, who used it up.
type things struct{}

func (things) Check(state audit.State[string], a try, _ time.Time) ([]audit.Record, error) {
	r := audit.Record{
		Action: audit.Verification, Outcome: audit.Succeeded, Subject: a.Thing, Actor: a.Who, Method: "TOTP", Claim: a.Thing,
		Policy: "neosc-system/pol-mfa-required", SourceIP: "192.0.2.17",
	}
	used := state.Get(a.Thing) != ""
	switch {
	case a.What == free:
		r.Action, r.Claim = audit.UserUnlocked, ""
	case used && a.What == claimOnly:
		return nil, errUsed
	case used:
		r.Outcome, r.Claim = audit.Replayed, ""
	}
	return []audit.Record{r}, nil
}

func (things) Apply(state audit.Entries[string], r audit.Record) {
	switch {
	case r.Action == audit.UserUnlocked:
		state.Delete(r.Subject)
	case r.Claim != "":
		state.Set(r.Claim, r.Actor)
	}
}

func (things) Expired(string, string, time.Time) bool { return false }

// replica is one process that appends.
type replica struct {
	*ledger.Ledgers[string, try]
	slept atomic.Int64  // by how much its boot clock is ahead
	ahead atomic.Int64  // by how much its wall clock is
	kill  func()        // end it without waiting
	ended chan struct{} // closed when it has
}

// start starts a replica; store may be nil.
func start(t testing.TB, writer string, store ledger.Store) *replica {
	t.Helper()
	r := &replica{ended: make(chan struct{})}
	began := time.Now()
	l, err := ledger.New(ledger.Config{
		REST: cluster.env.Config, Writer: writer, Store: store,
		Clock: func() time.Time { return time.Now().Add(time.Duration(r.ahead.Load())) },
		Boot:  func() time.Duration { return time.Hour + time.Since(began) + time.Duration(r.slept.Load()) },
	}, things{})
	ok(t, err)
	r.Ledgers = l
	ctx, cancel := context.WithCancel(context.Background())
	r.kill = cancel
	go func() {
		defer close(r.ended)
		if err := l.Start(ctx); err != nil {
			t.Errorf("%s: %v", writer, err)
		}
	}()
	t.Cleanup(func() { cancel(); <-r.ended })
	<-l.Started()
	return r
}

// batches lists what is in etcd, in order.
func batches(t testing.TB, namespace string) []v1alpha1.MFAAuditRecord {
	t.Helper()
	var out []v1alpha1.MFAAuditRecord
	var list v1alpha1.MFAAuditRecordList
	for {
		ok(t, cluster.client.List(t.Context(), &list, client.InNamespace(namespace), client.Limit(500), client.Continue(list.Continue)))
		out = append(out, list.Items...)
		if list.Continue == "" {
			return out
		}
	}
}

// follow checks the whole chain and returns its records by id.
func follow(t testing.TB, namespace string) map[string]audit.Record {
	t.Helper()
	var obj v1alpha1.MFALedger
	ok(t, cluster.client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: v1alpha1.LedgerName}, &obj))
	head := audit.Start(string(obj.UID))
	records := map[string]audit.Record{}
	for _, item := range batches(t, namespace) {
		b, err := ledger.FromObject(&item)
		ok(t, err)
		head, err = head.Follow(b)
		ok(t, err)
		ok(t, ledger.CheckDerived(&item))
		for _, r := range b.Records {
			records[r.ID] = r
		}
	}
	return records
}
