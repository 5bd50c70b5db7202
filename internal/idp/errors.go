package idp

import (
	"errors"
	"fmt"
)

// The four ways a call can fail. Every error that leaves an adapter is exactly
// one of them; ask with errors.Is.
var (
	// ErrNotFound: what the call was about does not exist.
	ErrNotFound = errors.New("not found")
	// ErrRejected: the provider refuses the values; the spec must change.
	ErrRejected = errors.New("rejected")
	// ErrDenied: the provider refuses us; key or roles must change.
	ErrDenied = errors.New("denied")
	// ErrUnreachable: no usable answer; trying again later can help.
	ErrUnreachable = errors.New("unreachable")
)

// Cause says more exactly why a call failed.
type Cause string

// The causes, each belonging to one of the four kinds.
const (
	NoSuchOrganization Cause = "NoSuchOrganization" // ErrNotFound
	NoSuchObject       Cause = "NoSuchObject"       // ErrNotFound
	NoSuchUser         Cause = "NoSuchUser"         // ErrNotFound: or one we may not see
	AmbiguousUser      Cause = "AmbiguousUser"      // ErrRejected: the selector matches several users
	InvalidValue       Cause = "InvalidValue"       // ErrRejected
	EndpointDenied     Cause = "EndpointDenied"     // ErrRejected: the provider will not call this URL
	BadCredentials     Cause = "BadCredentials"     // ErrDenied: unknown, expired or revoked key or token
	MissingPermission  Cause = "MissingPermission"  // ErrDenied: the account lacks a role
	Down               Cause = "Down"               // ErrUnreachable: no connection, or the server says it is unavailable
	TimedOut           Cause = "TimedOut"           // ErrUnreachable: no answer within the deadline
	RateLimited        Cause = "RateLimited"        // ErrUnreachable: too many requests
	WriteConflict      Cause = "WriteConflict"      // ErrUnreachable: lost a race with another writer, nothing was written
	NotConfirmed       Cause = "NotConfirmed"       // ErrUnreachable: written, but reads did not follow in time
	ServerFault        Cause = "ServerFault"        // ErrUnreachable: the server failed in a way we do not know
)

var kindOf = map[Cause]error{
	NoSuchOrganization: ErrNotFound,
	NoSuchObject:       ErrNotFound,
	NoSuchUser:         ErrNotFound,
	AmbiguousUser:      ErrRejected,
	InvalidValue:       ErrRejected,
	EndpointDenied:     ErrRejected,
	BadCredentials:     ErrDenied,
	MissingPermission:  ErrDenied,
	Down:               ErrUnreachable,
	TimedOut:           ErrUnreachable,
	RateLimited:        ErrUnreachable,
	WriteConflict:      ErrUnreachable,
	NotConfirmed:       ErrUnreachable,
	ServerFault:        ErrUnreachable,
}

// Error is a failed call to an identity provider.
type Error struct {
	Cause Cause
	// Doing says what was tried, in -ing form.
	Doing string
	// Detail is safe to show: composed by the adapter, never a request, a
	// token or a provider message wholesale.
	Detail string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Detail == "" {
		return fmt.Sprintf("%s: %s", e.Doing, e.Cause)
	}
	return fmt.Sprintf("%s: %s: %s", e.Doing, e.Cause, e.Detail)
}

// Unwrap makes errors.Is answer for the kind of the error.
func (e *Error) Unwrap() error { return kindOf[e.Cause] }

// CauseOf returns the cause of a failed call, empty if err is not one.
func CauseOf(err error) Cause {
	var e *Error
	if errors.As(err, &e) {
		return e.Cause
	}
	return ""
}
