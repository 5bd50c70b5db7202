package zitadel

import (
	"context"
	"time"

	actionv2 "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/action/v2"
	filterv2 "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/filter/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/neosc/mfa-operator/internal/idp"
)

// bellTimeout is how long the server waits for us. It tells of nothing else
// meanwhile to nobody, unless the target is asynchronous, which ours is.
const bellTimeout = 3 * time.Second

// maxListed is the largest page of the Action service.
const maxListed = 1000

// HangDoorbell makes or corrects the target and the executions of a doorbell,
// and returns once reads show them. Executions belong to the whole instance,
// one to each condition, and only the narrowest that fits is called. So none is
// made where that would take calls away from somebody else's: those are named
// in DoorbellState.Taken. One that already lists our target is as good as ours.
//
// It costs two calls where nothing is to be done. It needs IAM_OWNER: without,
// the error is idp.MissingPermission. It is idp.EndpointDenied if the server will
// not call the URL, and idp.NotConfirmed if reads did not follow within 15 s.
func (c *Client) HangDoorbell(ctx context.Context, want idp.Doorbell) (idp.DoorbellState, error) {
	doing := "hanging up the doorbell " + want.Name
	var state idp.DoorbellState
	var created, changed bool
	written := map[condition]bool{}
	err := c.readBack(ctx, doing, func(ctx context.Context) (string, error) {
		target, err := c.bellTarget(ctx, want.Name)
		switch {
		case err != nil:
			return "", err
		case target == nil && created:
			return "target", nil
		case target == nil:
			created = true
			err := c.createBell(ctx, want)
			if answerOf(err) == (answer{codes.AlreadyExists, "V3-DKcYh"}) {
				err = nil // there, and not shown yet
			}
			return "target", err
		case !isBell(target, want):
			if !changed {
				changed, err = true, c.changeBell(ctx, target.GetId(), want)
			}
			return "target", err
		case target.GetSigningKey() == "":
			return "", &idp.Error{Cause: idp.ServerFault, Doing: doing, Detail: "the target has no signing key"}
		}

		executions, err := c.eventExecutions(ctx)
		if err != nil {
			return "", err
		}
		plan := planBell(executions, target.GetId())
		for on, targets := range plan.writes(target.GetId()) {
			if !written[on] {
				written[on] = true
				if err := c.setExecution(ctx, on, targets); err != nil {
					return "", err
				}
			}
		}
		if !plan.done() {
			return "executions", nil
		}
		state = idp.DoorbellState{Key: target.GetSigningKey(), Taken: plan.taken}
		return "", nil
	})
	return state, err
}

// TakeDownDoorbell removes the target of that name, and the executions that
// have no other; from those of others our target goes without a trace. It is no
// error if there is nothing. Errors are those of HangDoorbell.
func (c *Client) TakeDownDoorbell(ctx context.Context, name string) error {
	removed := false
	return c.readBack(ctx, "taking down the doorbell "+name, func(ctx context.Context) (string, error) {
		target, err := c.bellTarget(ctx, name)
		if err != nil || target == nil || removed {
			if target == nil {
				return "", err
			}
			return "target", err
		}
		executions, err := c.eventExecutions(ctx)
		if err != nil {
			return "", err
		}
		// First the executions: those of a target that is gone remain, and are
		// then nobody's.
		for _, e := range executions {
			if e.only(target.GetId()) {
				if err := c.setExecution(ctx, e.on, nil); err != nil {
					return "", err
				}
			}
		}
		removed = true
		_, err = c.api.ActionServiceV2().DeleteTarget(ctx, &actionv2.DeleteTargetRequest{Id: target.GetId()})
		return "target", err
	})
}

// bellTarget finds the target of that name, nil if there is none.
func (c *Client) bellTarget(ctx context.Context, name string) (*actionv2.Target, error) {
	found, err := c.api.ActionServiceV2().ListTargets(ctx, &actionv2.ListTargetsRequest{
		Filters: []*actionv2.TargetSearchFilter{{Filter: &actionv2.TargetSearchFilter_TargetNameFilter{
			TargetNameFilter: &actionv2.TargetNameFilter{TargetName: name, Method: filterv2.TextFilterMethod_TEXT_FILTER_METHOD_EQUALS},
		}}},
	})
	if err != nil || len(found.GetTargets()) == 0 {
		return nil, err
	}
	return found.GetTargets()[0], nil
}

// isBell tells whether the target is as createBell makes it.
func isBell(target *actionv2.Target, want idp.Doorbell) bool {
	return target.GetEndpoint() == want.Endpoint && target.GetRestAsync() != nil &&
		target.GetTimeout().AsDuration() == bellTimeout && target.GetPayloadType() == actionv2.PayloadType_PAYLOAD_TYPE_JSON
}

func (c *Client) createBell(ctx context.Context, want idp.Doorbell) error {
	_, err := c.api.ActionServiceV2().CreateTarget(ctx, &actionv2.CreateTargetRequest{
		Name: want.Name, Endpoint: want.Endpoint, Timeout: durationpb.New(bellTimeout),
		TargetType: &actionv2.CreateTargetRequest_RestAsync{RestAsync: &actionv2.RESTAsync{}},
		// Of events, the other types of payload are never delivered.
		PayloadType: actionv2.PayloadType_PAYLOAD_TYPE_JSON,
	})
	return err
}

func (c *Client) changeBell(ctx context.Context, id string, want idp.Doorbell) error {
	_, err := c.api.ActionServiceV2().UpdateTarget(ctx, &actionv2.UpdateTargetRequest{
		Id: id, Endpoint: &want.Endpoint, Timeout: durationpb.New(bellTimeout),
		TargetType:  &actionv2.UpdateTargetRequest_RestAsync{RestAsync: &actionv2.RESTAsync{}},
		PayloadType: actionv2.PayloadType_PAYLOAD_TYPE_JSON,
	})
	return err
}

// eventExecutions lists what is called on events.
func (c *Client) eventExecutions(ctx context.Context) ([]execution, error) {
	var all []execution
	for offset := uint64(0); ; offset += maxListed {
		page, err := c.api.ActionServiceV2().ListExecutions(ctx, &actionv2.ListExecutionsRequest{
			Pagination: &filterv2.PaginationRequest{Offset: offset, Limit: maxListed, Asc: true},
			Filters: []*actionv2.ExecutionSearchFilter{{Filter: &actionv2.ExecutionSearchFilter_ExecutionTypeFilter{
				ExecutionTypeFilter: &actionv2.ExecutionTypeFilter{ExecutionType: actionv2.ExecutionType_EXECUTION_TYPE_EVENT},
			}}},
		})
		if err != nil {
			return nil, err
		}
		for _, pb := range page.GetExecutions() {
			all = append(all, execution{on: conditionOf(pb.GetCondition().GetEvent()), targets: pb.GetTargets()})
		}
		if len(page.GetExecutions()) < maxListed {
			return all, nil
		}
	}
}

// setExecution replaces the targets of a condition; without any it removes the
// execution.
func (c *Client) setExecution(ctx context.Context, on condition, targets []string) error {
	_, err := c.api.ActionServiceV2().SetExecution(ctx, &actionv2.SetExecutionRequest{
		Condition: &actionv2.Condition{ConditionType: &actionv2.Condition_Event{Event: on.pb()}}, Targets: targets,
	})
	return err
}
