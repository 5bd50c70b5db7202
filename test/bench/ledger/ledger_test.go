// Package ledger measures how many records a ledger takes, against what the
// API server and etcd under it do by themselves in the same run: a real
// kube-apiserver, and an etcd that waits for the disk.
package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/prometheus/procfs"
	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/ledger"
	"github.com/neosc/mfa-operator/test/bench/load"
	"github.com/neosc/mfa-operator/test/harness"
)

// result is one line of bench/ledger.json.
type result struct {
	Name      string  `json:"name"`
	Replicas  int     `json:"replicas,omitempty"`
	Callers   int     `json:"callers"`
	PerSecond float64 `json:"perSecond"`
	P50ms     float64 `json:"p50ms"`
	P99ms     float64 `json:"p99ms"`
	// Ratio is to api-create at the same number of callers.
	Ratio float64 `json:"ratio,omitempty"`
	// PerBatch is how many records an object got.
	PerBatch float64 `json:"perBatch,omitempty"`
	// DiskBytes is what etcd's process wrote to disk for each record.
	DiskBytes float64 `json:"diskBytesPerRecord,omitempty"`
}

const (
	etcdCreate   = "etcd-create-if-absent"
	apiCreate    = "api-create"
	ledgerAppend = "ledger-append"
)

// atLeast are the targets: the ratio of one replica to the API server's own
// rate, by callers.
var atLeast = map[int]float64{1: 0.8, 16: 4, 64: 10, 256: 20}

var callerCounts = []int{1, 16, 64, 256}

// BenchmarkLedger runs everything once, prints a table and, if BENCH_JSON names
// a file, writes it there.
func BenchmarkLedger(b *testing.B) {
	c, err := harness.StartCluster(harness.Durable)
	ok(b, err)
	b.Cleanup(func() { ok(b, c.Stop()) })
	s := &scene{env: c.Env, kube: c.Client, etcd: etcdProcess(b)}

	for range b.N {
		// What is compared is measured right after each other: a machine that does
		// other things besides does not do the same all the time.
		var results []result
		for _, callers := range callerCounts {
			results = append(results, s.rawEtcd(b, callers))
			raw := s.rawAPI(b, callers)
			results = append(results, raw)
			for _, replicas := range []int{1, 3} {
				r := s.append(b, replicas, callers)
				r.Ratio = load.Round(r.PerSecond / raw.PerSecond)
				results = append(results, r)
			}
		}
		show(b, results)
		if path := os.Getenv("BENCH_JSON"); path != "" {
			data, err := json.MarshalIndent(results, "", "  ")
			ok(b, err)
			ok(b, os.WriteFile(path, append(data, '\n'), 0o644))
		}
	}
}

type scene struct {
	env  *envtest.Environment
	kube client.Client
	etcd procfs.Proc
	n    atomic.Int64
}

func (s *scene) namespace(b *testing.B) string {
	name := fmt.Sprint("bench-", s.n.Add(1))
	ok(b, s.kube.Create(b.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	return name
}

// measure is load.Measure, as a line of the table.
func measure(b *testing.B, name string, callers int, do func(ctx context.Context, caller, n int) error) result {
	b.Helper()
	f := load.Measure(b, name, callers, do)
	return result{Name: name, Callers: callers, PerSecond: f.PerSecond, P50ms: f.P50ms, P99ms: f.P99ms}
}

// record is a verification as the MFA API records it.
func record(caller, n int) audit.Record {
	return audit.Record{
		Action: audit.Verification, Outcome: audit.Succeeded, Subject: fmt.Sprintf("6f1c2a4e-9d5b-4c1e-8f6a-%012d", caller),
		Actor: "system:serviceaccount:shop:checkout", Method: "TOTP", Claim: fmt.Sprintf("totp/%08d/%d", caller, n),
		Policy: "neosc-system/pol-mfa-required", SourceIP: "192.0.2.17", UserAgent: "checkout/2.4",
	}
}

// rawEtcd writes one record per key, if the key is not there.
func (s *scene) rawEtcd(b *testing.B, callers int) result {
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{s.env.ControlPlane.Etcd.URL.String()}, DialTimeout: 5 * time.Second})
	ok(b, err)
	defer func() { ok(b, etcd.Close()) }()
	prefix := fmt.Sprint("/bench/", s.n.Add(1), "/")
	return measure(b, etcdCreate, callers, func(ctx context.Context, caller, n int) error {
		key := fmt.Sprint(prefix, caller, "/", n)
		value, err := json.Marshal(ledger.ToObject("bench", batch("etcd", 1, record(caller, n))))
		if err != nil {
			return err
		}
		answer, err := etcd.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
			Then(clientv3.OpPut(key, string(value))).Commit()
		if err == nil && !answer.Succeeded {
			err = errors.New("the key is there")
		}
		return err
	})
}

// rawAPI creates one object per record, each under a name of its own.
func (s *scene) rawAPI(b *testing.B, callers int) result {
	store, err := ledger.NewStore(s.env.Config, nil)
	ok(b, err)
	namespace := s.namespace(b)
	var sequence atomic.Int64
	return measure(b, apiCreate, callers, func(ctx context.Context, caller, n int) error {
		return store.Create(ctx, namespace, batch("raw", sequence.Add(1), record(caller, n)))
	})
}

func batch(writer string, sequence int64, records ...audit.Record) audit.Batch {
	b := audit.Batch{Ledger: "6f1c2a4e-9d5b-4c1e-8f6a-3b7d9e0c1a2f", Writer: writer, Nonce: "ABCDEFGHIJKLMNOPQRSTUVWXYZ", Records: records}
	b.Seal(audit.Head{Sequence: sequence - 1, Hash: audit.Genesis("bench")}, time.Now().UTC())
	return b
}

// append has callers, spread over replicas, append to one ledger.
func (s *scene) append(b *testing.B, replicas, callers int) result {
	namespace := s.namespace(b)
	all := make([]*ledger.Ledgers[bool, audit.Record], replicas)
	ctx, stop := context.WithCancel(b.Context())
	var ended sync.WaitGroup
	defer ended.Wait()
	defer stop()
	for i := range all {
		l, err := ledger.New(ledger.Config{REST: s.env.Config, Writer: fmt.Sprint("replica-", i), Patience: time.Minute}, claims{})
		ok(b, err)
		ended.Go(func() {
			if err := l.Start(ctx); err != nil {
				b.Error(err)
			}
		})
		<-l.Started()
		all[i] = l
	}
	before := written(b, s.etcd)
	var records atomic.Int64
	r := measure(b, ledgerAppend, callers, func(ctx context.Context, caller, n int) error {
		got, err := all[caller%replicas].Append(ctx, namespace, record(caller, n))
		if err == nil && (len(got) != 1 || got[0].Outcome != audit.Succeeded) {
			err = fmt.Errorf("a claim nobody else makes: %+v", got)
		}
		records.Add(1)
		return err
	})
	r.Replicas = replicas
	r.DiskBytes = load.Round(float64(written(b, s.etcd)-before) / float64(records.Load()))
	var head int64
	ok(b, all[0].Head(ctx, namespace, func(h audit.Head) { head = h.Sequence }))
	r.PerBatch = load.Round(float64(records.Load()) / float64(head))
	return r
}

// claims is a fold in which every claim may be used once.
type claims struct{}

func (claims) Check(state audit.State[bool], r audit.Record, _ time.Time) ([]audit.Record, error) {
	if state.Get(r.Claim) {
		r.Outcome, r.Claim = audit.Replayed, ""
	}
	return []audit.Record{r}, nil
}

func (claims) Apply(state audit.Entries[bool], r audit.Record) {
	if r.Claim != "" {
		state.Set(r.Claim, true)
	}
}

func (claims) Expired(string, bool, time.Time) bool { return false }

// etcdProcess finds the etcd that this process has started.
func etcdProcess(b *testing.B) procfs.Proc {
	if runtime.GOOS != "linux" {
		b.Skip("what etcd writes is read from /proc")
	}
	_, started := load.Processes(b)
	i := slices.IndexFunc(started, func(p procfs.ProcStat) bool { return p.Comm == "etcd" })
	if i < 0 {
		b.Fatal("no etcd found")
	}
	etcd, err := procfs.NewProc(started[i].PID)
	ok(b, err)
	return etcd
}

// written is how many bytes a process has had written to disk.
func written(b *testing.B, p procfs.Proc) uint64 {
	io, err := p.IO()
	ok(b, err)
	return io.WriteBytes
}

// show prints the table, with the targets beside it, and says which are missed.
func show(b *testing.B, results []result) {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "what\treplicas\tcallers\tper second\tp50 ms\tp99 ms\tof api-create\ttarget\trecords/batch\tdisk B/record\t")
	for _, r := range results {
		ratio, target, perBatch, disk := "", "", "", ""
		if r.Name == ledgerAppend {
			ratio, perBatch, disk = fmt.Sprintf("%.1f", r.Ratio), fmt.Sprintf("%.1f", r.PerBatch), fmt.Sprintf("%.0f", r.DiskBytes)
			if r.Replicas == 1 {
				target = fmt.Sprintf("≥ %.1f", atLeast[r.Callers])
				if r.Ratio < atLeast[r.Callers] {
					target += " MISSED"
				}
			}
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%.0f\t%.1f\t%.1f\t%s\t%s\t%s\t%s\t\n",
			r.Name, r.Replicas, r.Callers, r.PerSecond, r.P50ms, r.P99ms, ratio, target, perBatch, disk)
	}
	ok(b, w.Flush())
	load, err := os.ReadFile("/proc/loadavg")
	ok(b, err)
	b.Logf("%d CPUs, load %s\n%s", runtime.NumCPU(), strings.TrimSpace(string(load)), out.String())
}

func ok(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
