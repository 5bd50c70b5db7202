package zitadelconnection

import (
	"context"
	"time"

	"github.com/neosc/mfa-operator/internal/idp"
)

// Instance says where a Zitadel instance is and how to talk to it.
type Instance struct {
	Domain            string
	Port              uint16 // 0: the default of the transport
	Insecure          bool
	Address           string // empty: domain and port
	CABundle          []byte // PEM; empty: the system's
	CredentialType    string // PAT or JWTProfile
	Credential        []byte
	RequestsPerSecond int
	Burst             int
	Timeout           time.Duration
}

// Connector makes and keeps the client of each connection.
type Connector interface {
	// Connect proves the credential against the instance and then puts it to
	// use. If that fails, the client made before stays in use.
	Connect(ctx context.Context, name string, to Instance) (idp.Account, error)
	// Connected tells whether there is a client in use.
	Connected(name string) bool
	// Forget closes and drops the client.
	Forget(name string)
}
