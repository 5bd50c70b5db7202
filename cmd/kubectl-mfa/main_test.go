package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/ledger/sink"
)

// exported is what the JSON lines sink writes of n batches.
func exported(t *testing.T, n int) (lines []string, end audit.Head) {
	t.Helper()
	var out bytes.Buffer
	to := sink.NewJSONLines(&out)
	end = audit.Start("uid")
	for i := range n {
		b := audit.Batch{Ledger: "uid", Writer: "w", Nonce: strings.Repeat("N", 26), Records: []audit.Record{
			{
				Action: audit.Verification, Outcome: audit.Succeeded, Subject: "alice", Method: "TOTP", Claim: fmt.Sprint(i),
				Details: []audit.Detail{{Name: "counter", Value: "7"}}, Origin: &audit.Origin{Aggregate: "a", Sequence: int64(i + 1)},
			},
			{Action: audit.UserLocked, Outcome: audit.Succeeded, Subject: "bob"},
		}}
		b.Seal(end, time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC))
		if err := to.Deliver(t.Context(), "shop", b); err != nil {
			t.Fatal(err)
		}
		end = b.Head()
	}
	return strings.SplitAfter(strings.TrimSpace(out.String()), "\n"), end
}

func TestVerifyFile(t *testing.T) {
	lines, end := exported(t, 4)
	swap := func(old, new string, at int) func([]string) []string {
		return func(l []string) []string { l[at] = strings.Replace(l[at], old, new, 1); return l }
	}
	keep := func(l []string) []string { return l }
	head := fmt.Sprintf("--head=%d:%s", end.Sequence, end.Hash)
	for _, c := range []struct {
		reason string
		change func([]string) []string
		args   []string
		intact bool
	}{
		{"as exported", keep, nil, true},
		{"up to the end that was noted", keep, []string{head}, true},
		{"a batch that was sent twice", func(l []string) []string { return append(append(l[:4:4], l[2:4]...), l[4:]...) }, nil, true},
		{"from the middle on", func(l []string) []string { return l[4:] }, nil, true},
		{"a record was changed", swap("alice", "carol", 2), nil, false},
		{"a record was removed", func(l []string) []string { return append(l[:3:3], l[4:]...) }, nil, false},
		{"a batch was removed", func(l []string) []string { return append(l[:2:2], l[4:]...) }, nil, false},
		{"records changed places", func(l []string) []string { l[2], l[3] = l[3], l[2]; return l }, nil, false},
		{"a record was inserted", func(l []string) []string { return append(append(l[:3:3], l[2]), l[3:]...) }, nil, false},
		{"a batch came again, and was changed", func(l []string) []string {
			return append(append(l[:4:4], strings.Replace(l[2], "alice", "carol", 1), l[3]), l[4:]...)
		}, nil, false},
		{"the end was cut off, and had been noted", func(l []string) []string { return l[:6] }, []string{head}, false},
		{"another end than was noted", keep, []string{fmt.Sprintf("--head=%d:%s", end.Sequence, strings.Repeat("0", 64))}, false},
	} {
		t.Run(c.reason, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.jsonl")
			fresh := append([]string(nil), lines...)
			if err := os.WriteFile(path, []byte(strings.Join(c.change(fresh), "")), 0o600); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			err := run(t.Context(), append([]string{"audit", "verify", "--file", path}, c.args...), nil, &out)
			if c.intact && (err != nil || !strings.HasPrefix(out.String(), "Intact: ")) || !c.intact && !errors.Is(err, errNotIntact) {
				t.Errorf("%v: %s", err, out.String())
			}
		})
	}
}

func TestVerifySaysWhereItEnds(t *testing.T) {
	lines, end := exported(t, 3)
	var out bytes.Buffer
	if err := run(t.Context(), []string{"audit", "verify", "-f", "-"}, strings.NewReader(strings.Join(lines, "")), &out); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("Intact: batches 1 to 3, 6 records.\nKeep this: --head=3:%s\n", end.Hash)
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestWhatIsPrinted(t *testing.T) {
	b := audit.Batch{Ledger: "uid", Records: []audit.Record{
		{Action: audit.Verification, Outcome: audit.Failed, Reason: "WrongCode", Subject: "alice", Actor: "shop", SourceIP: "192.0.2.1"},
		{Action: audit.UserLocked, Outcome: audit.Succeeded, Subject: "alice"},
		{Action: audit.Verification, Outcome: audit.Succeeded, Subject: "bob"},
	}}
	now := time.Date(2025, 2, 22, 22, 0, 0, 0, time.UTC) // no part of it looks like an id
	b.Seal(audit.Start("uid"), now.Add(-time.Hour))
	for _, c := range []struct {
		reason string
		filter filter
		want   []string
	}{
		{"all", filter{}, []string{"1-0", "1-1", "1-2"}},
		{"of a user", filter{user: "alice"}, []string{"1-0", "1-1"}},
		{"by an actor", filter{user: "shop"}, []string{"1-0"}},
		{"an action", filter{action: "Verification"}, []string{"1-0", "1-2"}},
		{"an outcome", filter{outcome: "Failed"}, []string{"1-0"}},
		{"too old", filter{since: 30 * time.Minute}, nil},
		{"young enough", filter{since: 2 * time.Hour, outcome: "Failed"}, []string{"1-0"}},
	} {
		for _, output := range []string{"table", "json"} {
			var out bytes.Buffer
			p := printer{filter: c.filter, out: &out, now: func() time.Time { return now }}
			p.output = output
			if err := p.print("shop", b); err != nil {
				t.Fatal(err)
			}
			var got []string
			for line := range strings.Lines(out.String()) {
				for _, id := range []string{"1-0", "1-1", "1-2"} {
					if strings.Contains(line, id) {
						got = append(got, id)
					}
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("%s, %s: got %v, want %v", c.reason, output, got, c.want)
			}
		}
	}
}

func TestWrongCommandLines(t *testing.T) {
	for _, args := range [][]string{
		{"audit"}, {"users"}, {"audit", "burn"}, {"audit", "list", "--action", "Bake"}, {"audit", "list", "--outcome", "Perhaps"},
		{"audit", "list", "-o", "yaml"}, {"audit", "verify", "--head", "12"}, {"audit", "list", "--since", "-1h"},
	} {
		if err := run(t.Context(), args, nil, &bytes.Buffer{}); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}
