package mfa

import (
	"errors"
	"fmt"
	"time"
)

// What callers are told, besides ErrUnavailable.
var (
	// ErrDenied: the second factor was not accepted. Wrong, late, used before,
	// locked, suspended, no such factor, no such user: the caller cannot tell;
	// the record says it.
	ErrDenied = errors.New("denied")
	// ErrNotAllowed: the rules of enrolment do not let this happen: it needs a
	// fresh verification, a link, or another factor first.
	ErrNotAllowed = errors.New("not allowed")
	// ErrNotFound: the user has no such factor or session.
	ErrNotFound = errors.New("not found")
	// ErrInvalid: the request is malformed. It is always an *InvalidError.
	ErrInvalid = errors.New("invalid")
	// ErrThrottled: too much was tried; nothing was looked at. It is always a
	// *ThrottledError.
	ErrThrottled = errors.New("throttled")
)

// InvalidError says which field of a request is malformed.
type InvalidError struct {
	// Field in the words of the request, such as code.
	Field string
	// Message says what is expected; it never repeats the value.
	Message string
}

func (e *InvalidError) Error() string { return e.Field + " " + e.Message }

// Is makes it an ErrInvalid.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

func invalid(field, message string) error { return &InvalidError{Field: field, Message: message} }

// ThrottledError says when to try again. It comes alike for users that exist
// and users that do not.
type ThrottledError struct {
	// RetryAfter is at least one second.
	RetryAfter time.Duration
}

func (e *ThrottledError) Error() string { return fmt.Sprintf("throttled for %s", e.RetryAfter) }

// Is makes it an ErrThrottled.
func (e *ThrottledError) Is(target error) bool { return target == ErrThrottled }

// NotAllowedError says why the rules of enrolment do not let something happen.
// It is only told of users who are known to the caller: the caller has a session,
// a link, or asks to enrol.
type NotAllowedError struct {
	// Reason is one CamelCase word; see the Reason constants.
	Reason string
}

func (e *NotAllowedError) Error() string { return "not allowed: " + e.Reason }

// Is makes it an ErrNotAllowed.
func (e *NotAllowedError) Is(target error) bool { return target == ErrNotAllowed }

// unavailable marks a failure of the world: it says nothing about the code.
func unavailable(doing string, err error) error {
	if errors.Is(err, ErrUnavailable) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, doing, err)
}
