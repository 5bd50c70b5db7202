package zitadel

import (
	"context"
	"slices"

	objectv2 "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/object/v2"
	userv2 "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"

	"github.com/neosc/mfa-operator/internal/idp"
)

// Person finds the human user the reference selects: by id with GetUserByID,
// else with ListUsers of the v2 User service. Login names and addresses are
// compared without regard to case. The error is idp.NoSuchUser if there is
// none, if it is a machine, or if we may not see it, which the server does not
// tell apart; idp.AmbiguousUser if there are several; idp.InvalidValue if the
// reference selects nothing.
func (c *Client) Person(ctx context.Context, ref idp.PersonRef) (idp.Person, error) {
	doing := "finding the user with " + ref.String()
	switch {
	case ref.UserID != "":
		return c.personByID(ctx, ref.UserID, doing)
	case ref.LoginName == "" && ref.Email == "" || ref.OrganizationID == "":
		return idp.Person{}, &idp.Error{Cause: idp.InvalidValue, Doing: doing, Detail: "the reference is incomplete"}
	}
	found, err := c.api.UserServiceV2().ListUsers(ctx, &userv2.ListUsersRequest{
		// Two are enough to know that it is not one.
		Query:   &objectv2.ListQuery{Limit: 2, Asc: true},
		Queries: []*userv2.SearchQuery{personQuery(ref), inOrganization(ref.OrganizationID), humansOnly()},
	})
	if err != nil {
		return idp.Person{}, failure(ctx, doing, err)
	}
	switch users := found.GetResult(); {
	case len(users) == 0:
		return idp.Person{}, &idp.Error{Cause: idp.NoSuchUser, Doing: doing}
	case len(users) > 1:
		return idp.Person{}, &idp.Error{Cause: idp.AmbiguousUser, Doing: doing}
	default:
		return personOf(users[0]), nil
	}
}

func (c *Client) personByID(ctx context.Context, id, doing string) (idp.Person, error) {
	found, err := c.api.UserServiceV2().GetUserByID(ctx, &userv2.GetUserByIDRequest{UserId: id})
	if err := failure(ctx, doing, err); err != nil {
		if idp.CauseOf(err) == idp.NoSuchObject {
			return idp.Person{}, &idp.Error{Cause: idp.NoSuchUser, Doing: doing}
		}
		return idp.Person{}, err
	}
	if found.GetUser().GetHuman() == nil {
		return idp.Person{}, &idp.Error{Cause: idp.NoSuchUser, Doing: doing, Detail: "it is a machine"}
	}
	return personOf(found.GetUser()), nil
}

func personQuery(ref idp.PersonRef) *userv2.SearchQuery {
	const anyCase = objectv2.TextQueryMethod_TEXT_QUERY_METHOD_EQUALS_IGNORE_CASE
	if ref.LoginName != "" {
		return &userv2.SearchQuery{Query: &userv2.SearchQuery_LoginNameQuery{
			LoginNameQuery: &userv2.LoginNameQuery{LoginName: ref.LoginName, Method: anyCase},
		}}
	}
	return &userv2.SearchQuery{Query: &userv2.SearchQuery_EmailQuery{
		EmailQuery: &userv2.EmailQuery{EmailAddress: ref.Email, Method: anyCase},
	}}
}

func inOrganization(id string) *userv2.SearchQuery {
	return &userv2.SearchQuery{Query: &userv2.SearchQuery_OrganizationIdQuery{
		OrganizationIdQuery: &userv2.OrganizationIdQuery{OrganizationId: id},
	}}
}

func humansOnly() *userv2.SearchQuery {
	return &userv2.SearchQuery{Query: &userv2.SearchQuery_TypeQuery{TypeQuery: &userv2.TypeQuery{Type: userv2.Type_TYPE_HUMAN}}}
}

