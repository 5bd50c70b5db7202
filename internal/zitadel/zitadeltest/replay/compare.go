package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// anyValue matches every value that is present and not zero.
const anyValue = "${any}"

// compare returns how an answer differs from what the step expects, nil for not at all.
func (r *run) compare(step Step, a answer) error {
	if a.code != step.Code {
		return fmt.Errorf("code %s, want %s", a.code, step.Code)
	}
	if a.errorID != step.ErrorID {
		return fmt.Errorf("error id %q, want %q", a.errorID, step.ErrorID)
	}
	if want := step.FailedAttempts; want != nil && (a.failedAttempts == nil || *a.failedAttempts != *want) {
		return fmt.Errorf("failed attempts not %d", *want)
	}
	for _, path := range step.Absent {
		if value, found := lookup(a.response, path); found && !isZero(value) {
			return fmt.Errorf("%s is there and should not be", path)
		}
	}
	if step.Response == nil {
		return nil
	}
	want, err := r.vars.fill(step.Response)
	if err != nil {
		return err
	}
	return match(want, a.response, "", step.Set)
}

// match compares an expected value with an actual one. Of an object, only the expected fields count.
// sets are the paths of lists whose order does not.
func match(want, have any, path string, sets []string) error {
	if want == anyValue {
		if isZero(have) {
			return fmt.Errorf("%s is zero", path)
		}
		return nil
	}
	switch want := want.(type) {
	case map[string]any:
		fields, ok := have.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is %v, want an object", path, have)
		}
		for name, wanted := range want {
			value, present := fields[name]
			if !present {
				return fmt.Errorf("%s is missing", join(path, name))
			}
			if err := match(wanted, value, join(path, name), sets); err != nil {
				return err
			}
		}
		return nil
	case []any:
		list, ok := have.([]any)
		if !ok || len(list) != len(want) {
			return fmt.Errorf("%s is %v, want %v", path, have, want)
		}
		if slices.Contains(sets, path) {
			return matchSet(want, list, path, sets)
		}
		for i := range want {
			if err := match(want[i], list[i], path+"[]", sets); err != nil {
				return fmt.Errorf("item %d: %w", i, err)
			}
		}
		return nil
	}
	if !sameScalar(want, have) {
		return fmt.Errorf("%s is %v, want %v", path, have, want)
	}
	return nil
}

// matchSet finds a partner for every expected item.
func matchSet(want, have []any, path string, sets []string) error {
	left := slices.Clone(have)
	for _, wanted := range want {
		i := slices.IndexFunc(left, func(item any) bool { return match(wanted, item, path+"[]", sets) == nil })
		if i < 0 {
			return fmt.Errorf("%s has no %v among %v", path, wanted, left)
		}
		left = slices.Delete(left, i, i+1)
	}
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func sameScalar(want, have any) bool {
	if want == have {
		return true
	}
	_, wantNumber := want.(json.Number)
	_, haveNumber := have.(json.Number)
	if !wantNumber && !haveNumber {
		return false
	}
	// 64-bit integers are strings in protojson, so a number may meet one.
	w, err := number(want)
	h, err2 := number(have)
	return errors.Join(err, err2) == nil && w == h
}

func number(value any) (float64, error) {
	return json.Number(fmt.Sprint(value)).Float64()
}

func isZero(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case bool:
		return !value
	case string:
		return value == "" || value == "0" || value == "0s"
	case json.Number:
		n, err := value.Float64()
		return err == nil && n == 0
	case []any:
		return len(value) == 0
	case map[string]any:
		return len(value) == 0
	}
	return false
}
