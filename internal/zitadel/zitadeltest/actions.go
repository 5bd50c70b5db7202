package zitadeltest

import (
	"context"

	actionpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/action/v2"
)

// actionService is the v2 API for targets and executions. None can be made yet, so none are listed;
// what callers without the right are told is real.
type actionService struct {
	actionpb.UnimplementedActionServiceServer
	*Server
}

func (s actionService) ListTargets(_ context.Context, r *actionpb.ListTargetsRequest) (*actionpb.ListTargetsResponse, error) {
	targets, pagination, err := pageFilter([]*actionpb.Target(nil), r.GetPagination())
	if err != nil {
		return nil, err
	}
	return &actionpb.ListTargetsResponse{Pagination: pagination, Targets: targets}, nil
}

func (s actionService) ListExecutions(_ context.Context, r *actionpb.ListExecutionsRequest) (*actionpb.ListExecutionsResponse, error) {
	executions, pagination, err := pageFilter([]*actionpb.Execution(nil), r.GetPagination())
	if err != nil {
		return nil, err
	}
	return &actionpb.ListExecutionsResponse{Pagination: pagination, Executions: executions}, nil
}
