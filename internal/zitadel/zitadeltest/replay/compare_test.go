package replay

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// TestMatch: a recording proves nothing if the comparison lets differences through.
func TestMatch(t *testing.T) {
	for _, test := range []struct {
		reason, want, have string
		sets               []string
		same               bool
	}{
		{"fields that are not expected are free", `{"a":1}`, `{"a":1,"b":2}`, nil, true},
		{"a missing field is a difference", `{"a":false}`, `{}`, nil, false},
		{"false is a value", `{"a":false}`, `{"a":true}`, nil, false},
		{"an empty list is a value", `{"a":[]}`, `{"a":[1]}`, nil, false},
		{"lists match in length", `{"a":[1]}`, `{"a":[1,2]}`, nil, false},
		{"lists match in order", `{"a":[1,2]}`, `{"a":[2,1]}`, nil, false},
		{"unless they are sets", `{"a":[1,2]}`, `{"a":[2,1]}`, []string{"a"}, true},
		{"sets count copies", `{"a":[1,1]}`, `{"a":[2,1]}`, []string{"a"}, false},
		{"paths of sets step into lists", `{"a":[{"b":[1,2]}]}`, `{"a":[{"b":[2,1]}]}`, []string{"a[].b"}, true},
		{"any matches what is there", `{"a":"${any}"}`, `{"a":{"b":0}}`, nil, true},
		{"any does not match zero", `{"a":"${any}"}`, `{"a":"0"}`, nil, false},
		{"any does not match nothing", `{"a":"${any}"}`, `{}`, nil, false},
		{"numbers compare as numbers", `{"a":900000000000}`, `{"a":9e11}`, nil, true},
		{"also in texts", `{"a":3}`, `{"a":"3"}`, nil, true},
		{"texts compare as texts", `{"a":"1.500s"}`, `{"a":"1.5s"}`, nil, false},
		{"objects are not texts", `{"a":{"b":1}}`, `{"a":"b"}`, nil, false},
	} {
		err := match(decode(t, test.want), decode(t, test.have), "", test.sets)
		if (err == nil) != test.same {
			t.Errorf("%s: %s against %s: got %v, want same=%v", test.reason, test.want, test.have, err, test.same)
		}
	}
}

func TestPaths(t *testing.T) {
	value := decode(t, `{"a":[{"b":"first"},{"b":"last"}]}`)
	for path, want := range map[string]any{"a[0].b": "first", "a[last].b": "last", "a[2].b": nil, "a.b": nil, "c": nil} {
		if got, found := lookup(value, path); got != want || found != (want != nil) {
			t.Errorf("%s: got %v (found %v), want %v", path, got, found, want)
		}
	}
	request, err := put(nil, "checks.totp.code", "123456")
	if got, _ := lookup(request, "checks.totp.code"); err != nil || got != "123456" {
		t.Errorf("setting a path in an empty request: %v, %v", request, err)
	}
}

func TestVariables(t *testing.T) {
	vars := newVariables("example.com")
	vars["list"] = []any{"kept", "whole"}
	filled, err := vars.fill(decode(t, `{"name":"a-${unique}.${domain}","list":"${list}","any":"${any}"}`))
	if err != nil {
		t.Fatal(err)
	}
	fields := filled.(map[string]any)
	if name := fields["name"].(string); !strings.HasSuffix(name, ".example.com") || strings.Contains(name, "$") {
		t.Errorf("the name became %q", name)
	}
	if list, ok := fields["list"].([]any); !ok || len(list) != 2 {
		t.Errorf("the list became %v", fields["list"])
	}
	if fields["any"] != anyValue {
		t.Errorf("${any} became %v", fields["any"])
	}
	if _, err := vars.fill("${nobody.token}"); err == nil {
		t.Error("a variable nobody saved is not missed")
	}
}

// TestTOTP uses the vectors of RFC 6238, appendix B, cut to six digits.
func TestTOTP(t *testing.T) {
	for seconds, want := range map[int64]string{59: "287082", 1111111109: "081804", 20000000000: "353130"} {
		got, err := totp("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", time.Unix(seconds, 0))
		if err != nil || got != want {
			t.Errorf("at %d: got %s, %v, want %s", seconds, got, err, want)
		}
	}
}

func decode(t *testing.T, text string) any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatal(err)
	}
	return value
}
