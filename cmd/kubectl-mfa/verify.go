package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/ledger"
	"github.com/neosc/mfa-operator/internal/ledger/sink"
)

// errNotIntact: the ledger does not hold together.
var errNotIntact = errors.New("not intact")

func verify(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	var (
		at         where
		file, head string
	)
	flags := newFlags("audit verify", `Checks that the audit ledger of a namespace is intact: that no record has been changed, inserted, put elsewhere or
removed. Prints where the ledger ends; keep that outside of the cluster, and give it back with --head: then it is seen
too if the end is cut off. Exits 3 if the ledger is not intact.`)
	at.flags(flags)
	flags.StringVarP(&file, "file", "f", "", "check exported JSON lines in this file instead, - for standard input")
	flags.StringVar(&head, "head", "", "a batch known to have been there, as <sequence>:<hash>")
	if err := flags.Parse(args); err != nil {
		return err
	}
	known, err := parseHead(head)
	if err != nil {
		return err
	}
	found := func(b audit.Batch) error {
		if b.Sequence == known.Sequence && b.Hash != known.Hash {
			return fmt.Errorf("%w: batch %d has the hash %s, it had %s", audit.ErrBroken, b.Sequence, b.Hash, known.Hash)
		}
		return nil
	}
	var result outcome
	if file != "" {
		result, err = verifyFile(file, stdin, found)
	} else {
		result, err = verifyCluster(ctx, &at, found)
	}
	if err == nil && known.Sequence > result.end.Sequence {
		err = fmt.Errorf("%w: it ends with batch %d, but batch %d was there", audit.ErrBroken, result.end.Sequence, known.Sequence)
	}
	if errors.Is(err, audit.ErrBroken) {
		fmt.Fprintf(stdout, "NOT INTACT: %v\nUp to batch %d everything is in order.\n", err, result.end.Sequence)
		return errNotIntact
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "Intact: batches %d to %d, %d records.\n", result.first, result.end.Sequence, result.records)
	if known.Sequence > 0 && known.Sequence < result.first {
		fmt.Fprintf(stdout, "Batch %d, given by --head, has been removed by retention.\n", known.Sequence)
	}
	fmt.Fprintf(stdout, "Keep this: --head=%d:%s\n", result.end.Sequence, result.end.Hash)
	return nil
}

// outcome is how far a ledger is in order.
type outcome struct {
	first   int64 // sequence of the oldest batch
	end     audit.Head
	records int
}

func (o *outcome) add(b audit.Batch) {
	if o.first == 0 {
		o.first = b.Sequence
	}
	o.end = b.Head()
	o.records += len(b.Records)
}

func parseHead(text string) (audit.Head, error) {
	if text == "" {
		return audit.Head{}, nil
	}
	sequence, hash, _ := strings.Cut(text, ":")
	n, err := strconv.ParseInt(sequence, 10, 64)
	if err != nil || n < 1 || len(hash) != 64 {
		return audit.Head{}, fmt.Errorf("--head must be <sequence>:<hash> as printed by verify, got %q", text)
	}
	return audit.Head{Sequence: n, Hash: hash}, nil
}

func verifyCluster(ctx context.Context, at *where, found func(audit.Batch) error) (outcome, error) {
	var result outcome
	store, namespace, err := at.open()
	if err != nil {
		return result, err
	}
	start, err := ledger.Oldest(ctx, store, namespace)
	if err != nil {
		return result, err
	}
	result.end = start
	end, err := ledger.ReadAll(ctx, store, namespace, start, func(b audit.Batch) error {
		if err := found(b); err != nil {
			return err
		}
		result.add(b)
		return nil
	})
	if err != nil {
		return result, err
	}
	result.end = end
	return result, nil
}

// verifyFile checks exported lines. Batches may come again, as after an
// interruption; what comes first counts, and what comes again must be the same.
func verifyFile(path string, stdin io.Reader, found func(audit.Batch) error) (outcome, error) {
	var result outcome
	in := stdin
	if path != "-" {
		f, err := os.Open(path) //nolint:gosec // The file that whoever runs this names.
		if err != nil {
			return result, err
		}
		defer func() { _ = f.Close() }() // nothing was written
		in = f
	}
	var batch audit.Batch
	var want int
	complete := func() error {
		if batch.Sequence == 0 {
			return nil
		}
		if len(batch.Records) != want {
			return fmt.Errorf("%w: batch %d has %d records, it should have %d", audit.ErrBroken, batch.Sequence, len(batch.Records), want)
		}
		if batch.Sequence <= result.end.Sequence {
			if batch.Sum() != batch.Hash {
				return fmt.Errorf("%w: batch %d comes again and was changed", audit.ErrBroken, batch.Sequence)
			}
			return nil
		}
		if result.first == 0 { // what came before is not here
			result.end = audit.Head{Ledger: batch.Ledger, Sequence: batch.Sequence - 1, Hash: batch.PreviousHash}
			if batch.Sequence == 1 {
				result.end = audit.Start(batch.Ledger)
			}
		}
		if _, err := result.end.Follow(batch); err != nil {
			return err
		}
		if err := found(batch); err != nil {
			return err
		}
		result.add(batch)
		return nil
	}
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, 1<<20)
	for n := 1; scanner.Scan(); n++ {
		var line sink.Line
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			return result, fmt.Errorf("line %d: %w", n, err)
		}
		if line.Batch != batch.Sequence || line.Index == 0 {
			if err := complete(); err != nil {
				return result, err
			}
			batch, want = line.Envelope(), line.Size
		}
		batch.Records = append(batch.Records, line.Record)
	}
	if err := scanner.Err(); err != nil {
		return result, err
	}
	return result, complete()
}
