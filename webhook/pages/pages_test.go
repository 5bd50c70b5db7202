package pages

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"

	"github.com/neosc/mfa-operator/internal/mfa"
)

const origin = "https://mfa.example.com"

// verifier answers every question of a link the same way; the rules are
// internal/mfa's business, and test/pages asks the real ones.
type verifier struct {
	owner, work error
	panics      bool
	from        mfa.From
	origins     []string
}

func (v *verifier) LinkOwner(context.Context, string, string) (mfa.Owner, error) {
	if v.panics {
		panic("with a secret")
	}
	return mfa.Owner{}, v.owner
}

func (v *verifier) LinkOffer(context.Context, mfa.Person, mfa.Rules, string) (mfa.Offer, error) {
	return mfa.Offer{Methods: []mfa.Method{mfa.WebAuthn, mfa.TOTP}, Preferred: mfa.WebAuthn}, v.work
}

func (v *verifier) StartEnrolment(_ context.Context, _ mfa.Person, _ mfa.Rules, ask mfa.EnrolmentRequest) (mfa.Enrolment, error) {
	v.from = ask.From
	return mfa.Enrolment{}, v.work
}

func (v *verifier) ConfirmLinked(context.Context, mfa.Person, mfa.Rules, string, mfa.Confirmation) (mfa.Linked, error) {
	return mfa.Linked{}, v.work
}

func (v *verifier) Person(context.Context, mfa.Owner) (mfa.Person, mfa.Rules, error) {
	return mfa.Person{Username: "alice"}, mfa.Rules{WebAuthn: mfa.WebAuthnRules{RPID: "example.com", Origins: v.origins}}, nil
}

func handler(t *testing.T, v *verifier) (http.Handler, *strings.Builder) {
	t.Helper()
	logged := &strings.Builder{}
	p := &Pages{Verifier: v, People: v, Origin: origin, Name: "<ACME>", Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	p.Log = funcr.New(func(prefix, args string) { logged.WriteString(prefix + args) }, funcr.Options{})
	h, err := p.Handler()
	if err != nil {
		t.Fatal(err)
	}
	return h, logged
}

// ask posts as the page does, but for what change changes.
func ask(h http.Handler, what, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, Path+"/"+what, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Link shop.token")
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(deadlines{w}, r)
	return w
}

// deadlines is a recorder with a connection under it, which it has not.
type deadlines struct{ *httptest.ResponseRecorder }

func (deadlines) SetReadDeadline(time.Time) error { return nil }

func TestWhatEveryAnswerSays(t *testing.T) {
	h, _ := handler(t, &verifier{})
	for _, path := range []string{"", "/enrol.js", "/enrol.css"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, Path+path, nil))
		if w.Code != http.StatusOK || w.Body.Len() == 0 {
			t.Errorf("GET %s: %d", path, w.Code)
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
				"frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
			"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
			"Cross-Origin-Opener-Policy": "same-origin", "Set-Cookie": "",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s of %s is %q", name, path, got)
			}
		}
		if html := w.Body.String(); path == "" && (strings.Contains(html, "<script>") || strings.Contains(html, "style=") || !strings.Contains(html, "&lt;ACME&gt;")) {
			t.Errorf("the page runs what it should not: %s", html)
		}
	}
}

// What the page is told of each end. Whatever is wrong with a link looks alike.
func TestProblems(t *testing.T) {
	link := `{"problem":"link"}`
	for _, c := range []struct {
		why    string
		v      verifier
		status int
		body   string
	}{
		{"not ours, expired or used", verifier{owner: mfa.ErrDenied}, 403, link},
		{"used meanwhile", verifier{work: &mfa.NotAllowedError{Reason: mfa.ReasonLinkSpent}}, 403, link},
		{"of somebody who is suspended", verifier{work: &mfa.NotAllowedError{Reason: mfa.ReasonSuspended}}, 403, link},
		{"a wrong code, or a locked user", verifier{work: mfa.ErrDenied}, 403, `{"problem":"denied"}`},
		{"a key of somebody", verifier{work: &mfa.NotAllowedError{Reason: mfa.ReasonTaken}}, 409, `{"problem":"taken"}`},
		{"a make that is not allowed", verifier{work: &mfa.NotAllowedError{Reason: mfa.ReasonAAGUID}}, 409, `{"problem":"kind"}`},
		{"too many", verifier{work: &mfa.NotAllowedError{Reason: mfa.ReasonFull}}, 409, `{"problem":"full"}`},
		{"too much was tried", verifier{work: &mfa.ThrottledError{RetryAfter: 1500 * time.Millisecond}}, 429, `{"problem":"wait","retryAfter":2}`},
		{"malformed", verifier{work: &mfa.InvalidError{Field: "code"}}, 422, `{"problem":"invalid"}`},
		{"the ledger is away", verifier{work: fmt.Errorf("recording: %w", mfa.ErrUnavailable)}, 503, `{"problem":"unavailable","retryAfter":2}`},
		{"something else", verifier{owner: errors.New("?")}, 503, `{"problem":"unavailable","retryAfter":2}`},
		{"a panic", verifier{panics: true}, 503, `{"problem":"unavailable","retryAfter":2}`},
	} {
		h, logged := handler(t, &c.v)
		w := ask(h, "confirm", `{"token":"t","code":"123456"}`)
		if got := strings.TrimSpace(w.Body.String()); w.Code != c.status || got != c.body {
			t.Errorf("%s: %d %s, want %d %s", c.why, w.Code, got, c.status, c.body)
		}
		if strings.Contains(logged.String(), "secret") || strings.Contains(logged.String(), "123456") {
			t.Errorf("%s: logged is %s", c.why, logged)
		}
	}
}

