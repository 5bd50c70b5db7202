package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	messagepb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/message"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
)

// answer is what came back, in the terms of the recordings.
type answer struct {
	code           string
	message        string
	errorID        string
	failedAttempts *int32
	response       any // decoded protojson, numbers as json.Number
}

func (a answer) String() string {
	text, err := json.Marshal(a.response)
	if err != nil {
		text = []byte(err.Error())
	}
	return fmt.Sprintf("%s [%s] %s %s", a.code, a.errorID, a.message, text)
}

func (c *call) send(ctx context.Context, conn grpc.ClientConnInterface) (answer, error) {
	response := c.response.New().Interface()
	err := conn.Invoke(metadata.NewOutgoingContext(ctx, c.metadata), c.rpc, c.request, response)
	st := status.Convert(err)
	a := answer{code: st.Code().String(), message: st.Message()}
	for _, detail := range st.Details() {
		switch d := detail.(type) {
		case *messagepb.ErrorDetail:
			a.errorID = d.GetId()
		case *messagepb.CredentialsCheckError:
			a.errorID = d.GetId()
			attempts := d.GetFailedAttempts()
			a.failedAttempts = &attempts
		}
	}
	if err != nil {
		return a, ctx.Err()
	}
	// With defaults written out, false, "0" and [] are compared like any other value.
	text, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(response)
	if err != nil {
		return a, fmt.Errorf("rendering the response: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&a.response); err != nil {
		return a, fmt.Errorf("reading the response: %w", err)
	}
	return a, nil
}
