package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/ledger"
	"github.com/neosc/mfa-operator/internal/ledger/sink"
)

// filter says which records are wanted.
type filter struct {
	user, action, outcome string
	since                 time.Duration
	output                string
}

func (f *filter) flags(flags *pflag.FlagSet) {
	flags.StringVar(&f.user, "user", "", "only records whose subject or actor is this")
	flags.StringVar(&f.action, "action", "", "only records of this action, such as Verification")
	flags.StringVar(&f.outcome, "outcome", "", "only Succeeded, Failed, Throttled or Replayed")
	flags.DurationVar(&f.since, "since", 0, "only records younger than this, such as 1h30m")
	flags.StringVarP(&f.output, "output", "o", "table", "table or json; json prints one record per line")
}

func (f *filter) validate() error {
	if f.action != "" && audit.Action(f.action).Meaning() == "" {
		return fmt.Errorf("--action: there is no action %q; there are %v", f.action, audit.Actions())
	}
	if f.outcome != "" && !slices.Contains(audit.Outcomes(), audit.Outcome(f.outcome)) {
		return fmt.Errorf("--outcome: there is no outcome %q; there are %v", f.outcome, audit.Outcomes())
	}
	if f.since < 0 {
		return errors.New("--since must not be negative")
	}
	if f.output != "table" && f.output != "json" {
		return fmt.Errorf("--output must be table or json, got %q", f.output)
	}
	return nil
}

func (f *filter) wants(r audit.Record, now time.Time) bool {
	return (f.user == "" || r.Subject == f.user || r.Actor == f.user) &&
		(f.action == "" || string(r.Action) == f.action) &&
		(f.outcome == "" || string(r.Outcome) == f.outcome) &&
		(f.since == 0 || now.Sub(r.Time) <= f.since)
}

// printer prints the records of batches.
type printer struct {
	filter
	out    io.Writer
	header bool
	now    func() time.Time
}

func (p *printer) print(namespace string, b audit.Batch) error {
	table := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, line := range sink.Lines(namespace, b) {
		r := line.Record
		if !p.wants(r, p.now()) {
			continue
		}
		if p.output == "json" {
			data, err := json.Marshal(line)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(p.out, "%s\n", data); err != nil {
				return err
			}
			continue
		}
		if !p.header {
			p.header = true
			fmt.Fprintln(table, row("TIME", "ID", "ACTION", "OUTCOME", "REASON", "SUBJECT", "METHOD", "ACTOR", "SOURCE"))
		}
		fmt.Fprintln(table, row(r.Time.Format(time.RFC3339), r.ID, string(r.Action), string(r.Outcome), r.Reason,
			r.Subject, r.Method, r.Actor, r.SourceIP))
	}
	return table.Flush()
}

// row lays out one line. Widths are least widths, so that lines stand under each
// other also when they come one by one.
func row(time, id, action, outcome, reason, subject, method, actor, source string) string {
	dash := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	return strings.TrimRight(fmt.Sprintf("%-20s\t%-8s\t%-14s\t%-9s\t%-10s\t%-36s\t%-8s\t%-10s\t%s", time, id, action, outcome,
		dash(reason), subject, dash(method), dash(actor), dash(source)), " \t")
}

func list(ctx context.Context, args []string, stdout io.Writer) error {
	return show(ctx, "audit list", "Prints what is in the audit ledger of a namespace, oldest first.", args, stdout, false)
}

func follow(ctx context.Context, args []string, stdout io.Writer) error {
	return show(ctx, "audit follow", "Prints the audit ledger of a namespace, and what comes, until Ctrl-C.", args, stdout, true)
}

func show(ctx context.Context, name, what string, args []string, stdout io.Writer, onwards bool) error {
	var at where
	p := &printer{out: stdout, now: time.Now}
	flags := newFlags(name, what)
	at.flags(flags)
	p.flags(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := p.validate(); err != nil {
		return err
	}
	store, namespace, err := at.open()
	if err != nil {
		return err
	}
	start, err := ledger.Oldest(ctx, store, namespace)
	if err != nil {
		return err
	}
	if onwards {
		return ledger.Follow(ctx, store, namespace, start, func(b audit.Batch) error { return p.print(namespace, b) })
	}
	_, err = ledger.ReadAll(ctx, store, namespace, start, func(b audit.Batch) error { return p.print(namespace, b) })
	return err
}
