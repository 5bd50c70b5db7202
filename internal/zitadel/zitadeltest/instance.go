package zitadeltest

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	adminpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/admin"
	instancepb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/instance"
	objectpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/object"
)

// adminService is the instance-level v1 API.
type adminService struct {
	adminpb.UnimplementedAdminServiceServer
	*Server
}

// instance is the aggregate of the instance itself; it owns itself.
func (s *Server) instance() aggregate {
	return aggregate{kind: kindInstance, id: s.instanceID, owner: s.instanceID}
}

type instanceAdded struct{ name string }

func (instanceAdded) eventType(string) string { return "instance.added" }
func (c instanceAdded) payload() any          { return map[string]any{"name": c.name} }
func (instanceAdded) apply(*state, *event)    {}

func (adminService) Healthz(context.Context, *adminpb.HealthzRequest) (*adminpb.HealthzResponse, error) {
	return &adminpb.HealthzResponse{}, nil
}

func (s adminService) GetMyInstance(context.Context, *adminpb.GetMyInstanceRequest) (*adminpb.GetMyInstanceResponse, error) {
	first := s.log.events[0]
	details := &objectpb.ObjectDetails{
		Sequence:      first.sequence,
		CreationDate:  timestamppb.New(first.created),
		ChangeDate:    timestamppb.New(first.created),
		ResourceOwner: s.instanceID,
	}
	return &adminpb.GetMyInstanceResponse{Instance: &instancepb.InstanceDetail{
		Id:      s.instanceID,
		Details: details,
		State:   instancepb.State_STATE_RUNNING,
		Name:    s.instanceName,
		Version: s.version,
		Domains: []*instancepb.Domain{{Details: details, Domain: s.domain, Primary: true}},
	}}, nil
}
