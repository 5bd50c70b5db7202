package options

import (
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/spf13/pflag"
)

// Tracing is what becomes of OpenTelemetry spans.
type Tracing struct {
	// Endpoint is the URL of a collector that takes OTLP over gRPC, http or https;
	// empty: there are no spans.
	Endpoint string
	// Sampling is which part, 0 to 1, is traced of what no caller has decided about.
	Sampling float64
}

func (o *Tracing) add(flags *pflag.FlagSet) {
	flags.StringVar(&o.Endpoint, "tracing-endpoint", os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"), "collector to send OpenTelemetry traces to, by OTLP over gRPC, such as http://collector.observability:4317; without, there are none (default: $OTEL_EXPORTER_OTLP_ENDPOINT)")
	flags.Float64Var(&o.Sampling, "tracing-sampling", 1, "part to trace, 0 to 1, of what no caller has decided about by a traceparent header")
}

func (o Tracing) validate() []error {
	var errs []error
	if o.Endpoint != "" {
		if err := checkEndpoint(o.Endpoint); err != nil {
			// What it is may have a password in it.
			errs = append(errs, fmt.Errorf("--tracing-endpoint must be like http://collector.observability:4317: %w", err))
		}
	}
	if !(o.Sampling >= 0 && o.Sampling <= 1) { // neither is NaN
		errs = append(errs, fmt.Errorf("--tracing-sampling must be 0 to 1, got %g", o.Sampling))
	}
	return errs
}

func checkEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil:
		return errors.New("it is no URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("it does not begin with http:// or https://")
	case u.Hostname() == "" || u.Port() == "":
		return errors.New("it has no host and port")
	case u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return errors.New("it has more than scheme, host and port")
	}
	return nil
}
