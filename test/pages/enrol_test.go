package pages

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/onsi/gomega"
	"github.com/pquerna/otp/totp"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/mfa"
)

// enrolling are the records that the use of a link may leave.
var enrolling = []audit.Action{
	audit.EnrolmentLinkIssued, audit.FactorEnrolled, audit.RecoveryCodesIssued, audit.Verification,
}

const dead = "This link cannot be used."

// codes are the recovery codes on the screen.
func (t *tab) codes() []string {
	return evaluate[[]string](t, `[...document.querySelectorAll("#code-list li")].map((c) => c.textContent)`)
}

// assertion has the browser answer a challenge of the API, as the page of an
// application would.
const assertion = `(async (options) => {
  const bytes = (s) => Uint8Array.from(atob(s.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const got = await navigator.credentials.get({ publicKey: { ...options, challenge: bytes(options.challenge),
    allowCredentials: options.allowCredentials.map((c) => ({ ...c, id: bytes(c.id) })) } });
  return JSON.stringify(got.toJSON());
})`

func TestAPasskeyIsEnrolledWithALink(t *testing.T) {
	w := newWorld(t)
	w.register("alice")
	link := w.link("alice")
	page := w.newTab("")
	page.open(link)
	page.reads("#user", "alice")
	w.Expect(page.text("#methods li:first-child")).To(gomega.ContainSubstring("Security key or passkey"))
	w.Expect(evaluate[string](page, "location.href")).To(gomega.Equal(site.url+"/enrol"), "the token is out of the address")
	page.do(chromedp.SendKeys(chromedp.CSS("#name"), "laptop"))
	page.click("#use-WebAuthn")
	page.shown("#done")
	codes := page.codes()
	w.Expect(codes).To(gomega.HaveLen(10))

	t.Log("what etcd holds")
	w.Expect(outcomes(w.trail(enrolling...))).To(gomega.Equal([]string{
		"EnrolmentLinkIssued Succeeded", "FactorEnrolled WebAuthn Succeeded", "RecoveryCodesIssued RecoveryCodes Succeeded",
	}))
	issued, enrolled := w.trail(audit.EnrolmentLinkIssued)[0], w.trail(audit.FactorEnrolled)[0]
	w.Expect(enrolled.Detail("link")).To(gomega.And(gomega.Not(gomega.BeEmpty()), gomega.Equal(issued.Detail("link"))), "who made the link can be found")
	w.Expect(enrolled.Session).To(gomega.BeEmpty(), "nobody signed in")
	w.Expect(enrolled.Detail("name")).To(gomega.Equal("laptop"))
	w.Expect(enrolled.Actor).To(gomega.Equal("enrolment-link"))
	w.Expect(enrolled.SourceIP).To(gomega.Or(gomega.Equal("127.0.0.1"), gomega.Equal("::1")))
	w.Expect(enrolled.UserAgent).To(gomega.ContainSubstring("Chrome"))
	secret := strings.Join(w.sealed(), "\n")
	w.Expect(w.sealed()).To(gomega.HaveLen(2), "a key and a set of codes")
	token := link[strings.LastIndex(link, ".")+1:]
	for _, hidden := range append(slices.Clone(codes), strings.ReplaceAll(codes[0], "-", ""), token) {
		w.Expect(secret).NotTo(gomega.ContainSubstring(hidden))
		w.Expect(site.logs.String()).NotTo(gomega.ContainSubstring(hidden))
	}

	t.Log("the application verifies with it")
	held, err := chromedp.Call(page.ctx, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: page.authenticator})
	w.Expect(err).NotTo(gomega.HaveOccurred())
	w.Expect(held.Credentials).To(gomega.HaveLen(1))
	w.Expect(held.Credentials[0].RpID).To(gomega.Equal("localhost"))
	status, challenge := w.api(http.MethodPost, "alice", "/challenges", object{"method": "WebAuthn"})
	w.Expect(status).To(gomega.Equal(http.StatusCreated), "%v", challenge)
	options, err := json.Marshal(challenge["options"].(object)["publicKey"])
	w.Expect(err).NotTo(gomega.HaveOccurred())
	proof := object{"method": "WebAuthn", "challenge": challenge["token"], "response": json.RawMessage(evaluate[string](page, assertion+"("+string(options)+")"))}
	status, session := w.api(http.MethodPost, "alice", "/verifications", proof)
	w.Expect(status).To(gomega.Equal(http.StatusCreated), "%v", session)
	w.Expect(session["mfaVerified"]).To(gomega.BeTrue())
	status, _ = w.api(http.MethodPost, "alice", "/verifications", object{"method": "RecoveryCodes", "code": codes[3]})
	w.Expect(status).To(gomega.Equal(http.StatusCreated), "a code that was shown")

	t.Log("the link a second time")
	page.open(link)
	page.reads("#problem", dead)
	w.Expect(page.text("#methods")).To(gomega.BeEmpty())
	page.quiet()
}

