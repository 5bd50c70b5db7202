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

// w3c is how a trace crosses to another process: the header traceparent. Baggage is
// whatever a caller likes, and stays outside.
var w3c = propagation.TraceContext{}

// Handler makes a span of each request to next, under that of the caller if one is
// named. It is called after the pattern (http.Request.Pattern) by which next found
// who answers.
func Handler(next http.Handler) http.Handler {
	tracer := active.Load()
	if tracer == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method, said := methodOf(r.Method)
		ctx, span := (*tracer).Start(w3c.Extract(r.Context(), propagation.HeaderCarrier(r.Header)), method,
			trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(said))
		defer span.End()
		answer := &answer{ResponseWriter: w, status: http.StatusOK}
		r = r.WithContext(ctx)
		next.ServeHTTP(answer, r)
		if route := routeOf(r.Pattern); route != "" {
			span.SetName(method + " " + route)
			span.SetAttributes(semconv.HTTPRoute(route))
		}
		span.SetAttributes(semconv.HTTPResponseStatusCode(answer.status))
		if answer.status >= http.StatusInternalServerError {
			Fail(span, strconv.Itoa(answer.status))
		}
	})
}

// routeOf is a pattern without its method.
func routeOf(pattern string) string {
	if _, route, has := strings.Cut(pattern, " "); has {
		return route
	}
	return pattern
}

var methods = map[string]attribute.KeyValue{
	http.MethodGet: semconv.HTTPRequestMethodGet, http.MethodHead: semconv.HTTPRequestMethodHead, http.MethodPost: semconv.HTTPRequestMethodPost,
	http.MethodPut: semconv.HTTPRequestMethodPut, http.MethodPatch: semconv.HTTPRequestMethodPatch, http.MethodDelete: semconv.HTTPRequestMethodDelete,
	http.MethodOptions: semconv.HTTPRequestMethodOptions,
}

// methodOf names a method, and the one name for all that strangers make up.
func methodOf(method string) (string, attribute.KeyValue) {
	if said, known := methods[method]; known {
		return method, said
	}
	return "HTTP", semconv.HTTPRequestMethodOther
}

// answer notes the status.
type answer struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController through.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
