package harness

import (
	"context"
	"fmt"
	"net/http"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Metrics are what a process showed, by the names of the families.
type Metrics map[string]*dto.MetricFamily

// Scrape reads /metrics as Prometheus does.
func Scrape(ctx context.Context, address string) (Metrics, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // it has been read
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("scraping %s: %s", address, resp.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(resp.Body)
}

// Series counts all series of the families of that name.
func (m Metrics) Series(names ...string) (n int) {
	for _, name := range names {
		n += len(m[name].GetMetric())
	}
	return n
}

// Value sums the series of a family that have all these labels, of a histogram how often
// it was observed.
func (m Metrics) Value(name string, labels map[string]string) (sum float64) {
	for _, series := range m[name].GetMetric() {
		has := map[string]string{}
		for _, l := range series.GetLabel() {
			has[l.GetName()] = l.GetValue()
		}
		fits := true
		for label, value := range labels {
			fits = fits && has[label] == value
		}
		if fits {
			sum += series.GetCounter().GetValue() + series.GetGauge().GetValue() + float64(series.GetHistogram().GetSampleCount())
		}
	}
	return sum
}
