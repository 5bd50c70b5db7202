// Package mailbox is an SMTP server on loopback: it takes e-mails as a real one does,
// keeps them, and shows tests what arrived.
package mailbox

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"k8s.io/client-go/util/cert"
)

// Letter is an e-mail as the server got it.
type Letter struct {
	From, User string
	To         []string
	Encrypted  bool
	Raw        []byte
}

// Read is what somebody sees of it, lines joined by spaces.
func (l Letter) Read() (subject, text string, err error) {
	m, err := mail.ReadMessage(bytes.NewReader(l.Raw))
	if err != nil {
		return "", "", fmt.Errorf("reading an e-mail: %w", err)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil {
		return "", "", fmt.Errorf("reading an e-mail: %w", err)
	}
	return m.Header.Get("Subject"), strings.ReplaceAll(string(body), "\r\n", " "), nil
}

// Server is a running one.
type Server struct {
	// Port is where it serves.
	Port int
	// Password, if not empty, is what it asks for. It is set before anybody connects.
	Password string

	mu      sync.Mutex
	refuse  error
	letters []Letter
	smtp    *smtp.Server
	ended   chan error
}

// Authority makes a certificate for 127.0.0.1, and writes who issued it to a file in
// dir.
func Authority(dir string) (certificate tls.Certificate, caFile string, err error) {
	chain, key, err := cert.GenerateSelfSignedCertKey("127.0.0.1", nil, nil)
	if err != nil {
		return tls.Certificate{}, "", fmt.Errorf("making a certificate: %w", err)
	}
	if certificate, err = tls.X509KeyPair(chain, key); err != nil {
		return tls.Certificate{}, "", fmt.Errorf("making a certificate: %w", err)
	}
	caFile = filepath.Join(dir, "ca.crt")
	if err := os.WriteFile(caFile, chain, 0o600); err != nil {
		return tls.Certificate{}, "", fmt.Errorf("writing a certificate: %w", err)
	}
	return certificate, caFile, nil
}

// Serve starts one, with STARTTLS if there is a certificate, with implicit TLS if that
// is asked for.
func Serve(certificate *tls.Certificate, implicit bool) (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for e-mails: %w", err)
	}
	s := &Server{Port: listener.Addr().(*net.TCPAddr).Port, ended: make(chan error, 1)}
	s.smtp = smtp.NewServer(s)
	s.smtp.Domain = "localhost"
	s.smtp.ReadTimeout, s.smtp.WriteTimeout = 10*time.Second, 10*time.Second
	s.smtp.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are meant to fail
	s.smtp.AllowInsecureAuth = true              // so that it is the client who refuses
	if certificate != nil {
		s.smtp.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*certificate}, MinVersion: tls.VersionTLS12}
		if implicit {
			listener = tls.NewListener(listener, s.smtp.TLSConfig)
		}
	}
	go func() { s.ended <- s.smtp.Serve(listener) }()
	return s, nil
}

// Close ends it.
func (s *Server) Close() error {
	err := s.smtp.Close()
	if served := <-s.ended; !errors.Is(served, smtp.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// Letters are all that have arrived.
func (s *Server) Letters() []Letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.letters)
}

// Refuse makes answer, if not nil, the one to every recipient from now on.
func (s *Server) Refuse(answer error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = answer
}

// NewSession implements smtp.Backend.
func (s *Server) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &session{server: s, conn: c}, nil
}

type session struct {
	server *Server
	conn   *smtp.Conn
	Letter
}

func (s *session) AuthMechanisms() []string {
	if s.server.Password == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if password != s.server.Password {
			return &smtp.SMTPError{Code: 535, Message: "wrong: " + password} // servers do write such things
		}
		s.User = username
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.server.Password != "" && s.User == "" {
		return smtp.ErrAuthRequired
	}
	s.From = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.To = append(s.To, to)
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	return s.server.refuse
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	_, s.Encrypted = s.conn.TLSConnectionState()
	s.Raw = raw
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.letters = append(s.server.letters, s.Letter)
	return nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }
