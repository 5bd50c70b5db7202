package mfa

import (
	"context"
	"errors"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
)

// Owner names the user to whom something kept belongs. It is part of what a
// sealed value is bound to: moved to another owner, it does not open.
type Owner struct {
	// Namespace and Name of the MFAUser.
	Namespace, Name string
	// UID of the MFAUser. One that was deleted and made again owns nothing of the
	// first.
	UID string
}

// Credential is one factor as it is kept. All but Secret may be read by whoever
// reads the Secret object; nothing but a process with the keyset reads Secret.
type Credential struct {
	// ID is unique within a user: lower-case letters, digits and '-', at most 63.
	ID string
	// Method of the factor.
	Method Method
	// Name the user gave it, at most 64 characters. May be empty.
	Name string
	// AddedAt is when it was confirmed.
	AddedAt time.Time
	// AAGUID of the authenticator, as a UUID. Empty: none was told.
	AAGUID string
	// Ledger is the id of the ledger that is to know it, at most 64 characters.
	// In any other it is worth nothing, but shows that the user is not new.
	Ledger string
	// Secret is what the method needs to verify: a TOTP seed, a public key with
	// what belongs to it, hashes of recovery codes. Its form is the method's
	// business. Never logged.
	Secret []byte
}

// Kept is everything that is kept of one user.
type Kept struct {
	// Version of the stored object; opaque. Empty: nothing is stored.
	Version string
	// Credentials in the order in which they were added.
	Credentials []Credential
}

// The ends a Vault, Sealer or Signer knows beside success.
var (
	// ErrConflict: somebody else changed it since it was read. Read again.
	ErrConflict = errors.New("changed meanwhile")
	// ErrUnavailable: the store or a key cannot be reached now. Try again later;
	// it says nothing about whether a code was right.
	ErrUnavailable = errors.New("unavailable")
	// ErrUnsealable: a sealed value does not open: its key is gone, it was
	// altered, or it belongs to another place. Nothing falls back to plain text.
	ErrUnsealable = errors.New("cannot be opened")
)

// Vault keeps credentials, sealed, one object per user.
type Vault interface {
	// Load returns what is kept of a user, opened; the zero Kept if nothing is.
	// One credential that does not open fails the whole with ErrUnsealable: what
	// cannot be read is never taken for "no factor".
	Load(ctx context.Context, owner Owner) (Kept, error)
	// Save puts the credentials in place of what was read at that version;
	// ErrConflict if it is not the stored version any more.
	Save(ctx context.Context, owner Owner, kept Kept) error
}

// Sealer makes values that travel through hands that are not trusted, such as a
// WebAuthn challenge that waits at the caller.
type Sealer interface {
	// Seal encrypts and authenticates; purpose binds the value to one use.
	Seal(owner Owner, purpose string, plain []byte) ([]byte, error)
	// Open reverses Seal; ErrUnsealable for anything else.
	Open(owner Owner, purpose string, sealed []byte) ([]byte, error)
	// Hash returns a keyed hash under the primary key, and the key's id.
	Hash(owner Owner, purpose string, plain []byte) (keyID string, mac []byte, err error)
	// HashWith is Hash under the key of that id; ErrUnsealable if it is gone.
	HashWith(keyID string, owner Owner, purpose string, plain []byte) (mac []byte, err error)
}

// Signer signs session tokens (ES256) and checks its own.
type Signer interface {
	// Sign returns the compact serialization of a JWT (RFC 7519) with these claims.
	Sign(claims any) (string, error)
	// Verify checks algorithm, key and signature, and decodes the claims; it looks
	// at none of them, expiry included. ErrUnsealable for any other token.
	Verify(token string, claims any) error
}

// Message is one code on its way to a user.
type Message struct {
	// Method is Email or SMS.
	Method Method
	// To is the address or the telephone number (E.164).
	To string
	// Code is the one-time code. Never logged.
	Code string
	// Application asks for it, in the user's words. May be empty.
	Application string
	// ExpiresAt is when the code ends.
	ExpiresAt time.Time
}

// Courier sends codes. An error says that it was not handed over.
type Courier interface {
	// Offers tells whether a gateway for the method is configured.
	Offers(method Method) bool
	Send(ctx context.Context, message Message) error
}

// Ledger judges attempts and records what follows; ledger.Ledgers is one.
type Ledger interface {
	// Append judges an attempt by the Fold and appends. The records it returns are
	// durable. The Fold's refusal comes back as it is; any other error says that
	// it is not known to be recorded. An audit.Witness is told of them, also if ctx has
	// ended.
	Append(ctx context.Context, namespace string, attempt Attempt) ([]audit.Record, error)
	// Read shows the state with everything in it that was answered before.
	Read(ctx context.Context, namespace string, look func(audit.State[Entry])) error
	// Head shows where the ledger ends, and which one it is.
	Head(ctx context.Context, namespace string, look func(audit.Head)) error
}
