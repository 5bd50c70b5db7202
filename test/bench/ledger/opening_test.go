package ledger

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/ledger"
	"github.com/neosc/mfa-operator/test/harness"
)

// full is what a ledger holds before retention takes from it.
const full = 64 << 20

// BenchmarkOpening fills a ledger and opens it: first all of it, then what came
// after a checkpoint. Reading batch after batch, with nothing ahead, is beside it.
func BenchmarkOpening(b *testing.B) {
	c, err := harness.StartCluster(harness.Durable)
	ok(b, err)
	b.Cleanup(func() { ok(b, c.Stop()) })
	ok(b, c.Client.Create(b.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "full"}}))
	start := func(writer string) (*ledger.Ledgers[bool, audit.Record], func()) {
		l, err := ledger.New(ledger.Config{REST: c.Env.Config, Writer: writer, Patience: time.Minute}, claims{})
		ok(b, err)
		ctx, stop := context.WithCancel(b.Context())
		ended := make(chan error, 1)
		go func() { ended <- l.Start(ctx) }()
		<-l.Started()
		return l, func() { stop(); ok(b, <-ended) }
	}
	writer, end := start("writer")
	defer end()
	head := func() (h audit.Head) {
		ok(b, writer.Head(b.Context(), "full", func(at audit.Head) { h = at }))
		return h
	}
	n := 0
	grow := func(callers, each int) {
		group, ctx := errgroup.WithContext(b.Context())
		for c := range callers {
			from := n
			group.Go(func() error {
				for i := range each {
					if _, err := writer.Append(ctx, "full", record(c, from+i)); err != nil {
						return err
					}
				}
				return nil
			})
		}
		ok(b, group.Wait())
		n += each
	}
	for range b.N {
		var out strings.Builder
		w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "what\tbatches read\tms\tms per batch\t")
		line := func(what string, batches int64, took time.Duration) {
			ms := float64(took.Microseconds()) / 1000
			fmt.Fprintf(w, "%s\t%d\t%.0f\t%.2f\t\n", what, batches, ms, ms/float64(max(batches, 1)))
		}
		open := func(what string, batches int64) {
			l, end := start("reader")
			defer end()
			began := time.Now()
			ok(b, l.Head(b.Context(), "full", func(audit.Head) {}))
			line(what, batches, time.Since(began))
		}

		store, err := ledger.NewStore(c.Env.Config, nil)
		ok(b, err)
		var all int64
		for stored := 0; stored < full; all = head().Sequence {
			grow(256, 64)
			ok(b, read(b.Context(), store, all, head().Sequence, func(bytes int) { stored += bytes }))
		}
		open("everything, 64 MiB", all)
		began := time.Now()
		ok(b, read(b.Context(), store, 0, all, func(int) {}))
		line("the same, one after the other", all, time.Since(began))
		_, err = writer.Keep(b.Context(), "full")
		ok(b, err)
		open("a checkpoint", 0)
		for _, tail := range []int{64, 192} {
			before := head().Sequence
			grow(1, tail)
			open(fmt.Sprintf("and %d batches more", head().Sequence-before), head().Sequence-all)
		}
		ok(b, w.Flush())
		b.Logf("\n%s", out.String())
	}
}

// read reads batches by name, one after the other, and tells how much is in each.
func read(ctx context.Context, store ledger.Store, after, last int64, got func(bytes int)) error {
	for s := after + 1; s <= last; s++ {
		batch, err := store.Batch(ctx, "full", s)
		if err != nil {
			return err
		}
		bytes := 0
		for _, text := range ledger.ToObject("full", batch).Spec.Records {
			bytes += len(text)
		}
		got(bytes)
	}
	return nil
}
