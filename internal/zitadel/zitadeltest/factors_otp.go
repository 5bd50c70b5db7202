package zitadeltest

import (
	"context"

	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// otpChannel is a way to send one-time passwords. It needs a verified address and has no pending
// state.
type otpChannel struct {
	name                        string // in the event types
	on                          func(*userFactors) *bool
	verified                    func(human) bool
	present, unverified, absent refusal

	// In sessions:
	factor                    string
	kind                      otpKind
	challenge                 func(*sessionChallenges) **otpChallenge
	challengeNobody, notReady refusal
}

var (
	byEmail = otpChannel{
		name:       "email",
		on:         func(f *userFactors) *bool { return &f.otpEmail },
		verified:   func(h human) bool { return h.email.verified },
		present:    exists("COMMAND-MKL2s", "Errors.User.MFA.OTP.AlreadyReady"),
		unverified: precondition("COMMAND-KLJ2d", "Errors.User.MFA.OTP.NotReady"),
		absent:     notFound("COMMAND-b312D", "Errors.User.MFA.OTP.NotExisting"),

		factor:          factorEmail,
		kind:            otpEmail,
		challenge:       func(c *sessionChallenges) **otpChallenge { return &c.email },
		challengeNobody: precondition("COMMAND-JK3gp", "Errors.User.UserIDMissing"),
		notReady:        precondition("COMMAND-JKLJ3", "Errors.User.MFA.OTP.NotReady"),
	}
	bySMS = otpChannel{
		name:       "sms",
		on:         func(f *userFactors) *bool { return &f.otpSMS },
		verified:   func(h human) bool { return h.phone.verified },
		present:    exists("COMMAND-Ad3g2", "Errors.User.MFA.OTP.AlreadyReady"),
		unverified: precondition("COMMAND-Q54j2", "Errors.User.MFA.OTP.NotReady"),
		absent:     notFound("COMMAND-Sr3h3", "Errors.User.MFA.OTP.NotExisting"),

		factor:          factorSMS,
		kind:            otpSMS,
		challenge:       func(c *sessionChallenges) **otpChallenge { return &c.sms },
		challengeNobody: precondition("COMMAND-JKL3g", "Errors.User.UserIDMissing"),
		notReady:        precondition("COMMAND-BJ2g3", "Errors.User.MFA.OTP.NotReady"),
	}
)

func (s *Server) addOTP(ctx context.Context, userID string, channel otpChannel) (*event, error) {
	if err := s.mayCredential(ctx, userID); err != nil {
		return nil, err
	}
	user, factors := s.write.users[userID], s.write.factors[userID]
	if *channel.on(&factors) {
		return nil, channel.present.err()
	}
	if !user.exists() || !channel.verified(user.human) {
		return nil, channel.unverified.err()
	}
	return s.push(editor(ctx), user.aggregate(), otpSwitched{channel, true}), nil
}

func (s *Server) removeOTP(ctx context.Context, userID string, channel otpChannel) (*event, error) {
	if err := s.mayRemoveFactor(ctx, userID); err != nil {
		return nil, err
	}
	factors := s.write.factors[userID]
	if !*channel.on(&factors) {
		return nil, channel.absent.err()
	}
	return s.push(editor(ctx), s.write.users[userID].aggregate(), otpSwitched{channel, false}), nil
}

func (s userService) AddOTPEmail(ctx context.Context, r *userpb.AddOTPEmailRequest) (*userpb.AddOTPEmailResponse, error) {
	e, err := s.addOTP(ctx, r.GetUserId(), byEmail)
	if err != nil {
		return nil, err
	}
	return &userpb.AddOTPEmailResponse{Details: writtenDetails(e)}, nil
}

func (s userService) RemoveOTPEmail(ctx context.Context, r *userpb.RemoveOTPEmailRequest) (*userpb.RemoveOTPEmailResponse, error) {
	e, err := s.removeOTP(ctx, r.GetUserId(), byEmail)
	if err != nil {
		return nil, err
	}
	return &userpb.RemoveOTPEmailResponse{Details: writtenDetails(e)}, nil
}

func (s userService) AddOTPSMS(ctx context.Context, r *userpb.AddOTPSMSRequest) (*userpb.AddOTPSMSResponse, error) {
	e, err := s.addOTP(ctx, r.GetUserId(), bySMS)
	if err != nil {
		return nil, err
	}
	return &userpb.AddOTPSMSResponse{Details: writtenDetails(e)}, nil
}

func (s userService) RemoveOTPSMS(ctx context.Context, r *userpb.RemoveOTPSMSRequest) (*userpb.RemoveOTPSMSResponse, error) {
	e, err := s.removeOTP(ctx, r.GetUserId(), bySMS)
	if err != nil {
		return nil, err
	}
	return &userpb.RemoveOTPSMSResponse{Details: writtenDetails(e)}, nil
}

type otpSwitched struct {
	channel otpChannel
	on      bool
}

func (c otpSwitched) eventType(string) string {
	if c.on {
		return "user.human.mfa.otp." + c.channel.name + ".added"
	}
	return "user.human.mfa.otp." + c.channel.name + ".removed"
}
func (otpSwitched) payload() any { return nil }
func (c otpSwitched) apply(st *state, e *event) {
	editFactors(st, e, func(f *userFactors) {
		*c.channel.on(f) = c.on
		f.failedOTP = without(f.failedOTP, c.channel.kind)
	})
}
