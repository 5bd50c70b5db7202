package courier

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Config is what an operator chooses. A method whose part is nil is not offered.
//
// Credentials are files, as a Secret mounted into a Pod gives them. They are read
// for each message, so that a changed Secret counts without a restart.
type Config struct {
	Email *Email
	SMS   *SMS
}

// TLS is how a connection to an SMTP server is encrypted.
type TLS string

// The ways. There is none without: a server that cannot is not spoken to.
const (
	StartTLS TLS = "StartTLS" // usually port 587
	Implicit TLS = "Implicit" // usually port 465
)

// Email says how e-mails are sent.
type Email struct {
	// Host of the SMTP server; its certificate must be for that name.
	Host string
	// Port of it. Zero: 587 for StartTLS, 465 for Implicit.
	Port int
	// TLS is StartTLS or Implicit. Empty: StartTLS.
	TLS TLS
	// CAFile has the certificates, PEM, of those who may have issued the server's.
	// Empty: the system's.
	CAFile string
	// UsernameFile and PasswordFile have the credentials. Both or none.
	UsernameFile, PasswordFile string
	// From is the sender, such as "ACME sign-in <no-reply@acme.example>".
	From string
	// Subject of every e-mail, at most 120 characters. Empty: Your sign-in code.
	Subject string
	// Timeout bounds one delivery, at most a minute. Zero: 10 s.
	Timeout time.Duration
	// PerMinute bounds how many are sent per minute by this process, to anybody.
	// Zero: 600.
	PerMinute int
}

// SMS says how short messages are sent: as a POST of {"to": "+49…", "text": "…"},
// signed as the Standard Webhooks specification says (headers webhook-id,
// webhook-timestamp and webhook-signature), for which there are libraries in most
// languages. An answer 2xx says that the message was taken over.
type SMS struct {
	// URL of the gateway, https; http to loopback only. Without credentials in it.
	URL string
	// SigningKeyFile has the key that requests are signed with: whsec_ and 24 to 64
	// bytes in base64.
	SigningKeyFile string
	// TokenFile, if not empty, has a bearer token to send along.
	TokenFile string
	// CAFile: as for Email.
	CAFile string
	// Prefixes are those that a number must begin with, such as +49, lest the
	// gateway be used to call numbers that pay whoever asked. At least one; "+" is
	// any.
	Prefixes []string
	// Timeout: as for Email.
	Timeout time.Duration
	// PerMinute: as for Email. Zero: 60.
	PerMinute int
}

const (
	defaultSubject  = "Your sign-in code"
	defaultTimeout  = 10 * time.Second
	maxTimeout      = time.Minute
	emailsPerMinute = 600
	smsPerMinute    = 60
)

// complete fills in defaults and refuses, by name, what cannot be.
func (c Config) complete() (Config, error) {
	var errs []error
	refuse := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s %s", field, fmt.Sprintf(format, args...)))
	}
	common := func(part, caFile string, timeout *time.Duration, perMinute *int, usual int) {
		*timeout = cmp.Or(*timeout, defaultTimeout)
		if *timeout < 0 || *timeout > maxTimeout {
			refuse(part+".Timeout", "must be at most %s, got %s", maxTimeout, *timeout)
		}
		*perMinute = cmp.Or(*perMinute, usual)
		if *perMinute < 0 {
			refuse(part+".PerMinute", "must not be negative")
		}
		if _, err := trusting(caFile); err != nil {
			refuse(part+".CAFile", "cannot be used: %v", err)
		}
	}
	if c.Email != nil {
		e := *c.Email
		c.Email = &e
		e.complete(refuse)
		common("Email", e.CAFile, &e.Timeout, &e.PerMinute, emailsPerMinute)
		*c.Email = e
	}
	if c.SMS != nil {
		s := *c.SMS
		c.SMS = &s
		s.validate(refuse)
		common("SMS", s.CAFile, &s.Timeout, &s.PerMinute, smsPerMinute)
		*c.SMS = s
	}
	return c, errors.Join(errs...)
}

func (e *Email) complete(refuse func(field, format string, args ...any)) {
	e.TLS = cmp.Or(e.TLS, StartTLS)
	usual := map[TLS]int{StartTLS: 587, Implicit: 465}
	if usual[e.TLS] == 0 {
		refuse("Email.TLS", "must be %s or %s, got %q", StartTLS, Implicit, e.TLS)
	}
	e.Port = cmp.Or(e.Port, usual[e.TLS])
	if e.Port < 0 || e.Port > 65535 {
		refuse("Email.Port", "must be a port, got %d", e.Port)
	}
	if e.Host == "" || strings.ContainsAny(e.Host, " /@\r\n") {
		refuse("Email.Host", "must be a host name, got %q", e.Host)
	}
	if from, err := mail.ParseAddress(e.From); err != nil || !isLine(from.Name) {
		refuse("Email.From", "must be an address such as Name <name@host>, got %q", e.From)
	}
	e.Subject = cmp.Or(e.Subject, defaultSubject)
	if !isLine(e.Subject) || utf8.RuneCountInString(e.Subject) > 120 {
		refuse("Email.Subject", "must be one line of at most 120 characters")
	}
	if (e.UsernameFile == "") != (e.PasswordFile == "") {
		refuse("Email.UsernameFile and Email.PasswordFile", "must both be set, or none")
	}
	for field, file := range map[string]string{"Email.UsernameFile": e.UsernameFile, "Email.PasswordFile": e.PasswordFile} {
		if _, err := fromFile(file); file != "" && err != nil {
			refuse(field, "cannot be used: %v", err)
		}
	}
}

var prefixPattern = regexp.MustCompile(`^\+([1-9][0-9]{0,14})?$`)

func (s *SMS) validate(refuse func(field, format string, args ...any)) {
	switch u, err := url.Parse(s.URL); {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		refuse("SMS.URL", "must be an https URL without credentials in it")
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		refuse("SMS.URL", "must be https, or http to loopback, got %s to %s", u.Scheme, u.Host)
	}
	if _, err := signingKey(s.SigningKeyFile); err != nil {
		refuse("SMS.SigningKeyFile", "cannot be used: %v", err)
	}
	if _, err := fromFile(s.TokenFile); s.TokenFile != "" && err != nil {
		refuse("SMS.TokenFile", "cannot be used: %v", err)
	}
	if len(s.Prefixes) == 0 {
		refuse("SMS.Prefixes", "must name at least one, such as +49; + is any")
	}
	for _, prefix := range s.Prefixes {
		if !prefixPattern.MatchString(prefix) {
			refuse("SMS.Prefixes", "must each be + and digits, got %q", prefix)
		}
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// isLine tells whether text cannot break out of one line.
func isLine(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// fromFile reads a credential: one line, without what ends it.
func fromFile(file string) (string, error) {
	data, err := os.ReadFile(file) //nolint:gosec // whoever configures the process names the file
	if err != nil {
		return "", err
	}
	text := strings.TrimRight(string(data), "\r\n")
	if text == "" || !isLine(text) {
		return "", fmt.Errorf("%s is not one line of text", file)
	}
	return text, nil
}

// trusting is TLS 1.2 or later with servers that these authorities vouch for.
func trusting(caFile string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(caFile) //nolint:gosec // whoever configures the process names the file
	if err != nil {
		return nil, err
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("there is no certificate in %s", caFile)
	}
	return config, nil
}
