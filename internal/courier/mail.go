package courier

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"github.com/neosc/mfa-operator/internal/mfa"
)

// mailer sends e-mails.
type mailer struct {
	Email
	from  *netmail.Address
	clock func() time.Time
}

func newMailer(e Email, clock func() time.Time) (*mailer, error) {
	from, err := netmail.ParseAddress(e.From)
	if err != nil {
		return nil, fmt.Errorf("reading Email.From: %w", err)
	}
	return &mailer{e, from, clock}, nil
}

func (m *mailer) send(ctx context.Context, code mfa.Message) error {
	return m.post(ctx, code.To, m.Subject, longText(code))
}

// post hands one e-mail over.
func (m *mailer) post(ctx context.Context, to, subject, text string) error {
	letter, err := m.letter(to, subject, text)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, m.Timeout)
	defer cancel()
	client, err := m.client()
	if err != nil {
		return err
	}
	connection, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return fmt.Errorf("connecting to the SMTP server %s: %w%s", m.Host, mfa.ErrUnavailable, because(ctx, err))
	}
	err = client.SendWithSMTPClient(connection, letter)
	_ = client.CloseWithSMTPClient(connection) // it has been handed over by now, or not
	if err == nil || letter.IsDelivered() {
		return nil
	}
	var refusal *mail.SendError
	if errors.As(err, &refusal) && !refusal.IsTemp() && ctx.Err() == nil && refusal.ErrorCode() >= 500 {
		return fmt.Errorf("the SMTP server %s refuses the e-mail with code %d", m.Host, refusal.ErrorCode())
	}
	return fmt.Errorf("handing an e-mail over to the SMTP server %s: %w%s", m.Host, mfa.ErrUnavailable, because(ctx, err))
}

// because says what can be said of why. What the server wrote is left out: it may
// repeat the address, or a credential.
func because(ctx context.Context, err error) string {
	var untrusted *tls.CertificateVerificationError
	var lookup *net.DNSError
	var operation *net.OpError
	var answer *textproto.Error
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(ctx.Err(), context.DeadlineExceeded):
		return ": out of time"
	case ctx.Err() != nil:
		return ": " + ctx.Err().Error()
	case errors.As(err, &untrusted):
		return ": " + untrusted.Error()
	case errors.As(err, &lookup):
		return ": " + lookup.Error()
	case errors.As(err, &operation):
		return ": " + operation.Error()
	case errors.As(err, &answer):
		return fmt.Sprintf(": it answers %d", answer.Code)
	case errors.Is(err, errNoMechanism):
		return ": " + errNoMechanism.Error()
	case strings.Contains(err.Error(), "not support STARTTLS"):
		return ": it does not offer STARTTLS"
	}
	return ""
}

// letter is the e-mail. Whatever is in it has been checked not to break out of
// its header.
func (m *mailer) letter(address, subject, text string) (*mail.Msg, error) {
	to, err := netmail.ParseAddress(address)
	if err != nil || to.Address != address || !isLine(address) {
		return nil, errors.New("the address is none")
	}
	letter := mail.NewMsg()
	letter.FromMailAddress(m.from)
	letter.ToMailAddress(to)
	letter.Subject(subject)
	letter.SetDateWithValue(m.clock())
	letter.SetMessageIDWithValue(rand.Text() + "@" + m.domain()) // a host's name would tell of the inside
	letter.SetGenHeader("Auto-Submitted", "auto-generated")
	letter.SetBodyString(mail.TypeTextPlain, text)
	return letter, nil
}

func (m *mailer) domain() string {
	return m.from.Address[strings.LastIndexByte(m.from.Address, '@')+1:]
}

func (m *mailer) client() (*mail.Client, error) {
	trust, err := trusting(m.CAFile)
	if err != nil {
		return nil, fmt.Errorf("reading Email.CAFile: %w", err)
	}
	trust.ServerName = m.Host
	options := []mail.Option{
		mail.WithPort(m.Port), mail.WithTimeout(m.Timeout), mail.WithHELO(m.domain()), mail.WithTLSConfig(trust),
		mail.WithTLSPolicy(mail.TLSMandatory), mail.WithoutNoop(), mail.WithDialContextFunc(m.dial(trust)),
	}
	if m.TLS == Implicit {
		options = append(options, mail.WithSSL())
	}
	if m.UsernameFile != "" {
		username, err := fromFile(m.UsernameFile)
		if err != nil {
			return nil, fmt.Errorf("reading Email.UsernameFile: %w", err)
		}
		password, err := fromFile(m.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("reading Email.PasswordFile: %w", err)
		}
		options = append(options, mail.WithSMTPAuthCustom(&signIn{username: username, password: password, host: m.Host}))
	}
	client, err := mail.NewClient(m.Host, options...)
	if err != nil {
		return nil, fmt.Errorf("making an SMTP client: %w", err)
	}
	return client, nil
}

var errNoMechanism = errors.New("it offers to sign in by neither PLAIN nor LOGIN")

// signIn signs in by PLAIN or LOGIN, whichever is offered. Both refuse without
// TLS.
type signIn struct {
	smtp.Auth
	username, password, host string
}

// Start implements smtp.Auth.
func (s *signIn) Start(server *smtp.ServerInfo) (mechanism string, first []byte, err error) {
	switch {
	case slices.Contains(server.Auth, "PLAIN"):
		s.Auth = smtp.PlainAuth("", s.username, s.password, s.host, false)
	case slices.Contains(server.Auth, "LOGIN"):
		s.Auth = smtp.LoginAuth(s.username, s.password, s.host, false)
	default:
		return "", nil, errNoMechanism
	}
	return s.Auth.Start(server)
}

// dial connects so that the whole conversation ends when ctx does; the SMTP
// client would grant each of its steps the whole time anew.
func (m *mailer) dial(trust *tls.Config) mail.DialContextFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		raw, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		conn := net.Conn(&hurried{raw, time.Now().Add(m.Timeout)})
		if deadline, ok := ctx.Deadline(); ok {
			conn = &hurried{raw, deadline}
		}
		if m.TLS != Implicit {
			return conn, nil
		}
		encrypted := tls.Client(conn, trust)
		if err := encrypted.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, raw.Close())
		}
		return encrypted, nil
	}
}

// hurried is a connection whose deadlines are never later than the last one.
type hurried struct {
	net.Conn
	last time.Time
}

func (h *hurried) SetDeadline(t time.Time) error {
	if t.IsZero() || t.After(h.last) {
		t = h.last
	}
	return h.Conn.SetDeadline(t)
}
