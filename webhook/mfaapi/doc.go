// Package mfaapi is the HTTP door to local verification: applications with a
// password login of their own ask here whether a second factor is needed, enrol
// factors, verify them and look after sessions.
//
// A request passes, in this order: who asks and the bounds of a request
// (webhook/callers), whom it is about (directory.go), whether the caller may
// (endpoint.go), what the user's policy says (directory.go), the work in internal/mfa,
// and the answer or the problem (problem.go). routes.go is the whole surface.
//
// It knows no ledger and no Secret, and it writes no status: the one object it
// makes is the MFAUser of a user who registers.
package mfaapi
