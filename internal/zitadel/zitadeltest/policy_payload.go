package zitadeltest

import "reflect"

// setFields is the payload of an "added" event: the fields of a policy that are not zero, under
// their JSON names.
func setFields(policy any) map[string]any {
	return pickFields(policy, func(_ int, value reflect.Value) bool { return !value.IsZero() })
}

// changedFields is the payload of a "changed" event: the fields that differ, also when the new
// value is zero.
func changedFields(before, after any) map[string]any {
	old := reflect.ValueOf(before)
	return pickFields(after, func(i int, value reflect.Value) bool { return !value.Equal(old.Field(i)) })
}

func pickFields(policy any, pick func(int, reflect.Value) bool) map[string]any {
	fields := map[string]any{}
	value := reflect.ValueOf(policy)
	for i := range value.NumField() {
		if field := value.Field(i); pick(i, field) {
			fields[value.Type().Field(i).Tag.Get("json")] = field.Interface()
		}
	}
	return fields
}
