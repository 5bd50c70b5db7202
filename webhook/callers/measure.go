package callers

import (
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/neosc/mfa-operator/internal/metrics"
)

// Measured measures how long next takes, by the pattern of mux that a request fits.
// What a caller asks for beside those is one more route, so that nobody adds series.
func Measured(mux *http.ServeMux, next http.Handler) http.Handler {
	var measured sync.Map // handlers by route: there are as many as mux has patterns
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, route := mux.Handler(r)
		if route == "" {
			route = unknownRoute
		} else {
			r.Pattern = route // next gets a copy, and who is in front asks this one
		}
		handler, known := measured.Load(route)
		if !known { // checking the labels takes longer than most of what is measured
			handler, _ = measured.LoadOrStore(route, promhttp.InstrumentHandlerDuration(
				metrics.Requests.MustCurryWith(prometheus.Labels{"route": route}), next))
		}
		handler.(http.Handler).ServeHTTP(w, r)
	})
}

const unknownRoute = "unknown"
