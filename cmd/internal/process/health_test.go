package process

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/onsi/gomega"
	dto "github.com/prometheus/client_model/go"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// A real controller gets stuck in a pass that heeds no context, while nothing else of
// the process does.
func TestAProcessWithAWedgedControllerIsNotLive(t *testing.T) {
	g := gomega.NewWithT(t)
	wedged, freed := make(chan struct{}), make(chan struct{})
	c, err := controller.NewUnmanaged("wedged", controller.Options{
		Reconciler: reconcile.Func(func(_ context.Context, req reconcile.Request) (reconcile.Result, error) {
			if req.Name == "wedges" {
				close(wedged)
				<-freed
			}
			return reconcile.Result{}, nil
		}),
	})
	g.Expect(err).NotTo(gomega.HaveOccurred())
	var queue workqueue.TypedRateLimitingInterface[reconcile.Request]
	started := make(chan struct{})
	g.Expect(c.Watch(source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		queue = q
		close(started)
		return nil
	}))).To(gomega.Succeed())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Start(ctx) }()
	defer func() {
		cancel()
		g.Expect(<-ended).To(gomega.Succeed())
	}()
	<-started

	const limit = time.Second
	probed := httptest.NewServer(&healthz.Handler{Checks: map[string]healthz.Checker{"controllers": controllers(ctrlmetrics.Registry, limit)}})
	defer probed.Close()
	live := func() int {
		resp, err := http.Get(probed.URL)
		g.Expect(err).NotTo(gomega.HaveOccurred())
		g.Expect(resp.Body.Close()).To(gomega.Succeed())
		return resp.StatusCode
	}
	request := func(name string) (r ctrl.Request) { r.Name = name; return r }

	queue.Add(request("passes"))
	g.Expect(live()).To(gomega.Equal(http.StatusOK))
	queue.Add(request("wedges"))
	<-wedged
	g.Eventually(live, 10*time.Second, 50*time.Millisecond).Should(gomega.Equal(http.StatusInternalServerError))
	g.Expect(controllers(ctrlmetrics.Registry, limit)(nil)).To(gomega.MatchError(gomega.ContainSubstring("wedged")), "the log says which")
	close(freed)
	g.Eventually(live, 10*time.Second, 50*time.Millisecond).Should(gomega.Equal(http.StatusOK))
}

func TestWhatCannotBeReadIsNotLive(t *testing.T) {
	broken := gathererFunc(func() error { return errors.New("two of one name") })
	if controllers(broken, time.Hour)(nil) == nil {
		t.Error("a process that cannot tell is taken for live")
	}
}

type gathererFunc func() error

func (f gathererFunc) Gather() ([]*dto.MetricFamily, error) { return nil, f() }
