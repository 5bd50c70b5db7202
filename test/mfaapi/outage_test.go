package mfaapi

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/neosc/mfa-operator/internal/audit"
)

// While there is no API server nobody is verified, and nobody is told that a code
// was wrong. Afterwards it goes on, and the code is still good.
func TestOutage(t *testing.T) {
	// Its grace is so short that to stop it is to kill it, which it says.
	const killed = "timeout waiting for process "
	s, stop, err := startSite(1, func(env *envtest.Environment) { env.ControlPlaneStopTimeout = 50 * time.Millisecond })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil && !strings.Contains(err.Error(), killed) {
			t.Error(err)
		}
	})
	w := newWorldOn(t, s)
	w.app.register("ann")
	seed, session := w.app.enrol("ann")
	code, wrong := seed.code(w, 0), seed.wrong(w)
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
	for _, r := range w.trail(audit.Verification) {
		w.Expect(r.Outcome).To(gomega.Equal(audit.Failed), "nothing was accepted meanwhile")
	}
	next := seed.code(w, 0)
	won := w.app.verify("ann", "TOTP", next)
	w.Expect(won.status).To(gomega.Equal(http.StatusCreated), won.raw)
}
