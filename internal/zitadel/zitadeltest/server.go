package zitadeltest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc"
)

// Options says what kind of server to build. The zero value is a fresh Zitadel for localhost.
type Options struct {
	// Domain is the external domain of the instance; unset means "localhost". Loopback names always
	// work as well, as long as no instance-host header says otherwise.
	Domain string
	// OwnerToken is the personal access token of the owner, a machine user holding IAM_OWNER; unset
	// means a random one.
	OwnerToken string
	// InstanceName is the name of the instance; unset means "ZITADEL".
	InstanceName string
	// Version is what GetMyInstance reports; unset means "v4.7.0".
	Version string
	// Lag is how long reads trail behind writes, Jitter the upper bound of a random extra per
	// command. Both run on the wall clock, also when Clock is set. Zero means reads are current.
	Lag, Jitter time.Duration
	// Clock dates events and decides whether a token or key has expired; unset means time.Now.
	Clock func() time.Time
	// TokenLifetime is how long tokens of the token endpoint live; unset means 12 hours.
	TokenLifetime time.Duration
	// TLS, when set, makes the server speak TLS with this configuration instead of plain text.
	TLS *tls.Config
	// DenyList is which hosts, addresses and networks targets may not be at; nil means
	// DefaultDenyList, which includes this machine. An empty list denies nothing. New panics on a list
	// that CheckDenyList refuses.
	DenyList []string
}

// Server is one fake Zitadel with one instance. All methods may be called from several goroutines.
//
// mu guards everything that follows it. RPC handlers run with mu held (intercept.go), which makes
// deciding and writing one step, as in the real server's command transactions.
type Server struct {
	domain        string
	version       string
	instanceName  string
	instanceID    string
	ownerToken    string
	ownerID       string
	defaultOrgID  string
	tokenLifetime time.Duration
	clock         func() time.Time
	tls           *tls.Config
	rpc           *grpc.Server
	denied        denyList
	targetClient  *http.Client
	running       context.Context // ends with Close
	end           context.CancelFunc

	mu          sync.Mutex
	ids         ids
	lag, jitter time.Duration
	log         eventLog
	write       *state
	projection  *state // the read view; use read() to look at it
	projected   int    // events already folded into projection
	tokens      map[string]token
	idps        []IDP

	faults  faultList
	calls   callList
	courier courier

	listening sync.Mutex // guards what follows; separate from mu so that Stop never waits for a handler
	listener  net.Listener
	http      *http.Server
	address   string
}

// New builds a server holding what a freshly installed Zitadel holds: one instance with default
// policies, one organization named ZITADEL, and in it the owner, a machine user.
func New(options Options) *Server {
	s := &Server{
		domain:        orDefault(options.Domain, "localhost"),
		version:       orDefault(options.Version, "v4.7.0"),
		instanceName:  orDefault(options.InstanceName, "ZITADEL"),
		ownerToken:    orDefault(options.OwnerToken, newToken()),
		tokenLifetime: orDefault(options.TokenLifetime, 12*time.Hour),
		clock:         options.Clock,
		tls:           options.TLS,
		ids:           newIDs(),
		lag:           options.Lag,
		jitter:        options.Jitter,
		log:           eventLog{byAggregate: map[string][]*event{}, sequences: map[aggregateKey]uint64{}},
		tokens:        map[string]token{},
	}
	denied := options.DenyList
	if denied == nil {
		denied = DefaultDenyList
	}
	var err error
	if s.denied, err = newDenyList(denied); err != nil {
		panic(fmt.Sprintf("zitadeltest: the deny list: %v", err))
	}
	s.targetClient = newTargetClient(s.denied)
	s.running, s.end = context.WithCancel(context.Background())
	if s.clock == nil {
		s.clock = time.Now
	}
	s.instanceID = s.ids.next()
	s.write, s.projection = newState(s.instanceID), newState(s.instanceID)
	s.rpc = s.newRPCServer()
	s.setUpInstance()
	return s
}

func orDefault[T comparable](value, fallback T) T {
	var unset T
	if value == unset {
		return fallback
	}
	return value
}

// OwnerToken returns the owner's personal access token.
func (s *Server) OwnerToken() string { return s.ownerToken }

// OwnerID returns the user id of the owner.
func (s *Server) OwnerID() string { return s.ownerID }

// InstanceID returns the id of the instance, which owns the default policies.
func (s *Server) InstanceID() string { return s.instanceID }

// DefaultOrganizationID returns the id of the organization the owner lives in.
func (s *Server) DefaultOrganizationID() string { return s.defaultOrgID }

// Domain returns the external domain of the instance.
func (s *Server) Domain() string { return s.domain }

// SetLag changes how far reads trail behind writes, from the next write on.
func (s *Server) SetLag(lag, jitter time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lag, s.jitter = lag, jitter
}
