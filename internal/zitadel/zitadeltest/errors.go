package zitadeltest

import (
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	messagepb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/message"
)

// refusal is one way Zitadel says no: a code, the id clients match on, and a text they must not
// match on (the real server localises it, and sometimes names the wrong object).
type refusal struct {
	code codes.Code
	id   string
	text string
}

// err renders the refusal the way the real server does: the id in the text and in the detail.
func (r refusal) err() error {
	st := status.New(r.code, fmt.Sprintf("%s (%s)", r.text, r.id))
	detailed, err := st.WithDetails(&messagepb.ErrorDetail{Id: r.id, Message: r.text})
	if err != nil {
		return st.Err() // only for code OK, which no refusal has
	}
	return detailed.Err()
}

func invalid(id, text string) refusal      { return refusal{codes.InvalidArgument, id, text} }
func notFound(id, text string) refusal     { return refusal{codes.NotFound, id, text} }
func exists(id, text string) refusal       { return refusal{codes.AlreadyExists, id, text} }
func precondition(id, text string) refusal { return refusal{codes.FailedPrecondition, id, text} }
func denied(id, text string) refusal       { return refusal{codes.PermissionDenied, id, text} }

// unimplemented is for a corner of an RPC this server does not imitate. It never pretends.
func unimplemented(what string) error {
	return status.Errorf(codes.Unimplemented, "zitadeltest does not imitate %s", what)
}
