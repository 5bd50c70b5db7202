package mfaapi

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"

	"github.com/neosc/mfa-operator/internal/audit"
)

// sent stands for a secret in everything hostile: no answer and no log may say it
// again.
const sent = "73519284"

// What is not a request that an application would send is refused as a problem,
// says nothing of what was sent, and changes nothing.
func TestHostileRequests(t *testing.T) {
	w := newWorld(t)
	w.app.register("ann")
	w.app.enrol("ann")
	before := w.stored()
	zipped := func(text string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, err := z.Write([]byte(text))
		w.Expect(err).NotTo(gomega.HaveOccurred())
		w.Expect(z.Close()).To(gomega.Succeed())
		return b.String()
	}
	const form = "application/json"
	user := "/v1/namespaces/" + w.namespace + "/users/"
	ann, verify := user+"ann", user+"ann/verifications"
	guess := func(code string) string {
		text, err := json.Marshal(object{"method": "TOTP", "code": code})
		w.Expect(err).NotTo(gomega.HaveOccurred())
		return string(text)
	}
	good := guess(sent)
	for _, c := range []struct {
		reason       string
		method, path string // unset: POST, a verification
		body         string
		header       map[string]string // besides Content-Type, which "-" leaves out
		status       int
	}{
		{reason: "nothing", status: 400},
		{reason: "null is no object", body: `null`, status: 422},
		{reason: "nor is a list", body: `[]`, status: 422},
		{reason: "nor a string", body: `"` + sent + `"`, status: 422},
		{reason: "nor a number", body: sent, status: 422},
		{reason: "it ends early", body: good[:len(good)-3], status: 400},
		{reason: "something comes after it", body: good + good, status: 400},
		{reason: "a comma after it", body: good + ",", status: 400},
		{reason: "a member twice: two readers see two codes", body: `{"method":"TOTP","code":"000000","code":"` + sent + `"}`, status: 400},
		{reason: "a member twice further down", body: `{"method":"WebAuthn","response":{"id":"a","id":"b"}}`, status: 400},
		{reason: "a member in another case", body: `{"method":"TOTP","Code":"` + sent + `"}`, status: 422},
		{reason: "a member in both cases", body: `{"method":"TOTP","code":"000000","CODE":"` + sent + `"}`, status: 422},
		{reason: "a member nobody knows, whose name is the secret", body: `{"method":"TOTP","code":"000000","` + sent + `":1}`, status: 422},
		{reason: "a mebibyte", body: `{"method":"TOTP","code":"` + strings.Repeat("1", 1<<20) + `"}`, status: 413},
		{reason: "nested so that a parser runs out of stack", body: strings.Repeat("[", 40_000) + strings.Repeat("]", 40_000), status: 400},
		{reason: "nested 100,000 deep is too large besides", body: strings.Repeat("[", 100_000), status: 413},
		{reason: "JSON that does not say so", body: good, header: map[string]string{"Content-Type": "-"}, status: 415},
		{reason: "what a form of another site can send", body: good, header: map[string]string{"Content-Type": "text/plain"}, status: 415},
		{reason: "a content type that is none, and says the secret", body: good, header: map[string]string{"Content-Type": sent}, status: 415},
		{reason: "another character set", body: good, header: map[string]string{"Content-Type": form + "; charset=utf-16"}, status: 415},
		{reason: "compressed", body: zipped(good), header: map[string]string{"Content-Encoding": "gzip"}, status: 415},
		{reason: "compressed, and does not say so", body: zipped(good), status: 400},
		{reason: "invalid UTF-8", body: `{"method":"TOTP","code":"000000","audience":"` + "\xff" + `"}`, status: 400},
		{reason: "a NUL", body: `{"method":"TOTP","code":"000000` + "\x00" + `"}`, status: 400},
		{reason: "an escaped NUL", body: `{"method":"TOTP","code":"000000\u0000"}`, status: 422},
		{reason: "an escaped NUL for the record", body: `{"method":"TOTP","code":"000000","audience":"a\u0000"}`, status: 422},
		{reason: "a byte order mark", body: "\ufeff" + good, status: 400},

		{reason: "a code as a number loses its zeros", body: `{"method":"TOTP","code":` + sent + `}`, status: 422},
		{reason: "a code that is null", body: `{"method":"TOTP","code":null}`, status: 422},
		{reason: "codes, to try several at once", body: `{"method":"TOTP","code":["000000","` + sent + `"]}`, status: 422},
		{reason: "no code", body: `{"method":"TOTP"}`, status: 422},
		{reason: "an empty code", body: guess(""), status: 422},
		{reason: "a space before", body: guess(" " + sent), status: 422},
		{reason: "a space within", body: guess("7351 9284"), status: 422},
		{reason: "a no-break space after", body: guess(sent + "\u00a0"), status: 422},
		{reason: "a newline after", body: guess(sent + "\n"), status: 422},
		{reason: "full-width digits", body: guess("７３５１９２"), status: 422},
		{reason: "Arabic digits", body: guess("٧٣٥١٩٢"), status: 422},
		{reason: "a zero-width space", body: guess("735\u200b192"), status: 422},
		{reason: "a sign", body: guess("+735192"), status: 422},
		{reason: "five digits", body: guess("73519"), status: 422},
		{reason: "nine digits", body: guess(sent + "9"), status: 422},
		{reason: "10,000 digits", body: guess(strings.Repeat("7", 10_000)), status: 422},
		{reason: "a method that is none", body: `{"method":"Password","code":"` + sent + `"}`, status: 422},
		{reason: "a method in another case", body: `{"method":"totp","code":"` + sent + `"}`, status: 422},
		{reason: "no method", body: `{"code":"` + sent + `"}`, status: 422},

		{reason: "an address that is none", body: good, header: map[string]string{"MFA-Client-IP": "1.2.3.4.5"}, status: 422},
		{reason: "several addresses, of which one could be chosen", body: good, header: map[string]string{"MFA-Client-IP": "192.0.2.1, 192.0.2.2"}, status: 422},
		{reason: "a query that could be taken for the body", path: verify + "?code=" + sent, body: good, status: 422},
		{reason: "a query of an unknown name, which is the secret", path: verify + "?" + sent, body: good, status: 422},

		{reason: "a user that nobody can be: a control character", path: user + "ann%00/verifications", body: good, status: 422},
		{reason: "invalid UTF-8 in a name", path: user + "%ff/verifications", body: good, status: 422},
		{reason: "a space in a name", path: user + "ann%20/verifications", body: good, status: 422},
		{reason: "a name that is too long", path: user + strings.Repeat("a", 201) + "/verifications", body: good, status: 422},
		{reason: "a namespace that does not exist", path: "/v1/namespaces/nowhere/users/ann/verifications", body: good, status: 403},
		{reason: "a namespace that cannot exist", path: "/v1/namespaces/" + sent + "%2f../users/ann/verifications", body: good, status: 404},
		{reason: "the operator's own namespace", path: "/v1/namespaces/neosc-system/users/ann/verifications", body: good, status: 403},
		{reason: "no user at all", path: user + "/verifications", body: good, status: 404},
		{reason: "a path that a mux would clean and redirect", path: "//v1/namespaces/" + w.namespace + "/users/ann/verifications", body: good, status: 404},
		{reason: "the same further down", path: "/v1/namespaces//" + w.namespace + "/users/ann/verifications", body: good, status: 404},
		{reason: "a path that leads up", path: user + "bob/../ann/verifications", body: good, status: 404},
		{reason: "a path that leads up, encoded, is a name", path: "/v1/namespaces/" + w.namespace + "/users/%2e%2e/verifications/x", body: good, status: 404},
		{reason: "a slash too many", path: verify + "/", body: good, status: 404},
		{reason: "an encoded slash is part of the name, and does not lead elsewhere", path: user + "ann%2fverifications", body: good, status: 405},
		{reason: "path parameters as some servers cut them off", path: verify + ";jsessionid=1", body: good, status: 404},
		{reason: "an unknown path", path: "/v2/verify", body: good, status: 404},
		{reason: "the root", path: "/", body: good, status: 404},
		{reason: "a prefix", path: "/v1", body: good, status: 404},
		{reason: "metrics and profiles are not here", method: http.MethodGet, path: "/debug/pprof/", status: 404},
		{reason: "another form of the description", method: http.MethodGet, path: "/openapi.yaml", status: 404},
		{reason: "a verification that is asked for", method: http.MethodGet, status: 405},
		{reason: "a verification that is put", method: http.MethodPut, body: good, status: 405},
		{reason: "a method that is told besides", method: http.MethodGet, header: map[string]string{"X-HTTP-Method-Override": "POST"}, status: 405},
		{reason: "a method that is none", method: "BREW", body: good, status: 405},
		{reason: "a trace, which would send headers back", method: http.MethodTrace, status: 405},

		{reason: "enrolling with a name that breaks lines", path: ann + "/enrolments", body: `{"method":"TOTP","name":"a\nb"}`, status: 422},
		{reason: "an enrolment that is made up", path: ann + "/enrolments/confirm", body: `{"token":"` + sent + `","code":"735192"}`, status: 403},
		{reason: "a session that is made up", path: ann + "/recovery-codes", body: `{"session":"` + sent + `"}`, status: 409},
		{reason: "a factor that is made up", method: http.MethodDelete, path: ann + "/factors/..%2f" + sent, status: 422},
		{reason: "a link for ever", path: ann + "/enrolment-links", body: `{"lifetimeMinutes":1000000}`, status: 422},
		{reason: "a link of no time", path: ann + "/enrolment-links", body: `{"lifetimeMinutes":-1}`, status: 422},
		{reason: "an address for codes that is none", method: http.MethodPut, path: user + "eve", body: `{"email":"a\nb@example.com"}`, status: 422},
	} {
		t.Run(c.reason, func(t *testing.T) {
			g := gomega.NewWithT(t)
			a, media := w.app, form
			for name, value := range c.header {
				switch {
				case name != "Content-Type":
					a = a.with(name, value)
				case value == "-":
					media = ""
				default:
					media = value
				}
			}
			method, path := c.method, c.path
			if method == "" {
				method = http.MethodPost
			}
			if path == "" {
				path = verify
			}
			var body io.Reader
			if c.body != "" {
				body = strings.NewReader(c.body)
			}
			g.Expect(a.raw(method, path, media, body)).To(beProblem(c.status))
		})
	}
	w.Expect(w.stored()).To(gomega.Equal(before), "nothing was stored, nobody was made")
	for _, r := range w.trail(audit.Verification, audit.FactorEnrolled) {
		if r.Outcome == audit.Succeeded {
			w.Expect(r.Action).To(gomega.Equal(audit.FactorEnrolled), "nothing hostile succeeds")
		}
	}
	w.Expect(w.site.logs.String()).NotTo(gomega.Or(gomega.ContainSubstring(sent), gomega.ContainSubstring("goroutine "), gomega.ContainSubstring("panic")))
	for i, replica := range w.site.replicas {
		w.Expect(replica.Ready(w.ctx)).To(gomega.BeTrue(), "replica %d goes on", i)
	}
}

