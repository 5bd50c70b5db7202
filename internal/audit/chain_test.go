package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// chain makes a ledger of n batches with two records each.
func chain(n int) []Batch {
	head := Start("uid")
	var out []Batch
	for i := range n {
		b := Batch{Ledger: "uid", Writer: "w", Nonce: fmt.Sprint("nonce-", i), Records: []Record{
			{Action: Verification, Outcome: Succeeded, Subject: "alice", Claim: fmt.Sprint("totp/", i)},
			{
				Action: PolicyChanged, Outcome: Failed, Subject: "bob", Origin: &Origin{Aggregate: "a", Sequence: int64(i + 1)},
				Details: []Detail{{Name: "mfa.enforcement", Old: "Optional", Value: "AlwaysRequired"}},
			},
		}}
		b.Seal(head, time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC))
		head = b.Head()
		out = append(out, b)
	}
	return out
}

func followAll(batches []Batch) (Head, error) {
	head := Start("uid")
	for _, b := range batches {
		var err error
		if head, err = head.Follow(b); err != nil {
			return head, err
		}
	}
	return head, nil
}

func TestAnIntactChainHolds(t *testing.T) {
	batches := chain(5)
	head, err := followAll(batches)
	if err != nil || head.Sequence != 5 || head.Hash != batches[4].Hash {
		t.Errorf("%+v, %v", head, err)
	}
}

// Every field of a record and of a batch is covered: each change is found, also
// if whoever made it computed the batch's own hash anew, since the next batch
// holds the old one. Of the last batch only a head kept elsewhere tells.
func TestTamperingIsFound(t *testing.T) {
	record := func(change func(*Record)) func([]Batch) []Batch {
		return func(b []Batch) []Batch {
			change(&b[2].Records[1])
			return b
		}
	}
	for what, tamper := range map[string]func([]Batch) []Batch{
		"time":             record(func(r *Record) { r.Time = r.Time.Add(time.Microsecond) }),
		"id":               record(func(r *Record) { r.ID = "3-7" }),
		"action":           record(func(r *Record) { r.Action = UserLocked }),
		"outcome":          record(func(r *Record) { r.Outcome = Succeeded }),
		"reason":           record(func(r *Record) { r.Reason = "x" }),
		"actor":            record(func(r *Record) { r.Actor = "x" }),
		"subject":          record(func(r *Record) { r.Subject = "x" }),
		"method":           record(func(r *Record) { r.Method = "x" }),
		"claim":            record(func(r *Record) { r.Claim = "x" }),
		"policy":           record(func(r *Record) { r.Policy = "x" }),
		"session":          record(func(r *Record) { r.Session = "x" }),
		"sourceIP":         record(func(r *Record) { r.SourceIP = "x" }),
		"userAgent":        record(func(r *Record) { r.UserAgent = "x" }),
		"origin removed":   record(func(r *Record) { r.Origin = nil }),
		"origin aggregate": record(func(r *Record) { r.Origin = &Origin{"x", r.Origin.Sequence} }),
		"origin sequence":  record(func(r *Record) { r.Origin = &Origin{r.Origin.Aggregate, 99} }),
		"detail name":      record(func(r *Record) { r.Details[0].Name = "x" }),
		"detail old":       record(func(r *Record) { r.Details[0].Old = "x" }),
		"detail value":     record(func(r *Record) { r.Details[0].Value = "x" }),
		"detail removed":   record(func(r *Record) { r.Details = nil }),
		"text moved to the next field": record(func(r *Record) {
			r.Subject, r.Method = r.Subject[:2], r.Subject[2:]
		}),
		"record removed":  func(b []Batch) []Batch { b[2].Records = b[2].Records[:1]; return b },
		"record inserted": func(b []Batch) []Batch { b[2].Records = append(b[2].Records, b[2].Records[0]); return b },
		"records swapped": func(b []Batch) []Batch { slices.Reverse(b[2].Records); return b },
		"ledger":          func(b []Batch) []Batch { b[2].Ledger = "x"; return b },
		"sequence":        func(b []Batch) []Batch { b[2].Sequence = 7; return b },
		"writer":          func(b []Batch) []Batch { b[2].Writer = "x"; return b },
		"nonce":           func(b []Batch) []Batch { b[2].Nonce = "x"; return b },
		"previousHash":    func(b []Batch) []Batch { b[2].PreviousHash = b[0].Hash; return b },
		"hash":            func(b []Batch) []Batch { b[2].Hash = b[1].Hash; return b },
		"batch removed":   func(b []Batch) []Batch { return slices.Delete(b, 2, 3) },
		"first removed":   func(b []Batch) []Batch { return b[1:] },
		"batch inserted":  func(b []Batch) []Batch { return slices.Insert(b, 2, b[2]) },
		"batches swapped": func(b []Batch) []Batch { b[2], b[3] = b[3], b[2]; return b },
	} {
		if _, err := followAll(tamper(chain(5))); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v", what, err)
		}
		forged := tamper(chain(5))
		if len(forged) == 5 && forged[2].Sequence == 3 {
			for i := range forged[2].Records {
				forged[2].Records[i].ID = RecordID(3, i)
			}
			forged[2].Hash = forged[2].Sum()
			// Some changes are none once put right again.
			if forged[2].Hash == chain(5)[2].Hash {
				continue
			}
			if _, err := followAll(forged); !errors.Is(err, ErrBroken) {
				t.Errorf("%s, with the hash computed anew: %v", what, err)
			}
		}
	}
}

