package zitadeltest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/admin"
	eventpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/event"
)

// maxEvents caps a ListEvents page, also when no limit is asked.
const maxEvents = 1000

// ListEvents reads the log itself, not a projection, so it never lags.
func (s adminService) ListEvents(_ context.Context, r *adminpb.ListEventsRequest) (*adminpb.ListEventsResponse, error) {
	limit := int(r.GetLimit())
	if limit == 0 || limit > maxEvents {
		limit = maxEvents
	}
	response := &adminpb.ListEventsResponse{}
	for i := range s.log.events {
		e := s.log.events[i]
		if !r.GetAsc() {
			e = s.log.events[len(s.log.events)-1-i]
		}
		if len(response.Events) == limit {
			break
		}
		if !matchEvent(r, e) {
			continue
		}
		pb, err := s.eventPB(e)
		if err != nil {
			return nil, err
		}
		response.Events = append(response.Events, pb)
	}
	return response, nil
}

// matchEvent applies the filters of a request. All of them must fit; dates are exclusive, and both
// sequence and from change direction with the order.
func matchEvent(r *adminpb.ListEventsRequest, e *event) bool {
	switch {
	case r.GetAggregateId() != "" && e.id != r.GetAggregateId(),
		r.GetResourceOwner() != "" && e.owner != r.GetResourceOwner(),
		r.GetEditorUserId() != "" && e.editor != r.GetEditorUserId(),
		len(r.GetAggregateTypes()) > 0 && !slices.Contains(r.GetAggregateTypes(), e.kind),
		len(r.GetEventTypes()) > 0 && !slices.Contains(r.GetEventTypes(), e.name()):
		return false
	}
	if from := r.GetSequence(); from > 0 && (e.sequence == from || e.sequence > from != r.GetAsc()) {
		return false
	}
	return matchEventDate(r, e)
}

func matchEventDate(r *adminpb.ListEventsRequest, e *event) bool {
	from := r.GetFrom()
	if from == nil {
		from = r.GetCreationDate() // the same filter under its old name
	}
	if from != nil {
		if e.created.Equal(from.AsTime()) || e.created.After(from.AsTime()) != r.GetAsc() {
			return false
		}
	}
	if since := r.GetRange().GetSince(); since != nil && !e.created.After(since.AsTime()) {
		return false
	}
	if until := r.GetRange().GetUntil(); until != nil && !e.created.Before(until.AsTime()) {
		return false
	}
	return true
}

func (s *Server) eventPB(e *event) (*eventpb.Event, error) {
	payload, err := payloadPB(e.payload())
	if err != nil {
		return nil, fmt.Errorf("rendering the payload of %s: %w", e.name(), err)
	}
	editor := s.write.users[e.editor]
	return &eventpb.Event{
		Editor: &eventpb.Editor{
			UserId: e.editor, DisplayName: orDefault(editor.displayName(), e.editor), Service: "zitadel",
		},
		Aggregate: &eventpb.Aggregate{
			Id: e.id, Type: &eventpb.AggregateType{Type: e.kind}, ResourceOwner: e.owner,
		},
		Sequence:     e.sequence,
		CreationDate: timestamppb.New(e.created),
		Payload:      payload,
		Type:         &eventpb.EventType{Type: e.name()},
	}, nil
}

func payloadPB(payload any) (*structpb.Struct, error) {
	if payload == nil {
		return nil, nil
	}
	text, err := json.Marshal(payload)
	if err != nil {
		return nil, err
	}
	pb := &structpb.Struct{}
	if err := protojson.Unmarshal(text, pb); err != nil {
		return nil, err
	}
	return pb, nil
}
