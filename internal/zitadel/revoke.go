package zitadel

import (
	"context"
	"slices"

	sessionv2 "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/session/v2"
	userv2 "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"

	"github.com/neosc/mfa-operator/internal/idp"
)

// RemoveCredential takes one factor away from a user, each kind by its own call
// of the v2 User service, and returns once reads show it, which is within 15 s or
// idp.NotConfirmed. One that is not there is success: the server decides that on
// its event log, which is never behind. Sessions keep what was proven with it.
func (c *Client) RemoveCredential(ctx context.Context, userID string, one idp.Credential) error {
	doing := "removing " + string(one.Factor) + " of user " + userID
	if err := failure(ctx, doing, c.remove(ctx, userID, one)); err != nil && idp.CauseOf(err) != idp.NoSuchObject {
		return err
	}
	return c.readBack(ctx, "confirming that "+string(one.Factor)+" of user "+userID+" is gone", func(ctx context.Context) (string, error) {
		now, err := c.Credentials(ctx, userID)
		if slices.ContainsFunc(now.List, func(other idp.Credential) bool { return other.Factor == one.Factor && other.ID == one.ID }) {
			return string(one.Factor), err
		}
		return "", err
	})
}

func (c *Client) remove(ctx context.Context, userID string, one idp.Credential) (err error) {
	users := c.api.UserServiceV2()
	switch one.Factor {
	case idp.TOTP:
		_, err = users.RemoveTOTP(ctx, &userv2.RemoveTOTPRequest{UserId: userID})
	case idp.OTPEmail:
		_, err = users.RemoveOTPEmail(ctx, &userv2.RemoveOTPEmailRequest{UserId: userID})
	case idp.OTPSMS:
		_, err = users.RemoveOTPSMS(ctx, &userv2.RemoveOTPSMSRequest{UserId: userID})
	case idp.RecoveryCodes:
		_, err = users.RemoveRecoveryCodes(ctx, &userv2.RemoveRecoveryCodesRequest{UserId: userID})
	case idp.U2F:
		_, err = users.RemoveU2F(ctx, &userv2.RemoveU2FRequest{UserId: userID, U2FId: one.ID})
	case idp.Passkey:
		// RemoveU2F answers OK for a passkey, too, and leaves it.
		_, err = users.RemovePasskey(ctx, &userv2.RemovePasskeyRequest{UserId: userID, PasskeyId: one.ID})
	default:
		return &idp.Error{Cause: idp.InvalidValue, Doing: "removing a factor", Detail: "no user has " + string(one.Factor)}
	}
	return err
}

// EndSession deletes a session with DeleteSession of the v2 Session service. One
// that is not there is success.
func (c *Client) EndSession(ctx context.Context, id string) error {
	_, err := c.api.SessionServiceV2().DeleteSession(ctx, &sessionv2.DeleteSessionRequest{SessionId: id})
	return failure(ctx, "ending session "+id, err)
}
