package ledger

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
)

// Name is the name of the batch with that sequence.
func Name(sequence int64) string { return fmt.Sprintf("ledger-%012d", sequence) }

func sequenceOf(name string) (int64, error) {
	digits, found := strings.CutPrefix(name, "ledger-")
	sequence, err := strconv.ParseInt(digits, 10, 64)
	if !found || err != nil {
		return 0, fmt.Errorf("%q is not the name of a batch", name)
	}
	return sequence, nil
}

// ToObject turns a batch into the object it is kept in.
func ToObject(namespace string, b audit.Batch) *v1alpha1.MFAAuditRecord {
	sum := b.Summary()
	actions := make([]string, len(sum.Actions))
	labels := map[string]string{
		v1alpha1.LabelAuditDay:      sum.From.Format("2006-01-02"),
		v1alpha1.LabelAuditFailures: strconv.FormatBool(sum.Failures > 0),
	}
	for i, a := range sum.Actions {
		actions[i] = string(a)
		labels[v1alpha1.LabelAuditActionPrefix+string(a)] = ""
	}
	obj := &v1alpha1.MFAAuditRecord{
		TypeMeta: metav1.TypeMeta{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "MFAAuditRecord",
		},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: Name(b.Sequence), Labels: labels},
		Spec: v1alpha1.MFAAuditRecordSpec{
			Ledger: b.Ledger, Sequence: b.Sequence, Writer: b.Writer, Nonce: b.Nonce,
			PreviousHash: b.PreviousHash, Hash: b.Hash,
			Summary: v1alpha1.AuditSummary{
				From: metav1.MicroTime{Time: sum.From}, Records: int32(sum.Records), Failures: int32(sum.Failures),
				Actions: strings.Join(actions, ","),
			},
			Records: make([]string, len(b.Records)),
		},
	}
	for i, r := range b.Records {
		text, err := brief(r, b.Sequence, i, sum.From).MarshalJSON() // by json.Marshal it would be read once more
		if err != nil {
			panic("encoding text, numbers and a time: " + err.Error())
		}
		obj.Spec.Records[i] = string(text)
	}
	return obj
}

// brief leaves out of a record what the batch says already: its id, and its time
// where it is the batch's. etcd writes every byte about three times.
func brief(r audit.Record, sequence int64, index int, from time.Time) audit.Record {
	if r.ID == audit.RecordID(sequence, index) {
		r.ID = ""
	}
	if r.Time.Equal(from) {
		r.Time = time.Time{}
	}
	return r
}

// FromObject turns an object back into the batch.
func FromObject(obj *v1alpha1.MFAAuditRecord) (audit.Batch, error) {
	s := &obj.Spec
	b := audit.Batch{
		Ledger: s.Ledger, Sequence: s.Sequence, Writer: s.Writer, Nonce: s.Nonce,
		PreviousHash: s.PreviousHash, Hash: s.Hash, Records: make([]audit.Record, len(s.Records)),
	}
	for i, text := range s.Records {
		if err := json.Unmarshal([]byte(text), &b.Records[i]); err != nil {
			return b, fmt.Errorf("%w at %s: its record %d cannot be read: %w", audit.ErrBroken, obj.Name, i, err)
		}
		r := &b.Records[i]
		if r.ID == "" {
			r.ID = audit.RecordID(s.Sequence, i)
		}
		if r.Time.IsZero() {
			r.Time = s.Summary.From.UTC()
		}
	}
	return b, nil
}

// CheckDerived checks what an object says twice, and the hash does not cover:
// its name, labels and summary have to agree with its records, and these have
// to be written as they are always written.
func CheckDerived(obj *v1alpha1.MFAAuditRecord) error {
	broken := func(what string) error {
		return fmt.Errorf("%w at %s: its %s does not agree with its records", audit.ErrBroken, obj.Name, what)
	}
	b, err := FromObject(obj)
	if err != nil {
		return err
	}
	want := ToObject(obj.Namespace, b)
	got, sum := obj.Spec.Summary, want.Spec.Summary
	switch {
	case obj.Name != want.Name:
		return broken("name")
	case !slices.Equal(obj.Spec.Records, want.Spec.Records):
		return broken("text")
	case !got.From.Equal(&sum.From) || got.Records != sum.Records || got.Failures != sum.Failures || got.Actions != sum.Actions:
		return broken("summary")
	}
	for key, value := range want.Labels {
		if label, ok := obj.Labels[key]; !ok || label != value {
			return broken("label " + key)
		}
	}
	return nil
}

// About how much JSON the fixed parts take.
const (
	batchOverhead  = 1500 // metadata, managed fields and the fields of the batch
	recordOverhead = 130  // quotes and names of fields
)

func batchSize(b audit.Batch) int {
	n := batchOverhead
	for _, r := range b.Records {
		n += recordSize(r)
	}
	return n
}

// recordSize is about how much JSON a record takes.
func recordSize(r audit.Record) int {
	n := recordOverhead + len(r.Action) + len(r.Outcome) + len(r.Reason) + len(r.Actor) + len(r.Subject) + len(r.Method) +
		len(r.Claim) + len(r.Policy) + len(r.Session) + len(r.SourceIP) + len(r.UserAgent)
	if r.Origin != nil {
		n += 60 + len(r.Origin.Aggregate)
	}
	for _, d := range r.Details {
		n += 32 + len(d.Name) + len(d.Old) + len(d.Value)
	}
	return n
}
