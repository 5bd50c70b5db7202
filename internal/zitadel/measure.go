package zitadel

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/neosc/mfa-operator/internal/metrics"
)

// measure counts each attempt and its time. It lies within the rate limit and around
// the deadline, so a wait for a token is part of the time, as it is for the caller.
func measure(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	rpc := shortName(method)
	began := time.Now()
	err := invoke(ctx, method, req, reply, cc, opts...)
	metrics.ZitadelDuration.WithLabelValues(rpc).Observe(time.Since(began).Seconds())
	metrics.ZitadelCalls.WithLabelValues(rpc, status.Code(err).String()).Inc()
	return err
}

// shortName is AdminService/GetLoginPolicy for
// /zitadel.admin.v1.AdminService/GetLoginPolicy.
func shortName(method string) string {
	service, call, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	return service[strings.LastIndexByte(service, '.')+1:] + "/" + call
}
