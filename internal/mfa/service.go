package mfa

import (
	"io"
	"time"

	"github.com/go-webauthn/webauthn/metadata"
)

// Service does local verification. It does the expensive and the random part,
// asks the ledger, and answers what the records say. All fields but Metadata,
// Courier and Notifier have to be set; it may be used by many at once.
type Service struct {
	// Vault keeps the factors.
	Vault Vault
	// Sealer seals what waits at the caller.
	Sealer Sealer
	// Signer signs sessions.
	Signer Signer
	// Courier sends codes. Nil: Email and SMS are not offered.
	Courier Courier
	// Notifier tells users of changes to their factors. Nil: nobody does.
	Notifier Notifier
	// Ledger judges and records.
	Ledger Ledger
	// Metadata has the roots that attestations lead to. Nil: no attestation is
	// believed.
	Metadata metadata.Provider
	// Issuer is the iss of sessions, a URL.
	Issuer string
	// Clock tells the time.
	Clock func() time.Time
	// Rand is cryptographic randomness, such as crypto/rand.Reader.
	Rand io.Reader
}
