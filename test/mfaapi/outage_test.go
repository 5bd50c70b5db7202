package mfaapi

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/webhook/callers"
)

// While there is no API server nobody is verified, and nobody is told that a code
// was wrong. Afterwards it goes on. The right code may be on its way to the ledger
// still; it is good once, whether that takes it or who sends it again.
func TestOutage(t *testing.T) {
	t.Parallel()
	// Its grace is so short that to stop it is to kill it, which it says.
	const killed = "timeout waiting for process "
	s, stop, err := startSite(layout{replicas: 1, configure: func(env *envtest.Environment) { env.ControlPlaneStopTimeout = 50 * time.Millisecond }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log:\n%s", s.logs)
		}
		if err := stop(); err != nil && !strings.Contains(err.Error(), killed) {
			t.Error(err)
		}
	})
	w := newWorldOn(t, s)
	w.app.register("ann")
	seed, session := w.app.enrol("ann")
	// That of the next step: it has to be good when the API server is back.
	code, wrong := seed.code(w, 1), seed.wrong(w)
	w.Expect(w.app.verify("ann", "TOTP", wrong).status).To(gomega.Equal(http.StatusForbidden)) // the caller's rights are remembered

	server := s.env.ControlPlane.GetAPIServer()
	w.Expect(server.Stop()).To(gomega.MatchError(gomega.HavePrefix(killed)))
	began := time.Now()
	for what, got := range map[string]answer{
		"the right code":                 w.app.verify("ann", "TOTP", code),
		"a wrong code":                   w.app.verify("ann", "TOTP", wrong),
		"a session":                      w.app.about(http.MethodPost, "ann", "/sessions/introspect", object{"token": session}),
		"whether":                        w.app.about(http.MethodPost, "ann", "/requirement", object{}),
		"somebody new":                   w.app.about(http.MethodPut, "eve", "", object{}),
		"a caller who is not remembered": (&app{w: w, token: "eyJhbGciOiJub25lIn0.e30."}).verify("ann", "TOTP", code),
	} {
		w.Expect(got).To(beProblem(http.StatusServiceUnavailable), what)
		w.Expect(got.text("type")).To(gomega.Equal("urn:neosc:mfa:unavailable"), what)
		w.Expect(got.header.Get("Retry-After")).NotTo(gomega.BeEmpty(), what)
	}
	w.Expect(s.logs.String()).To(gomega.ContainSubstring("recording"), "whose caller is remembered got as far as the ledger")
	t.Logf("six refusals, one after the other, took %s", time.Since(began).Round(time.Millisecond))

	w.Expect(server.Start()).To(gomega.Succeed())
	w.SetDefaultEventuallyTimeout(60 * time.Second)
	w.Eventually(func() int { return w.app.about(http.MethodPost, "ann", "/requirement", object{}).status }).Should(gomega.Equal(http.StatusOK))
	won := 0
	for range 2 {
		if got := w.app.verify("ann", "TOTP", code); got.status == http.StatusCreated {
			won++
		} else {
			w.Expect(got).To(beProblem(http.StatusForbidden))
		}
	}
	accepted := 0
	for _, r := range w.trail(audit.Verification) {
		if r.Outcome == audit.Succeeded {
			accepted++
		}
	}
	w.Expect(accepted).To(gomega.Equal(1))
	w.Expect(won).To(gomega.BeNumerically("<=", accepted))
}

// While the API server takes everything and answers nothing, callers do not wait for
// it: they are told that nothing is known. What was on its way may be recorded when it
// answers again, so a code is then accepted once, or not at all any more.
func TestAPIServerThatHangs(t *testing.T) {
	t.Parallel()
	s, stop, err := startSite(layout{replicas: 2, proxied: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.proxy.Resume()
		if t.Failed() {
			t.Logf("log:\n%s", s.logs)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	w := newWorldOn(t, s)
	ann := w.armOne("ann")
	w.app.register("bob")
	seed, session := w.app.enrol("bob")
	wrong := object{"method": "TOTP", "code": seed.wrong(w)}
	stranger := &app{w: w, token: w.tokenOf("app", "mfa.security.neosc.io")} // nobody has reviewed this one
	for i := range s.replicas {
		w.Expect(w.app.at(i).about(http.MethodPost, "bob", "/verifications", wrong).status).To(gomega.Equal(http.StatusForbidden)) // caller and right are remembered
	}

	type try struct {
		what             string
		app              *app
		method, user, to string
		body             any
	}
	tries := []try{
		{"whether", w.app, http.MethodPost, "ann", "/requirement", object{}},
		{"a wrong code", w.app, http.MethodPost, "bob", "/verifications", wrong},
		{"a session", w.app, http.MethodPost, "bob", "/sessions/introspect", object{"token": session}},
		{"somebody new", w.app, http.MethodPut, "eve", "", object{}},
		{"a factor to be removed", w.app.with("MFA-Session", session), http.MethodDelete, "ann", "/factors/none", nil},
		{"a right that is not remembered", w.app, http.MethodDelete, "ann", "/lock", nil},
		{"a caller who is not remembered", stranger, http.MethodPost, "ann", "/requirement", object{}},
	}
	for method, proof := range ann.proofs {
		for i := range s.replicas {
			tries = append(tries, try{"the right " + method, w.app.at(i), http.MethodPost, "ann", "/verifications", proof})
		}
	}
	s.proxy.Hang()
	answers, took := make([]answer, len(tries)), make([]time.Duration, len(tries))
	var all sync.WaitGroup
	for i, c := range tries {
		all.Go(func() {
			began := time.Now()
			answers[i] = c.app.about(c.method, c.user, c.to, c.body)
			took[i] = time.Since(began)
		})
	}
	all.Wait() // while it still hangs
	for i, c := range tries {
		w.Expect(answers[i]).To(beProblem(http.StatusServiceUnavailable), c.what)
		w.Expect(answers[i].text("type")).To(gomega.Equal("urn:neosc:mfa:unavailable"), c.what)
		w.Expect(answers[i].header.Get("Retry-After")).NotTo(gomega.BeEmpty(), c.what)
		// Twice as long, for a busy machine; the ledger itself would take more.
		w.Expect(took[i]).To(gomega.BeNumerically("<", 2*callers.Patience), c.what)
	}
	t.Logf("%d answers, the last after %s", len(answers), slices.Max(took).Round(time.Millisecond))

	s.proxy.Resume()
	w.Eventually(func() int { return w.app.about(http.MethodPost, "ann", "/requirement", object{}).status }).Should(gomega.Equal(http.StatusOK))
	for method, proof := range ann.proofs {
		won := 0
		for i := range 2 * len(s.replicas) {
			var got answer
			w.Eventually(func() int {
				got = w.app.at(i%len(s.replicas)).about(http.MethodPost, "ann", "/verifications", proof)
				return got.status
			}).Should(gomega.BeElementOf(http.StatusCreated, http.StatusForbidden), method)
			if got.status == http.StatusCreated {
				won++
			}
		}
		w.Expect(won).To(gomega.BeNumerically("<=", 1), method)
	}
	accepted := map[string]int{}
	for _, r := range w.trail(audit.Verification, audit.RecoveryCodeUsed) {
		if r.Outcome == audit.Succeeded {
			accepted[r.Method]++
		}
	}
	w.Expect(accepted).To(gomega.Equal(map[string]int{"TOTP": 1, "WebAuthn": 1, "RecoveryCodes": 1}))
}
