package idp

import "time"

// Cursor is how far an event log has been read: everything recorded up to and
// including From, and of what is later, the events in Seen. A log is read from
// From on, not from its end, because an event can become visible after one that
// was recorded later.
//
// It is a plain value that can be stored. The zero Cursor is the beginning of
// the log.
type Cursor struct {
	From time.Time
	// Seen is in the order of the log, at most MaxSeen.
	Seen []EventKey
}

// MaxSeen bounds Cursor.Seen. Where more happens within the window that is read
// again, the window gets shorter.
const MaxSeen = 500

// Batch is what one poll of an event log found.
type Batch struct {
	// Events are new, and in the order of the log.
	Events []Event
	// Next is the cursor after them.
	Next Cursor
	// More tells that the poll ended before the end of the log.
	More bool
}

// Topic selects a part of an event log to read from its beginning.
type Topic string

// The two topics. Together they are what a census of users is folded from; they
// may be read one after the other, in any order.
const (
	// UserHistory is who was added and removed, locked and let in again, and got
	// and lost which factor, password or link to an external identity provider.
	UserHistory Topic = "users"
	// OrganizationHistory is which organizations and external identity providers
	// were removed, and which organizations got and lost policies of their own.
	OrganizationHistory Topic = "organizations"
)
