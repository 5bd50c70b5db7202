package sink

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"github.com/neosc/mfa-operator/internal/audit"
)

// Line is a record with its place in the ledger, as one line of JSON.
type Line struct {
	Namespace    string `json:"namespace"`
	Ledger       string `json:"ledger"`
	Batch        int64  `json:"batch"`
	Index        int    `json:"index"`
	Size         int    `json:"size"` // records in the batch
	Writer       string `json:"writer"`
	Nonce        string `json:"nonce"`
	PreviousHash string `json:"previousHash"`
	Hash         string `json:"hash"`

	Record audit.Record `json:"record"`
}

// Lines are the records of a batch.
func Lines(namespace string, b audit.Batch) []Line {
	lines := make([]Line, len(b.Records))
	for i, r := range b.Records {
		lines[i] = Line{
			Namespace: namespace, Ledger: b.Ledger, Batch: b.Sequence, Index: i, Size: len(b.Records),
			Writer: b.Writer, Nonce: b.Nonce, PreviousHash: b.PreviousHash, Hash: b.Hash, Record: r,
		}
	}
	return lines
}

// Envelope is the line's batch, without records.
func (l Line) Envelope() audit.Batch {
	return audit.Batch{
		Ledger: l.Ledger, Sequence: l.Batch, Writer: l.Writer, Nonce: l.Nonce, PreviousHash: l.PreviousHash, Hash: l.Hash,
	}
}

// JSONLines writes each record as a line of JSON.
type JSONLines struct {
	mu sync.Mutex
	to io.Writer
}

// NewJSONLines makes a sink that writes to w, one batch at a time.
func NewJSONLines(w io.Writer) *JSONLines { return &JSONLines{to: w} }

// Name implements ledger.Sink.
func (*JSONLines) Name() string { return "JSON lines" }

// Deliver implements ledger.Sink.
func (j *JSONLines) Deliver(_ context.Context, namespace string, b audit.Batch) error {
	var out []byte
	for _, line := range Lines(namespace, b) {
		data, err := json.Marshal(line)
		if err != nil {
			return fmt.Errorf("encoding record %s: %w", line.Record.ID, err)
		}
		out = append(append(out, data...), '\n')
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := j.to.Write(out); err != nil {
		return fmt.Errorf("writing batch %d: %w", b.Sequence, err)
	}
	return nil
}
