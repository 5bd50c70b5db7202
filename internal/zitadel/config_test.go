package zitadel

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/neosc/mfa-operator/internal/idp"
)

func pat(secret string) Credentials { return Credentials{Type: PAT, Secret: []byte(secret)} }

func newKeyFile(t *testing.T, change func(map[string]any)) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	file := map[string]any{
		"type": "serviceaccount", "keyId": "1", "userId": "2", "expirationDate": "2099-01-01T00:00:00Z",
		"key": string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
	}
	if change != nil {
		change(file)
	}
	content, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestOrigins(t *testing.T) {
	tests := []struct {
		cfg                       Config
		external, dialled, header string
		reason                    string
	}{
		{Config{Domain: "id.example.com"}, "https://id.example.com", "id.example.com:443", "", "the public server"},
		{Config{Domain: "id.example.com", Port: 8443}, "https://id.example.com:8443", "id.example.com:8443", "", "another port"},
		{Config{Domain: "localhost", Insecure: true}, "http://localhost", "localhost:80", "", "plain HTTP"},
		{Config{Domain: "localhost", Insecure: true, Port: 8080}, "http://localhost:8080", "localhost:8080", "", "plain HTTP, another port"},
		{Config{Domain: "::1", Insecure: true, Port: 8080}, "http://[::1]:8080", "[::1]:8080", "", "IPv6"},
		{Config{Domain: "id.example.com", Address: "zitadel.iam.svc:8443"}, "https://id.example.com", "zitadel.iam.svc:8443", "id.example.com", "in-cluster address, TLS all the way"},
		{Config{Domain: "id.example.com", Port: 8443, Address: "[::1]:9000"}, "https://id.example.com:8443", "[::1]:9000", "id.example.com:8443", "the header has the port a browser shows"},
		{Config{Domain: "id.example.com", Insecure: true, Address: "zitadel:8080"}, "http://id.example.com", "zitadel:8080", "id.example.com", "plain HTTP inside and outside"},
		{Config{Domain: "id.example.com", Insecure: true, Port: 443, Address: "zitadel:8080"}, "https://id.example.com", "zitadel:8080", "id.example.com", "TLS ends at an ingress that the address goes around"},
	}
	for _, test := range tests {
		external, connect, err := test.cfg.withDefaults().origins()
		if err != nil {
			t.Errorf("%s: %v", test.reason, err)
			continue
		}
		if external.Origin() != test.external || connect.Host() != test.dialled || connect.TransportHeaders()[instanceHostHeader] != test.header {
			t.Errorf("%s: external %s, dialled %s, header %q; want %s, %s, %q", test.reason,
				external.Origin(), connect.Host(), connect.TransportHeaders()[instanceHostHeader], test.external, test.dialled, test.header)
		}
	}
}

func TestDialRefusesWhatCannotWork(t *testing.T) {
	good := Config{Domain: "id.example.com", Credentials: pat(canary)}
	tests := []struct {
		change func(*Config)
		reason string
	}{
		{func(c *Config) { c.Domain = "" }, "no domain"},
		{func(c *Config) { c.Domain = "https://id.example.com" }, "an origin is not a domain"},
		{func(c *Config) { c.Domain = "id.example.com:8443" }, "the port has a field of its own"},
		{func(c *Config) { c.Domain = "id.example.com/x" }, "a path"},
		{func(c *Config) { c.Domain = "me@id.example.com" }, "a user"},
		{func(c *Config) { c.Address = "zitadel" }, "an address without port"},
		{func(c *Config) { c.Address = ":8080" }, "an address without host"},
		{func(c *Config) { c.Address = "zitadel:http" }, "a port that is no number"},
		{func(c *Config) { c.Address = "zitadel:65536" }, "a port that is too large"},
		{func(c *Config) { c.CABundle = []byte("not PEM") }, "a CA bundle without certificate"},
		{func(c *Config) { c.RequestsPerSecond = -1 }, "a negative rate"},
		{func(c *Config) { c.Timeout = -1 }, "a negative timeout"},
		{func(c *Config) { c.Credentials.Secret = nil }, "no secret"},
		{func(c *Config) { c.Credentials.Secret = []byte(" \n") }, "a blank secret"},
		{func(c *Config) { c.Credentials = pat(canary + "\n" + canary) }, "a token of two lines cannot be a header"},
		{func(c *Config) { c.Credentials.Type = "Password" }, "an unknown type"},
		{func(c *Config) { c.Credentials.Type = JWTProfile }, "a token is not a key file"},
		{func(c *Config) {
			c.Credentials = Credentials{JWTProfile, newKeyFile(t, func(f map[string]any) { f["type"] = "application" })}
		}, "an application's key"},
		{func(c *Config) {
			c.Credentials = Credentials{JWTProfile, newKeyFile(t, func(f map[string]any) { f["key"] = canary })}
		}, "a key that is not PEM"},
		{func(c *Config) {
			c.Credentials = Credentials{JWTProfile, newKeyFile(t, func(f map[string]any) { delete(f, "userId") })}
		}, "a key of nobody"},
		{func(c *Config) {
			c.Credentials = Credentials{JWTProfile, newKeyFile(t, func(f map[string]any) { f["expirationDate"] = canary })}
		}, "a date that is none"},
	}
	for _, test := range tests {
		cfg := good
		test.change(&cfg)
		client, err := Dial(cfg)
		if client != nil || !errors.Is(err, idp.ErrRejected) || idp.CauseOf(err) != idp.InvalidValue {
			t.Errorf("%s: got %v, want ErrRejected, InvalidValue", test.reason, err)
		}
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("%s: the error shows the secret: %v", test.reason, err)
		}
	}
}

