package zitadeltest

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	actionpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/action/v2"
)

// actionService is the v2 API for targets and the executions that call them.
type actionService struct {
	actionpb.UnimplementedActionServiceServer
	*Server
}

// targetRow is an HTTP endpoint. Its name is unique.
type targetRow struct {
	rowDetails
	id, name, endpoint, signingKey string
	kind                           targetKind
	interrupt                      bool // a failure ends what called it
	timeout                        time.Duration
	payload                        actionpb.PayloadType
}

// targetKind is how an endpoint is called and what becomes of its answer.
type targetKind int

const (
	webhookTarget targetKind = iota // status looked at, body not
	callTarget                      // the body counts too, for requests and responses
	asyncTarget                     // nobody waits
)

func (s *Server) targetAggregate(id string) aggregate {
	return aggregate{kind: kindTarget, id: id, owner: s.instanceID}
}

var unknownTarget = notFound("QUERY-hj5oaniyrz", "Errors.Target.NotFound")

func (s actionService) CreateTarget(ctx context.Context, r *actionpb.CreateTargetRequest) (*actionpb.CreateTargetResponse, error) {
	if r.GetTimeout().AsDuration() == 0 {
		return nil, invalid("COMMAND-39f35d8uri", "Errors.Target.NoTimeout").err()
	}
	if err := s.denied.checkURL(ctx, r.GetEndpoint()); err != nil {
		return nil, invalid("COMMAND-NcJUKo", "Errors.Target.DeniedURL").err()
	}
	if s.targetNameTaken(r.GetName(), "") {
		return nil, taken.err()
	}
	target := targetRow{
		id: s.ids.next(), name: r.GetName(), endpoint: r.GetEndpoint(), signingKey: newSigningKey(),
		timeout: r.GetTimeout().AsDuration(), payload: r.GetPayloadType(),
	}
	switch kind := r.GetTargetType().(type) {
	case *actionpb.CreateTargetRequest_RestWebhook:
		target.kind, target.interrupt = webhookTarget, kind.RestWebhook.GetInterruptOnError()
	case *actionpb.CreateTargetRequest_RestCall:
		target.kind, target.interrupt = callTarget, kind.RestCall.GetInterruptOnError()
	case *actionpb.CreateTargetRequest_RestAsync:
		target.kind = asyncTarget
	}
	e := s.push(editor(ctx), s.targetAggregate(target.id), targetAdded{target})
	return &actionpb.CreateTargetResponse{
		Id: target.id, CreationDate: timestamppb.New(e.created), SigningKey: target.signingKey,
	}, nil
}

func (s *Server) targetNameTaken(name, besides string) bool {
	for id, target := range s.write.targets {
		if id != besides && strings.EqualFold(target.name, name) {
			return true
		}
	}
	return false
}

// UpdateTarget changes what is named. Unlike with policies, no change is no error.
func (s actionService) UpdateTarget(ctx context.Context, r *actionpb.UpdateTargetRequest) (*actionpb.UpdateTargetResponse, error) {
	if r.Timeout != nil && r.GetTimeout().AsDuration() == 0 {
		return nil, invalid("COMMAND-08b39vdi57", "Errors.Target.NoTimeout").err()
	}
	if r.Endpoint != nil {
		if err := s.denied.checkURL(ctx, r.GetEndpoint()); err != nil {
			return nil, invalid("COMMAND-jsbaera7b6", "Errors.Target.DeniedURL").err()
		}
	}
	before, known := s.write.targets[r.GetId()]
	if !known {
		return nil, notFound("COMMAND-xj14f2cccn", "Errors.Target.NotFound").err()
	}
	after := before.with(r)
	response := &actionpb.UpdateTargetResponse{}
	if r.ExpirationSigningKey != nil {
		after.signingKey = newSigningKey()
		response.SigningKey = &after.signingKey
	}
	if after == before {
		response.ChangeDate = timestamppb.New(before.changed)
		return response, nil
	}
	if after.name != before.name && s.targetNameTaken(after.name, before.id) {
		return nil, taken.err()
	}
	e := s.push(editor(ctx), s.targetAggregate(before.id), targetChanged{before, after})
	response.ChangeDate = timestamppb.New(e.created)
	return response, nil
}

