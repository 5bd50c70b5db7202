package webhook_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/neosc/mfa-operator/webhook"
)

// issue makes a certificate that is its own authority.
func issue(t *testing.T, usage x509.ExtKeyUsage) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func pool(c tls.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(c.Leaf)
	return p
}

// start runs a server; stop ends it and returns its error.
func start(t *testing.T, s *webhook.Server) (client *http.Client, url string, stop func() error) {
	t.Helper()
	own := issue(t, x509.ExtKeyUsageServerAuth)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Address, s.Log = listener.Addr().String(), logr.Discard()
	s.Certificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &own, nil }
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	if s.Check(nil) == nil {
		t.Error("ready before it listens")
	}
	go func() { ended <- s.Start(ctx) }()
	for s.Check(nil) != nil {
		select {
		case err := <-ended:
			t.Fatal(err)
		default:
		}
	}
	_, port, err := net.SplitHostPort(s.Address)
	if err != nil {
		t.Fatal(err)
	}
	client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool(own)}, ForceAttemptHTTP2: true}}
	scheme := "https"
	if s.Plain {
		scheme = "http"
	}
	return client, scheme + "://localhost:" + port, func() error { cancel(); return <-ended }
}

func TestStrangersAreRefusedWhereCallersHaveCertificates(t *testing.T) {
	caller, stranger := issue(t, x509.ExtKeyUsageClientAuth), issue(t, x509.ExtKeyUsageClientAuth)
	client, url, stop := start(t, &webhook.Server{
		ClientCAs: pool(caller), Handler: webhook.WithCertificate(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})),
	})
	for _, c := range []struct {
		who  string
		with []tls.Certificate
		in   bool
	}{{"nobody", nil, false}, {"a stranger", []tls.Certificate{stranger}, false}, {"the API server", []tls.Certificate{caller}, true}} {
		config := client.Transport.(*http.Transport).TLSClientConfig.Clone()
		config.Certificates = c.with
		resp, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: config}}).Get(url)
		in := err == nil && resp.StatusCode == http.StatusOK
		if in != c.in {
			t.Errorf("%s: let in %t, %v", c.who, in, err)
		}
		if err == nil && resp.Body.Close() != nil {
			t.Error("closing the answer")
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// Whoever has not heard yet that a replica goes is answered as ever, and comes back by
// another connection; then it ends by itself.
func TestLeavingServesOnForAWhile(t *testing.T) {
	leaving := make(chan struct{})
	s := &webhook.Server{Leaving: leaving, Linger: time.Hour, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "answer")
	})}
	client, url, stop := start(t, s)
	get := func() (answer string, last bool) {
		t.Helper()
		resp, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close() //nolint:errcheck // it was read
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body), resp.Close
	}
	client.Transport.(*http.Transport).ForceAttemptHTTP2 = false // where an answer shows that it is the last
	if answer, last := get(); answer != "answer" || last {
		t.Errorf("before: %q, the last %t", answer, last)
	}
	close(leaving)
	for s.Check(nil) == nil {
		runtime.Gosched()
	}
	for range 2 {
		if answer, last := get(); answer != "answer" || !last {
			t.Errorf("while it leaves: %q, the last %t", answer, last)
		}
	}
	if !s.Listening() {
		t.Error("it has ended")
	}
	if err := stop(); err != nil {
		t.Error(err)
	}

	leaving = make(chan struct{})
	s = &webhook.Server{Leaving: leaving, Linger: time.Millisecond, Handler: http.NotFoundHandler()}
	_, _, stop = start(t, s)
	close(leaving)
	for s.Listening() {
		runtime.Gosched()
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// Who is being answered gets the answer.
func TestEndWaitsForRequestsUnderWay(t *testing.T) {
	arrived, goOn := make(chan bool), make(chan bool)
	s := &webhook.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- true
		<-goOn
		_, _ = io.WriteString(w, "answer")
	})}
	client, url, stop := start(t, s)
	answered := make(chan string, 1)
	go func() {
		resp, err := client.Get(url)
		if err != nil {
			answered <- err.Error()
			return
		}
		defer resp.Body.Close() //nolint:errcheck // it was read
		body, _ := io.ReadAll(resp.Body)
		answered <- string(body)
	}()
	<-arrived
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	// New callers are refused while the old one is still answered.
	for {
		if conn, err := net.Dial("tcp", s.Address); err != nil {
			break
		} else if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-ended:
		t.Fatalf("ended over a request: %v", err)
	default:
	}
	goOn <- true
	if got := <-answered; got != "answer" {
		t.Errorf("answered %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if s.Check(nil) == nil {
		t.Error("ready after the end")
	}
}

// Whoever sends slowly holds a place for as long as was said, and no longer.
func TestPlainServerWithATimeoutOfItsOwn(t *testing.T) {
	read := make(chan error, 1)
	client, url, stop := start(t, &webhook.Server{
		Plain: true, RequestTimeout: 50 * time.Millisecond,
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, err := io.Copy(io.Discard, r.Body)
			read <- err
		}),
	})
	resp, err := client.Post(url, "text/plain", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(resp.Body.Close(), <-read); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("got %s, %v", resp.Status, err)
	}
	slow, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close() //nolint:errcheck // nobody answers it any more
	if _, err := io.WriteString(slow, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhel"); err != nil {
		t.Fatal(err)
	}
	if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want a deadline", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestTakenPortIsAnError(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // nothing was sent
	s := &webhook.Server{Address: listener.Addr().String(), Log: logr.Discard(), Handler: http.NotFoundHandler(),
		Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("none") }}
	if err := s.Start(t.Context()); err == nil || s.Check(nil) == nil {
		t.Errorf("got %v", err)
	}
}
