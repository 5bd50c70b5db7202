// Package metrics holds what is written about metrics to what the processes measure:
// the reference, the alerts, and the dashboard.
package metrics

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/yaml"

	"github.com/neosc/mfa-operator/internal/controlplane"
	"github.com/neosc/mfa-operator/internal/metrics"
)

// measured is one family as its collector describes it.
type measured struct {
	kind, help string
	labels     []string
	processes  []string
}

var described = regexp.MustCompile(`fqName: "([^"]+)", help: "([^"]*)", unit: "", constLabels: \{\}, variableLabels: \{([^}]*)\}`)

// registry is all that the processes measure, by name.
func registry(t *testing.T) map[string]*measured {
	t.Helper()
	found := map[string]*measured{}
	for process, all := range map[string][]prometheus.Collector{"manager": metrics.Manager(), "webhook": metrics.Webhook()} {
		for _, c := range all {
			descs := make(chan *prometheus.Desc, 64)
			c.Describe(descs)
			close(descs)
			for d := range descs {
				m := described.FindStringSubmatch(d.String())
				if m == nil {
					t.Fatalf("%s cannot be read; has the library changed how it is written?", d)
				}
				f := found[m[1]]
				if f == nil {
					f = &measured{kind: kindOf(c), help: m[2]}
					if m[3] != "" {
						f.labels = strings.Split(m[3], ",")
					}
					found[m[1]] = f
				}
				f.processes = append(f.processes, process)
			}
		}
	}
	if len(found) < 20 {
		t.Fatalf("only %d families", len(found))
	}
	return found
}

func kindOf(c prometheus.Collector) string {
	switch c.(type) {
	case *prometheus.CounterVec:
		return "counter"
	case *prometheus.HistogramVec, prometheus.Histogram:
		return "histogram"
	case *metrics.Standings, prometheus.Gauge:
		return "gauge" // a Counter is a Gauge's subset, so it does not come here
	case prometheus.Counter:
		return "counter"
	}
	return "unknown"
}