// beProblem matches a problem that says nothing of what was sent.
func beProblem(status int) gomega.OmegaMatcher {
	field := func(f func(answer) any, m gomega.OmegaMatcher) gomega.OmegaMatcher { return gomega.WithTransform(f, m) }
	return gomega.And(
		field(func(a answer) any { return a.status }, gomega.Equal(status)),
		field(func(a answer) any { return a.header.Get("Content-Type") }, gomega.Equal("application/problem+json")),
		field(func(a answer) any { return a.header.Get("X-Content-Type-Options") }, gomega.Equal("nosniff")),
		field(func(a answer) any { return a.of("status") }, gomega.BeEquivalentTo(status)),
		field(func(a answer) any { return a.text("type") }, gomega.HavePrefix("urn:neosc:mfa:")),
		field(func(a answer) any { return a.raw }, gomega.And(
			gomega.Not(gomega.ContainSubstring(sent)), gomega.Not(gomega.ContainSubstring("goroutine")), gomega.Not(gomega.ContainSubstring(".go:")),
			gomega.WithTransform(func(s string) int { return len(s) }, gomega.BeNumerically("<", 2048)))),
	)
}

// stored is how many users, Secrets and factors a namespace has, by what etcd holds.
func (w *world) stored() map[string]int {
	w.t.Helper()
	counts := map[string]int{"records of success": 0}
	users, secrets := w.objects()
	counts["users"], counts["Secrets"] = users, secrets
	for _, r := range w.trail() {
		if r.Outcome == audit.Succeeded {
			counts["records of success"]++
		}
	}
	return counts
}

