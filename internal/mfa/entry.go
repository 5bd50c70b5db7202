package mfa

import "time"

// Entry is what the records of a ledger have come to, under one key: of a user,
// of a source address, or of a WebAuthn credential. Only one of the fields is set.
type Entry struct {
	User   *User   `json:"user,omitempty"`
	Source *Source `json:"source,omitempty"`
	// Owner is the UID of the user a WebAuthn credential belongs to.
	Owner string `json:"owner,omitempty"`
}

// User is what is known of a user.
type User struct {
	// FirstLogin is when the time to enrol began.
	FirstLogin time.Time `json:"firstLogin,omitzero"`
}

// Source is what is known of a source address.
type Source struct{}
