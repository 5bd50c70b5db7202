// Package securitypolicy keeps SecurityPolicy objects and the sign-in settings
// of Zitadel in agreement. It decides in which order things happen and what
// users read; the rules are in internal/policy, the protocol behind Provider.
//
// A request runs: reconciler.go → target.go (what is meant) → settle.go
// (observe, plan, remember, write) → status.go (what users read). claim.go
// keeps whose target it is and what stood there before.
package securitypolicy
