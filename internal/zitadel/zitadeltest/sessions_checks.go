package zitadeltest

import (
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	messagepb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/message"
	sessionpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/session/v2"
	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// check runs the checks of a request, in the order of the real server. The first that fails ends the
// request; what it leaves on the user (a counted failure, a lock) is written nevertheless.
func (u *sessionUpdate) check(checks *sessionpb.Checks, user *userRow) error {
	if checks == nil {
		return nil
	}
	if user != nil {
		if err := u.checkUser(*user); err != nil {
			return err
		}
	}
	if password := checks.GetPassword(); password != nil {
		if err := u.checkPassword(password.GetPassword()); err != nil {
			return err
		}
	}
	if checks.GetIdpIntent() != nil {
		return unimplemented("session checks with an identity provider's intent")
	}
	if key := checks.GetWebAuthN(); key != nil {
		if err := u.checkWebAuthN(key.GetCredentialAssertionData()); err != nil {
			return err
		}
	}
	if totp := checks.GetTotp(); totp != nil {
		if err := u.checkTOTP(totp.GetCode()); err != nil {
			return err
		}
	}
	if code := checks.GetOtpSms(); code != nil {
		if err := u.checkOTP(bySMS, code.GetCode()); err != nil {
			return err
		}
	}
	if code := checks.GetOtpEmail(); code != nil {
		if err := u.checkOTP(byEmail, code.GetCode()); err != nil {
			return err
		}
	}
	if code := checks.GetRecoveryCode(); code != nil {
		return u.checkRecoveryCode(code.GetCode())
	}
	return nil
}

// challenge prepares the questions a request asks for.
func (u *sessionUpdate) challenge(asked *sessionpb.RequestChallenges) error {
	if asked == nil {
		return nil
	}
	u.answer = &sessionpb.Challenges{}
	if key := asked.GetWebAuthN(); key != nil {
		if err := u.challengeWebAuthN(key); err != nil {
			return err
		}
	}
	if sms := asked.GetOtpSms(); sms != nil {
		code, err := u.challengeOTP(bySMS, sms.GetReturnCode())
		if err != nil {
			return err
		}
		u.answer.OtpSms = code
	}
	if email := asked.GetOtpEmail(); email != nil {
		code, err := u.challengeOTP(byEmail, email.GetReturnCode() != nil)
		if err != nil {
			return err
		}
		u.answer.OtpEmail = code
	}
	return nil
}

// findChecked looks the user of a check up in the read view, before anything else about the request is
// judged. So a user just created is unknown, and one just locked still gets a session. It returns nil
// without a check.
func (s *Server) findChecked(check *sessionpb.CheckUser) (*userRow, error) {
	if check == nil {
		return nil, nil
	}
	user, found := s.read().users[check.GetUserId()]
	if name := check.GetLoginName(); name != "" {
		user, found = s.projection.userNamed(name)
	}
	if !found || !user.exists() {
		return nil, unknownUser.err()
	}
	if user.state != userpb.UserState_USER_STATE_ACTIVE {
		return nil, precondition("SESSION-Gj4ko", "Errors.User.NotActive").err()
	}
	return &user, nil
}

func (u *sessionUpdate) checkUser(user userRow) error {
	if u.row.userID != "" && u.row.userID != user.id {
		return status.Error(codes.InvalidArgument, "user change not possible")
	}
	u.add(sessionUserChecked{userID: user.id, orgID: user.owner, language: user.human.language, checked: u.clock()})
	u.row.userID, u.row.userOrg = user.id, user.owner
	return nil
}

func (u *sessionUpdate) checkPassword(password string) error {
	if u.row.userID == "" {
		return invalid("COMMAND-Sfw3f", "Errors.User.UserIDMissing").err()
	}
	user := u.write.users[u.row.userID]
	switch {
	case !user.exists() || !user.isHuman:
		return precondition("COMMAND-3n77z", "Errors.User.NotFound").err()
	case user.state == userpb.UserState_USER_STATE_LOCKED:
		return passwordRefusal{precondition("COMMAND-JLK35", "Errors.User.Locked"), user.human.failedPasswords}.err()
	case user.human.password == "":
		return precondition("COMMAND-3nJ4t", "Errors.User.Password.NotSet").err()
	case user.human.password != password:
		return u.failPassword(user)
	}
	u.drafts = append(u.drafts, draft{user.aggregate(), passwordChecked{succeeded: true}})
	u.add(sessionFactorChecked{factor: factorPassword, checked: u.clock()})
	return nil
}

// failPassword counts the failure and locks the user once the policy of its organization says so.
func (u *sessionUpdate) failPassword(user userRow) error {
	attempts := user.human.failedPasswords + 1
	changes := []change{passwordChecked{}}
	policy, _ := effectivePolicy(u.write, lockoutKind, user.owner)
	if limit := policy.value.MaxPasswordAttempts; limit > 0 && uint64(attempts) >= limit {
		changes = append(changes, locking.change)
	}
	u.push(editor(u.ctx), user.aggregate(), changes...)
	return passwordRefusal{invalid("COMMAND-3M0fs", "Errors.User.Password.Invalid"), attempts}.err()
}

// passwordRefusal has a detail of its own kind, which tells how often a password was wrong.
type passwordRefusal struct {
	refusal
	attempts int
}

func (r passwordRefusal) err() error {
	st := status.New(r.code, fmt.Sprintf("%s (%s)", r.text, r.id))
	detailed, err := st.WithDetails(&messagepb.CredentialsCheckError{
		Id: r.id, Message: r.text, FailedAttempts: int32(r.attempts),
	})
	if err != nil {
		return st.Err() // only for code OK, which no refusal has
	}
	return detailed.Err()
}
