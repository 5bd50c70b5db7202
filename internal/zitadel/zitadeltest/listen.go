package zitadeltest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"
)

// Listen binds the address, "127.0.0.1:0" for any free port, and returns what it bound. Calls are
// answered once Serve runs.
func (s *Server) Listen(address string) (string, error) {
	s.listening.Lock()
	defer s.listening.Unlock()
	if s.listener != nil {
		return "", errors.New("listening: the server already listens")
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return "", fmt.Errorf("listening: %w", err)
	}
	s.address = listener.Addr().String()
	if s.tls != nil {
		config := s.tls.Clone()
		config.NextProtos = []string{"h2", "http/1.1"}
		listener = tls.NewListener(listener, config)
	}
	s.listener = listener
	s.http = s.newHTTPServer()
	return s.address, nil
}

// Serve answers calls until Stop, Close or Shutdown. It returns nil when one of them ended it.
func (s *Server) Serve() error {
	s.listening.Lock()
	server, listener, listened := s.http, s.listener, s.address != ""
	s.listening.Unlock()
	switch {
	case !listened:
		return errors.New("serving: the server does not listen")
	case server == nil:
		return nil // stopped before it began
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

// newHTTPServer serves gRPC and plain HTTP on one port, as Zitadel does.
func (s *Server) newHTTPServer() *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	web := s.webHandler()
	return &http.Server{
		Protocols:         protocols,
		ReadHeaderTimeout: 10 * time.Second,
		TLSConfig:         s.tls,
		ErrorLog:          log.New(io.Discard, "", 0), // clients breaking off are what tests are about
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
				s.rpc.ServeHTTP(w, r)
				return
			}
			web.ServeHTTP(w, r)
		}),
	}
}

// Stop closes the port and breaks all connections, as if the server had died. What it holds stays;
// Restart brings it back.
func (s *Server) Stop() {
	s.listening.Lock()
	defer s.listening.Unlock()
	if s.http == nil {
		return
	}
	s.http.Close()     //nolint:errcheck // what matters is that nothing is answered any more
	s.listener.Close() //nolint:errcheck // in case Serve has not taken it over yet
	s.http, s.listener = nil, nil
}

// Shutdown closes the port and lets running calls finish, at most until ctx is done.
func (s *Server) Shutdown(ctx context.Context) error {
	s.listening.Lock()
	defer s.listening.Unlock()
	if s.http == nil {
		return nil
	}
	err := s.http.Shutdown(ctx)
	s.listener.Close() //nolint:errcheck // in case Serve has not taken it over yet
	s.http, s.listener = nil, nil
	if err != nil {
		return fmt.Errorf("shutting down: %w", err)
	}
	return nil
}

// Restart listens again on the port of before and serves in the background.
func (s *Server) Restart() error {
	if _, err := s.Listen(s.Addr()); err != nil {
		return err
	}
	go s.Serve() //nolint:errcheck // ended by Stop or Close; a broken listener shows in the caller's calls
	return nil
}

// Close stops the server for good.
func (s *Server) Close() {
	s.Stop()
	s.rpc.Stop()
	s.end()
	s.targetClient.CloseIdleConnections()
}

// Addr returns the host and port the server listens on, or last listened on.
func (s *Server) Addr() string {
	s.listening.Lock()
	defer s.listening.Unlock()
	return s.address
}

// URL returns the address as an origin, "http://127.0.0.1:41234".
func (s *Server) URL() string { return s.scheme() + "://" + s.Addr() }

func (s *Server) scheme() string {
	if s.tls != nil {
		return "https"
	}
	return "http"
}
