package admission

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// traced adds what was decided to the span of the request, whose route says about which
// kind.
func traced(next admission.Handler) admission.Handler {
	return admission.HandlerFunc(func(ctx context.Context, req admission.Request) admission.Response {
		answer := next.Handle(ctx, req)
		span := trace.SpanFromContext(ctx)
		span.SetAttributes(
			attribute.String("admission.operation", string(req.Operation)),
			attribute.Bool("admission.dry_run", ptr.Deref(req.DryRun, false)),
			attribute.Bool("admission.allowed", answer.Allowed),
			attribute.Int("admission.warnings", len(answer.Warnings)),
		)
		if req.Namespace != "" {
			span.SetAttributes(semconv.K8SNamespaceName(req.Namespace))
		}
		return answer
	})
}