func TestAnAppIsEnrolledWithALink(t *testing.T) {
	w := newWorld(t)
	w.register("bob")
	link := w.link("bob")
	page := w.newTab("")
	page.open(link)
	page.click("#use-TOTP")
	page.shown("#picture")
	w.Eventually(func() int { return evaluate[int](page, "document.querySelector('#picture').naturalWidth") }).Should(gomega.BeNumerically(">", 100))
	seed := strings.ReplaceAll(page.text("#secret"), " ", "")
	// One in a million may be right by chance, within the steps around.
	page.do(chromedp.SendKeys(chromedp.CSS("#code"), "000000\r"))
	page.reads("#problem", "not accepted")
	w.Expect(w.sealed()).To(gomega.BeEmpty())
	code, err := totp.GenerateCode(seed, time.Now())
	w.Expect(err).NotTo(gomega.HaveOccurred())
	page.do(chromedp.SendKeys(chromedp.CSS("#code"), code[:3]+" "+code[3:]+"\r"))
	page.reads("#done", "It is set up")
	w.Expect(page.codes()).To(gomega.HaveLen(10))
	w.Expect(evaluate[string](page, "document.querySelector('#secret').textContent")).To(gomega.BeEmpty(), "the key is not left behind in the page")
	w.Expect(outcomes(w.trail(enrolling...))).To(gomega.Equal([]string{
		"EnrolmentLinkIssued Succeeded", "FactorEnrolled TOTP Failed WrongCode", "FactorEnrolled TOTP Succeeded", "RecoveryCodesIssued RecoveryCodes Succeeded",
	}))
	w.Expect(strings.Join(w.sealed(), "\n") + site.logs.String()).NotTo(gomega.ContainSubstring(seed))
	next, err := totp.GenerateCode(seed, time.Now().Add(30*time.Second))
	w.Expect(err).NotTo(gomega.HaveOccurred())
	status, got := w.api(http.MethodPost, "bob", "/verifications", object{"method": "TOTP", "code": next})
	w.Expect(status).To(gomega.Equal(http.StatusCreated), "%v", got)
	page.quiet()
}

// Whatever is wrong with a link, its bearer is told the same.
func TestALinkThatCannotBeUsed(t *testing.T) {
	for _, c := range []struct {
		why  string
		link func(w *world) string
	}{
		{"after a reset", func(w *world) string {
			link := w.link("carol")
			w.record(mfa.Reset(string(w.user().UID), "admin", "LostDevice", nil, nil, false))
			return link
		}},
		{"replaced by another", func(w *world) string {
			link := w.link("carol")
			w.link("carol")
			return link
		}},
		{"of somebody who is suspended", func(w *world) string {
			link := w.link("carol")
			w.Expect(site.client.Patch(w.t.Context(), w.user(), client.RawPatch(types.MergePatchType, []byte(`{"spec":{"suspended":true}}`)))).To(gomega.Succeed())
			w.Eventually(func() int { status, _ := w.offer(link); return status }).Should(gomega.Equal(http.StatusForbidden))
			return link
		}},
		{"of another namespace", func(w *world) string { return strings.Replace(w.link("carol"), "#team-", "#team-x", 1) }},
		{"altered", func(w *world) string { return w.link("carol") + "A" }},
		{"made up", func(*world) string { return site.url + "/enrol#x.y" }},
		{"without a token", func(*world) string { return site.url + "/enrol" }},
	} {
		t.Run(c.why, func(t *testing.T) {
			w := newWorld(t)
			w.register("carol")
			link := c.link(w)
			status, body := w.offer(link)
			w.Expect(status).To(gomega.Equal(http.StatusForbidden))
			w.Expect(body).To(gomega.Equal(object{"problem": "link"}))
			page := w.newTab("")
			page.open(link)
			page.reads("#problem", dead)
			w.Expect(page.text("main")).NotTo(gomega.ContainSubstring("carol"))
			page.quiet()
			w.Expect(w.sealed()).To(gomega.BeEmpty())
		})
	}
}

