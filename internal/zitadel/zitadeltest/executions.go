package zitadeltest

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	actionpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/action/v2"
)

// executionRow says which targets are called when a condition holds. There is one per condition on
// the whole instance.
type executionRow struct {
	rowDetails
	id        string
	condition *actionpb.Condition
	targets   []string // as they were set, in the order they are called; some may have been deleted since
}

func (s *Server) executionAggregate(id string) aggregate {
	return aggregate{kind: kindExecution, id: id, owner: s.instanceID}
}

// SetExecution replaces; no targets remove. Both are idempotent.
func (s actionService) SetExecution(ctx context.Context, r *actionpb.SetExecutionRequest) (*actionpb.SetExecutionResponse, error) {
	id, err := executionID(r.GetCondition())
	if err != nil {
		return nil, err
	}
	if err := executionConditionExists(r.GetCondition()); err != nil {
		return nil, err
	}
	before, present := s.write.executions[id]
	if len(r.GetTargets()) == 0 {
		if !present {
			return &actionpb.SetExecutionResponse{SetDate: timestamppb.New(s.executionGone(id))}, nil
		}
		e := s.push(editor(ctx), s.executionAggregate(id), executionRemoved{})
		return &actionpb.SetExecutionResponse{SetDate: timestamppb.New(e.created)}, nil
	}
	if present && slices.Equal(before.targets, r.GetTargets()) {
		return &actionpb.SetExecutionResponse{SetDate: timestamppb.New(before.changed)}, nil
	}
	if !s.areTargets(r.GetTargets()) {
		return nil, notFound("COMMAND-17e8fq1ggk", "Errors.Target.NotFound").err()
	}
	e := s.push(editor(ctx), s.executionAggregate(id), executionSet{canonical(r.GetCondition()), r.GetTargets()})
	return &actionpb.SetExecutionResponse{SetDate: timestamppb.New(e.created)}, nil
}

// areTargets counts: the same target twice is one too few.
func (s *Server) areTargets(ids []string) bool {
	seen := map[string]bool{}
	for _, id := range ids {
		_, known := s.write.targets[id]
		if !known || seen[id] {
			return false
		}
		seen[id] = true
	}
	return true
}

// executionGone is when an execution was removed, the zero time if it never was.
func (s *Server) executionGone(id string) time.Time {
	if e := s.log.last(s.executionAggregate(id)); e != nil {
		return e.created
	}
	return time.Time{}
}

func (s actionService) ListExecutions(_ context.Context, r *actionpb.ListExecutionsRequest) (*actionpb.ListExecutionsResponse, error) {
	st := s.read()
	var refused error
	list := rowsOf(st.executions, func(row executionRow) bool {
		for _, filter := range r.GetFilters() {
			match, err := matchExecution(st, filter, row)
			if err != nil {
				refused = err
			}
			if !match {
				return false
			}
		}
		return true
	})
	if refused != nil {
		return nil, refused
	}
	switch r.GetSortingColumn() {
	case actionpb.ExecutionFieldName_EXECUTION_FIELD_NAME_ID:
		sortBy(list, func(row executionRow) string { return row.id }, r.GetPagination().GetAsc())
	case actionpb.ExecutionFieldName_EXECUTION_FIELD_NAME_CHANGED_DATE:
		sortBy(list, func(row executionRow) int64 { return row.changed.UnixMicro() }, r.GetPagination().GetAsc())
	default:
		sortBy(list, func(row executionRow) int64 { return row.created.UnixMicro() }, r.GetPagination().GetAsc())
	}
	list, pagination, err := pageFilter(list, r.GetPagination())
	if err != nil {
		return nil, err
	}
	response := &actionpb.ListExecutionsResponse{Pagination: pagination}
	for _, row := range list {
		response.Executions = append(response.Executions, &actionpb.Execution{
			Condition: row.condition, CreationDate: timestamppb.New(row.created), ChangeDate: timestamppb.New(row.changed),
			Targets: st.targetIDs(row),
		})
	}
	return response, nil
}

func matchExecution(st *state, filter *actionpb.ExecutionSearchFilter, row executionRow) (bool, error) {
	switch f := filter.GetFilter().(type) {
	case *actionpb.ExecutionSearchFilter_InConditionsFilter:
		for _, condition := range f.InConditionsFilter.GetConditions() {
			id, err := executionID(condition)
			if err != nil {
				return false, err
			}
			if id == row.id {
				return true, nil
			}
		}
	case *actionpb.ExecutionSearchFilter_ExecutionTypeFilter:
		return f.ExecutionTypeFilter.GetExecutionType() == executionType(row.condition), nil
	case *actionpb.ExecutionSearchFilter_TargetFilter:
		return slices.Contains(st.targetIDs(row), f.TargetFilter.GetTargetId()), nil
	}
	return false, nil
}

func (s actionService) ListExecutionFunctions(context.Context, *actionpb.ListExecutionFunctionsRequest) (*actionpb.ListExecutionFunctionsResponse, error) {
	return &actionpb.ListExecutionFunctionsResponse{Functions: executionFunctions}, nil
}

func (s actionService) ListExecutionMethods(context.Context, *actionpb.ListExecutionMethodsRequest) (*actionpb.ListExecutionMethodsResponse, error) {
	return &actionpb.ListExecutionMethodsResponse{Methods: methodNames()}, nil
}

func (s actionService) ListExecutionServices(context.Context, *actionpb.ListExecutionServicesRequest) (*actionpb.ListExecutionServicesResponse, error) {
	return &actionpb.ListExecutionServicesResponse{Services: serviceNames()}, nil
}

type executionSet struct {
	condition *actionpb.Condition
	targets   []string
}

// executionTargetType says that a target is meant, not another execution.
const executionTargetType = 2

func (executionSet) eventType(string) string { return "execution.v2.set" }
func (c executionSet) payload() any {
	targets := make([]any, len(c.targets))
	for i, id := range c.targets {
		targets[i] = map[string]any{"type": executionTargetType, "target": id}
	}
	return map[string]any{"targets": targets}
}
func (c executionSet) apply(st *state, e *event) {
	row, present := st.executions[e.id]
	if !present {
		row = executionRow{rowDetails: detailsOf(e), id: e.id}
	}
	row.condition, row.targets = c.condition, c.targets
	row.touch(e)
	st.executions[e.id] = row
}

// executionRemoved is, in the log, an execution set to no targets.
type executionRemoved struct{}

func (executionRemoved) eventType(string) string   { return "execution.v2.set" }
func (executionRemoved) payload() any              { return map[string]any{"targets": []any{}} }
func (executionRemoved) apply(st *state, e *event) { delete(st.executions, e.id) }
