package courier_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/neosc/mfa-operator/internal/courier"
	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/test/mailbox"
)

// serve starts an SMTP server that ends with the test.
func serve(t *testing.T, certificate *tls.Certificate, implicit bool) *mailbox.Server {
	t.Helper()
	p, err := mailbox.Serve(certificate, implicit)
	ok(t, err)
	t.Cleanup(func() { ok(t, p.Close()) })
	return p
}

// got is the only e-mail that arrived.
func got(t *testing.T, p *mailbox.Server) mailbox.Letter {
	t.Helper()
	letters := p.Letters()
	if len(letters) != 1 {
		t.Fatalf("the server got %d e-mails", len(letters))
	}
	return letters[0]
}

func toAlice() mfa.Message {
	return mfa.Message{
		Method: mfa.Email, To: "alice@example.com", Code: secretCode, Application: "Wiki", ExpiresAt: now.Add(10 * time.Minute),
	}
}

func TestAnEmailArrives(t *testing.T) {
	certificate, ca := authority(t)
	for _, way := range []courier.TLS{courier.StartTLS, courier.Implicit} {
		for _, password := range []string{"", "hunter2"} {
			t.Run(string(way)+" "+password, func(t *testing.T) {
				p := serve(t, &certificate, way == courier.Implicit)
				e := courier.Email{Host: "127.0.0.1", Port: p.Port, TLS: way, CAFile: ca, From: "Größe <no-reply@acme.example>", Subject: "Ihr Code für heute"}
				if p.Password = password; password != "" {
					e.UsernameFile, e.PasswordFile = file(t, "courier\n"), file(t, password+"\n")
				}
				ok(t, made(t, courier.Config{Email: &e}).Send(t.Context(), toAlice()))

				got := got(t, p)
				if got.From != "no-reply@acme.example" || len(got.To) != 1 || got.To[0] != "alice@example.com" || !got.Encrypted {
					t.Errorf("envelope: %+v", got)
				}
				if (got.User == "courier") != (password != "") {
					t.Errorf("signed in as %q", got.User)
				}
				m, err := mail.ReadMessage(bytes.NewReader(got.Raw))
				ok(t, err)
				body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
				ok(t, err)
				for _, says := range []string{secretCode, "for Wiki", "14:05 UTC"} {
					if !strings.Contains(string(body), says) {
						t.Errorf("the e-mail does not say %s:\n%s", says, body)
					}
				}
				subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
				ok(t, err)
				date, err := m.Header.Date()
				ok(t, err)
				if subject != e.Subject || !date.Equal(now) || m.Header.Get("Auto-Submitted") != "auto-generated" ||
					!strings.HasPrefix(m.Header.Get("Content-Type"), "text/plain") || !strings.HasSuffix(m.Header.Get("Message-ID"), "@acme.example>") {
					t.Errorf("header: %v", m.Header)
				}
			})
		}
	}
}

func TestNoHeaderCanBePutIn(t *testing.T) {
	certificate, ca := authority(t)
	p := serve(t, &certificate, false)
	c := made(t, courier.Config{Email: &courier.Email{Host: "127.0.0.1", Port: p.Port, CAFile: ca, From: "no-reply@acme.example"}})
	for reason, to := range map[string]string{
		"a header in the address":      "alice@example.com\r\nBcc: mallory@evil.example",
		"a command in the address":     "alice@example.com>\r\nRCPT TO:<mallory@evil.example",
		"two addresses":                "alice@example.com, mallory@evil.example",
		"an address with a name":       "Mallory <alice@example.com>",
		"no address":                   "alice",
		"nothing":                      "",
		"a line feed, quoted":          "\"a\nb\"@example.com",
		"a header in an encoded word":  "=?utf-8?q?a=0d=0aBcc:_mallory@evil.example?= <alice@example.com>",
		"an address with a comment":    "alice@example.com (x)",
		"an address and what follows":  "alice@example.com mallory@evil.example",
		"a null byte":                  "alice\x00@example.com",
		"an address in angle brackets": "<alice@example.com>",
	} {
		m := toAlice()
		m.To = to
		err := c.Send(t.Context(), m)
		discreet(t, reason, err, to)
		passes(t, reason, err, false)
	}
	m := toAlice()
	m.Code = "1\r\nBcc: mallory@evil.example"
	discreet(t, "a code that is none", c.Send(t.Context(), m), "")
	m = toAlice()
	m.Application = "Wiki\r\nBcc: mallory@evil.example\r\n\r\n" + strings.Repeat("x", 200)
	ok(t, c.Send(t.Context(), m))
	got := got(t, p) // and nothing of those before
	read, err := mail.ReadMessage(bytes.NewReader(got.Raw))
	ok(t, err)
	if len(got.To) != 1 || read.Header.Get("Bcc") != "" || strings.Contains(string(got.Raw), "\nBcc") {
		t.Errorf("to %q:\n%s", got.To, got.Raw)
	}
}

func TestAnEmailThatIsNotHandedOver(t *testing.T) {
	certificate, ca := authority(t)
	_, stranger := authority(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	ok(t, err)
	t.Cleanup(func() { ok(t, silent.Close()) })
	refusing := func(p *mailbox.Server, err error) *mailbox.Server { p.Refuse(err); return p }
	locked := serve(t, &certificate, false)
	locked.Password = "another"
	for _, c := range []struct {
		reason  string
		server  *mailbox.Server
		change  func(*courier.Email)
		again   bool
		because string
	}{
		{"it offers no TLS", serve(t, nil, false), nil, true, "STARTTLS"},
		{"nobody is there", &mailbox.Server{Port: 1}, nil, true, "refused"},
		{"its certificate is of nobody we trust", serve(t, &certificate, false), func(e *courier.Email) { e.CAFile = stranger }, true, "certificate"},
		{"the same, implicit", serve(t, &certificate, true), func(e *courier.Email) { e.CAFile, e.TLS = stranger, courier.Implicit }, true, "certificate"},
		{"its certificate is for another name", serve(t, &certificate, false), func(e *courier.Email) { e.Host = "localhost" }, true, "certificate"},
		{"it says nothing", &mailbox.Server{Port: silent.Addr().(*net.TCPAddr).Port}, nil, true, "out of time"},
		{"it does not know the recipient", refusing(serve(t, &certificate, false), &smtp.SMTPError{Code: 550, Message: "no alice@example.com here"}), nil, false, "550"},
		{"it is busy", refusing(serve(t, &certificate, false), &smtp.SMTPError{Code: 451, Message: "later, alice@example.com"}), nil, true, ""},
		{"the password is wrong", locked, func(e *courier.Email) { e.UsernameFile, e.PasswordFile = file(t, "courier"), file(t, "hunter2") }, true, "535"},
		{"there is no way to sign in", serve(t, &certificate, false), func(e *courier.Email) { e.UsernameFile, e.PasswordFile = file(t, "courier"), file(t, "hunter2") }, true, ""},
		{"it wants a password, and there is none", locked, nil, false, "502"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			e := courier.Email{Host: "127.0.0.1", Port: c.server.Port, CAFile: ca, From: "no-reply@acme.example", Timeout: time.Second}
			if c.change != nil {
				c.change(&e)
			}
			start := time.Now()
			err := made(t, courier.Config{Email: &e}).Send(t.Context(), toAlice())
			discreet(t, c.reason, err, "alice@example.com")
			passes(t, c.reason, err, c.again)
			if err != nil && !strings.Contains(err.Error(), c.because) {
				t.Errorf("%v, which should say %q", err, c.because)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
			if len(c.server.Letters()) > 0 {
				t.Error("and it was handed over")
			}
		})
	}
}

// A server that answers each step just in time does not get more time in all.
func TestASlowServerGetsNoMoreTime(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var served sync.WaitGroup
	served.Go(func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		lines := bufio.NewScanner(conn)
		for _, answer := range []string{"220 here", "250 welcome"} {
			select {
			case <-ctx.Done():
				return
			case <-time.After(400 * time.Millisecond):
			}
			if _, err := conn.Write([]byte(answer + "\r\n")); err != nil || !lines.Scan() {
				return
			}
		}
	})
	t.Cleanup(func() { cancel(); _ = listener.Close(); served.Wait() })
	c := made(t, courier.Config{Email: &courier.Email{
		Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, From: "no-reply@acme.example", Timeout: 500 * time.Millisecond,
	}})
	err = c.Send(t.Context(), toAlice())
	passes(t, "a server that takes its time", err, true)
	if err == nil || !strings.Contains(err.Error(), "out of time") {
		t.Errorf("it got more time than there was: %v", err)
	}
}

func TestAChangedPasswordCountsAtOnce(t *testing.T) {
	certificate, ca := authority(t)
	p := serve(t, &certificate, false)
	p.Password = "hunter2"
	password := file(t, "old")
	c := made(t, courier.Config{Email: &courier.Email{
		Host: "127.0.0.1", Port: p.Port, CAFile: ca, From: "no-reply@acme.example", UsernameFile: file(t, "courier"), PasswordFile: password,
	}})
	discreet(t, "the old password", c.Send(t.Context(), toAlice()), "")
	rewrite(t, password, "hunter2")
	ok(t, c.Send(t.Context(), toAlice()))
	got(t, p)
}

func TestTheLimitIsOverEverybody(t *testing.T) {
	certificate, ca := authority(t)
	p := serve(t, &certificate, false)
	moment := now
	c, err := courier.New(courier.Config{Email: &courier.Email{
		Host: "127.0.0.1", Port: p.Port, CAFile: ca, From: "no-reply@acme.example", PerMinute: 3,
	}}, func() time.Time { return moment })
	ok(t, err)
	sent := 0
	for i := range 10 {
		m := toAlice()
		m.To = "user" + strconv.Itoa(i) + "@example.com"
		if err := c.Send(t.Context(), m); err == nil {
			sent++
		} else {
			passes(t, "too many", err, true)
		}
	}
	moment = moment.Add(21 * time.Second)
	ok(t, c.Send(t.Context(), toAlice()))
	if sent != 3 || len(p.Letters()) != 4 {
		t.Errorf("%d of ten at once were sent, %d in all", sent, len(p.Letters()))
	}
}
