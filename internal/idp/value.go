package idp

import (
	"fmt"
	"strconv"
	"time"
)

type kind uint8

const (
	boolean kind = iota + 1
	number
	duration
	text
)

// Value is the value of one setting: a boolean, a whole number, a duration or
// a text. Values are comparable with ==; the zero Value is no value at all.
type Value struct {
	kind kind
	num  int64
	text string
}

// Bool returns a boolean value.
func Bool(b bool) Value {
	v := Value{kind: boolean}
	if b {
		v.num = 1
	}
	return v
}

// Number returns a whole number.
func Number(n int64) Value { return Value{kind: number, num: n} }

// Duration returns a duration. Negative and sub-second durations are
// representable because Zitadel stores whatever it is given.
func Duration(d time.Duration) Value { return Value{kind: duration, num: int64(d)} }

// Text returns a text; the empty text is a value.
func Text(s string) Value { return Value{kind: text, text: s} }

// Bool returns the boolean, false for any other kind of value.
func (v Value) Bool() bool { return v.kind == boolean && v.num == 1 }

// Number returns the whole number, 0 for any other kind of value.
func (v Value) Number() int64 {
	if v.kind != number {
		return 0
	}
	return v.num
}

// Duration returns the duration, 0 for any other kind of value.
func (v Value) Duration() time.Duration {
	if v.kind != duration {
		return 0
	}
	return time.Duration(v.num)
}

// Text returns the text, "" for any other kind of value.
func (v Value) Text() string { return v.text }

// String renders the value for people and for storage: true, 8, 18h0m0s, a
// text as it is. Setting.Parse reads it back.
func (v Value) String() string {
	switch v.kind {
	case boolean:
		return strconv.FormatBool(v.num == 1)
	case number:
		return strconv.FormatInt(v.num, 10)
	case duration:
		return time.Duration(v.num).String()
	case text:
		return v.text
	}
	return ""
}

// Parse reads a value of this setting as String renders it. It fails on an
// unknown setting and on a value of another kind.
func (s Setting) Parse(rendered string) (Value, error) {
	switch traitsOf[s].kind {
	case boolean:
		b, err := strconv.ParseBool(rendered)
		return Bool(b), wrapParse(s, err)
	case number:
		n, err := strconv.ParseInt(rendered, 10, 64)
		return Number(n), wrapParse(s, err)
	case duration:
		d, err := time.ParseDuration(rendered)
		return Duration(d), wrapParse(s, err)
	case text:
		return Text(rendered), nil
	}
	return Value{}, fmt.Errorf("parsing a value: there is no setting %q", s)
}

func wrapParse(s Setting, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("parsing a value of %s: %w", s, err)
}
