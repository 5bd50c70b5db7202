package courier_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/neosc/mfa-operator/internal/courier"
	"github.com/neosc/mfa-operator/internal/mfa"
)

var gatewayKey = []byte("0123456789abcdef0123456789abcdef")

func toBob() mfa.Message {
	return mfa.Message{Method: mfa.SMS, To: "+491701234567", Code: secretCode, Application: "Wiki", ExpiresAt: now.Add(10 * time.Minute)}
}

// gateway starts an HTTPS server, and makes the config to ask it.
func gateway(t *testing.T, answer http.HandlerFunc) courier.SMS {
	t.Helper()
	server := httptest.NewUnstartedServer(answer)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are meant to fail
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return courier.SMS{
		URL: server.URL + "/send?account=s3cr3t", CAFile: file(t, string(ca)), Prefixes: []string{"+43", "+49"},
		SigningKeyFile: file(t, "whsec_"+base64.StdEncoding.EncodeToString(gatewayKey)+"\n"),
	}
}

func TestAShortMessageArrives(t *testing.T) {
	var headers http.Header
	var body []byte
	s := gateway(t, func(w http.ResponseWriter, r *http.Request) {
		headers = r.Header.Clone()
		var err error
		if body, err = io.ReadAll(r.Body); err != nil || r.Method != http.MethodPost || r.TLS == nil {
			t.Errorf("%s, %v", r.Method, err)
		}
		w.WriteHeader(http.StatusAccepted)
	})
	s.TokenFile = file(t, "s3cr3t\n")
	ok(t, made(t, courier.Config{SMS: &s}).Send(t.Context(), toBob()))

	var is map[string]string
	ok(t, json.Unmarshal(body, &is))
	if len(is) != 2 || is["to"] != "+491701234567" || is["text"] != "482913 is your code for Wiki. It ends at 14:05 UTC. Give it to nobody." {
		t.Errorf("asked for %s", body)
	}
	if headers.Get("Authorization") != "Bearer s3cr3t" || headers.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", headers)
	}
	// As a receiver checks it by the specification of Standard Webhooks.
	id, at := headers.Get("webhook-id"), headers.Get("webhook-timestamp")
	mac := hmac.New(sha256.New, gatewayKey)
	fmt.Fprintf(mac, "%s.%s.%s", id, at, body)
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); headers.Get("webhook-signature") != want || id == "" || at != fmt.Sprint(now.Unix()) {
		t.Errorf("signed %s at %s as %s, want %s", id, at, headers.Get("webhook-signature"), want)
	}
}

// The example of the Standard Webhooks specification.
func TestTheSignatureIsThatOfTheSpecification(t *testing.T) {
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	ok(t, err)
	got := courier.Signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestAShortMessageThatIsNotHandedOver(t *testing.T) {
	answering := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("Location", "https://evil.example/")
			w.WriteHeader(status)
			_, _ = w.Write(body) // gateways do repeat what they were asked
		}
	}
	for _, c := range []struct {
		reason string
		answer http.HandlerFunc
		change func(*testing.T, *courier.SMS, *mfa.Message)
		again  bool
	}{
		{"it is broken", answering(500), nil, true},
		{"it is busy", answering(429), nil, true},
		{"it does not know us", answering(401), nil, false},
		{"it refuses the message", answering(422), nil, false},
		{"it points elsewhere", answering(307), nil, false},
		{"it says nothing", func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}, nil, true},
		{"nobody vouches for it", answering(200), func(t *testing.T, s *courier.SMS, _ *mfa.Message) { _, s.CAFile = authority(t) }, true},
		{"nobody is there", answering(200), func(_ *testing.T, s *courier.SMS, _ *mfa.Message) { s.URL = "https://127.0.0.1:1/?account=s3cr3t" }, true},
		{"a number of a country that is not served", answering(200), func(_ *testing.T, _ *courier.SMS, m *mfa.Message) { m.To = "+88213123456" }, false},
		{"a number that is none", answering(200), func(_ *testing.T, _ *courier.SMS, m *mfa.Message) { m.To = "+49 170 1234567" }, false},
		{"a number with more in it", answering(200), func(_ *testing.T, _ *courier.SMS, m *mfa.Message) { m.To = "+491701234567\n+431" }, false},
	} {
		t.Run(c.reason, func(t *testing.T) {
			s, m := gateway(t, c.answer), toBob()
			s.Timeout = 500 * time.Millisecond
			if c.change != nil {
				c.change(t, &s, &m)
			}
			err := made(t, courier.Config{SMS: &s}).Send(t.Context(), m)
			discreet(t, c.reason, err, m.To)
			passes(t, c.reason, err, c.again)
		})
	}
}

func TestPlainHTTPToThisMachine(t *testing.T) {
	got := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header.Get("Authorization") }))
	t.Cleanup(server.Close)
	s := gateway(t, nil)
	s.URL = strings.Replace(server.URL, "localhost", "127.0.0.1", 1)
	ok(t, made(t, courier.Config{SMS: &s}).Send(t.Context(), toBob()))
	if with := <-got; with != "" {
		t.Errorf("without a token it sends %q", with)
	}
}