func TestDialNeverWaits(t *testing.T) {
	for _, credentials := range []Credentials{pat(canary), {JWTProfile, newKeyFile(t, nil)}} {
		// 192.0.2.0/24 is for documentation: nobody answers, and nobody refuses.
		client, err := Dial(Config{Domain: "id.example.com", Address: "192.0.2.1:443", Credentials: credentials})
		if err != nil {
			t.Fatalf("dialling a server that is not there: %v", err)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestKeyExpiry(t *testing.T) {
	for date, want := range map[string]time.Time{
		"2031-02-03T04:05:06Z": time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC),
		"9999-12-31T23:59:59Z": {}, // Zitadel's never
	} {
		client, err := Dial(Config{Domain: "id.example.com", Credentials: Credentials{JWTProfile,
			newKeyFile(t, func(f map[string]any) { f["expirationDate"] = date })}})
		if err != nil {
			t.Fatal(err)
		}
		if !client.keyExpires.Equal(want) {
			t.Errorf("a key that ends %s expires %v, want %v", date, client.keyExpires, want)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestNothingPrintsTheSecret(t *testing.T) {
	cfg := Config{Domain: "id.example.com", Credentials: pat(canary)}
	client, err := Dial(cfg)
	if err != nil {
		t.Fatal(err)
	}
	pool := &Pool{clients: map[string]pooled{"a": {client, cfg.fingerprint()}}}
	defer pool.Close()

	var shown []string
	for _, value := range []any{cfg, &cfg, cfg.Credentials, &cfg.Credentials, client, pool, []any{client, cfg}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X"} {
			shown = append(shown, fmt.Sprintf(verb, value))
		}
		content, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		var logged bytes.Buffer
		slog.New(slog.NewTextHandler(&logged, nil)).Info("Connecting", "value", value)
		slog.New(slog.NewJSONHandler(&logged, nil)).Info("Connecting", "value", value)
		shown = append(shown, string(content), logged.String())
	}
	// Also as numbers, in hexadecimal and in base64.
	bytesOfIt := []byte(canary)
	forms := []string{canary, strings.Trim(fmt.Sprintf("%d", bytesOfIt), "[]"), fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), "Y2FuYXJ5"}
	for _, text := range shown {
		for _, form := range forms {
			if strings.Contains(text, form) {
				t.Errorf("the secret shows in %s", text)
			}
		}
	}
}

func TestFingerprintCoversEveryField(t *testing.T) {
	base := Config{Domain: "a", Credentials: pat("a")}
	if base.fingerprint() != (Config{Domain: "a", Port: 443, Timeout: defaultTimeout, Credentials: pat("a")}).fingerprint() {
		t.Error("a default spelled out is the same configuration")
	}
	changes := map[string]func(*Config){
		"Domain":            func(c *Config) { c.Domain = "b" },
		"Port":              func(c *Config) { c.Port = 1 },
		"Insecure":          func(c *Config) { c.Insecure = true; c.Port = 443 },
		"Address":           func(c *Config) { c.Address = "b:1" },
		"CABundle":          func(c *Config) { c.CABundle = []byte("b") },
		"Credentials":       func(c *Config) { c.Credentials = Credentials{} },
		"Credentials.Type":  func(c *Config) { c.Credentials.Type = JWTProfile },
		"Credentials.Value": func(c *Config) { c.Credentials.Secret = []byte("b") },
		"RequestsPerSecond": func(c *Config) { c.RequestsPerSecond = 0.5 },
		"Burst":             func(c *Config) { c.Burst = 1 },
		"Timeout":           func(c *Config) { c.Timeout = 1 },
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if changes[f.Name] == nil {
			t.Errorf("there is no change of %s here", f.Name)
		}
	}
	for name, change := range changes {
		changed := base
		change(&changed)
		if changed.fingerprint() == base.fingerprint() {
			t.Errorf("another %s must make another client", name)
		}
	}
}
