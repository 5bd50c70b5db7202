package zitadeltest

import (
	"context"

	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// SetPassword replaces a human's password. Users who prove the current one need no further right.
func (s userService) SetPassword(ctx context.Context, r *userpb.SetPasswordRequest) (*userpb.SetPasswordResponse, error) {
	if _, coded := r.GetVerification().(*userpb.SetPasswordRequest_VerificationCode); coded {
		return nil, unimplemented("setting a password with a verification code")
	}
	user := s.write.users[r.GetUserId()]
	if !user.exists() || !user.isHuman {
		return nil, notFound("COMMAND-G8dh3", "Errors.User.NotFound").err()
	}
	if _, proven := r.GetVerification().(*userpb.SetPasswordRequest_CurrentPassword); proven {
		if err := user.provePassword(r.GetCurrentPassword(), r.GetNewPassword().GetPassword()); err != nil {
			return nil, err
		}
	} else if err := s.mayUser(ctx, "user.write", user.id, false); err != nil {
		return nil, err
	}
	policy, _ := effectivePolicy(s.write, complexityKind, user.owner)
	if err := policy.value.checkPassword(r.GetNewPassword().GetPassword(), ofExisting); err != nil {
		return nil, err
	}
	e := s.push(editor(ctx), user.aggregate(), passwordChanged{
		password: r.GetNewPassword().GetPassword(), changeRequired: r.GetNewPassword().GetChangeRequired(),
	})
	return &userpb.SetPasswordResponse{Details: writtenDetails(e)}, nil
}

// provePassword judges the current password somebody gives along with a new one. The two must differ,
// which is looked at before the current one is.
func (u userRow) provePassword(current, replacement string) error {
	switch {
	case u.human.password == "":
		return precondition("COMMAND-Fds3s", "Errors.User.Password.NotSet").err()
	case current == replacement:
		return precondition("COMMAND-Aesh5", "Errors.User.Password.NotChanged").err()
	case current != u.human.password:
		return invalid("COMMAND-3M0fs", "Errors.User.Password.Invalid").err()
	}
	return nil
}

type passwordChanged struct {
	password       string
	changeRequired bool
}

func (passwordChanged) eventType(string) string { return "user.human.password.changed" }

// payload carries a bcrypt hash, as on the real server; here of no password in particular.
func (c passwordChanged) payload() any {
	return map[string]any{"changeRequired": c.changeRequired, "encodedHash": noHash}
}
func (c passwordChanged) apply(st *state, e *event) {
	editUser(st, e, func(u *userRow) {
		u.human.password, u.human.changePassword, u.human.passwordChanged = c.password, c.changeRequired, e.created
		u.human.failedPasswords = 0
	})
	clearPasswordStamps(st, e.id)
}

// noHash has the shape of a bcrypt hash.
const noHash = "$2a$14$......................................................"
