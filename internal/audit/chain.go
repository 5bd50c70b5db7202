package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"time"
)

// TimeLayout is how times are written in the ledger and hashed: UTC, RFC 3339
// with six digits.
const TimeLayout = "2006-01-02T15:04:05.000000Z"

// The first field of what is hashed says what it is, and in which form.
const (
	genesisForm = "neosc-mfa-ledger/1"
	batchForm   = "neosc-mfa-batch/1"
)

// Genesis is the hash that the first batch of a ledger follows.
func Genesis(ledger string) string {
	h := newHasher()
	h.text(genesisForm)
	h.text(ledger)
	return h.sum()
}

// Sum computes the hash of the batch: SHA-256, in hexadecimal, over the
// netstrings (length in bytes, colon, bytes, comma) of, in this order:
// neosc-mfa-batch/1, ledger, sequence, writer, nonce, previousHash, the number
// of records and, for each, time, id, action, outcome, reason, actor, subject,
// method, claim, policy, session, sourceIP, userAgent, origin.aggregate,
// origin.sequence, the number of details and, for each, name, old, value.
// Numbers are decimal; what is not set is the empty string, or 0.
func (b Batch) Sum() string {
	h := newHasher()
	h.text(batchForm)
	h.text(b.Ledger)
	h.number(b.Sequence)
	h.text(b.Writer)
	h.text(b.Nonce)
	h.text(b.PreviousHash)
	h.number(int64(len(b.Records)))
	for _, r := range b.Records {
		h.time(r.Time)
		h.text(r.ID)
		h.text(string(r.Action))
		h.text(string(r.Outcome))
		h.text(r.Reason)
		h.text(r.Actor)
		h.text(r.Subject)
		h.text(r.Method)
		h.text(r.Claim)
		h.text(r.Policy)
		h.text(r.Session)
		h.text(r.SourceIP)
		h.text(r.UserAgent)
		var origin Origin
		if r.Origin != nil {
			origin = *r.Origin
		}
		h.text(origin.Aggregate)
		h.number(origin.Sequence)
		h.number(int64(len(r.Details)))
		for _, d := range r.Details {
			h.text(d.Name)
			h.text(d.Old)
			h.text(d.Value)
		}
	}
	return h.sum()
}

type hasher struct {
	hash hash.Hash
	buf  []byte
}

func newHasher() *hasher { return &hasher{hash: sha256.New()} }

func (h *hasher) text(s string) {
	h.buf = strconv.AppendInt(h.buf[:0], int64(len(s)), 10)
	h.buf = append(h.buf, ':')
	h.buf = append(h.buf, s...)
	h.buf = append(h.buf, ',')
	h.hash.Write(h.buf)
}

func (h *hasher) number(n int64)   { h.text(strconv.FormatInt(n, 10)) }
func (h *hasher) time(t time.Time) { h.text(t.UTC().Format(TimeLayout)) }
func (h *hasher) sum() string      { return hex.EncodeToString(h.hash.Sum(nil)) }

// ErrBroken is what every error of Follow is: the ledger has been tampered
// with, or a writer is defective.
var ErrBroken = errors.New("the ledger's chain is broken")

// ErrSink is the error of whoever keeps a ledger when a sink does not take what
// it is sent. Nothing is lost by that, but nothing can be removed either.
var ErrSink = errors.New("a sink does not take the audit records")

// Follow checks that a batch follows the head, and returns the new head.
func (h Head) Follow(b Batch) (Head, error) {
	broken := func(format string, args ...any) (Head, error) {
		return h, fmt.Errorf("%w at batch %d: %s", ErrBroken, b.Sequence, fmt.Sprintf(format, args...))
	}
	switch {
	case b.Ledger != h.Ledger:
		return broken("it belongs to ledger %q, this is %q", b.Ledger, h.Ledger)
	case b.Sequence != h.Sequence+1:
		return broken("batch %d was expected", h.Sequence+1)
	case b.PreviousHash != h.Hash:
		return broken("it follows %s, but the batch before has the hash %s", short(b.PreviousHash), short(h.Hash))
	case len(b.Records) == 0:
		return broken("it has no records")
	}
	last := h.Time
	for i, r := range b.Records {
		if r.ID != RecordID(b.Sequence, i) {
			return broken("record %d has the id %q", i, r.ID)
		}
		if r.Time.Before(last) {
			return broken("record %s is of %s, before the one before it", r.ID, r.Time.UTC().Format(TimeLayout))
		}
		last = r.Time
	}
	if sum := b.Sum(); sum != b.Hash {
		return broken("its contents have the hash %s, it says %s", short(sum), short(b.Hash))
	}
	return b.Head(), nil
}

func short(hash string) string {
	if len(hash) > 12 {
		return hash[:12] + "…"
	}
	return strconv.Quote(hash)
}
