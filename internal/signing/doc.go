// Package signing signs session tokens with keys that all replicas share from
// one Secret in the operator's namespace, and makes new keys as the old ones get
// old. A new key is published before it signs, and an old one stays published
// until the last session that it signed has ended.
//
// It knows no claims: what a token says, and until when it holds, is
// internal/mfa's business. ring.go holds the rules as a pure value, signer.go
// shares it; mfa.Signer.
package signing
