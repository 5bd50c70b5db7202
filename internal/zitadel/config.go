package zitadel

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	zitadelgo "github.com/zitadel/zitadel-go/v3/pkg/zitadel"

	"github.com/neosc/mfa-operator/internal/idp"
)

// What a Config means where it says nothing. Zitadel Cloud bans source
// addresses above 50 requests per second, so the default stays far below.
const (
	defaultRequestsPerSecond = 10
	defaultBurst             = 20
	defaultTimeout           = 10 * time.Second
)

const (
	httpPort  = 80
	httpsPort = 443
	maxPort   = 1<<16 - 1

	instanceHostHeader = "x-zitadel-instance-host"
)

// Config says where an instance is and how to talk to it.
type Config struct {
	// Domain is the external domain, without scheme and port. Zitadel picks
	// the instance by it, tokens are requested for it, and with TLS the
	// certificate must be for it.
	Domain string
	// Port is the external port. 0 means 443, or 80 with Insecure.
	Port uint16
	// Insecure connects with plain HTTP (h2c). Whether that is allowed is the
	// caller's decision.
	Insecure bool
	// Address is the host:port to connect to where it differs from
	// Domain:Port, such as a Service inside the cluster. Such a server still
	// answers for Domain: its certificate is verified against Domain, and a
	// header tells it which instance is meant. With Insecure and Port 443 only
	// the way to Address is plain, and users see https.
	Address string
	// CABundle holds PEM certificates that replace the system's roots.
	CABundle []byte

	Credentials Credentials

	// RequestsPerSecond and Burst bound all calls of the client together.
	// 0 means 10 and 20.
	RequestsPerSecond float64
	Burst             int
	// Timeout bounds each attempt of a call and each token request; waiting
	// for the rate limit does not count. 0 means 10 s.
	Timeout time.Duration
}

// withDefaults returns the Config with every 0 replaced by what it means.
func (c Config) withDefaults() Config {
	if c.Port == 0 && c.Insecure {
		c.Port = httpPort
	}
	c.Port = cmp.Or(c.Port, httpsPort)
	c.RequestsPerSecond = cmp.Or(c.RequestsPerSecond, defaultRequestsPerSecond)
	c.Burst = cmp.Or(c.Burst, defaultBurst)
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	return c
}

// unusable is the error for a Config that no server could make work.
func (c Config) unusable(detail string) error {
	return &idp.Error{Cause: idp.InvalidValue, Doing: "preparing the connection to " + c.Domain, Detail: detail}
}

func (c Config) validate() error {
	switch u, err := url.Parse("//" + bracketed(c.Domain)); {
	case c.Domain == "" || err != nil || u.Hostname() != c.Domain || u.Host != bracketed(c.Domain):
		return c.unusable("the domain is not a host name")
	case c.RequestsPerSecond < 0 || c.Burst < 0 || c.Timeout < 0:
		return c.unusable("rate limit and timeout must not be negative")
	}
	return nil
}

// origins returns the origin users see and the one to connect to. The first
// is what Zitadel calls its issuer, so assertions are made out to it.
func (c Config) origins() (external, connect *zitadelgo.Zitadel, err error) {
	// Nobody serves plain HTTP on 443: there TLS ends in front of Zitadel, at
	// an ingress that Address goes around.
	externalInsecure := c.Insecure && c.Port != httpsPort
	external = origin(c.Domain, c.Port, externalInsecure)
	if c.Address == "" {
		return external, origin(c.Domain, c.Port, c.Insecure), nil
	}

	host, digits, err := net.SplitHostPort(c.Address)
	port, portErr := strconv.ParseUint(digits, 10, 16)
	if err != nil || portErr != nil || host == "" || port == 0 {
		return nil, nil, c.unusable(fmt.Sprintf("the address is not host:port with a port from 1 to %d", maxPort))
	}
	// The header carries the external port where a browser would show it:
	// Zitadel composes its issuer from the header.
	_, instanceHost, _ := strings.Cut(external.Origin(), "://")
	connect = origin(host, uint16(port), c.Insecure, zitadelgo.WithTransportHeader(instanceHostHeader, instanceHost))
	return external, connect, nil
}

func origin(host string, port uint16, insecure bool, options ...zitadelgo.Option) *zitadelgo.Zitadel {
	if insecure {
		options = append(options, zitadelgo.WithInsecure(strconv.Itoa(int(port))))
	} else {
		options = append(options, zitadelgo.WithPort(port))
	}
	return zitadelgo.New(bracketed(host), options...)
}

// bracketed writes an IPv6 address as it stands before a port.
func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

func (c Config) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.Domain}
	if len(c.CABundle) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(c.CABundle) {
			return nil, c.unusable("the CA bundle holds no PEM certificate")
		}
	}
	return config, nil
}

// fingerprint is equal for equal configs, and tells nothing about the secret:
// tokens and keys are too long to be found by trying.
func (c Config) fingerprint() [sha256.Size]byte {
	c = c.withDefaults()
	return sha256.Sum256(fmt.Appendf(nil, "%q %d %t %q %q %q %q %g %d %d",
		c.Domain, c.Port, c.Insecure, c.Address, c.CABundle, c.Credentials.Type, c.Credentials.Secret,
		c.RequestsPerSecond, c.Burst, c.Timeout))
}