func (t targetRow) with(r *actionpb.UpdateTargetRequest) targetRow {
	if r.Name != nil {
		t.name = r.GetName()
	}
	if r.Endpoint != nil {
		t.endpoint = r.GetEndpoint()
	}
	if r.Timeout != nil {
		t.timeout = r.GetTimeout().AsDuration()
	}
	t.payload = orDefault(r.GetPayloadType(), t.payload)
	switch kind := r.GetTargetType().(type) {
	case *actionpb.UpdateTargetRequest_RestWebhook:
		t.kind, t.interrupt = webhookTarget, kind.RestWebhook.GetInterruptOnError()
	case *actionpb.UpdateTargetRequest_RestCall:
		t.kind, t.interrupt = callTarget, kind.RestCall.GetInterruptOnError()
	case *actionpb.UpdateTargetRequest_RestAsync:
		t.kind, t.interrupt = asyncTarget, false
	}
	return t
}

// DeleteTarget is idempotent and detaches the target from its executions without a word. Of one that
// never was there is no date to report.
func (s actionService) DeleteTarget(ctx context.Context, r *actionpb.DeleteTargetRequest) (*actionpb.DeleteTargetResponse, error) {
	target, known := s.write.targets[r.GetId()]
	if !known {
		return &actionpb.DeleteTargetResponse{DeletionDate: optionalTime(s.write.targetsRemoved[r.GetId()])}, nil
	}
	e := s.push(editor(ctx), s.targetAggregate(target.id), targetRemoved{})
	return &actionpb.DeleteTargetResponse{DeletionDate: timestamppb.New(e.created)}, nil
}

func (s actionService) GetTarget(_ context.Context, r *actionpb.GetTargetRequest) (*actionpb.GetTargetResponse, error) {
	target, known := s.read().targets[r.GetId()]
	if !known {
		return nil, unknownTarget.err()
	}
	return &actionpb.GetTargetResponse{Target: target.pb()}, nil
}

func (s actionService) ListTargets(_ context.Context, r *actionpb.ListTargetsRequest) (*actionpb.ListTargetsResponse, error) {
	list := rowsOf(s.read().targets, func(t targetRow) bool {
		return !slices.ContainsFunc(r.GetFilters(), func(f *actionpb.TargetSearchFilter) bool { return !matchTarget(f, t) })
	})
	sortTargets(list, r.GetSortingColumn(), r.GetPagination().GetAsc())
	list, pagination, err := pageFilter(list, r.GetPagination())
	if err != nil {
		return nil, err
	}
	response := &actionpb.ListTargetsResponse{Pagination: pagination}
	for _, target := range list {
		response.Targets = append(response.Targets, target.pb())
	}
	return response, nil
}

func matchTarget(filter *actionpb.TargetSearchFilter, t targetRow) bool {
	switch f := filter.GetFilter().(type) {
	case *actionpb.TargetSearchFilter_TargetNameFilter:
		return matchText(f.TargetNameFilter.GetMethod(), t.name, f.TargetNameFilter.GetTargetName())
	case *actionpb.TargetSearchFilter_InTargetIdsFilter:
		return slices.Contains(f.InTargetIdsFilter.GetTargetIds(), t.id)
	}
	return false
}