func TestRequestsThatAreNotThePages(t *testing.T) {
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, c := range []struct {
		why    string
		body   string
		change func(*http.Request)
		status int
	}{
		{"no link", `{}`, set("Authorization", ""), 403},
		{"the token of an application", `{}`, set("Authorization", "Bearer x.y"), 403},
		{"no namespace", `{}`, set("Authorization", "Link xy"), 403},
		{"a link as long as a book", `{}`, set("Authorization", "Link x."+strings.Repeat("y", 5000)), 403},
		{"another site", `{}`, set("Sec-Fetch-Site", "cross-site"), 403},
		{"another site, in an old browser", `{}`, set("Origin", "https://evil.example"), 403},
		{"the page itself, behind a proxy that renames", `{}`, set("Origin", origin), 200},
		{"a form", `{}`, set("Content-Type", "application/x-www-form-urlencoded"), 422},
		{"no JSON", `{`, nil, 422},
		{"two values", `{}{}`, nil, 422},
		{"an unknown member", `{"admin":true}`, nil, 422},
		{"a member twice", `{"method":"TOTP","method":"SMS"}`, nil, 422},
		{"too large", `{"x":"` + strings.Repeat("y", maxBody) + `"}`, nil, 422},
	} {
		h, _ := handler(t, &verifier{})
		if c.change == nil {
			c.change = func(*http.Request) {}
		}
		if w := ask(h, "offer", c.body, c.change); w.Code != c.status {
			t.Errorf("%s: %d %s, want %d", c.why, w.Code, w.Body, c.status)
		}
	}
}

// Browsers make keys for the page's own origin only: where that is not one of the
// relying party's, the page does not offer it.
func TestKeysAreOfferedWhereTheyCanBeMade(t *testing.T) {
	for _, c := range []struct {
		origins []string
		body    string
		status  int
	}{
		{[]string{"https://login.example.com", origin}, `{"user":"alice","methods":["WebAuthn","TOTP"],"preferred":"WebAuthn"}`, 200},
		{[]string{"https://login.example.com"}, `{"user":"alice","methods":["TOTP"]}`, 409},
	} {
		h, _ := handler(t, &verifier{origins: c.origins})
		if got := strings.TrimSpace(ask(h, "offer", `{}`).Body.String()); got != c.body {
			t.Errorf("origins %v: %s, want %s", c.origins, got, c.body)
		}
		if w := ask(h, "start", `{"method":"WebAuthn"}`); w.Code != c.status {
			t.Errorf("origins %v: starting is %d, want %d", c.origins, w.Code, c.status)
		}
	}
}

// Whose address counts: X-Forwarded-For is believed from our proxies only, and of it
// what they added.
func TestWhoTheClientIs(t *testing.T) {
	for _, c := range []struct {
		why, peer string
		forwarded []string
		want      string
	}{
		{"no proxy", "192.0.2.1:5", nil, "192.0.2.1"},
		{"a header of a stranger", "192.0.2.1:5", []string{"198.51.100.1"}, "192.0.2.1"},
		{"our proxy", "10.0.0.1:5", []string{"192.0.2.7"}, "192.0.2.7"},
		{"two of ours", "10.0.0.1:5", []string{"192.0.2.7, 10.9.9.9"}, "192.0.2.7"},
		{"what the browser forged stands further left", "10.0.0.1:5", []string{"198.51.100.1, 192.0.2.7"}, "192.0.2.7"},
		{"in several headers", "10.0.0.1:5", []string{"198.51.100.1", "192.0.2.7"}, "192.0.2.7"},
		{"our proxy says nothing", "10.0.0.1:5", nil, "10.0.0.1"},
		{"nor anything that is an address", "10.0.0.1:5", []string{"unknown"}, "10.0.0.1"},
		{"a zone and a mapped address", "[::ffff:10.0.0.1]:5", []string{"fe80::1%eth0"}, "fe80::1"},
		{"more hops than there are", "10.0.0.1:5", []string{strings.Repeat("10.0.0.2,", 1000)}, "10.0.0.1"},
	} {
		v := &verifier{}
		h, _ := handler(t, v)
		ask(h, "start", `{"method":"TOTP"}`, func(r *http.Request) {
			r.RemoteAddr = c.peer
			r.Header["X-Forwarded-For"] = c.forwarded
		})
		if got := v.from.IP.String(); got != c.want || v.from.Actor != Actor {
			t.Errorf("%s: %s for %s, want %s", c.why, got, v.from.Actor, c.want)
		}
	}
}

func TestAnAddressThatAsksTooMuch(t *testing.T) {
	now := time.Date(2030, 5, 17, 12, 0, 0, 0, time.UTC)
	l := newLimits(nil)
	l.now = func() time.Time { return now }
	let := func(client string, n int) (allowed int) {
		for range n {
			if l.allow(netip.MustParseAddr(client)) {
				allowed++
			}
		}
		return allowed
	}
	if got := let("2001:db8::1", 20) + let("2001:db8::2", 20); got != burst {
		t.Errorf("one network was let through %d times, want %d", got, burst)
	}
	if got := let("2001:db8:0:1::1", 1) + let("192.0.2.1", 1); got != 2 {
		t.Error("others are held back")
	}
	now = now.Add(3 * time.Second)
	if got := let("2001:db8::1", 10); got != 3*perSecond {
		t.Errorf("after three seconds: %d", got)
	}
}
