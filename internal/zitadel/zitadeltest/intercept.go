package zitadeltest

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	actionpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/action/v2"
	adminpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/admin"
	authpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/auth"
	permissionpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/internal_permission/v2"
	managementpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/management"
	orgpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/org/v2"
	sessionpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/session/v2"
	settingspb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/settings/v2"
	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// headerOrg names the organization a call is about.
const headerOrg = "x-zitadel-orgid"

func (s *Server) newRPCServer() *grpc.Server {
	rpc := grpc.NewServer(grpc.UnaryInterceptor(s.intercept))
	adminpb.RegisterAdminServiceServer(rpc, adminService{Server: s})
	managementpb.RegisterManagementServiceServer(rpc, managementService{Server: s})
	authpb.RegisterAuthServiceServer(rpc, authService{Server: s})
	settingspb.RegisterSettingsServiceServer(rpc, settingsService{Server: s})
	orgpb.RegisterOrganizationServiceServer(rpc, organizationService{Server: s})
	userpb.RegisterUserServiceServer(rpc, userService{Server: s})
	permissionpb.RegisterInternalPermissionServiceServer(rpc, permissionService{Server: s})
	sessionpb.RegisterSessionServiceServer(rpc, sessionService{Server: s})
	actionpb.RegisterActionServiceServer(rpc, actionService{Server: s})
	return rpc
}

// intercept is what every call passes before its handler, in the order of the real server.
func (s *Server) intercept(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	org, named := header(ctx, headerOrg)
	s.calls.record(Call{Method: info.FullMethod, Org: org, OrgHeader: named, Read: isRead(info.FullMethod)})

	fault, struck := s.faults.strike(info.FullMethod, org)
	if struck {
		if err := fault.delay(ctx); err != nil {
			return nil, err
		}
		if err := fault.before(); err != nil {
			return nil, err
		}
	}
	response, err := s.serve(ctx, request, info, handle, org)
	if struck && err == nil {
		err = fault.after()
	}
	if err != nil {
		return nil, err
	}
	return response, nil
}

func (s *Server) serve(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler, org string) (response any, err error) {
	defer func() {
		if cause := recover(); cause != nil { // the real server survives its bugs the same way
			response, err = nil, refusal{codes.Internal, "RECOVER", fmt.Sprint(cause)}.err()
		}
	}()
	if err := s.checkHost(authority(ctx)); err != nil {
		return nil, err
	}
	c := apiCall{method: info.FullMethod, request: request.(proto.Message)}
	var targets []targetRow
	err = s.locked(func() (err error) {
		if c.call, err = s.authorize(ctx, c.method, request, org); err != nil {
			return err
		}
		targets = s.apiTargets("request", c)
		return validate(c.request)
	})
	if err != nil {
		return nil, err
	}
	if err := s.tellTargets(ctx, targets, c); err != nil {
		return nil, err
	}
	err = s.locked(func() error {
		response, err := handle(withCall(ctx, c.call), request)
		if err != nil {
			return err
		}
		c.response = response.(proto.Message)
		targets = s.apiTargets("response", c)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.tellTargets(ctx, targets, c); err != nil {
		return nil, err
	}
	return c.response, nil
}

// locked runs a part of a call that looks at or changes what the server holds. Targets are called in
// between: they may call back.
func (s *Server) locked(part func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return part()
}

func header(ctx context.Context, name string) (value string, present bool) {
	values := metadata.ValueFromIncomingContext(ctx, name)
	if len(values) == 0 {
		return "", false
	}
	return values[0], true
}
