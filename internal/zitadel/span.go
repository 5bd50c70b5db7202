package zitadel

import (
	"context"
	"strings"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/neosc/mfa-operator/internal/tracing"
)

// span makes a span of each attempt, with the wait for a token and without the one for
// the rate limit. What the server says beside the code may be about somebody.
func span(domain string) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		method = strings.TrimPrefix(method, "/")
		ctx, span := tracing.Start(ctx, method, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
			semconv.RPCSystemNameGRPC, semconv.RPCMethod(method), semconv.ServerAddress(domain)))
		defer span.End()
		err := invoke(ctx, "/"+method, req, reply, cc, opts...)
		said := code.Code(status.Code(err)).String()
		span.SetAttributes(semconv.RPCResponseStatusCode(said))
		if err != nil {
			tracing.Fail(span, said)
		}
		return err
	}
}
