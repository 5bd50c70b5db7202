// Package metrics is the one place that names what the two processes measure. A
// fact is counted where it happens, by a collector of this package; nothing here
// knows how it came about.
//
// Names begin with mfa_ and end in a base unit. Every label has a closed set of
// values, or one that an administrator decides: never a user, an address, or
// anything else that a caller can choose.
package metrics
