// Package policy holds the rules of sign-in policy: what a SecurityPolicy asks
// of an identity provider, what differs from what was found, what is given back
// when a policy lets go, and who may target what. It is pure: it knows neither
// Kubernetes clients, gRPC nor HTTP, and reads no clock.
package policy