// The reference has a row for each family, and no other.
func TestTheReferenceNamesEveryMetric(t *testing.T) {
	const page = "docs/reference/metrics.md"
	var rows []string
	for name, m := range registry(t) {
		slices.Sort(m.processes)
		labels := "–"
		if len(m.labels) > 0 {
			labels = "`" + strings.Join(m.labels, "`, `") + "`"
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s | %s |", name, m.kind, labels, strings.Join(m.processes, ", "), strings.TrimSuffix(m.help, ".")))
	}
	slices.Sort(rows)
	have := regexp.MustCompile("(?m)^\\| `mfa_.*$").FindAllString(read(t, page), -1)
	slices.Sort(have)
	if !slices.Equal(have, rows) {
		t.Errorf("%s must have exactly these rows:\n%s", page, strings.Join(rows, "\n"))
	}
}

// alert is a rule as Prometheus reads it.
type alert struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

type group struct {
	Name  string  `json:"name"`
	Rules []alert `json:"rules"`
}

func alerts(t *testing.T) []group {
	t.Helper()
	var rule struct {
		Spec struct {
			Groups []group `json:"groups"`
		} `json:"spec"`
		APIVersion, Kind string
		Metadata         map[string]any
	}
	if err := yaml.UnmarshalStrict([]byte(read(t, "config/prometheus/alerts.yaml")), &rule); err != nil {
		t.Fatal(err)
	}
	return rule.Spec.Groups
}

// Every alert says how bad it is and leads to its entry in the runbook, and every entry
// is an alert's.
func TestEveryAlertLeadsToTheRunbook(t *testing.T) {
	var names []string
	for _, g := range alerts(t) {
		for _, a := range g.Rules {
			names = append(names, a.Alert)
			if s := a.Labels["severity"]; s != "critical" && s != "warning" {
				t.Errorf("%s: severity %q", a.Alert, s)
			}
			want := "https://github.com/neosc/mfa-operator/blob/main/docs/runbook.md#" + strings.ToLower(a.Alert)
			if a.Annotations["runbook_url"] != want {
				t.Errorf("%s leads to %q, want %s", a.Alert, a.Annotations["runbook_url"], want)
			}
			if a.Annotations["summary"] == "" || a.Annotations["description"] == "" {
				t.Errorf("%s does not say what it means", a.Alert)
			}
		}
	}
	var entries []string
	for _, h := range regexp.MustCompile(`(?m)^### (MFA\w+)$`).FindAllStringSubmatch(read(t, "docs/runbook.md"), -1) {
		entries = append(entries, h[1])
	}
	slices.Sort(names)
	slices.Sort(entries)
	if !slices.Equal(names, entries) {
		t.Errorf("the alerts are\n%s\nthe entries of the runbook\n%s", names, entries)
	}
}

// What promtool has to say of the alerts: they parse, and fire when they should and not
// otherwise. So do the queries of the dashboard, made rules.
func TestPrometheusTakesAlertsAndDashboard(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, v any) {
		t.Helper()
		text, err := yaml.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tested := alerts(t)
	for _, g := range tested {
		for i := range g.Rules { // the rest of the annotations is the same in each test
			g.Rules[i].Annotations = map[string]string{"summary": g.Rules[i].Annotations["summary"]}
		}
	}
	write("alerts.yaml", map[string]any{"groups": tested})
	type recording struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var queries []recording
	for i, q := range dashboard(t) {
		queries = append(queries, recording{fmt.Sprintf("dashboard:%d", i), strings.ReplaceAll(q, "$__rate_interval", "5m")})
	}
	write("dashboard.yaml", map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": queries}}})
	if err := os.WriteFile(filepath.Join(dir, "test.yaml"), []byte(read(t, "test/metrics/testdata/alerts.yaml")), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"check", "rules", "--lint-fatal", "alerts.yaml", "dashboard.yaml"},
		{"test", "rules", "test.yaml"},
	} {
		run := exec.CommandContext(t.Context(), promtool(t), args...)
		run.Dir = dir
		if out, err := run.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	tests := read(t, "test/metrics/testdata/alerts.yaml")
	for _, a := range alerts(t)[0].Rules {
		if strings.Count(tests, "alertname: "+a.Alert+"\n") < 2 {
			t.Errorf("no test has %s fire, and not fire", a.Alert)
		}
	}
}

// ours finds the metrics of ours in a query.
var ours = regexp.MustCompile(`\bmfa_[a-z_]+\b`)

// Alerts and dashboard name only what is measured.
func TestQueriesNameWhatIsMeasured(t *testing.T) {
	known := registry(t)
	family := func(name string) string {
		for _, suffix := range []string{"", "_bucket", "_count", "_sum"} {
			base := strings.TrimSuffix(name, suffix)
			if m := known[base]; m != nil && (suffix == "" || m.kind == "histogram") {
				return base
			}
		}
		return ""
	}
	queries := dashboard(t)
	for _, g := range alerts(t) {
		for _, a := range g.Rules {
			queries = append(queries, a.Expr)
		}
	}
	label := regexp.MustCompile(`[{,]\s*([a-z]+)\s*(?:=~|!~|!=|=)`)
	grouped := regexp.MustCompile(`by \(([^)]*)\)`)
	for _, q := range queries {
		labels := map[string]bool{"le": true}
		for _, name := range ours.FindAllString(q, -1) {
			base := family(name)
			if base == "" {
				t.Errorf("%s, which nobody measures, is in %s", name, q)
				continue
			}
			for _, l := range known[base].labels {
				labels[l] = true
			}
		}
		var asked []string
		for _, m := range label.FindAllStringSubmatch(q, -1) {
			asked = append(asked, m[1])
		}
		for _, m := range grouped.FindAllStringSubmatch(q, -1) {
			asked = append(asked, regexp.MustCompile(`\w+`).FindAllString(m[1], -1)...)
		}
		for _, l := range asked {
			if !labels[l] {
				t.Errorf("no metric has the label %s, which is in %s", l, q)
			}
		}
	}
}

// dashboard lists the queries of the dashboard.
func dashboard(t *testing.T) []string {
	t.Helper()
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "config/prometheus/dashboard.json")), &d); err != nil {
		t.Fatal(err)
	}
	var queries []string
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			queries = append(queries, target.Expr)
		}
	}
	if len(queries) < 10 {
		t.Fatalf("the dashboard has only %d queries", len(queries))
	}
	return queries
}

// promtool is built by "make tools". A test of rules that is silently skipped is none.
func promtool(t *testing.T) string {
	t.Helper()
	root, err := controlplane.Root()
	if err != nil {
		t.Fatal(err)
	}
	if path := filepath.Join(root, "bin", "tools", "promtool"); exists(path) {
		return path
	}
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal(`there is no promtool in bin/tools or in the PATH; run "make tools"`)
	}
	return path
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func read(t *testing.T, path string) string {
	t.Helper()
	root, err := controlplane.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
