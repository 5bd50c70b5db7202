// Package webhook serves everything that answers HTTP: what listens, with which
// certificate, for how long, and how it ends. What is answered is in the rooms
// below it.
package webhook

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/neosc/mfa-operator/internal/tracing"
)

// Bounds of a request and of the end. The API server gives up after at most 30
// seconds, and sends at most 3 MiB or so in one object.
const (
	headerTimeout  = 5 * time.Second
	requestTimeout = 30 * time.Second
	idleTimeout    = 90 * time.Second
	maxHeaderBytes = 64 << 10
)

// Server serves HTTPS. It is a manager.Runnable that needs no leader.
type Server struct {
	// Address is the host:port to listen on.
	Address string
	// Certificate is asked for at each handshake, so that a new one needs no
	// restart.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// ClientCAs are those who may issue callers' certificates. A caller without a
	// certificate is let in: see WithCertificate. Nil: nobody's are looked at.
	ClientCAs *x509.CertPool
	// Plain serves HTTP instead, where somebody else ends TLS in front of it.
	// Certificate and ClientCAs then have no say.
	Plain   bool
	Handler http.Handler
	// RequestTimeout is how long a request may take, also when the server ends;
	// zero: 30 seconds.
	RequestTimeout time.Duration
	// Leaving is closed when the process is told to end. The server is not ready from
	// then on, and serves for Linger more: whoever has not heard yet that this replica
	// goes still comes. Then it ends. Nil: it ends with its context only.
	Leaving <-chan struct{}
	Linger  time.Duration
	Log     logr.Logger

	listening, leaving atomic.Bool
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica
// serves.
func (s *Server) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable. It returns when ctx has ended, or the time to
// linger is over, and requests under way are answered.
func (s *Server) Start(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Address)
	if err != nil {
		return fmt.Errorf("listening for webhook calls: %w", err)
	}
	timeout := cmp.Or(s.RequestTimeout, requestTimeout)
	server := &http.Server{
		Handler:           tracing.Handler(http.HandlerFunc(s.answer)),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       timeout,
		WriteTimeout:      timeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		// What strangers send is no error of ours.
		ErrorLog: slog.NewLogLogger(logr.ToSlogHandler(s.Log.V(1)), slog.LevelInfo),
	}
	s.Log.Info("Serving", "address", listener.Addr().String())
	s.listening.Store(true)
	defer s.listening.Store(false)

	ended := make(chan error, 1)
	go func() { ended <- s.serve(server, listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving webhook calls: %w", err)
	case <-ctx.Done():
	case <-s.Leaving:
		s.linger(ctx)
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		return fmt.Errorf("ending webhook calls: %w", err)
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving webhook calls: %w", err)
	}
	return nil
}

// linger serves on for a while, for those who have not heard yet.
func (s *Server) linger(ctx context.Context) {
	s.leaving.Store(true)
	s.Log.Info("Leaving", "seconds", s.Linger.Seconds())
	timer := time.NewTimer(s.Linger)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// answer has whoever is answered while the server leaves come back by another
// connection, so that none is cut when a request is on its way.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	if s.leaving.Load() {
		w.Header().Set("Connection", "close") // over HTTP/2 that is a GOAWAY
	}
	s.Handler.ServeHTTP(w, r)
}

// WithCertificate refuses callers who have not shown a certificate of one of the
// server's ClientCAs.
func WithCertificate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
			http.Error(w, "a client certificate is needed", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) serve(server *http.Server, listener net.Listener) error {
	if s.Plain {
		return server.Serve(listener)
	}
	server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: s.Certificate}
	if s.ClientCAs != nil {
		server.TLSConfig.ClientCAs, server.TLSConfig.ClientAuth = s.ClientCAs, tls.VerifyClientCertIfGiven
	}
	return server.ServeTLS(listener, "", "")
}

// Listening tells whether the server has begun, and not ended.
func (s *Server) Listening() bool { return s.listening.Load() }

// Check is a healthz.Checker: the server listens, and will go on doing so.
func (s *Server) Check(*http.Request) error {
	switch {
	case s.leaving.Load():
		return errors.New("the webhook server is about to end")
	case !s.Listening():
		return errors.New("the webhook server does not listen yet")
	}
	return nil
}
