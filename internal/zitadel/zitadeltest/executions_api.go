package zitadeltest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// apiCall is a call of the API about which targets are told, before or after it is served. Targets
// see it whole: a session check shows them the password.
type apiCall struct {
	method            string
	call              call
	request, response proto.Message
}

// executionFailed is what a target that fails, and may interrupt, makes of a call.
var executionFailed = precondition("EXEC-dra6yamk98", "Errors.Execution.Failed")

// tellTargets calls the targets of a request or response in their order. Targets of the kind "call"
// may replace the message; those that may interrupt can refuse the call.
func (s *Server) tellTargets(ctx context.Context, targets []targetRow, c apiCall) error {
	for _, target := range targets {
		body, err := s.apiBody(c)
		if err != nil {
			return err
		}
		if target.kind == asyncTarget {
			go s.callTarget(s.running, target, body) //nolint:errcheck // nobody waits for it
			continue
		}
		answer, err := s.callTarget(ctx, target, body)
		refused := executionFailed.err()
		if err == nil {
			refused = forwarded(answer)
			err = refused
		}
		if err != nil {
			if target.interrupt {
				return refused
			}
			continue
		}
		if target.kind == callTarget && len(answer) > 0 {
			if err := c.replace(answer); err != nil && target.interrupt {
				return executionFailed.err()
			}
		}
	}
	return nil
}

func (s *Server) apiBody(c apiCall) ([]byte, error) {
	fields := map[string]any{
		"fullMethod": c.method, "instanceID": s.instanceID, "orgID": c.call.org, "userID": c.call.userID,
	}
	for name, message := range map[string]proto.Message{"request": c.request, "response": c.response} {
		if message == nil {
			continue
		}
		text, err := protojson.Marshal(message)
		if err != nil {
			return nil, fmt.Errorf("rendering the %s of %s: %w", name, c.method, err)
		}
		fields[name] = json.RawMessage(text)
	}
	return json.Marshal(fields)
}

// replace takes an answer as the message to go on with.
func (c apiCall) replace(answer []byte) error {
	message := c.request
	if c.response != nil {
		message = c.response
	}
	fresh := message.ProtoReflect().New().Interface()
	if err := protojson.Unmarshal(answer, fresh); err != nil {
		return fmt.Errorf("reading the target's answer: %w", err)
	}
	proto.Reset(message)
	proto.Merge(message, fresh)
	return nil
}

// forwardedCodes is what a caller gets for the status a target wants forwarded.
var forwardedCodes = map[int]codes.Code{
	http.StatusBadRequest: codes.InvalidArgument, http.StatusUnauthorized: codes.Unauthenticated,
	http.StatusForbidden: codes.PermissionDenied, http.StatusNotFound: codes.NotFound,
	http.StatusConflict: codes.AlreadyExists, http.StatusPreconditionFailed: codes.FailedPrecondition,
	http.StatusTooManyRequests: codes.ResourceExhausted,
}

// forwarded reads a refusal out of a successful answer, nil for none.
func forwarded(answer []byte) error {
	var wanted struct {
		Status  int    `json:"forwardedStatusCode"`
		Message string `json:"forwardedErrorMessage"`
	}
	if json.Unmarshal(answer, &wanted) != nil {
		return nil //nolint:nilerr // an answer that is no JSON refuses nothing
	}
	if wanted.Status == 0 && wanted.Message == "" {
		return nil
	}
	code, known := forwardedCodes[wanted.Status]
	if !known {
		return precondition("EXEC-bmhNhpcqpF", wanted.Message).err()
	}
	return refusal{code, "EXEC-reUaUZCzCp", wanted.Message}.err()
}
