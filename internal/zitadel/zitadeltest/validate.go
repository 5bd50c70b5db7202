package zitadeltest

import (
	"net/mail"
	"slices"
	"time"
	"unicode/utf8"

	rules "github.com/envoyproxy/protoc-gen-validate/validate"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
)

// validate applies the validation rules that the API definition carries, as the real server does
// before a command sees the request. Its errors have no detail. It knows the kinds of rule the
// requests of the implemented services use.
func validate(request proto.Message) error {
	if bad := findViolation(request.ProtoReflect()); bad != "" {
		return status.Errorf(codes.InvalidArgument, "invalid %s: %s", request.ProtoReflect().Descriptor().Name(), bad)
	}
	return nil
}

// findViolation returns what is wrong with the message, "" for nothing.
func findViolation(m protoreflect.Message) string {
	for i := range m.Descriptor().Oneofs().Len() {
		one := m.Descriptor().Oneofs().Get(i)
		required, _ := proto.GetExtension(one.Options(), rules.E_Required).(bool)
		if required && m.WhichOneof(one) == nil {
			return string(one.Name()) + " is required"
		}
	}
	for i := range m.Descriptor().Fields().Len() {
		field := m.Descriptor().Fields().Get(i)
		if bad := checkField(m, field); bad != "" {
			return string(field.Name()) + ": " + bad
		}
	}
	return ""
}

func checkField(m protoreflect.Message, field protoreflect.FieldDescriptor) string {
	rule, _ := proto.GetExtension(field.Options(), rules.E_Rules).(*rules.FieldRules)
	if field.HasPresence() && !m.Has(field) {
		if rule.GetMessage().GetRequired() || rule.GetTimestamp().GetRequired() || rule.GetDuration().GetRequired() {
			return "value is required"
		}
		return ""
	}
	value := m.Get(field)
	switch {
	case field.IsMap():
		return ""
	case field.IsList():
		return checkList(value.List(), field, rule)
	}
	return checkValue(value, field, rule)
}

func checkList(list protoreflect.List, field protoreflect.FieldDescriptor, rule *rules.FieldRules) string {
	limits := rule.GetRepeated()
	length := uint64(list.Len())
	if length < limits.GetMinItems() {
		return "too few items"
	}
	if limits != nil && limits.MaxItems != nil && length > limits.GetMaxItems() {
		return "too many items"
	}
	seen := map[any]bool{}
	for i := range list.Len() {
		if bad := checkValue(list.Get(i), field, limits.GetItems()); bad != "" {
			return bad
		}
		if limits.GetUnique() {
			item := list.Get(i).Interface()
			if seen[item] {
				return "items must be unique"
			}
			seen[item] = true
		}
	}
	return ""
}

func checkValue(value protoreflect.Value, field protoreflect.FieldDescriptor, rule *rules.FieldRules) string {
	switch field.Kind() {
	case protoreflect.StringKind:
		return checkString(value.String(), rule.GetString_())
	case protoreflect.BytesKind:
		return checkBytes(value.Bytes(), rule.GetBytes())
	case protoreflect.EnumKind:
		return checkEnum(value.Enum(), field.Enum(), rule.GetEnum())
	case protoreflect.BoolKind:
		if limits := rule.GetBool(); limits != nil && limits.Const != nil && value.Bool() != limits.GetConst() {
			return "wrong value"
		}
	case protoreflect.Int32Kind:
		return checkInt32(int32(value.Int()), rule.GetInt32())
	case protoreflect.MessageKind:
		if d, ok := value.Message().Interface().(*durationpb.Duration); ok {
			return checkDuration(d, rule.GetDuration())
		}
		return findViolation(value.Message())
	}
	return ""
}

func checkString(s string, rule *rules.StringRules) string {
	if s == "" && rule.GetIgnoreEmpty() {
		return ""
	}
	length := uint64(utf8.RuneCountInString(s))
	if length < rule.GetMinLen() || (rule.GetLen() != 0 && length != rule.GetLen()) {
		return "too short"
	}
	if rule.GetMaxLen() != 0 && length > rule.GetMaxLen() {
		return "too long"
	}
	if rule.GetEmail() {
		if address, err := mail.ParseAddress(s); err != nil || address.Address != s {
			return "not an e-mail address"
		}
	}
	return ""
}

func checkBytes(b []byte, rule *rules.BytesRules) string {
	if uint64(len(b)) < rule.GetMinLen() {
		return "too short"
	}
	if rule.GetMaxLen() != 0 && uint64(len(b)) > rule.GetMaxLen() {
		return "too long"
	}
	return ""
}

func checkEnum(number protoreflect.EnumNumber, enum protoreflect.EnumDescriptor, rule *rules.EnumRules) string {
	if rule.GetDefinedOnly() && enum.Values().ByNumber(number) == nil {
		return "value must be one of the defined enum values"
	}
	if slices.Contains(rule.GetNotIn(), int32(number)) {
		return "value must not be in the list"
	}
	return ""
}

func checkInt32(n int32, rule *rules.Int32Rules) string {
	if rule == nil {
		return ""
	}
	if (rule.Gte != nil && n < rule.GetGte()) || (rule.Lte != nil && n > rule.GetLte()) {
		return "out of range"
	}
	return ""
}

func checkDuration(d *durationpb.Duration, rule *rules.DurationRules) string {
	within := func(limit *durationpb.Duration, ok func(value, limit time.Duration) bool) bool {
		return limit == nil || ok(d.AsDuration(), limit.AsDuration())
	}
	if !within(rule.GetGt(), func(v, l time.Duration) bool { return v > l }) ||
		!within(rule.GetGte(), func(v, l time.Duration) bool { return v >= l }) ||
		!within(rule.GetLte(), func(v, l time.Duration) bool { return v <= l }) ||
		!within(rule.GetConst(), func(v, l time.Duration) bool { return v == l }) {
		return "out of range"
	}
	return ""
}
