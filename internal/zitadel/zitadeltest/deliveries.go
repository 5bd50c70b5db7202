package zitadeltest

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	actionpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/action/v2"
)

const (
	// jobTime is how long telling one event may take, whatever its targets allow.
	jobTime = 10 * time.Second
	// jobAge is how long an event may wait to be told. One that waited longer is dropped.
	jobAge = 5 * time.Minute
)

// Delivery is one try to tell a target about an event. There is never a second one.
type Delivery struct {
	TargetID, Endpoint string
	EventType          string
	Body               []byte
	Err                error // nil if the target answered with success; for an asynchronous one always
}

// Deliveries returns what was delivered so far, or failed to be, in the order it was tried.
func (s *Server) Deliveries() []Delivery {
	s.courier.mu.Lock()
	defer s.courier.mu.Unlock()
	return slices.Clone(s.courier.done)
}

// eventBody is what a target is told about an event.
type eventBody struct {
	AggregateID   string    `json:"aggregateID"`
	AggregateType string    `json:"aggregateType"`
	ResourceOwner string    `json:"resourceOwner"`
	InstanceID    string    `json:"instanceID"`
	Version       string    `json:"version"`
	Sequence      uint64    `json:"sequence"`
	EventType     string    `json:"event_type"`
	CreatedAt     time.Time `json:"created_at"`
	UserID        string    `json:"userID"` // the editor
	EventPayload  any       `json:"event_payload,omitempty"`
}

// job is an event on its way to its targets, as both were when it happened.
type job struct {
	event   *event
	targets []targetRow
	queued  time.Time
}

// courier tells targets about events: one after the other, in the order of the log, each once.
type courier struct {
	mu      sync.Mutex
	queue   []job
	working bool
	done    []Delivery
}

// tell queues an event if there is an execution for it. It looks at the read view: an execution
// counts once projected, so an event right after SetExecution may go unheard.
func (s *Server) tell(e *event) {
	targets := s.read().eventTargets(e.name())
	if len(targets) == 0 {
		return
	}
	s.courier.mu.Lock()
	defer s.courier.mu.Unlock()
	s.courier.queue = append(s.courier.queue, job{e, targets, time.Now()})
	if !s.courier.working {
		s.courier.working = true
		go s.work()
	}
}

// work empties the queue and ends.
func (s *Server) work() {
	for {
		s.courier.mu.Lock()
		if len(s.courier.queue) == 0 {
			s.courier.working = false
			s.courier.mu.Unlock()
			return
		}
		next := s.courier.queue[0]
		s.courier.queue = s.courier.queue[1:]
		s.courier.mu.Unlock()
		if time.Since(next.queued) < jobAge {
			s.deliver(next)
		}
	}
}

// deliver calls the targets of one event in their order. A failure ends it only if the target says
// so; nothing is tried again.
func (s *Server) deliver(j job) {
	body, err := json.Marshal(s.bodyOf(j.event))
	if err != nil {
		panic(err) // texts, numbers and payloads that ListEvents renders the same way
	}
	ctx, cancel := context.WithTimeout(s.running, jobTime)
	defer cancel()
	for _, target := range j.targets {
		delivery := Delivery{TargetID: target.id, Endpoint: target.endpoint, EventType: j.event.name(), Body: body}
		switch {
		case target.payload == actionpb.PayloadType_PAYLOAD_TYPE_JWT, target.payload == actionpb.PayloadType_PAYLOAD_TYPE_JWE:
			delivery.Err = errNoWebKey
		case target.kind == asyncTarget:
			go s.callTarget(s.running, target, body) //nolint:errcheck // nobody waits for it
		default:
			_, delivery.Err = s.callTarget(ctx, target, body)
		}
		s.courier.mu.Lock()
		s.courier.done = append(s.courier.done, delivery)
		s.courier.mu.Unlock()
		if delivery.Err != nil && target.interrupt {
			return
		}
	}
}

func (s *Server) bodyOf(e *event) eventBody {
	body := eventBody{
		AggregateID: e.id, AggregateType: e.kind, ResourceOwner: e.owner, InstanceID: s.instanceID, Version: "v1",
		Sequence: e.sequence, EventType: e.name(), CreatedAt: e.created, UserID: e.editor, EventPayload: e.payload(),
	}
	if e.kind == kindUser {
		body.Version = "v2"
	}
	return body
}
