package idp

import "time"

// Account is the service account a connection acts as, and what is known of
// the server behind it.
type Account struct {
	UserID   string
	UserName string
	// Roles the account holds, by their names in Zitadel. Empty: it may do
	// nothing.
	Roles []Role
	// CredentialExpires is when the key or token ends; zero if it never does,
	// or if the server does not tell.
	CredentialExpires time.Time
	// ServerVersion is empty if the account may not read it.
	ServerVersion string
}

// Role is one role of an account.
type Role struct {
	Name string
	// OrganizationID is the organization the role is granted on; empty for the
	// instance.
	OrganizationID string
}
