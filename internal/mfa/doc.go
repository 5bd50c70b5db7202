// Package mfa holds the rules of local verification: how a second factor is
// enrolled, verified and used up, who is throttled or locked, and when a
// session is worth what. What has happened is a state folded from the records
// of the ledger; what is kept of a user comes from a Vault.
//
// It knows no Kubernetes, no HTTP and no clock of its own: needs.go declares
// what it needs of the world, and an adapter stands behind each.
package mfa
