package tracing

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// settings are the kinds whose objects have names of settings. What others are called
// may be somebody's name.
var settings = map[string]bool{"SecurityPolicy": true, "ZitadelConnection": true}

// Reconciler makes a span of each pass of a controller over an object of a kind. The
// controller and the results are called as in the metrics of controller-runtime.
func Reconciler(controller, kind string, next reconcile.Reconciler) reconcile.Reconciler {
	tracer := active.Load()
	if tracer == nil {
		return next
	}
	return reconcile.Func(func(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
		said := []attribute.KeyValue{attribute.String("controller.name", controller), attribute.String("controller.object.kind", kind)}
		if req.Namespace != "" {
			said = append(said, semconv.K8SNamespaceName(req.Namespace))
		}
		if settings[kind] {
			said = append(said, attribute.String("controller.object.name", req.Name))
		}
		ctx, span := (*tracer).Start(ctx, "reconcile "+controller, trace.WithAttributes(said...))
		defer span.End()
		result, err := next.Reconcile(ctx, req)
		span.SetAttributes(attribute.String("controller.result", resultOf(result, err)))
		if err != nil {
			Fail(span, "reconcile")
		}
		return result, err
	})
}

func resultOf(result reconcile.Result, err error) string {
	switch {
	case err != nil:
		return "error"
	case result.RequeueAfter > 0:
		return "requeue_after"
	default:
		return "success"
	}
}