func TestTimeMayNotRunBackwards(t *testing.T) {
	batches := chain(2)
	batches[1].Seal(batches[0].Head(), batches[0].Head().Time.Add(-time.Second))
	if _, err := followAll(batches); !errors.Is(err, ErrBroken) {
		t.Errorf("%v", err)
	}
}

// The form as docs/reference/audit.md states it, computed by hand.
func TestTheHashIsWhatTheDocumentationSays(t *testing.T) {
	b := Batch{Ledger: "uid", Writer: "w", Nonce: "n", Records: []Record{{Action: UserLocked, Outcome: Succeeded, Subject: "ä"}}}
	b.Seal(Start("uid"), time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC))
	var text strings.Builder
	for _, field := range []string{
		"neosc-mfa-batch/1", "uid", "1", "w", "n", b.PreviousHash, "1",
		"2026-01-02T03:04:05.000006Z", "1-0", "UserLocked", "Succeeded", "", "", "ä", "", "", "", "", "", "", "", "0", "0",
	} {
		fmt.Fprintf(&text, "%d:%s,", len(field), field)
	}
	sum := sha256.Sum256([]byte(text.String()))
	if want := hex.EncodeToString(sum[:]); b.Hash != want {
		t.Errorf("got %s, want %s", b.Hash, want)
	}
	sum = sha256.Sum256([]byte("18:neosc-mfa-ledger/1,3:uid,"))
	if want := hex.EncodeToString(sum[:]); b.PreviousHash != want {
		t.Errorf("genesis is %s, want %s", b.PreviousHash, want)
	}
}

func TestCheckKeepsOut(t *testing.T) {
	good := Record{Action: Verification, Outcome: Succeeded, Subject: "alice"}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*Record){
		"an unknown action":       func(r *Record) { r.Action = "Bake" },
		"an unknown outcome":      func(r *Record) { r.Outcome = "Perhaps" },
		"no subject":              func(r *Record) { r.Subject = "" },
		"a subject too long":      func(r *Record) { r.Subject = strings.Repeat("x", MaxSubject+1) },
		"a line break":            func(r *Record) { r.UserAgent = "a\nb" },
		"invalid UTF-8":           func(r *Record) { r.Actor = "\xff" },
		"an origin without name":  func(r *Record) { r.Origin = &Origin{Sequence: 1} },
		"an origin without place": func(r *Record) { r.Origin = &Origin{Aggregate: "a"} },
		"too many details":        func(r *Record) { r.Details = make([]Detail, MaxDetails+1) },
		"a detail without name":   func(r *Record) { r.Details = []Detail{{Value: "x"}} },
	} {
		r := good
		change(&r)
		if err := r.Check(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"curl/8": "curl/8", "a\x00b\nc": "a\uFFFDb\uFFFDc", "\xff": "\uFFFD", "äöüäöü": "äöüäö", "": "",
	} {
		got := Printable(in, 5)
		if in == "curl/8" {
			got = Printable(in, 50)
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
		if err := (Record{Action: Verification, Outcome: Failed, Subject: "x", UserAgent: got}).Check(); err != nil {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestEveryActionHasAMeaning(t *testing.T) {
	for _, a := range Actions() {
		if len(a) > 48 || strings.ToUpper(string(a[:1])) != string(a[:1]) || strings.ContainsAny(string(a), " .-_") {
			t.Errorf("%q is not a word in CamelCase of at most 48 characters", a)
		}
		if a.Meaning() == "" {
			t.Errorf("%s has no meaning", a)
		}
	}
}
