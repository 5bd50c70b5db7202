package zitadel

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/admin"
	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/event"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/neosc/mfa-operator/internal/idp"
)

// logServer is an event log that tests write into as they like: crowded
// instants, events that become visible late, large payloads. It reads like
// Zitadel's: exact names, exclusive times, pages of at most 1000.
type logServer struct {
	admin.UnimplementedAdminServiceServer

	mu    sync.Mutex
	log   []*event.Event
	calls int
}

// newLogServer returns the server and a client of it whose pages have a size.
func newLogServer(t *testing.T, pageSize int) (*logServer, *Client) {
	t.Helper()
	s := &logServer{}
	address := serve(t, func(r *grpc.Server) { admin.RegisterAdminServiceServer(r, s) })
	client := dial(t, configFor(t, address, "token"))
	client.pageSize = pageSize
	return s, client
}

// happen adds an event, wherever its time puts it.
func (s *logServer) happen(at time.Time, aggregate idp.Aggregate, sequence uint64, name string, payload map[string]any) {
	s.write(at, aggregate, sequence, name, payload)
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortStableFunc(s.log, func(a, b *event.Event) int { return a.GetCreationDate().AsTime().Compare(b.GetCreationDate().AsTime()) })
}

// write adds an event at the end of the log, whatever its time.
func (s *logServer) write(at time.Time, aggregate idp.Aggregate, sequence uint64, name string, payload map[string]any) {
	fields, err := structpb.NewStruct(payload)
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, &event.Event{
		Editor:       &event.Editor{UserId: "1", DisplayName: "Eve"},
		Aggregate:    &event.Aggregate{Id: aggregate.ID, Type: &event.AggregateType{Type: aggregate.Type}, ResourceOwner: "9"},
		Sequence:     sequence,
		CreationDate: timestamppb.New(at),
		Payload:      fields,
		Type:         &event.EventType{Type: name},
	})
}

func (s *logServer) callsSince(before int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls - before
}

func (s *logServer) ListEvents(_ context.Context, r *admin.ListEventsRequest) (*admin.ListEventsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if len(r.GetEventTypes()) > 30 || len(r.GetAggregateTypes()) > 10 {
		return nil, status.Error(codes.InvalidArgument, "too many types")
	}
	limit := int(r.GetLimit())
	if limit == 0 || limit > 1000 {
		limit = 1000
	}
	log := slices.Clone(s.log)
	if !r.GetAsc() {
		slices.Reverse(log)
	}
	response := &admin.ListEventsResponse{}
	for _, e := range log {
		at := e.GetCreationDate().AsTime()
		fits := (len(r.GetEventTypes()) == 0 || slices.Contains(r.GetEventTypes(), e.GetType().GetType())) &&
			(len(r.GetAggregateTypes()) == 0 || slices.Contains(r.GetAggregateTypes(), e.GetAggregate().GetType().GetType())) &&
			(r.GetFrom() == nil || at.After(r.GetFrom().AsTime())) &&
			(r.GetRange() == nil || at.After(r.GetRange().GetSince().AsTime()) && at.Before(r.GetRange().GetUntil().AsTime()))
		if fits {
			response.Events = append(response.Events, e)
		}
		if len(response.Events) == limit {
			break
		}
	}
	return response, nil
}
