// Package compliance sums up what MFAUsers say of their compliance: as counters in
// the status of each SecurityPolicy that is in force for them, and, where the kind
// is installed, as a Report of openreports.io in each namespace. It judges nobody:
// that is done where each user is looked at.
package compliance
