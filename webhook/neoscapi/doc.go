// Package neoscapi is the HTTP door for what speaks to NeoSC: its consoles and scripts
// list, read and toggle policies in NeoSC's shape, and find the SecurityPolicies of one
// namespace behind it.
//
// A request passes who asks and the bounds of a request (webhook/callers), whether
// RBAC lets them do the same with kubectl (endpoint.go), and the API server
// (policies.go), which has the last word; rules.go says a spec in NeoSC's words.
//
// It changes nothing of a policy but whether it is enabled, and records nothing
// itself: what it changes is admitted and recorded as every other change is.
package neoscapi
