package zitadel

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/retry"
	"github.com/zitadel/zitadel-go/v3/pkg/client"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/neosc/mfa-operator/internal/metrics"
	"github.com/neosc/mfa-operator/internal/tracing"
)

const (
	maxAttempts  = 3
	firstBackoff = 100 * time.Millisecond
)

// interceptors returns what every call goes through, outermost first. The
// order is the point: each attempt costs a token of the rate limit, and only
// then does its clock start, so that queueing is never mistaken for a slow
// server.
func interceptors(cfg Config, source tokenSource) []grpc.UnaryClientInterceptor {
	chain := []grpc.UnaryClientInterceptor{
		retry.UnaryClientInterceptor(
			retry.WithMax(maxAttempts),
			retry.WithBackoff(retry.BackoffExponentialWithJitter(firstBackoff, 0.3)),
			retry.WithRetriable(worthRetrying)),
		limit(rate.NewLimiter(rate.Limit(cfg.RequestsPerSecond), cfg.Burst)),
		measure,
	}
	if tracing.On() {
		chain = append(chain, span(cfg.Domain))
	}
	return append(chain, deadline(cfg.Timeout), authenticate(source))
}

// worthRetrying tells whether trying again soon can help. A timeout is not
// retried: the attempt may still be at work at the server. An answer that is
// too large stays so.
func worthRetrying(err error) bool {
	if isTooLarge(err) {
		return false
	}
	return slices.Contains([]codes.Code{codes.Unavailable, codes.ResourceExhausted, codes.Aborted}, status.Code(err)) || isWriteConflict(err)
}

// isWriteConflict tells whether the write lost a race for the next sequence
// number of its aggregate. Nothing was written. This is one of two answers
// without an id, so only its text gives it away.
func isWriteConflict(err error) bool {
	text := status.Convert(err).Message()
	return status.Code(err) == codes.Unknown &&
		(strings.Contains(text, "SQLSTATE 23505") || strings.Contains(text, "events2_pkey"))
}

func limit(bucket *rate.Limiter) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		began := time.Now()
		err := bucket.Wait(ctx)
		metrics.ZitadelWait.Observe(time.Since(began).Seconds())
		if err != nil {
			if ctx.Err() != nil {
				return status.FromContextError(ctx.Err()).Err()
			}
			return &localError{codes.DeadlineExceeded, "the wait for our own rate limit is longer than the deadline"}
		}
		return invoke(ctx, method, req, reply, cc, opts...)
	}
}

func deadline(after time.Duration) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		ctx, cancel := context.WithTimeout(ctx, after)
		defer cancel()
		return invoke(ctx, method, req, reply, cc, opts...)
	}
}

// authenticate adds the token. zitadel-go would ask a token source without the
// context of the call; done here, a token request ends with the call that
// waits for it, and a refusal can be traced to the token that was sent.
func authenticate(source tokenSource) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		token, err := source.token(ctx)
		if err != nil {
			return err
		}
		err = invoke(client.BearerTokenCtx(ctx, token), method, req, reply, cc, opts...)
		if status.Code(err) == codes.Unauthenticated {
			source.reject(token)
		}
		return err
	}
}
