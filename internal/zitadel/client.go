package zitadel

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/zitadel/zitadel-go/v3/pkg/client"
	zitadelgo "github.com/zitadel/zitadel-go/v3/pkg/zitadel"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/neosc/mfa-operator/internal/idp"
)

// Client talks to one instance as one account. It is safe for concurrent use;
// writes to one scope wait for each other. Every error it returns is an
// *idp.Error, except that an error that is context.Canceled says that the
// caller gave up.
type Client struct {
	domain string
	// origin is the external origin, by which the instance knows itself.
	origin string
	api    *client.Client
	// tokens is the HTTP client of token requests.
	tokens *http.Client
	// keyExpires is known for a key file only.
	keyExpires     time.Time
	credentialType CredentialType
	turns          turns
	// held are the roles we had when we last asked; nil before.
	held atomic.Pointer[[]idp.Role]
	// confirmWithin bounds reading back; pace is the pause between two reads.
	confirmWithin time.Duration
	pace          wait.Backoff
	// pageSize is how many events to ask for at once, and now the clock.
	pageSize int
	now      func() time.Time
}

// Reads usually follow a write within 0.1 s; the server's own background pass
// bounds the worst case at a minute, which is left to the next attempt.
const confirmWithin = 15 * time.Second

var confirmPace = wait.Backoff{Duration: 25 * time.Millisecond, Factor: 1.6, Jitter: 0.1, Cap: time.Second, Steps: 100}

// Dial prepares a client. It never waits for the server: whether anybody
// answers, and whether the account is known, is what Account finds out. It
// fails with idp.ErrRejected (idp.InvalidValue) on a Config that cannot work
// with any server.
func Dial(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	external, connect, err := cfg.origins()
	if err != nil {
		return nil, err
	}
	tlsConfig, err := cfg.tls()
	if err != nil {
		return nil, err
	}
	tokens := tokenHTTPClient(tlsConfig, connect.TransportHeaders(), cfg.Timeout)
	source, expires, err := cfg.open(tokens, external.Origin(), connect.Origin()+"/oauth/v2/token")
	if err != nil {
		return nil, err
	}
	api, err := client.New(context.Background(), connect,
		client.WithGRPCDialOptions(dialOptions(cfg, connect, tlsConfig, source)...))
	if err != nil {
		return nil, cfg.unusable("the address cannot be dialled")
	}
	return &Client{
		domain:         cfg.Domain,
		origin:         external.Origin(),
		api:            api,
		tokens:         tokens,
		keyExpires:     expires,
		credentialType: cfg.Credentials.Type,
		confirmWithin:  confirmWithin,
		pace:           confirmPace,
		pageSize:       maxPage,
		now:            time.Now,
	}, nil
}

func dialOptions(cfg Config, connect *zitadelgo.Zitadel, tlsConfig *tls.Config, source tokenSource) []grpc.DialOption {
	options := []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(interceptors(cfg, source)...),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		// gRPC's default waits up to two minutes between attempts to connect,
		// long after a restarted server is back.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 250 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: cfg.Timeout,
		}),
	}
	if connect.IsTLS() {
		// Later options win: zitadel-go's own credentials know the system's
		// roots only, and verify against the name that is dialled.
		options = append(options, grpc.WithTransportCredentials(credentials.NewTLS(tlsConfig)))
	}
	return options
}

// Close ends the connection. Calls under way fail with idp.Down.
func (c *Client) Close() error {
	c.tokens.CloseIdleConnections()
	return c.api.Close()
}

// Origin is the external origin of the instance, such as
// https://zitadel.example.com.
func (c *Client) Origin() string { return c.origin }

// String names the instance.
func (c *Client) String() string { return "client of " + c.domain }

// Format makes every verb of package fmt print String: what is reachable from
// a client includes its credentials.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }
