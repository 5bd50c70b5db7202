package courier_test

import (
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/neosc/mfa-operator/internal/courier"
	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/test/mailbox"
)

const secretCode = "482913"

var now = time.Date(2026, 11, 26, 13, 55, 0, 0, time.UTC)

func clock() time.Time { return now }

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// file writes a file as a mounted Secret has it.
func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "value")
	ok(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func rewrite(t *testing.T, path, content string) {
	t.Helper()
	ok(t, os.WriteFile(path, []byte(content), 0o600))
}

// authority makes a certificate for 127.0.0.1, and the file of who issued it.
func authority(t *testing.T) (certificate tls.Certificate, caFile string) {
	t.Helper()
	certificate, caFile, err := mailbox.Authority(t.TempDir())
	ok(t, err)
	return certificate, caFile
}

func made(t *testing.T, c courier.Config) *courier.Courier {
	t.Helper()
	made, err := courier.New(c, clock)
	ok(t, err)
	return made
}

// discreet checks that an error tells nothing that it should not.
func discreet(t *testing.T, reason string, err error, to string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", reason)
		return
	}
	for _, secret := range []string{secretCode, to, "hunter2", "s3cr3t"} {
		if secret != "" && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error tells %q: %v", reason, secret, err)
		}
	}
}

func passes(t *testing.T, reason string, err error, may bool) {
	t.Helper()
	if errors.Is(err, mfa.ErrUnavailable) != may {
		t.Errorf("%s: %v; is it to be tried again? It should say %t", reason, err, may)
	}
}

func TestConfigIsRefusedByName(t *testing.T) {
	key := file(t, "whsec_"+strings.Repeat("QUJD", 8)+"\n")
	email := func(change func(*courier.Email)) courier.Config {
		e := courier.Email{Host: "smtp.example.com", From: "ACME <no-reply@acme.example>"}
		change(&e)
		return courier.Config{Email: &e}
	}
	sms := func(change func(*courier.SMS)) courier.Config {
		s := courier.SMS{URL: "https://sms.example.com/send", SigningKeyFile: key, Prefixes: []string{"+49"}}
		change(&s)
		return courier.Config{SMS: &s}
	}
	for _, c := range []struct {
		reason string
		config courier.Config
		field  string // empty: accepted
	}{
		{"nothing offered", courier.Config{}, ""},
		{"the least for e-mail", email(func(*courier.Email) {}), ""},
		{"the least for SMS", sms(func(*courier.SMS) {}), ""},
		{"plain HTTP to this machine", sms(func(s *courier.SMS) { s.URL = "http://127.0.0.1:8080/" }), ""},
		{"no host", email(func(e *courier.Email) { e.Host = "" }), "Email.Host"},
		{"a host with a path", email(func(e *courier.Email) { e.Host = "smtp.example.com/x" }), "Email.Host"},
		{"no TLS", email(func(e *courier.Email) { e.TLS = "None" }), "Email.TLS"},
		{"a port that is none", email(func(e *courier.Email) { e.Port = 70000 }), "Email.Port"},
		{"no sender", email(func(e *courier.Email) { e.From = "" }), "Email.From"},
		{"a sender with a header", email(func(e *courier.Email) { e.From = "a@b.example\r\nBcc: c@d.example" }), "Email.From"},
		{"a subject with a header", email(func(e *courier.Email) { e.Subject = "Code\r\nBcc: c@d.example" }), "Email.Subject"},
		{"a user without a password", email(func(e *courier.Email) { e.UsernameFile = key }), "Email.PasswordFile"},
		{"credentials that are not there", email(func(e *courier.Email) { e.UsernameFile, e.PasswordFile = key, "/nowhere" }), "Email.PasswordFile"},
		{"authorities that are none", email(func(e *courier.Email) { e.CAFile = key }), "Email.CAFile"},
		{"more patience than users have", email(func(e *courier.Email) { e.Timeout = time.Hour }), "Email.Timeout"},
		{"a negative limit", email(func(e *courier.Email) { e.PerMinute = -1 }), "Email.PerMinute"},
		{"no URL", sms(func(s *courier.SMS) { s.URL = "" }), "SMS.URL"},
		{"plain HTTP over the network", sms(func(s *courier.SMS) { s.URL = "http://sms.example.com/" }), "SMS.URL"},
		{"plain HTTP to a name that looks like this machine", sms(func(s *courier.SMS) { s.URL = "http://sms.localhost/" }), "SMS.URL"},
		{"a password in the URL", sms(func(s *courier.SMS) { s.URL = "https://u:hunter2@sms.example.com/" }), "SMS.URL"},
		{"no signing key", sms(func(s *courier.SMS) { s.SigningKeyFile = "" }), "SMS.SigningKeyFile"},
		{"a signing key that is too short", sms(func(s *courier.SMS) { s.SigningKeyFile = file(t, "whsec_aHVudGVyMg==") }), "SMS.SigningKeyFile"},
		{"a token that is not there", sms(func(s *courier.SMS) { s.TokenFile = "/nowhere" }), "SMS.TokenFile"},
		{"a token with a header", sms(func(s *courier.SMS) { s.TokenFile = file(t, "a\r\nX: b") }), "SMS.TokenFile"},
		{"no prefixes", sms(func(s *courier.SMS) { s.Prefixes = nil }), "SMS.Prefixes"},
		{"a prefix that is none", sms(func(s *courier.SMS) { s.Prefixes = []string{"0049"} }), "SMS.Prefixes"},
	} {
		_, err := courier.New(c.config, clock)
		if c.field == "" && err != nil {
			t.Errorf("%s: %v", c.reason, err)
		}
		if c.field != "" {
			discreet(t, c.reason, err, "")
			if err != nil && !strings.Contains(err.Error(), c.field) {
				t.Errorf("%s: %v, which should name %s", c.reason, err, c.field)
			}
		}
	}
}

func TestOffersWhatIsConfigured(t *testing.T) {
	c := made(t, courier.Config{Email: &courier.Email{Host: "smtp.example.com", From: "a@b.example"}})
	if !c.Offers(mfa.Email) || c.Offers(mfa.SMS) || c.Offers(mfa.TOTP) {
		t.Error("it should offer e-mail alone")
	}
	err := c.Send(t.Context(), mfa.Message{Method: mfa.SMS, To: "+491701234567", Code: secretCode})
	discreet(t, "a way that is not configured", err, "+491701234567")
	passes(t, "a way that is not configured", err, false)
}
