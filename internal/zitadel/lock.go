package zitadel

import (
	"context"

	userv2 "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"

	"github.com/neosc/mfa-operator/internal/idp"
)

// SetLocked locks or unlocks a user with LockUser or UnlockUser of the v2 User
// service, and returns once reads show it, which is within 15 s or
// idp.NotConfirmed. The server refuses to do either twice (FailedPrecondition):
// that it is so already is success. Locking ends the user's sessions.
func (c *Client) SetLocked(ctx context.Context, userID string, locked bool) error {
	doing, call := "unlocking user "+userID, func() error {
		_, err := c.api.UserServiceV2().UnlockUser(ctx, &userv2.UnlockUserRequest{UserId: userID})
		return err
	}
	if locked {
		doing, call = "locking user "+userID, func() error {
			_, err := c.api.UserServiceV2().LockUser(ctx, &userv2.LockUserRequest{UserId: userID})
			return err
		}
	}
	refused := failure(ctx, doing, call())
	shows := func(ctx context.Context) (string, error) {
		now, err := c.personByID(ctx, userID, "confirming: "+doing)
		if (now.State == idp.PersonLocked) != locked {
			return "state", err
		}
		return "", err
	}
	if refused != nil {
		if missing, err := shows(ctx); err != nil || missing != "" {
			return refused
		}
		return nil
	}
	return c.readBack(ctx, "confirming: "+doing, shows)
}