// A client that is slow, or ends early, keeps nothing busy for long.
func TestSlowAndBrokenClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app.register("ann")
	address, err := url.Parse(w.site.replicas[0].URL)
	w.Expect(err).NotTo(gomega.HaveOccurred())
	head := "POST /v1/namespaces/" + w.namespace + "/users/ann/verifications HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + w.app.token + "\r\nContent-Type: application/json\r\n"
	for _, c := range []struct {
		reason, send string
		close        bool
		want         string
	}{
		{"headers that never end", "POST / HTTP/1.1\r\nHost: localhost\r\n", false, ""},
		{"a body that never comes", head + "Content-Length: 100\r\n\r\n{", false, "HTTP/1.1 408 "},
		{"a body that ends early", head + "Content-Length: 100\r\n\r\n{", true, "HTTP/1.1 400 "},
		{"a chunk that is none", head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", false, "HTTP/1.1 400 "},
		{"two lengths, for two servers", head + "Content-Length: 2\r\nContent-Length: 30\r\n\r\n{}", false, "HTTP/1.1 400 "},
		{"a length and chunks", head + "Content-Length: 2\r\nTransfer-Encoding: chunked, identity\r\n\r\n{}", false, "HTTP/1.1 501 "},
		{"a header that is larger than all headers may be", head + "MFA-Client-User-Agent: " + strings.Repeat("x", 80<<10) + "\r\n\r\n", false, "HTTP/1.1 431 "},
		{"a header with a NUL", head + "MFA-Client-User-Agent: a\x00b\r\n\r\n", false, "HTTP/1.1 400 "},
	} {
		t.Run(c.reason, func(t *testing.T) {
			t.Parallel()
			g := gomega.NewWithT(t)
			conn, err := (&tls.Dialer{
				NetDialer: &net.Dialer{Timeout: 5 * time.Second},
				Config:    &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}},
			}).DialContext(t.Context(), "tcp", address.Host)
			g.Expect(err).NotTo(gomega.HaveOccurred())
			defer conn.Close() //nolint:errcheck // it is over
			g.Expect(conn.SetDeadline(time.Now().Add(25 * time.Second))).To(gomega.Succeed())
			_, err = io.WriteString(conn, c.send)
			g.Expect(err).NotTo(gomega.HaveOccurred())
			if c.close {
				secured, ok := conn.(*tls.Conn)
				g.Expect(ok).To(gomega.BeTrue())
				g.Expect(secured.CloseWrite()).To(gomega.Succeed())
			}
			got, err := io.ReadAll(conn) // until the server hangs up
			if c.want == "" {
				g.Expect(got).To(gomega.BeEmpty())
			}
			g.Expect(err).To(gomega.Or(gomega.Not(gomega.HaveOccurred()), gomega.MatchError(gomega.ContainSubstring("reset"))), "it hangs up")
			g.Expect(string(got)).To(gomega.HavePrefix(c.want))
		})
	}
}

