package audit

import (
	"slices"
	"strconv"
	"time"
)

// Batch is what is appended to a ledger at once: one or more records, in order,
// bound to everything before them by a hash.
type Batch struct {
	// Ledger is the UID of the MFALedger the batch belongs to.
	Ledger string
	// Sequence is the batch's place in the ledger: 1, 2, 3 and so on.
	Sequence int64
	// Writer names the process that appended it, and Nonce is random: together
	// they tell a writer that does not know how its write ended whether it won.
	Writer string
	Nonce  string
	// PreviousHash is the hash of the batch before, or Genesis of the ledger.
	PreviousHash string
	// Hash is over all of the above and the records; see Batch.Sum.
	Hash string
	// Records are at least one.
	Records []Record
}

// Seal completes a batch: it gives each record its time and id and the batch
// its place and hash.
func (b *Batch) Seal(after Head, at time.Time) {
	b.Sequence = after.Sequence + 1
	b.PreviousHash = after.Hash
	for i := range b.Records {
		b.Records[i].Time = at
		b.Records[i].ID = RecordID(b.Sequence, i)
	}
	b.Hash = b.Sum()
}

// RecordID is the id of the record at an index, from 0, of a batch.
func RecordID(sequence int64, index int) string {
	return strconv.FormatInt(sequence, 10) + "-" + strconv.Itoa(index)
}

// Head is where a ledger ends: what the next batch has to follow.
type Head struct {
	// Ledger is the UID of the MFALedger.
	Ledger string
	// Sequence is that of the last batch; 0: there is none yet.
	Sequence int64
	// Hash is that of the last batch, or Genesis.
	Hash string
	// Time is that of the last record; zero: there is none yet.
	Time time.Time
}

// Start is the head of a ledger nothing has been appended to.
func Start(ledger string) Head { return Head{Ledger: ledger, Hash: Genesis(ledger)} }

// Head is where the ledger ends once the batch is in it.
func (b Batch) Head() Head {
	h := Head{Ledger: b.Ledger, Sequence: b.Sequence, Hash: b.Hash}
	if n := len(b.Records); n > 0 {
		h.Time = b.Records[n-1].Time
	}
	return h
}

// Summary is what a list of batches shows of each.
type Summary struct {
	// From is the time of the first record.
	From time.Time
	// Records and Failures count records; a failure is every outcome but
	// Succeeded.
	Records  int
	Failures int
	// Actions are those of the records, each once, in alphabetical order.
	Actions []Action
}

// Summary sums the batch up.
func (b Batch) Summary() Summary {
	s := Summary{Records: len(b.Records)}
	for i, r := range b.Records {
		if i == 0 {
			s.From = r.Time
		}
		if r.Outcome != Succeeded {
			s.Failures++
		}
		if at, found := slices.BinarySearch(s.Actions, r.Action); !found {
			s.Actions = slices.Insert(s.Actions, at, r.Action)
		}
	}
	return s
}
