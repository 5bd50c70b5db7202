package replay

import (
	"fmt"
	"strconv"
	"strings"
)

// lookup follows a path like "a.b", "a[0].b" or "a[last].b" into a decoded JSON value.
func lookup(value any, path string) (any, bool) {
	for part := range strings.SplitSeq(path, ".") {
		name, index, indexed := strings.Cut(strings.TrimSuffix(part, "]"), "[")
		fields, ok := value.(map[string]any)
		if !ok {
			return nil, false
		}
		if value, ok = fields[name]; !ok {
			return nil, false
		}
		if !indexed {
			continue
		}
		if value, ok = item(value, index); !ok {
			return nil, false
		}
	}
	return value, true
}

func item(value any, index string) (any, bool) {
	list, ok := value.([]any)
	if !ok {
		return nil, false
	}
	i := len(list) - 1
	if index != "last" {
		var err error
		if i, err = strconv.Atoi(index); err != nil {
			return nil, false
		}
	}
	if i < 0 || i >= len(list) {
		return nil, false
	}
	return list[i], true
}

// put sets a value in a request, making the objects on the way to it.
func put(request any, path string, value any) (any, error) {
	root, ok := request.(map[string]any)
	if request == nil {
		root, ok = map[string]any{}, true
	}
	if !ok {
		return nil, fmt.Errorf("setting %s: the request is no object", path)
	}
	parts := strings.Split(path, ".")
	fields := root
	for _, part := range parts[:len(parts)-1] {
		next, ok := fields[part].(map[string]any)
		if !ok {
			next = map[string]any{}
			fields[part] = next
		}
		fields = next
	}
	fields[parts[len(parts)-1]] = value
	return root, nil
}
