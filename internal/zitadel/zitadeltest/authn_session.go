package zitadeltest

import (
	"slices"

	policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

var (
	wrongSessionToken = denied("COMMAND-sGr42", "Errors.Session.Token.Invalid")
	wrongReadToken    = denied("QUERY-dsfr3", "Errors.PermissionDenied") // reading a session, also to use its token
	sessionExpired    = denied("AUTHZ-EGDo3", "session expired")
	nothingChecked    = denied("AUTHZ-Kl3p0", "authentication required")
	mfaRequired       = denied("AUTHZ-Kl3p0", "mfa required")
)

// sessionToken is what a session token stands for. Only the last one of a session counts.
func sessionToken(session, id string) token { return token{session: session, sessionTokenID: id} }

func (s *Server) isSessionToken(row sessionRow, secret string) bool {
	t, known := s.tokens[secret]
	return known && t.session != "" && t.session == row.id && t.sessionTokenID == row.tokenID
}

// authenticateSession lets a person use the API with a session. This is where a login policy is
// enforced: not when a session is made, but when somebody calls with it.
func (s *Server) authenticateSession(t token) (userID string, err error) {
	s.read()
	row := s.write.sessions[t.session] // like every token, a session's is looked up fresh
	switch {
	case !row.readable():
		return "", noSession.err()
	case t.sessionTokenID != row.tokenID:
		return "", wrongReadToken.err()
	case !row.expires.IsZero() && row.expires.Before(s.clock()):
		return "", sessionExpired.err()
	}
	checked := row.stamps.methods()
	user := s.projection.users[row.userID]
	switch {
	case len(checked) == 0 || row.userID == "":
		return "", nothingChecked.err()
	case row.stamps.webAuthN.IsZero() || !row.stamps.userVerified:
		if len(checked) < 2 && user.isHuman && s.requiresMFA(user) {
			return "", mfaRequired.err()
		}
	}
	return row.userID, nil
}

// methods are the factors other than the user itself.
func (t sessionStamps) methods() []userpb.AuthenticationMethodType {
	var list []userpb.AuthenticationMethodType
	for _, m := range []struct {
		checked bool
		method  userpb.AuthenticationMethodType
	}{
		{!t.password.IsZero(), userpb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_PASSWORD},
		{!t.webAuthN.IsZero(), userpb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_U2F},
		{!t.totp.IsZero(), userpb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_TOTP},
		{!t.otpSMS.IsZero(), userpb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_OTP_SMS},
		{!t.otpEmail.IsZero(), userpb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_OTP_EMAIL},
		{!t.recoveryCode.IsZero(), userpb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_RECOVERY_CODE},
	} {
		if m.checked {
			list = append(list, m.method)
		}
	}
	return list
}

// secondFactorMethods is what a second factor of a login policy is called as a method of a user.
var secondFactorMethods = map[policypb.SecondFactorType]userpb.AuthenticationMethodType{
	policypb.SecondFactorType_SECOND_FACTOR_TYPE_OTP:            userpb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_TOTP,
	policypb.SecondFactorType_SECOND_FACTOR_TYPE_U2F:            userpb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_U2F,
	policypb.SecondFactorType_SECOND_FACTOR_TYPE_OTP_EMAIL:      userpb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_OTP_EMAIL,
	policypb.SecondFactorType_SECOND_FACTOR_TYPE_OTP_SMS:        userpb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_OTP_SMS,
	policypb.SecondFactorType_SECOND_FACTOR_TYPE_RECOVERY_CODES: userpb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_RECOVERY_CODE,
}

// requiresMFA applies the policy of the user's organization: it forces, or the user has set up a
// second factor that the policy knows. A factor the policy does not list obliges to nothing.
func (s *Server) requiresMFA(user userRow) bool {
	policy, _ := effectivePolicy(s.projection, loginKind, user.owner)
	if policy.value.ForceMFA || policy.value.ForceMFALocalOnly {
		return true
	}
	methods := s.projection.methods(user.id, keysOf(nil))
	return slices.ContainsFunc(effectiveLists(s.projection, user.owner).second, func(factor int32) bool {
		method, known := secondFactorMethods[policypb.SecondFactorType(factor)]
		return known && slices.Contains(methods, method)
	})
}
