package zitadelconnection

import (
	"context"

	"github.com/neosc/mfa-operator/internal/idp"
)

// Bell makes one instance call when settings are changed.
type Bell interface {
	// HangDoorbell makes or corrects what it takes, without taking calls away
	// from anybody else.
	HangDoorbell(ctx context.Context, want idp.Doorbell) (idp.DoorbellState, error)
	// TakeDownDoorbell removes all of it. It is no error if there is nothing.
	TakeDownDoorbell(ctx context.Context, name string) error
}

// Bells finds the bell of a connection.
type Bells interface {
	// Bell reports false as long as nothing is connected.
	Bell(connection string) (Bell, bool)
}
