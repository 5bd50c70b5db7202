package zitadelconnection

import (
	"context"

	"github.com/neosc/mfa-operator/internal/idp"
)

// EventLog reads the event log of one instance.
type EventLog interface {
	// Origin names the instance.
	Origin() string
	// Events returns what happened since, in the order of the log.
	Events(ctx context.Context, since idp.Cursor) (idp.Batch, error)
	// EventsFromNow returns the cursor at the end of the log.
	EventsFromNow(ctx context.Context) (idp.Cursor, error)
	// History returns the next page of a topic, with one call.
	History(ctx context.Context, topic idp.Topic, since idp.Cursor) (idp.Batch, error)
}

// EventLogs finds the event log of a connection.
type EventLogs interface {
	// EventLog reports false as long as nothing is connected.
	EventLog(connection string) (EventLog, bool)
}

// Listener acts on events.
type Listener interface {
	// Heard takes the events of one poll, in the order of the log. After an error
	// of any listener all of them get the batch again, and after a crash they
	// may: to hear an event twice must be the same as to hear it once. Events
	// are told apart by their key.
	Heard(ctx context.Context, connection string, events []idp.Event) error
}

// Beginner is a Listener that has to know when a log is followed anew, from its
// end. What happened before is not heard.
type Beginner interface {
	Began(connection string)
}
