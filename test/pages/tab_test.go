package pages

import (
	"context"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/onsi/gomega"
)

// tab is one window of the browser, with an authenticator in the device.
type tab struct {
	w             *world
	ctx           context.Context
	authenticator webauthn.AuthenticatorID

	mu         sync.Mutex
	complaints []string
}

// newTab opens a window. before runs in each page before anything of it does.
func (w *world) newTab(before string) *tab {
	w.t.Helper()
	ctx, end := chromedp.NewContext(site.browser)
	w.t.Cleanup(end)
	t := &tab{w: w, ctx: ctx}
	w.Expect(chromedp.Do(ctx)).To(gomega.Succeed())
	w.Expect(chromedp.Listen(ctx, t.hear)).To(gomega.Succeed())
	_, err := chromedp.Call(ctx, log.Enable, cdp.Empty{})
	w.Expect(err).NotTo(gomega.HaveOccurred())
	_, err = chromedp.Call(ctx, webauthn.Enable, webauthn.EnableParams{})
	w.Expect(err).NotTo(gomega.HaveOccurred())
	made, err := chromedp.Call(ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: "ctap2", Transport: "internal", HasResidentKey: true, HasUserVerification: true, IsUserVerified: true,
		AutomaticPresenceSimulation: true,
	}})
	w.Expect(err).NotTo(gomega.HaveOccurred())
	t.authenticator = made.AuthenticatorID
	if before != "" {
		_, err = chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: before})
		w.Expect(err).NotTo(gomega.HaveOccurred())
	}
	return t
}

// hear collects what the browser complains of: a breach of the page's own policy, or
// a mistake in its script. That a link is refused is no mistake.
func (t *tab) hear(event any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if !strings.Contains(e.Entry.Text, "status of 403") {
			t.complaints = append(t.complaints, string(e.Entry.Source)+": "+e.Entry.Text)
		}
	case *runtime.EventExceptionThrown:
		t.complaints = append(t.complaints, e.ExceptionDetails.Text)
	}
}

func (t *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	t.w.t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.w.t.Fatalf("%v; the page says: %s", err, t.text("body"))
	}
}

// open follows a link, as the first page of a window would be: a change of nothing
// but what is behind the "#" would load nothing.
func (t *tab) open(url string) { t.do(chromedp.Navigate("about:blank"), chromedp.Navigate(url)) }

// text is what somebody reads in an element; nothing if it is hidden.
func (t *tab) text(selector string) string {
	t.w.t.Helper()
	return evaluate[string](t, `((e) => e && e.checkVisibility() ? e.innerText : "")(document.querySelector("`+selector+`"))`)
}

// reads waits until somebody reads a text in an element.
func (t *tab) reads(selector, text string) {
	t.w.t.Helper()
	t.w.Eventually(func() string { return t.text(selector) }).Should(gomega.ContainSubstring(text), "the page says: %s", t.text("body"))
}

// shown waits until an element is seen.
func (t *tab) shown(selector string) { t.do(chromedp.WaitVisible(chromedp.CSS(selector))) }

// click waits until an element can be pressed, and presses it.
func (t *tab) click(selector string) {
	t.do(chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.WaitEnabled(chromedp.CSS(selector)), chromedp.Click(chromedp.CSS(selector)))
}

// quiet holds that the browser had nothing to complain of.
func (t *tab) quiet() {
	t.w.t.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.w.Expect(t.complaints).To(gomega.BeEmpty())
}

func evaluate[T any](t *tab, script string) T {
	t.w.t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.w.t.Fatalf("%s: %v", script, err)
	}
	return value
}
