package mfaapi

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/onsi/gomega"
)

// denied are users who are denied, each for another reason: what is sent for
// whom.
type denied struct{ user, code string }

// denials makes users of every class; nobody is throttled by one more try.
func (w *world) denials() map[string]denied {
	w.t.Helper()
	for _, user := range []string{"wrong", "replayed", "nofactor"} {
		w.app.register(user)
	}
	s, _ := w.app.enrol("wrong")
	used := s.wrong(w)
	r, _ := w.app.enrol("replayed")
	return map[string]denied{
		"wrong": {"wrong", used}, "replayed": {"replayed", r.code(w, -1)}, "no factor": {"nofactor", used}, "nobody": {"nobody", used},
	}
}

// Whatever the reason, a denial has the same status, body and headers.
func TestDenialsHaveTheSameHeaders(t *testing.T) {
	w := newWorld(t)
	seen := map[string]string{}
	for class, d := range w.denials() {
		got := w.app.verify(d.user, "TOTP", d.code)
		w.Expect(got).To(beProblem(http.StatusForbidden), class)
		got.header.Del("X-Request-Id") // each its own
		got.header.Del("Date")
		names := slices.Sorted(maps.Keys(got.header))
		for i, name := range names {
			names[i] = name + ": " + strings.Join(got.header[name], ",")
		}
		seen[class] = got.raw + strings.Join(names, "\n")
	}
	for class, text := range seen {
		w.Expect(text).To(gomega.Equal(seen["wrong"]), class)
	}
}

// BenchmarkDenials measures how long a denial takes, by its reason, and prints the
// medians: nobody shall be able to tell a user from nobody by the clock. What the
// throttle would keep from being looked at is forgiven between two rounds.
func BenchmarkDenials(b *testing.B) {
	w := newWorld(b)
	classes := w.denials()
	order := slices.Sorted(maps.Keys(classes))
	took := map[string][]time.Duration{}
	for b.Loop() {
		for i := range order { // each class is first as often as last
			class := order[(i+len(took[order[0]]))%len(order)]
			d := classes[class]
			if class == "nobody" { // somebody new each time: there is nobody to forgive
				d.user = fmt.Sprintf("nobody-%06d", len(took[class]))
			}
			began := time.Now()
			got := w.app.verify(d.user, "TOTP", d.code)
			took[class] = append(took[class], time.Since(began))
			if got.status != http.StatusForbidden {
				b.Fatalf("%s: %d %s", class, got.status, got.raw)
			}
			if class == "wrong" || class == "no factor" {
				w.app.about(http.MethodDelete, d.user, "/lock", nil)
			}
		}
	}
	var out strings.Builder
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "denied because\ttimes\tp25 ms\tmedian ms\tp75 ms\t")
	for _, class := range order {
		all := slices.Sorted(slices.Values(took[class]))
		ms := func(share float64) float64 { return float64(all[int(share*float64(len(all)-1))].Microseconds()) / 1000 }
		fmt.Fprintf(table, "%s\t%d\t%.2f\t%.2f\t%.2f\t\n", class, len(all), ms(0.25), ms(0.5), ms(0.75))
		b.ReportMetric(ms(0.5), strings.ReplaceAll(class, " ", "-")+"-median-ms")
	}
	if err := table.Flush(); err != nil {
		b.Fatal(err)
	}
	b.Logf("\n%s", out.String())
}
