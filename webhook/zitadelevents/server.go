package zitadelevents

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
)

// Bounds of a call. Zitadel waits for three seconds.
const (
	callTimeout    = 5 * time.Second
	idleTimeout    = 60 * time.Second
	maxHeaderBytes = 8 << 10
)

// Server serves plain HTTP: whoever brings Zitadel's calls into the cluster ends
// their TLS, with a certificate that Zitadel trusts, and a signature protects
// them from there. It is a manager.Runnable that needs no leader.
type Server struct {
	address string
	handler http.Handler
	log     logr.Logger
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica
// hears.
func (s *Server) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable. It returns when ctx has ended and calls under
// way are answered.
func (s *Server) Start(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.address)
	if err != nil {
		return fmt.Errorf("listening for doorbells: %w", err)
	}
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: callTimeout,
		ReadTimeout:       callTimeout,
		WriteTimeout:      callTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		// What strangers send is no error of ours.
		ErrorLog: slog.NewLogLogger(logr.ToSlogHandler(s.log.V(1)), slog.LevelInfo),
	}
	s.log.Info("Listening for doorbells", "address", listener.Addr().String())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving doorbells: %w", err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		return fmt.Errorf("ending doorbell calls: %w", err)
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving doorbells: %w", err)
	}
	return nil
}
