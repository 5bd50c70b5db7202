package signing

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

var (
	start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	days  = ages{rotateAfter: 30 * 24 * time.Hour, publishAhead: time.Hour, keepFor: 12 * time.Hour}
)

// A year goes by, minute after minute as Start looks. What holds at each: tokens
// that have not ended can be checked, and keys are published before they sign.
func TestKeysOverAYear(t *testing.T) {
	r, err := first(start)
	if err != nil {
		t.Fatal(err)
	}
	signedLast := map[string]time.Time{} // by key, when it last signed
	published := map[string]time.Time{r[0].id: start.Add(-time.Hour)}
	most := 0
	for now := start; now.Before(start.AddDate(1, 0, 0)); now = now.Add(10 * time.Minute) {
		if r, _, err = r.maintained(now, days); err != nil {
			t.Fatal(err)
		}
		for _, k := range r.public().Keys {
			if _, known := published[k.KeyID]; !known {
				published[k.KeyID] = now
			}
			if !k.IsPublic() {
				t.Fatal("a private key is published")
			}
		}
		by := r.signing(now)
		if ahead := now.Sub(published[by.id]); signedLast[by.id].IsZero() && ahead < days.publishAhead {
			t.Fatalf("%s: a key signs %s after it was published", now, ahead)
		}
		if age := now.Sub(by.signsFrom); age > days.rotateAfter {
			t.Fatalf("%s: a key of %s signs", now, age)
		}
		signedLast[by.id] = now
		for id, last := range signedLast {
			if _, found := r.find(id); !found && now.Sub(last) < days.keepFor {
				t.Fatalf("%s: the key that signed %s ago is gone", now, now.Sub(last))
			}
		}
		most = max(most, len(r))
	}
	if len(signedLast) != 13 || most != 2 {
		t.Errorf("%d keys signed within a year, at most %d at a time; should be 13 and 2", len(signedLast), most)
	}
}

// After a pause longer than a key's life there is still a key that signs, and a
// new one ahead.
func TestAfterALongPause(t *testing.T) {
	r, err := first(start)
	if err != nil {
		t.Fatal(err)
	}
	now := start.AddDate(1, 0, 0)
	after, changed, err := r.maintained(now, days)
	if err != nil || !changed || len(after) != 2 || after.signing(now).id != r[0].id || after.signing(now.Add(time.Hour)).id == r[0].id {
		t.Errorf("%d keys, changed %t, %v", len(after), changed, err)
	}
	if again, changed, err := after.maintained(now, days); err != nil || changed || len(again) != 2 {
		t.Errorf("looking twice gave %d keys, changed %t, %v", len(again), changed, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	r, err := first(start)
	if err != nil {
		t.Fatal(err)
	}
	good, err := r.encode()
	if err != nil {
		t.Fatal(err)
	}
	if back, err := decode(good); err != nil || len(back) != 1 || back[0].id != r[0].id {
		t.Fatalf("what was encoded comes back as %+v, %v", back, err)
	}
	public, err := json.Marshal([]storedKey{{start, start, r.public().Keys[0]}})
	if err != nil {
		t.Fatal(err)
	}
	var twice []json.RawMessage
	if err := json.Unmarshal(good, &twice); err != nil {
		t.Fatal(err)
	}
	twice = append(twice, json.RawMessage(strings.Replace(string(twice[0]), `"signsFrom":"2026`, `"signsFrom":"2025`, 1)))
	disordered, err := json.Marshal(twice)
	if err != nil {
		t.Fatal(err)
	}
	for reason, data := range map[string]string{
		"nothing": "", "no key": "[]", "cut off": string(good[:len(good)-2]), "a public key": string(public),
		"a symmetric key": `[{"key":{"kty":"oct","k":"c2VjcmV0"}}]`, "out of order": string(disordered),
	} {
		if _, err := decode([]byte(data)); err == nil || strings.Contains(err.Error(), "c2VjcmV0") {
			t.Errorf("%s: %v", reason, err)
		}
	}
}
