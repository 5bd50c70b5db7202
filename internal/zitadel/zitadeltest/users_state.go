package zitadeltest

import (
	"context"

	objectv2pb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/object/v2"
	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// stateStep is one move between user states. The current state is judged before the permission, as
// on the real server.
type stateStep struct {
	change  userStateChanged
	missing refusal
	refuse  func(userpb.UserState) *refusal // nil means go ahead
}

var (
	locking = stateStep{
		change:  userStateChanged{"locked", userpb.UserState_USER_STATE_LOCKED},
		missing: notFound("COMMAND-450yxuqrh1", "Errors.User.NotFound"),
		refuse: unlessIn(precondition("COMMAND-lgws8wtsqf", "Errors.User.ShouldBeActiveOrInitial"),
			userpb.UserState_USER_STATE_ACTIVE, userpb.UserState_USER_STATE_INITIAL),
	}
	unlocking = stateStep{
		change:  userStateChanged{"unlocked", userpb.UserState_USER_STATE_ACTIVE},
		missing: notFound("COMMAND-x377t913pw", "Errors.User.NotFound"),
		refuse: unlessIn(precondition("COMMAND-olb9vb0oca", "Errors.User.NotLocked"),
			userpb.UserState_USER_STATE_LOCKED),
	}
	deactivating = stateStep{
		change:  userStateChanged{"deactivated", userpb.UserState_USER_STATE_INACTIVE},
		missing: notFound("COMMAND-5gp2p62iin", "Errors.User.NotFound"),
		refuse: unlessIn(precondition("COMMAND-5gunjw0cd7", "Errors.User.AlreadyInactive"),
			userpb.UserState_USER_STATE_ACTIVE, userpb.UserState_USER_STATE_LOCKED),
	}
	reactivating = stateStep{
		change:  userStateChanged{"reactivated", userpb.UserState_USER_STATE_ACTIVE},
		missing: notFound("COMMAND-9hy5kzbuk6", "Errors.User.NotFound"),
		refuse: unlessIn(precondition("COMMAND-s5qqcz97hf", "Errors.User.NotInactive"),
			userpb.UserState_USER_STATE_INACTIVE),
	}
)

func unlessIn(refused refusal, states ...userpb.UserState) func(userpb.UserState) *refusal {
	return func(current userpb.UserState) *refusal {
		for _, allowed := range states {
			if current == allowed {
				return nil
			}
		}
		return &refused
	}
}

func (s *Server) moveUser(ctx context.Context, userID string, step stateStep) (*objectv2pb.Details, error) {
	user := s.write.users[userID]
	if !user.exists() {
		return nil, step.missing.err()
	}
	if refused := step.refuse(user.state); refused != nil {
		return nil, refused.err()
	}
	if err := s.mayUser(ctx, "user.write", userID, false); err != nil {
		return nil, err
	}
	return writtenDetails(s.push(editor(ctx), user.aggregate(), step.change)), nil
}

func (s userService) LockUser(ctx context.Context, r *userpb.LockUserRequest) (*userpb.LockUserResponse, error) {
	details, err := s.moveUser(ctx, r.GetUserId(), locking)
	if err != nil {
		return nil, err
	}
	return &userpb.LockUserResponse{Details: details}, nil
}

func (s userService) UnlockUser(ctx context.Context, r *userpb.UnlockUserRequest) (*userpb.UnlockUserResponse, error) {
	details, err := s.moveUser(ctx, r.GetUserId(), unlocking)
	if err != nil {
		return nil, err
	}
	return &userpb.UnlockUserResponse{Details: details}, nil
}

func (s userService) DeactivateUser(ctx context.Context, r *userpb.DeactivateUserRequest) (*userpb.DeactivateUserResponse, error) {
	details, err := s.moveUser(ctx, r.GetUserId(), deactivating)
	if err != nil {
		return nil, err
	}
	return &userpb.DeactivateUserResponse{Details: details}, nil
}

func (s userService) ReactivateUser(ctx context.Context, r *userpb.ReactivateUserRequest) (*userpb.ReactivateUserResponse, error) {
	details, err := s.moveUser(ctx, r.GetUserId(), reactivating)
	if err != nil {
		return nil, err
	}
	return &userpb.ReactivateUserResponse{Details: details}, nil
}

// mayDelete knows a right of its own for those who delete themselves.
func (s *Server) mayDelete(ctx context.Context, userID string) error {
	err := s.mayUser(ctx, "user.delete", userID, false)
	if err == nil || userID != callOf(ctx).userID {
		return err
	}
	return s.mayUser(ctx, "user.self.delete", userID, false)
}

func (s userService) DeleteUser(ctx context.Context, r *userpb.DeleteUserRequest) (*userpb.DeleteUserResponse, error) {
	user := s.write.users[r.GetUserId()]
	if !user.exists() {
		return nil, notFound("COMMAND-bd4ir1mblj", "Errors.User.NotFound").err()
	}
	if err := s.mayDelete(ctx, user.id); err != nil {
		return nil, err
	}
	drafts := []draft{{user.aggregate(), userRemoved{}}}
	for _, member := range s.membershipsOf(s.write, user.id) {
		drafts = append(drafts, draft{member.scopeAggregate(s.instanceID), memberRemoved{userID: user.id, cascade: true}})
	}
	return &userpb.DeleteUserResponse{Details: writtenDetails(s.pushAll(editor(ctx), drafts...))}, nil
}
