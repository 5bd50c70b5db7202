package integration

import (
	"io"
	"net/http"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

// TestAManagerThatWorksIsLiveAndReady: also while a Zitadel does not answer, which no
// restart would help.
func TestAManagerThatWorksIsLiveAndReady(t *testing.T) {
	w := newWorld(t)
	probe := func(path string) func() string {
		return func() string {
			req, err := http.NewRequestWithContext(w.ctx, http.MethodGet, "http://"+cluster.health+path+"?verbose", nil)
			w.Expect(err).NotTo(HaveOccurred())
			resp, err := http.DefaultClient.Do(req)
			w.Expect(err).NotTo(HaveOccurred())
			defer resp.Body.Close() //nolint:errcheck // it has been read
			text, err := io.ReadAll(resp.Body)
			w.Expect(err).NotTo(HaveOccurred())
			return resp.Status + " " + string(text)
		}
	}
	live := And(HavePrefix("200 "), ContainSubstring("[+]controllers ok"), ContainSubstring("[+]ledgers-0 ok"))
	ready := And(HavePrefix("200 "), ContainSubstring("[+]caches ok"))
	w.Eventually(probe("/readyz")).Should(ready)
	w.Expect(probe("/healthz")()).To(live)
	w.zitadel.Stop()
	p := w.policy("mfa", "", alwaysRequired)
	w.create(p)
	w.failing(p, v1alpha1.ReasonZitadelUnreachable)
	w.Expect(probe("/healthz")()).To(live)
	w.Expect(probe("/readyz")()).To(ready)
	w.Expect(w.zitadel.Restart()).To(Succeed())
	w.ready(p)
}
