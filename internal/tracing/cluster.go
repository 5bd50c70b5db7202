package tracing

import (
	"net/http"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Cluster makes a span of each request to the API server that belongs to a trace, from
// when it is sent to when the answer begins, and tells the API server of the trace.
// Watches and leases belong to none. It is for rest.Config.Wrap.
func Cluster(next http.RoundTripper) http.RoundTripper { return cluster{next} }

type cluster struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (c cluster) RoundTrip(r *http.Request) (*http.Response, error) {
	if !trace.SpanContextFromContext(r.Context()).IsValid() {
		return c.next.RoundTrip(r)
	}
	name, method := methodOf(r.Method)
	said := []attribute.KeyValue{method}
	if template, namespace := templateOf(r.URL.Path); template != "" {
		name += " " + template
		said = append(said, semconv.URLTemplate(template))
		if namespace != "" {
			said = append(said, semconv.K8SNamespaceName(namespace))
		}
	}
	ctx, span := Start(r.Context(), name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(said...))
	defer span.End()
	r = r.Clone(ctx)
	w3c.Inject(ctx, propagation.HeaderCarrier(r.Header))
	answer, err := c.next.RoundTrip(r)
	if err != nil {
		Fail(span, "transport")
		return nil, err
	}
	span.SetAttributes(semconv.HTTPResponseStatusCode(answer.StatusCode))
	if answer.StatusCode >= http.StatusBadRequest {
		Fail(span, strconv.Itoa(answer.StatusCode))
	}
	return answer, nil
}

// templateOf is a path of the Kubernetes API without the names in it, and the
// namespace. Any other path is empty: it may be anything.
func templateOf(path string) (template, namespace string) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	version := map[string]int{"api": 2, "apis": 3}[parts[0]] // api/v1, apis/GROUP/v1
	if version == 0 {
		return "", ""
	}
	if rest := parts[min(version, len(parts)):]; len(rest) > 1 {
		// Below a namespace there are resources, and two parts of itself.
		if rest[0] == "namespaces" && len(rest) > 2 && rest[2] != "status" && rest[2] != "finalize" {
			namespace, rest[1] = rest[1], "{namespace}"
			rest = rest[2:]
		}
		if len(rest) > 1 {
			rest[1] = "{name}"
		}
	}
	return "/" + strings.Join(parts, "/"), namespace
}
