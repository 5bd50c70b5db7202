package zitadeltest

import (
	"github.com/go-webauthn/webauthn/protocol"
	"google.golang.org/protobuf/types/known/structpb"

	sessionpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/session/v2"
	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// verifications maps what a challenge may require. Required means passkeys, everything else U2F.
var verifications = map[sessionpb.UserVerificationRequirement]protocol.UserVerificationRequirement{
	sessionpb.UserVerificationRequirement_USER_VERIFICATION_REQUIREMENT_REQUIRED:    protocol.VerificationRequired,
	sessionpb.UserVerificationRequirement_USER_VERIFICATION_REQUIREMENT_PREFERRED:   protocol.VerificationPreferred,
	sessionpb.UserVerificationRequirement_USER_VERIFICATION_REQUIREMENT_DISCOURAGED: protocol.VerificationDiscouraged,
}

func (u *sessionUpdate) challengeWebAuthN(asked *sessionpb.RequestChallenges_WebAuthN) error {
	kind := u2fKey
	if asked.GetUserVerificationRequirement() == sessionpb.UserVerificationRequirement_USER_VERIFICATION_REQUIREMENT_REQUIRED {
		kind = passkeyKey
	}
	domain := orDefault(asked.GetDomain(), u.domain)
	user, err := u.webAuthnUser(kind, domain)
	if err != nil {
		return err
	}
	options, ceremony, err := requestOptions(user, verifications[asked.GetUserVerificationRequirement()], domain)
	if err != nil {
		return err
	}
	u.add(sessionWebAuthnChallenged{&webAuthnChallenge{kind, *ceremony}})
	u.answer.WebAuthN = &sessionpb.Challenges_WebAuthN{PublicKeyCredentialRequestOptions: options}
	return nil
}

// checkWebAuthN needs a challenge of an earlier request. Whether the user was verified is what the
// authenticator says, so it may be true for a U2F key.
func (u *sessionUpdate) checkWebAuthN(answer *structpb.Struct) error {
	challenge := u.row.challenges.webAuthN
	if challenge == nil {
		return precondition("COMMAND-Ioqu5", "Errors.Session.WebAuthN.NoChallenge").err()
	}
	user, err := u.webAuthnUser(challenge.kind, challenge.ceremony.RelyingPartyID)
	if err != nil {
		return err
	}
	credential, verified, err := finishLogin(user, challenge.ceremony, answer)
	if err != nil {
		return err
	}
	key, known := u.write.factors[user.row.id].keys.keyOf(credential.ID)
	if !known {
		return precondition("COMMAND-Aej7i", "Errors.User.WebAuthN.NotFound").err()
	}
	u.add(sessionFactorChecked{factor: factorWebAuthN, userVerified: verified, checked: u.clock()})
	u.add(keySignCountChanged{id: key.id, kind: challenge.kind, signCount: credential.Authenticator.SignCount})
	return nil
}

func (u *sessionUpdate) webAuthnUser(kind keyKind, domain string) (webAuthnUser, error) {
	if u.row.userID == "" {
		return webAuthnUser{}, precondition("COMMAND-eeR2e", "Errors.User.UserIDMissing").err()
	}
	row := u.write.users[u.row.userID]
	if !row.isHuman || row.state != userpb.UserState_USER_STATE_ACTIVE {
		return webAuthnUser{}, precondition("COMMAND-Df4b3", "Errors.User.NotFound").err()
	}
	return webAuthnUser{row, u.write.factors[row.id].keys.usable(kind, domain)}, nil
}