func sortTargets(list []targetRow, column actionpb.TargetFieldName, ascending bool) {
	switch column {
	case actionpb.TargetFieldName_TARGET_FIELD_NAME_ID:
		sortBy(list, func(t targetRow) string { return t.id }, ascending)
	case actionpb.TargetFieldName_TARGET_FIELD_NAME_CHANGED_DATE:
		sortBy(list, func(t targetRow) int64 { return t.changed.UnixMicro() }, ascending)
	case actionpb.TargetFieldName_TARGET_FIELD_NAME_NAME:
		sortBy(list, func(t targetRow) string { return t.name }, ascending)
	case actionpb.TargetFieldName_TARGET_FIELD_NAME_TARGET_TYPE:
		sortBy(list, func(t targetRow) int { return int(t.kind) }, ascending)
	case actionpb.TargetFieldName_TARGET_FIELD_NAME_URL:
		sortBy(list, func(t targetRow) string { return t.endpoint }, ascending)
	case actionpb.TargetFieldName_TARGET_FIELD_NAME_TIMEOUT:
		sortBy(list, func(t targetRow) time.Duration { return t.timeout }, ascending)
	case actionpb.TargetFieldName_TARGET_FIELD_NAME_INTERRUPT_ON_ERROR:
		sortBy(list, func(t targetRow) string { return map[bool]string{true: "1"}[t.interrupt] }, ascending)
	default:
		sortBy(list, func(t targetRow) int64 { return t.created.UnixMicro() }, ascending)
	}
}

// pb shows everything, the signing key included.
func (t targetRow) pb() *actionpb.Target {
	pb := &actionpb.Target{
		Id: t.id, CreationDate: timestamppb.New(t.created), ChangeDate: timestamppb.New(t.changed), Name: t.name,
		Timeout: durationpb.New(t.timeout), Endpoint: t.endpoint, SigningKey: t.signingKey, PayloadType: t.payload,
	}
	switch t.kind {
	case webhookTarget:
		pb.TargetType = &actionpb.Target_RestWebhook{RestWebhook: &actionpb.RESTWebhook{InterruptOnError: t.interrupt}}
	case callTarget:
		pb.TargetType = &actionpb.Target_RestCall{RestCall: &actionpb.RESTCall{InterruptOnError: t.interrupt}}
	case asyncTarget:
		pb.TargetType = &actionpb.Target_RestAsync{RestAsync: &actionpb.RESTAsync{}}
	}
	return pb
}

// newSigningKey returns 36 letters and digits.
func newSigningKey() string { return (rand.Text() + rand.Text())[:36] }

type targetAdded struct{ target targetRow }

func (targetAdded) eventType(string) string { return "target.added" }

// payload leaves the signing key out; the real server shows it encrypted.
func (c targetAdded) payload() any { return c.target.fields() }
func (c targetAdded) apply(st *state, e *event) {
	target := c.target
	target.rowDetails = detailsOf(e)
	st.targets[target.id] = target
}

func (t targetRow) fields() map[string]any {
	return map[string]any{
		"name": t.name, "targetType": int(t.kind), "endpoint": t.endpoint, "timeout": t.timeout,
		"interruptOnError": t.interrupt, "payloadType": int(t.payload), "signingKey": encrypted(t.signingKey),
	}
}

type targetChanged struct{ before, after targetRow }

func (targetChanged) eventType(string) string { return "target.changed" }
func (c targetChanged) payload() any {
	changed := c.after.fields()
	for name, old := range c.before.fields() {
		if name == "signingKey" && c.before.signingKey != c.after.signingKey {
			continue
		}
		if name == "signingKey" || changed[name] == old {
			delete(changed, name)
		}
	}
	return changed
}
func (c targetChanged) apply(st *state, e *event) {
	target := c.after
	target.rowDetails = st.targets[e.id].rowDetails
	target.touch(e)
	st.targets[e.id] = target
}

type targetRemoved struct{}

func (targetRemoved) eventType(string) string { return "target.removed" }
func (targetRemoved) payload() any            { return nil }
func (targetRemoved) apply(st *state, e *event) {
	delete(st.targets, e.id)
	st.targetsRemoved[e.id] = e.created
}
