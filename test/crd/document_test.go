package crd

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// Documents are maps, lists, texts, numbers (float64) and booleans, as JSON
// has them. They are never changed in place.

// unset as a value takes a property away.
type unset struct{}

// parse reads YAML.
func parse(t *testing.T, text string) any {
	t.Helper()
	var document any
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return document
}

// plain turns any value into a document.
func plain(t *testing.T, value any) any {
	t.Helper()
	var document any
	if err := json.Unmarshal([]byte(shownWhole(t, value)), &document); err != nil {
		t.Fatal(err)
	}
	return document
}

// laidOver lays one document over another. Maps are joined, and null takes a key
// away; anything else is replaced.
func laidOver(under, over any) any {
	o, ok := over.(map[string]any)
	if !ok {
		if over == nil {
			return under
		}
		return over
	}
	joined, _ := under.(map[string]any)
	joined = maps.Clone(joined)
	if joined == nil {
		joined = map[string]any{}
	}
	for key, value := range o {
		if value == nil {
			delete(joined, key)
			continue
		}
		joined[key] = laidOver(joined[key], value)
	}
	return joined
}

// changed puts a value at a path such as targets.zitadel[0].scope, making what
// is missing on the way.
func changed(document any, path string, value any) any {
	return changedAt(document, steps(path), value)
}

func changedAt(document any, path []string, value any) any {
	if len(path) == 0 {
		return value
	}
	if path[0] == "[0]" {
		list, _ := document.([]any)
		if len(list) == 0 {
			list = []any{nil}
		}
		return append([]any{changedAt(list[0], path[1:], value)}, list[1:]...)
	}
	object, _ := document.(map[string]any)
	object = maps.Clone(object)
	if object == nil {
		object = map[string]any{}
	}
	object[path[0]] = changedAt(object[path[0]], path[1:], value)
	if _, gone := object[path[0]].(unset); gone {
		delete(object, path[0])
	}
	return object
}

// at returns what is at a path, nil if there is nothing.
func at(document any, path string) any {
	for _, step := range steps(path) {
		switch d := document.(type) {
		case map[string]any:
			document = d[step]
		case []any:
			document = d[0]
		default:
			return nil
		}
	}
	return document
}

func steps(path string) []string { return strings.Split(strings.ReplaceAll(path, "[0]", ".[0]"), ".") }

// keeps tells whether everything given is still there; defaults may have been
// added to it.
func keeps(got, given any) bool {
	want, ok := given.(map[string]any)
	if !ok {
		if list, ok := given.([]any); ok {
			stored, _ := got.([]any)
			if stored == nil || len(stored) != len(list) {
				return false
			}
			for i := range list {
				if !keeps(stored[i], list[i]) {
					return false
				}
			}
			return true
		}
		return cmp.Equal(got, given)
	}
	stored, ok := got.(map[string]any)
	for key := range want {
		ok = ok && keeps(stored[key], want[key])
	}
	return ok
}

// shown renders a value for a message, clipped.
func shown(t *testing.T, value any) string {
	t.Helper()
	text := shownWhole(t, value)
	if len(text) > 80 {
		text = text[:80] + "…"
	}
	return text
}

func shownWhole(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
