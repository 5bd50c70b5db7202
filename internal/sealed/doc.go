// Package sealed keeps MFA credentials encrypted in Kubernetes Secrets: one
// Secret per user, in the namespace of the MFAUser, under keys that all replicas
// share from one Secret in the operator's namespace.
//
// A sealed value is bound to its place. What opens for one user, credential and
// purpose opens for no other, so that whoever may write Secrets, but has no key,
// can take a factor away and never put one in.
//
// It knows no method: what a credential's secret means is internal/mfa's
// business. Where to look:
//
//	keys.go     the keys themselves, as an immutable value
//	bind.go     what a sealed value is bound to
//	keyset.go   the keys as all replicas share them; mfa.Sealer
//	store.go    one Secret per user, for those who cannot open it
//	envelope.go one credential as a data entry of it
//	vault.go    the same for those who can; mfa.Vault
//	cached.go   a Vault that answers from what it has heard
//	rotate.go   new keys, re-sealing, and the end of old keys
package sealed
