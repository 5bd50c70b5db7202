package mfaapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onsi/gomega"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/neosc/mfa-operator/test/harness"
)

// A replica whose clock is not the API server's is not ready: codes would be judged by
// another time than elsewhere, and nothing could be recorded. It is again once they agree.
func TestAReplicaWhoseClockIsOffIsNotReady(t *testing.T) {
	w := newWorld(t)
	var ahead atomic.Int64 // seconds
	kubeconfig := anotherTime(w, &ahead)
	replica, err := harness.StartWebhook(kubeconfig, w.site.logs, flags...)
	w.Expect(err).NotTo(gomega.HaveOccurred())
	t.Cleanup(func() {
		if err := replica.Stop(); err != nil {
			t.Error(err)
		}
	})
	w.Expect(replica.AwaitReady(w.ctx)).To(gomega.Succeed())
	ready := func() bool { return replica.Ready(w.ctx) }
	for _, seconds := range []int64{-120, 0, 10, 0} {
		ahead.Store(seconds)
		w.Eventually(ready).Should(gomega.Equal(seconds == 0), "the API server is %d s ahead", seconds)
	}
}

// anotherTime has the API server answer at another address, where its clock seems to be
// so many seconds ahead, and returns a kubeconfig of that.
func anotherTime(w *world, ahead *atomic.Int64) string {
	config := w.site.env.Config
	transport, err := rest.TransportFor(config)
	w.Expect(err).NotTo(gomega.HaveOccurred())
	to, err := url.Parse(config.Host)
	w.Expect(err).NotTo(gomega.HaveOccurred())
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport:     transport,
		FlushInterval: -1, // watches
		ModifyResponse: func(resp *http.Response) error {
			date, err := http.ParseTime(resp.Header.Get("Date"))
			if err != nil {
				return fmt.Errorf("reading the API server's time: %w", err)
			}
			resp.Header.Set("Date", date.Add(time.Duration(ahead.Load())*time.Second).Format(http.TimeFormat))
			return nil
		},
	})
	w.t.Cleanup(server.Close)
	path := filepath.Join(w.t.TempDir(), "kubeconfig")
	w.Expect(harness.WriteKubeconfig(path, &rest.Config{Host: server.URL}, &clientcmdapi.AuthInfo{})).To(gomega.Succeed())
	return path
}
