package zitadel

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/message"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/neosc/mfa-operator/internal/idp"
)

const canary = "canary-7f3a9c"

// refused builds the error of a server, with a text nobody may see.
func refused(code codes.Code, id string) error {
	s := status.New(code, canary+" ("+id+")")
	if id != "" {
		s, _ = s.WithDetails(&message.ErrorDetail{Id: id, Message: canary})
	}
	return s.Err()
}

func TestFailureCauses(t *testing.T) {
	tests := []struct {
		err    error
		cause  idp.Cause
		detail string
		reason string
	}{
		{refused(codes.Unauthenticated, "AUTH-7fs1e"), idp.BadCredentials, "Unauthenticated AUTH-7fs1e", "bad, expired or revoked token"},
		{status.Error(codes.Unauthenticated, "auth header missing"), idp.BadCredentials, "Unauthenticated", "no detail"},
		{refused(codes.PermissionDenied, "AUTH-5mWD2"), idp.MissingPermission, "PermissionDenied AUTH-5mWD2", "method-level refusal"},
		{refused(codes.PermissionDenied, "AUTH-AWfge"), idp.MissingPermission, "PermissionDenied AUTH-AWfge", "object-level refusal"},
		{refused(codes.NotFound, "AUTHZ-cdgFk"), idp.MissingPermission, "NotFound AUTHZ-cdgFk", "NotFound, but of our membership"},
		{refused(codes.PermissionDenied, "AUTH-Bs7Ds"), idp.NoSuchOrganization, "PermissionDenied AUTH-Bs7Ds", "unknown organization in the header"},
		{refused(codes.NotFound, "QUERY-SFeaa"), idp.NoSuchObject, "NotFound QUERY-SFeaa", "any other NotFound"},
		{status.Error(codes.NotFound, "unable to set instance: ID=QUERY-1kIjX"), idp.InvalidValue, "NotFound QUERY-1kIjX", "the domain of the spec is no instance's"},
		{refused(codes.InvalidArgument, "COMMAND-NcJUKo"), idp.EndpointDenied, "InvalidArgument COMMAND-NcJUKo", "the URL of a new target is on the deny list"},
		{refused(codes.InvalidArgument, "COMMAND-jsbaera7b6"), idp.EndpointDenied, "InvalidArgument COMMAND-jsbaera7b6", "the new URL of a target is"},
		{refused(codes.InvalidArgument, "INST-SFdqd"), idp.InvalidValue, "InvalidArgument INST-SFdqd", "a value the server refuses"},
		{status.Error(codes.InvalidArgument, canary), idp.InvalidValue, "InvalidArgument", "validation errors have no detail"},
		{refused(codes.FailedPrecondition, "COMMAND-lgws8wtsqf"), idp.InvalidValue, "FailedPrecondition COMMAND-lgws8wtsqf", "a refusal, not every FailedPrecondition is no change"},
		{status.Error(codes.Unavailable, "dial tcp 127.0.0.1:1: connect: connection refused"), idp.Down, "Unavailable: connection refused", "server down"},
		{status.Error(codes.Unavailable, canary), idp.Down, "Unavailable: no connection", "unknown texts are not shown"},
		{status.Error(codes.Canceled, "grpc: the client connection is closing"), idp.Down, "Canceled", "closed under the call, while the caller still waits"},
		{status.Error(codes.DeadlineExceeded, canary), idp.TimedOut, "DeadlineExceeded", "no answer"},
		{status.Error(codes.ResourceExhausted, canary), idp.RateLimited, "ResourceExhausted", "too many requests"},
		{status.Error(codes.Unknown, `duplicate key "events2_pkey" (SQLSTATE 23505)`), idp.WriteConflict, "Unknown", "lost the race for a sequence number"},
		{status.Error(codes.Aborted, canary), idp.WriteConflict, "Aborted", "the standard code for the same"},
		{refused(codes.AlreadyExists, "Org-Dgfb2"), idp.WriteConflict, "AlreadyExists Org-Dgfb2", "somebody else was first, again and again"},
		{refused(codes.Internal, "RECOVER"), idp.ServerFault, "Internal RECOVER", "the server panicked"},
		{status.Error(codes.Unknown, canary), idp.ServerFault, "Unknown", "no other text of Unknown is trusted"},
		{status.Error(codes.Unimplemented, canary), idp.ServerFault, "Unimplemented", "not the server we know"},
		{errors.New(canary), idp.ServerFault, "Unknown", "not even a gRPC error"},
		{refused(codes.NotFound, canary+" with spaces"), idp.NoSuchObject, "NotFound", "an id that is not one is text"},
		{tokenRefusal(400, "invalid_grant"), idp.BadCredentials, "Unauthenticated: the token endpoint answered 400 invalid_grant", "a revoked key"},
		{tokenRefusal(401, "invalid_client"), idp.BadCredentials, "Unauthenticated: the token endpoint answered 401 invalid_client", "an unknown key"},
		{tokenRefusal(404, ""), idp.Down, "Unavailable: the token endpoint answered 404", "no OAuth error: not about our key"},
		{tokenRefusal(400, "server_error"), idp.Down, "Unavailable: the token endpoint answered 400 server_error", "says itself that it is not about our key"},
		{tokenRefusal(503, ""), idp.Down, "Unavailable: the token endpoint answered 503", "starting up"},
		{tokenRefusal(429, ""), idp.RateLimited, "ResourceExhausted: the token endpoint answered 429", "too many requests"},
	}
	for _, test := range tests {
		err := failure(t.Context(), "doing it", test.err)
		var got *idp.Error
		if !errors.As(err, &got) || got.Cause != test.cause || got.Detail != test.detail {
			t.Errorf("%v\n became %v, want %s with detail %q: %s", test.err, err, test.cause, test.detail, test.reason)
		}
		if strings.Contains(err.Error(), canary) {
			t.Errorf("%v shows text of the server", err)
		}
	}
}

func TestFailureOfACallerThatGaveUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := failure(ctx, "reading", status.FromContextError(ctx.Err()).Err())
	if !errors.Is(err, context.Canceled) || idp.CauseOf(err) != "" {
		t.Errorf("got %v, want an error that is context.Canceled and blames nobody", err)
	}
}

// One id means two things: the code decides.
func TestMeaningNeedsCodeAndID(t *testing.T) {
	if m := meaningOf(refused(codes.NotFound, "Org-3M9od")); m != factorAbsent {
		t.Errorf("NotFound Org-3M9od means %d, want factorAbsent", m)
	}
	if m := meaningOf(refused(codes.AlreadyExists, "Org-3M9od")); m != factorPresent {
		t.Errorf("AlreadyExists Org-3M9od means %d, want factorPresent", m)
	}
	if m := meaningOf(refused(codes.NotFound, "ORG-3M9od")); m != 0 {
		t.Errorf("NotFound ORG-3M9od means %d, want nothing: ids are compared exactly", m)
	}
}
