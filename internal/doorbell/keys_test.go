package doorbell_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/zitadel/zitadel-go/v3/pkg/actions"

	"github.com/neosc/mfa-operator/internal/doorbell"
)

// TestRollOver: the key before goes on opening for as long as what it signed may
// be on its way, and not longer.
func TestRollOver(t *testing.T) {
	start := time.Unix(1795451302, 0)
	keys := doorbell.Keys(nil).With("first", start)
	keys = keys.With("first", start.Add(time.Hour))
	if len(keys) != 1 || keys[0].Until != nil {
		t.Fatalf("the same key again makes %d", len(keys))
	}
	rotated := start.Add(2 * time.Hour)
	keys = keys.With("second", rotated)
	entry, err := keys.Entry()
	if err != nil {
		t.Fatal(err)
	}
	if keys, err = doorbell.ParseKeys(entry); err != nil {
		t.Fatal(err)
	}
	opens := func(key string, now time.Time) bool {
		return verify(actions.ComputeSignatureHeader(now, []byte("{}"), key), "{}", keys, now) == nil
	}
	for _, c := range []struct {
		key   string
		after time.Duration
		want  bool
	}{
		{"first", 0, true}, {"first", doorbell.RollOver - time.Second, true}, {"first", doorbell.RollOver, false},
		{"second", 0, true}, {"second", doorbell.RollOver, true}, {"second", 1000 * time.Hour, true},
	} {
		if got := opens(c.key, rotated.Add(c.after)); got != c.want {
			t.Errorf("%s after the rotation the %s key opens: %v", c.after, c.key, got)
		}
	}
	if during := keys.With("second", rotated.Add(time.Minute)); len(during) != 2 || !during[1].Until.Equal(*keys[1].Until) {
		t.Error("looking again must neither end the roll-over nor make it longer")
	}
	if after := keys.With("second", rotated.Add(doorbell.RollOver)); len(after) != 1 {
		t.Error("what has ended stays")
	}
	if third := keys.With("third", rotated.Add(time.Minute)); len(third) != 2 || third[0].Key != "third" || third[1].Key != "second" {
		t.Error("of three keys the two newest count")
	}
}

func TestKeysAreNotShown(t *testing.T) {
	const canary = "canary-5d1e"
	keys := doorbell.Keys{{Key: canary}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for _, value := range []any{keys, keys[0], &keys[0]} {
			if text := fmt.Sprintf(verb, value); strings.Contains(text, canary) {
				t.Errorf("%s shows %s", verb, text)
			}
		}
	}
	for _, entry := range []string{canary, `"` + canary + `"`, `{"key":"` + canary + `"}`, `[{"key":"` + canary + `","until":"` + canary + `"}]`,
		`[{"key":"a"},{"key":"b"},{"key":"` + canary + `"}]`} {
		if _, err := doorbell.ParseKeys([]byte(entry)); err == nil || strings.Contains(errors.Unwrap(fmt.Errorf("%w", err)).Error(), canary) {
			t.Errorf("%s: %v", entry, err)
		}
	}
}

func TestEndpoint(t *testing.T) {
	for base, want := range map[string]string{
		"https://mfa.example.com":         "https://mfa.example.com/zitadel/v1/ring/default",
		"https://mfa.example.com/":        "https://mfa.example.com/zitadel/v1/ring/default",
		"https://example.com:8443/mfa/op": "https://example.com:8443/mfa/op/zitadel/v1/ring/default",
	} {
		if got := doorbell.Endpoint(base, "default"); got != want {
			t.Errorf("%s: got %s, want %s", base, got, want)
		}
	}
}
