package changes

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/neosc/mfa-operator/internal/audit"
)

// withheld stands for a value that does not go into a ledger.
const withheld = "…"

// diff lists the fields in which two specs differ, by their paths, with the old
// and the new value of those that may be shown. What has no room is summed up in
// the last entry. nil is a spec without fields.
func diff(old, new any, show func(path string) bool) ([]audit.Detail, error) {
	was, err := leaves(old)
	if err != nil {
		return nil, err
	}
	is, err := leaves(new)
	if err != nil {
		return nil, err
	}
	paths := slices.Sorted(maps.Keys(was))
	for path := range is {
		if _, known := was[path]; !known {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	var details []audit.Detail
	for _, path := range paths {
		from, to := was[path], is[path]
		if from == to {
			continue
		}
		if !show(path) {
			from, to = hidden(from), hidden(to)
		}
		details = append(details, audit.Detail{
			Name: audit.Printable(path, audit.MaxDetailName),
			Old:  audit.Printable(from, audit.MaxDetailValue), Value: audit.Printable(to, audit.MaxDetailValue),
		})
	}
	if more := len(details) - audit.MaxDetails; more > 0 {
		details = append(details[:audit.MaxDetails-1], audit.Detail{Name: "more", Value: strconv.Itoa(more+1) + " fields"})
	}
	return details, nil
}

func hidden(value string) string {
	if value == "" {
		return ""
	}
	return withheld
}

// leaves are the values of a spec by their paths, as in mfa.enforcement or
// targets.zitadel[0].connection. A list of simple values is one value.
func leaves(spec any) (map[string]string, error) {
	data, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("rendering a spec: %w", err)
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		return nil, fmt.Errorf("reading a rendered spec: %w", err)
	}
	found := map[string]string{}
	if err := walk("", tree, found); err != nil {
		return nil, err
	}
	return found, nil
}

func walk(path string, node any, found map[string]string) error {
	switch v := node.(type) {
	case nil:
		return nil
	case map[string]any:
		for name, child := range v {
			if path != "" {
				name = path + "." + name
			}
			if err := walk(name, child, found); err != nil {
				return err
			}
		}
		return nil
	case []any:
		if slices.ContainsFunc(v, isTree) {
			for i, child := range v {
				if err := walk(fmt.Sprintf("%s[%d]", path, i), child, found); err != nil {
					return err
				}
			}
			return nil
		}
	case string:
		found[path] = v
		return nil
	}
	text, err := json.Marshal(node)
	if err != nil {
		return fmt.Errorf("rendering %s: %w", path, err)
	}
	found[path] = string(text)
	return nil
}

func isTree(node any) bool {
	_, is := node.(map[string]any)
	return is
}
