package replay

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"strings"
)

// variables are what a scenario knows: some from the start, the rest saved by its steps.
type variables map[string]any

func newVariables(domain string) variables {
	// rand.Text gives upper-case letters and the digits 2 to 7; names must start with a letter.
	unique := "u" + strings.ToLower(rand.Text()[:12])
	return variables{"unique": unique, "UNIQUE": strings.ToUpper(unique), "domain": domain}
}

var reference = regexp.MustCompile(`\$\{([^}]+)\}`)

// fill replaces the references in a value. A text that is exactly one reference becomes the saved
// value whole, whatever its type.
func (v variables) fill(value any) (any, error) {
	switch value := value.(type) {
	case string:
		if m := reference.FindStringSubmatch(value); m != nil && m[0] == value && value != anyValue {
			saved, known := v[m[1]]
			if !known {
				return nil, fmt.Errorf("no step has saved %s", value)
			}
			return saved, nil
		}
		return v.text(value)
	case map[string]any:
		filled := make(map[string]any, len(value))
		for name, field := range value {
			f, err := v.fill(field)
			if err != nil {
				return nil, err
			}
			filled[name] = f
		}
		return filled, nil
	case []any:
		filled := make([]any, len(value))
		for i, item := range value {
			f, err := v.fill(item)
			if err != nil {
				return nil, err
			}
			filled[i] = f
		}
		return filled, nil
	}
	return value, nil
}

// text replaces the references in a text.
func (v variables) text(text string) (string, error) {
	var missing string
	filled := reference.ReplaceAllStringFunc(text, func(ref string) string {
		if ref == anyValue {
			return ref
		}
		saved, known := v[ref[2:len(ref)-1]]
		if !known {
			missing = ref
		}
		return fmt.Sprint(saved)
	})
	if missing != "" {
		return "", fmt.Errorf("no step has saved %s", missing)
	}
	return filled, nil
}

func (r *run) save(step Step, a answer) error {
	for name, path := range step.Save {
		value, found := lookup(a.response, path)
		if !found {
			return fmt.Errorf("saving %s: the answer has no %s: %s", name, path, a)
		}
		r.vars[name] = value
	}
	return nil
}
