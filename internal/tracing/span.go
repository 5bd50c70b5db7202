package tracing

import (
	"context"

	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Start begins a span under the one of ctx. If that is not recorded, or there is none,
// ctx comes back with a span that does nothing: what nobody waits for has no trace of
// its own.
func Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, noop.Span{}
	}
	return parent.TracerProvider().Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL)).Start(ctx, name, options...)
}

// Fail marks a span as failed, by a kind of failure of which there are few. Texts of
// errors may quote what was sent.
func Fail(span trace.Span, kind string) {
	span.SetAttributes(semconv.ErrorTypeKey.String(kind))
	span.SetStatus(codes.Error, "")
}