// offer asks what the page asks first.
func (w *world) offer(link string) (int, object) {
	_, shown, _ := strings.Cut(link, "#")
	return w.send(http.MethodPost, "/enrol/offer", "Link "+shown, object{})
}

// Another link, pasted into the window that has one open already.
func TestAnotherLinkInTheSameWindow(t *testing.T) {
	w := newWorld(t)
	w.register("grace")
	page := w.newTab("")
	old, current := w.link("grace"), w.link("grace")
	page.open(old)
	page.reads("#problem", dead)
	_ = evaluate[string](page, "location.href = '"+current+"'")
	page.reads("#user", "grace")
	w.Expect(evaluate[string](page, "location.href")).To(gomega.Equal(site.url + "/enrol"))
	page.quiet()
}

// A browser without WebAuthn is told so, and offered the rest.
func TestABrowserWithoutWebAuthn(t *testing.T) {
	w := newWorld(t)
	w.register("dave")
	link := w.link("dave")
	page := w.newTab("delete window.PublicKeyCredential")
	page.open(link)
	page.reads("#no-webauthn", "does not support security keys")
	page.shown("#use-TOTP")
	w.Expect(page.text("#use-WebAuthn")).To(gomega.BeEmpty())

	page = w.newTab("Object.defineProperty(window, 'isSecureContext', { value: false })")
	page.open(link)
	page.reads("#no-webauthn", "secure connection")
	page.quiet()
}

// The browser says no to a key: the page says so, and the link still counts.
func TestAKeyThatIsNotMade(t *testing.T) {
	w := newWorld(t)
	w.register("erin")
	page := w.newTab("")
	_, err := chromedp.Call(page.ctx, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: page.authenticator, IsUserVerified: false})
	w.Expect(err).NotTo(gomega.HaveOccurred())
	page.open(w.link("erin"))
	_ = evaluate[bool](page, `(navigator.credentials.create = () => Promise.reject(new DOMException("no", "NotAllowedError")), true)`)
	page.click("#use-WebAuthn")
	page.reads("#problem", "No key was made")
	page.click("#use-TOTP")
	page.shown("#code")
	page.quiet()
}

// A small phone, and nothing but a keyboard.
func TestThePageIsAccessible(t *testing.T) {
	w := newWorld(t)
	w.register("frank")
	page := w.newTab("")
	page.do(chromedp.EmulateViewport(320, 640))
	page.open(w.link("frank"))
	page.shown("#methods")
	wide := func() int { return evaluate[int](page, "document.documentElement.scrollWidth") }
	w.Expect(wide()).To(gomega.BeNumerically("<=", 320))
	page.do(chromedp.KeyEvent("\t"), chromedp.KeyEvent("\t"), chromedp.KeyEvent("\t"))
	w.Expect(evaluate[string](page, "document.activeElement.id")).To(gomega.Equal("use-TOTP"), "name, key, app, in this order")
	page.do(chromedp.KeyEvent("\r"))
	page.shown("#secret")
	w.Eventually(func() string { return evaluate[string](page, "document.activeElement.id") }).Should(gomega.Equal("code"), "where one has to go on")
	w.Expect(wide()).To(gomega.BeNumerically("<=", 320))
	unnamed := evaluate[[]string](page, `[...document.querySelectorAll("input,button,img")]
		.filter((e) => !(e.labels && e.labels.length) && !e.textContent.trim() && !e.alt).map((e) => e.outerHTML)`)
	w.Expect(unnamed).To(gomega.BeEmpty(), "everything has a name for who cannot see it")
	page.quiet()
}