func personOf(u *userv2.User) idp.Person {
	return idp.Person{
		UserID:         u.GetUserId(),
		OrganizationID: u.GetDetails().GetResourceOwner(),
		LoginName:      presentable(u.GetPreferredLoginName()),
		State:          personStates[u.GetState()],
	}
}

var personStates = map[userv2.UserState]idp.PersonState{
	userv2.UserState_USER_STATE_ACTIVE:   idp.PersonActive,
	userv2.UserState_USER_STATE_LOCKED:   idp.PersonLocked,
	userv2.UserState_USER_STATE_INACTIVE: idp.PersonInactive,
	userv2.UserState_USER_STATE_INITIAL:  idp.PersonInitial,
}

// Credentials reads what a user can prove who they are with, with
// ListAuthenticationFactors, ListPasskeys and ListAuthenticationMethodTypes of
// the v2 User service. The last is checked against our own organization and may
// be refused where the others are not; then MethodsKnown is false. The user has
// to be one that Person has found: for others the server answers with empty
// lists.
func (c *Client) Credentials(ctx context.Context, userID string) (idp.Credentials, error) {
	doing := "reading the factors of user " + userID
	factors, err := c.api.UserServiceV2().ListAuthenticationFactors(ctx, &userv2.ListAuthenticationFactorsRequest{
		UserId: userID,
		States: []userv2.AuthFactorState{userv2.AuthFactorState_AUTH_FACTOR_STATE_READY, userv2.AuthFactorState_AUTH_FACTOR_STATE_NOT_READY},
	})
	if err != nil {
		return idp.Credentials{}, failure(ctx, doing, err)
	}
	passkeys, err := c.api.UserServiceV2().ListPasskeys(ctx, &userv2.ListPasskeysRequest{UserId: userID})
	if err != nil {
		return idp.Credentials{}, failure(ctx, "reading the passkeys of user "+userID, err)
	}
	var all idp.Credentials
	for _, f := range factors.GetResult() {
		if one, known := credentialOf(f); known {
			all.List = append(all.List, one)
		}
	}
	for _, p := range passkeys.GetResult() {
		all.List = append(all.List, idp.Credential{
			Factor: idp.Passkey, ID: p.GetId(), Name: presentable(p.GetName()), Ready: isReady(p.GetState()),
		})
	}
	methods, err := c.api.UserServiceV2().ListAuthenticationMethodTypes(ctx, &userv2.ListAuthenticationMethodTypesRequest{UserId: userID})
	if err != nil && causeOf(err) == idp.MissingPermission {
		return all, nil
	}
	if err != nil {
		return idp.Credentials{}, failure(ctx, "reading the methods of user "+userID, err)
	}
	has := func(method userv2.AuthenticationMethodType) bool {
		return slices.Contains(methods.GetAuthMethodTypes(), method)
	}
	if has(userv2.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_RECOVERY_CODE) {
		all.List = append(all.List, idp.Credential{Factor: idp.RecoveryCodes, Ready: true})
	}
	all.MethodsKnown = true
	all.HasPassword = has(userv2.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_PASSWORD)
	all.Linked = has(userv2.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_IDP)
	return all, nil
}

// credentialOf reports false for a type that only a newer server knows.
func credentialOf(f *userv2.AuthFactor) (idp.Credential, bool) {
	one := idp.Credential{Ready: isReady(f.GetState())}
	switch kind := f.GetType().(type) {
	case *userv2.AuthFactor_Otp:
		one.Factor = idp.TOTP
	case *userv2.AuthFactor_U2F:
		one.Factor, one.ID, one.Name = idp.U2F, kind.U2F.GetId(), presentable(kind.U2F.GetName())
	case *userv2.AuthFactor_OtpSms:
		one.Factor = idp.OTPSMS
	case *userv2.AuthFactor_OtpEmail:
		one.Factor = idp.OTPEmail
	default:
		return idp.Credential{}, false
	}
	return one, true
}

func isReady(s userv2.AuthFactorState) bool {
	return s == userv2.AuthFactorState_AUTH_FACTOR_STATE_READY
}
