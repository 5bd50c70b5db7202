// Package tracing makes OpenTelemetry spans and sends them to a collector, by OTLP
// over gRPC. It decides what a span may say: routes, kinds, methods of RPCs, names of
// settings, counts and outcomes. It must not say who somebody is or what they sent, so
// paths, queries, addresses, headers and texts of errors are in none
// (docs/adr/0023-spans-that-name-nobody.md).
//
// While it is off, which is the default, nothing is wrapped, and Start looks at the
// context and nothing else.
package tracing

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// scope names who makes the spans.
const scope = "github.com/neosc/mfa-operator"

// farewell is how long the end of a process waits for the last spans to be sent.
const farewell = 3 * time.Second

// Config says what becomes of spans.
type Config struct {
	// Endpoint is the URL of a collector, http or https with a host; empty: tracing is
	// off. What else there is to say, such as headers and certificates, the exporter
	// reads from the variables that OpenTelemetry standardized.
	Endpoint string
	// Sampling is which part, 0 to 1, is traced of what no caller has decided about.
	Sampling float64
	// Service, Version and Instance name this process in its spans; Instance is the pod.
	Service, Version, Instance string
	// Log gets what goes wrong with sending.
	Log logr.Logger
}

// active makes the spans that have no parent here. It is one for the process, as its
// metrics are, and not OpenTelemetry's own, so that no library makes spans unasked.
var active atomic.Pointer[trace.Tracer]

// On tells whether spans are made.
func On() bool { return active.Load() != nil }

// Open turns tracing on, if there is an endpoint. It does not wait for the collector:
// spans that it does not take are dropped, and nothing else notices. It comes before
// whatever asks On. end sends what is left, for three seconds at most, and turns
// tracing off.
func Open(ctx context.Context, c Config) (end func(), err error) {
	if c.Endpoint == "" {
		return func() {}, nil
	}
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(c.Endpoint))
	if err != nil {
		return nil, fmt.Errorf("setting up tracing: %w", err)
	}
	// The environment comes last: who runs the process may call it something else.
	about, err := resource.New(ctx, resource.WithAttributes(
		semconv.ServiceName(c.Service), semconv.ServiceVersion(c.Version), semconv.ServiceInstanceID(c.Instance),
	), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("setting up tracing: %w", err)
	}
	log := c.Log.WithName("tracing")
	otel.SetLogger(log)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Info("Cannot send spans", "error", err.Error()) }))
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithResource(about),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(c.Sampling))),
		// Its queue is bounded, and drops what does not fit.
		sdktrace.WithBatcher(exporter),
	)
	tracer := provider.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL))
	active.Store(&tracer)
	return func() {
		active.CompareAndSwap(&tracer, nil)
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		defer cancel()
		if err := provider.Shutdown(last); err != nil {
			log.Info("Cannot send the last spans", "error", err.Error())
		}
	}, nil
}
