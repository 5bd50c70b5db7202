package ledger

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/neosc/mfa-operator/internal/tracing"
)

// traced begins the span of a caller's wish: from when it comes until it is answered.
func (r *request[V]) traced(ctx context.Context, namespace string) (context.Context, func()) {
	if !traced(ctx) {
		return ctx, func() {}
	}
	name := "ledger append"
	if r.look != nil {
		name = "ledger read"
	}
	ctx, span := tracing.Start(ctx, name, trace.WithAttributes(semconv.K8SNamespaceName(namespace)))
	r.ctx = ctx
	return ctx, func() { span.End() }
}

func traced(ctx context.Context) bool { return trace.SpanFromContext(ctx).IsRecording() }

// asked is ctx with the span of the first request that has one: what is done for all of
// them is seen there.
func asked[V any](ctx context.Context, requests []*request[V]) context.Context {
	for _, r := range requests {
		if traced(r.ctx) {
			return trace.ContextWithSpan(ctx, trace.SpanFromContext(r.ctx))
		}
	}
	return ctx
}

// traced begins a span of the turn in the trace of each caller, so that each shows what
// its wait was for. The requests to the API server are in the first one's, which the
// others link to.
func (d *draft[V]) traced(ctx context.Context) (context.Context, func(verdict)) {
	var spans []trace.Span
	for _, r := range d.requests {
		if !traced(r.ctx) {
			continue
		}
		options := []trace.SpanStartOption{trace.WithAttributes(
			attribute.Int64("ledger.sequence", d.next),
			attribute.Int("ledger.records", len(d.batch.Records)),
			attribute.Int("ledger.callers", len(d.requests)),
		)}
		if len(spans) > 0 {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: spans[0].SpanContext()}))
		}
		_, span := tracing.Start(r.ctx, "ledger turn", options...)
		if spans = append(spans, span); len(spans) == 1 {
			ctx = trace.ContextWithSpan(ctx, span)
		}
	}
	return ctx, func(v verdict) {
		for _, span := range spans {
			span.SetAttributes(attribute.String("ledger.outcome", ends[v]))
			span.End()
		}
	}
}