// However a name is written, it is one user with one count; and who asks on whose
// behalf is what the application says, not what a proxy was told.
func TestOneUserHasOneCount(t *testing.T) {
	w := newWorld(t)
	w.app.register("ann-élan")
	s, _ := w.app.enrol("ann-élan")
	wrong := s.wrong(w)
	spellings := []string{
		"ann-élan", "Ann-Élan", "ANN-ÉLAN", "aNN-éLAN", "ann-e\u0301lan", "ANN-E\u0301LAN", "Ann-e\u0301lan", "ａｎｎ-élan", "ＡＮＮ-ÉLAN", "ａnn-élan",
		"aｎn-élan", "anｎ-élan", "ann－élan", "ann-éｌan", "ann-élａn", "ann-élaｎ", "Ａnn-Élan", "AnN-ÉlAn", "ａｎｎ－éｌａｎ", "ＡＮＮ－ÉＬＡＮ",
	}
	results := map[int]int{}
	for i, name := range spellings {
		a := w.app.at(i%replicas).with("X-Forwarded-For", "203.0.113."+string(rune('1'+i%9))).with("X-Real-IP", "203.0.113.9").with("Forwarded", "for=203.0.113.8").
			with("MFA-Client-IP", "198.51.100.7").with("X-Forwarded-Host", "evil.example")
		results[a.verify(name, "TOTP", wrong).status]++
	}
	w.Expect(results).To(gomega.HaveLen(2), "%v", results)
	w.Expect(results[http.StatusForbidden]).To(gomega.BeNumerically("<=", 4), "the third failure makes all of them wait")
	w.Expect(results[http.StatusTooManyRequests]).To(gomega.Equal(len(spellings) - results[http.StatusForbidden]))
	subjects := map[string]bool{}
	for _, r := range w.trail(audit.Verification) {
		subjects[r.Subject] = true
		w.Expect(r.SourceIP).To(gomega.Equal("198.51.100.7"))
	}
	w.Expect(subjects).To(gomega.HaveLen(1))

	// A relying party is what the configuration says.
	w.app.register("key")
	started := w.app.with("Host", "evil.example").with("X-Forwarded-Host", "evil.example").about(http.MethodPost, "key", "/enrolments", object{"method": "WebAuthn"})
	w.Expect(started.raw).To(gomega.And(gomega.ContainSubstring(`"id":"example.com"`), gomega.Not(gomega.ContainSubstring("evil"))))
}
