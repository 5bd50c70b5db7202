package zitadeltest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"

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
	events := s.log.window(r)
	for i := range events {
		e := events[i]
		if !r.GetAsc() {
			e = events[len(events)-1-i]
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

// window returns the part of the log a request can be about. The log is in the order of its dates, so
// a follower that reads on from a date does not pay for everything before it.
func (l *eventLog) window(r *adminpb.ListEventsRequest) []*event {
	events := l.events
	if id := r.GetAggregateId(); id != "" {
		events = l.byAggregate[id]
	}
	after := func(events []*event, date *timestamppb.Timestamp) []*event {
		first := sort.Search(len(events), func(i int) bool { return events[i].created.After(date.AsTime()) })
		return events[first:]
	}
	before := func(events []*event, date *timestamppb.Timestamp) []*event {
		end := sort.Search(len(events), func(i int) bool { return !events[i].created.Before(date.AsTime()) })
		return events[:end]
	}
	if from := fromDate(r); limits(from) && r.GetAsc() {
		events = after(events, from)
	} else if limits(from) {
		events = before(events, from)
	}
	if since := r.GetRange().GetSince(); limits(since) {
		events = after(events, since)
	}
	if until := r.GetRange().GetUntil(); limits(until) {
		events = before(events, until)
	}
	return events
}

// limits tells dates from none. The first second of 1970 is none too.
func limits(date *timestamppb.Timestamp) bool { return date.GetSeconds() != 0 }

// fromDate is the filter under its name, or under the one it had before. A range makes both moot.
func fromDate(r *adminpb.ListEventsRequest) *timestamppb.Timestamp {
	if r.GetRange() != nil {
		return nil
	}
	if from := r.GetFrom(); from != nil {
		return from
	}
	return r.GetCreationDate()
}

// matchEvent applies the filters of a request other than its dates. All of them must fit; sequence
// changes direction with the order. Event types alone stand for the kinds of aggregate they are named
// after, which leaves out what a session says about a key.
func matchEvent(r *adminpb.ListEventsRequest, e *event) bool {
	switch {
	case r.GetResourceOwner() != "" && e.owner != r.GetResourceOwner(),
		r.GetEditorUserId() != "" && e.editor != r.GetEditorUserId(),
		len(r.GetAggregateTypes()) > 0 && !slices.Contains(r.GetAggregateTypes(), e.kind),
		len(r.GetEventTypes()) > 0 && !slices.Contains(r.GetEventTypes(), e.name()),
		len(r.GetEventTypes()) > 0 && len(r.GetAggregateTypes()) == 0 && !strings.HasPrefix(e.name(), e.kind+"."):
		return false
	}
	from := r.GetSequence()
	return from == 0 || (e.sequence != from && e.sequence > from == r.GetAsc())
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
