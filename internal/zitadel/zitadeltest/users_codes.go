package zitadeltest

import (
	"context"
	"maps"

	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// CreateInviteCode is for users who cannot authenticate yet. A second factor alone does not count.
func (s userService) CreateInviteCode(ctx context.Context, r *userpb.CreateInviteCodeRequest) (*userpb.CreateInviteCodeResponse, error) {
	user := s.write.users[r.GetUserId()]
	if !user.isHuman {
		user = userRow{} // machine users are as unknown here as those that never were
	}
	if err := s.mayObject(ctx, "user.write", user.owner); err != nil {
		return nil, err
	}
	if !user.exists() {
		return nil, precondition("COMMAND-Wgvn4", "Errors.User.NotFound").err()
	}
	for _, key := range s.write.factors[user.id].keys.listed {
		if key.readyPasskey() {
			return nil, alreadyInitialised.err()
		}
	}
	if user.human.password != "" {
		return nil, alreadyInitialised.err()
	}
	e := s.push(editor(ctx), user.aggregate(), userCodeAdded{"invite.code.added"})
	response := &userpb.CreateInviteCodeResponse{Details: writtenDetails(e)}
	if r.GetReturnCode() != nil {
		response.InviteCode = newCode()
	}
	return response, nil
}

var alreadyInitialised = precondition("COMMAND-EF34g", "Errors.User.AlreadyInitialised")

// CreatePasskeyRegistrationLink gives out a code for anybody, also for a user that never was.
func (s userService) CreatePasskeyRegistrationLink(ctx context.Context, r *userpb.CreatePasskeyRegistrationLinkRequest) (*userpb.CreatePasskeyRegistrationLinkResponse, error) {
	user := s.write.users[r.GetUserId()]
	if user.id != "" {
		if err := s.mayUser(ctx, "user.passkey.write", user.id, true); err != nil {
			return nil, err
		}
	}
	code := passkeyCodeAdded{id: s.ids.next(), code: *newCode(), mailed: r.GetReturnCode() == nil}
	e := s.push(editor(ctx), userAggregate(r.GetUserId(), user.owner), code)
	response := &userpb.CreatePasskeyRegistrationLinkResponse{Details: writtenDetails(e)}
	if !code.mailed {
		response.Code = &userpb.PasskeyRegistrationCode{Id: code.id, Code: code.code}
	}
	return response, nil
}

// HumanMFAInitSkipped notes that the user declined to set up a second factor.
func (s userService) HumanMFAInitSkipped(ctx context.Context, r *userpb.HumanMFAInitSkippedRequest) (*userpb.HumanMFAInitSkippedResponse, error) {
	user := s.write.users[r.GetUserId()]
	if !user.exists() {
		return nil, notFound("COMMAND-auj6jeBei4", "Errors.User.NotFound").err()
	}
	if err := s.mayUser(ctx, "user.write", user.id, true); err != nil {
		return nil, err
	}
	e := s.push(editor(ctx), user.aggregate(), mfaInitSkipped{})
	return &userpb.HumanMFAInitSkippedResponse{Details: writtenDetails(e)}, nil
}

// userCodeAdded is a code that was made for a user. It changes nothing about the user, who may not
// even exist.
type userCodeAdded struct{ step string }

func (c userCodeAdded) eventType(string) string { return "user.human." + c.step }
func (userCodeAdded) payload() any              { return nil }
func (userCodeAdded) apply(*state, *event)      {}

type mfaInitSkipped struct{}

func (mfaInitSkipped) eventType(string) string { return "user.human.mfa.init.skipped" }
func (mfaInitSkipped) payload() any            { return nil }
func (mfaInitSkipped) apply(st *state, e *event) {
	editUser(st, e, func(u *userRow) { u.human.skippedMFA = e.created })
}

// passkeyCodeAdded is the code of a registration link. Nobody delivers the mailed ones here.
type passkeyCodeAdded struct {
	id, code string
	mailed   bool
}

func (c passkeyCodeAdded) eventType(string) string {
	if c.mailed {
		return "user.human.passwordless.initialization.code.requested"
	}
	return "user.human.passwordless.initialization.code.added"
}
func (c passkeyCodeAdded) payload() any { return map[string]any{"id": c.id} }
func (c passkeyCodeAdded) apply(st *state, e *event) {
	editFactors(st, e, func(f *userFactors) {
		codes := map[string]string{c.id: c.code}
		maps.Copy(codes, f.passkeyCodes)
		f.passkeyCodes = codes
	})
}

type passkeyCodeChecked struct {
	id        string
	succeeded bool
}

func (c passkeyCodeChecked) eventType(string) string {
	if c.succeeded {
		return "user.human.passwordless.initialization.code.check.succeeded"
	}
	return "user.human.passwordless.initialization.code.check.failed"
}
func (c passkeyCodeChecked) payload() any { return map[string]any{"id": c.id} }
func (c passkeyCodeChecked) apply(st *state, e *event) {
	if c.succeeded {
		editFactors(st, e, func(f *userFactors) {
			f.passkeyCodes = maps.Clone(f.passkeyCodes)
			delete(f.passkeyCodes, c.id)
		})
	}
}
