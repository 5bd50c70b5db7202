package zitadeltest

import (
	"context"
	"slices"

	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// userFactors are the second factors of one user. Adding and removing them touches neither the
// user's sequence nor its change date.
type userFactors struct {
	totp     totpFactor
	otpSMS   bool
	otpEmail bool
	recovery recoveryCodes
	keys     webAuthnKeys
	// passkeyCodes are the unused codes of registration links, by id; never edited in place.
	passkeyCodes map[string]string
	// failedOTP counts wrong codes since the last right one or unlock, per kind of factor.
	failedOTP map[otpKind]int
}

func editFactors(st *state, e *event, edit func(*userFactors)) {
	row := st.factors[e.id]
	edit(&row)
	st.factors[e.id] = row
}

// mayCredential checks the right to give a user credentials: more than the right to take them away.
func (s *Server) mayCredential(ctx context.Context, userID string) error {
	return s.mayUser(ctx, "user.credential.write", userID, true)
}

// mayRemoveFactor checks the right to take a factor away.
func (s *Server) mayRemoveFactor(ctx context.Context, userID string) error {
	return s.mayUser(ctx, "user.write", userID, true)
}

// ListAuthenticationMethodTypes checks the caller's own scope, not the target's: an administrator of
// one organization may look at users of another. An unknown user has no methods.
func (s userService) ListAuthenticationMethodTypes(ctx context.Context, r *userpb.ListAuthenticationMethodTypesRequest) (*userpb.ListAuthenticationMethodTypesResponse, error) {
	if r.GetUserId() != callOf(ctx).userID {
		if err := s.mayObject(ctx, "user.read", callOf(ctx).org); err != nil {
			return nil, err
		}
	}
	methods := s.read().methods(r.GetUserId(), keysOf(r.GetDomainQuery()))
	return &userpb.ListAuthenticationMethodTypesResponse{Details: s.listDetails(len(methods)), AuthMethodTypes: methods}, nil
}

// keysOf tells which keys a query is about: without a domain all of them. Methods that know no domain
// are never left out.
func keysOf(query *userpb.DomainQuery) func(webAuthnKey) bool {
	return func(key webAuthnKey) bool {
		domain := key.ceremony.RelyingPartyID
		return query.GetDomain() == "" || domain == query.GetDomain() || (query.GetIncludeWithoutDomain() && domain == "")
	}
}

// methods lists what a user can authenticate with by now, each type once, as far as it is about keys
// only those that count.
func (st *state) methods(userID string, counts func(webAuthnKey) bool) []userpb.AuthenticationMethodType {
	user, factors := st.users[userID], st.factors[userID]
	var methods []userpb.AuthenticationMethodType
	add := func(has bool, method userpb.AuthenticationMethodType) {
		if has {
			methods = append(methods, method)
		}
	}
	has := func(ready func(webAuthnKey) bool) bool {
		return slices.ContainsFunc(factors.keys.listed, func(k webAuthnKey) bool { return ready(k) && counts(k) })
	}
	add(user.exists() && user.human.password != "", userpb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_PASSWORD)
	add(has(webAuthnKey.readyPasskey), userpb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_PASSKEY)
	add(has(webAuthnKey.readyU2F), userpb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_U2F)
	add(factors.totp.ready, userpb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_TOTP)
	add(factors.otpSMS, userpb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_OTP_SMS)
	add(factors.otpEmail, userpb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_OTP_EMAIL)
	add(len(factors.recovery.codes) > 0, userpb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_RECOVERY_CODE)
	return methods
}

// ListAuthenticationFactors shows ready factors unless asked for others too. Passkeys and recovery
// codes are methods but not factors.
func (s userService) ListAuthenticationFactors(ctx context.Context, r *userpb.ListAuthenticationFactorsRequest) (*userpb.ListAuthenticationFactorsResponse, error) {
	st := s.read()
	response := &userpb.ListAuthenticationFactorsResponse{}
	user := st.users[r.GetUserId()]
	if user.id != callOf(ctx).userID && !s.may(ctx, "user.read", user.owner) {
		return response, nil
	}
	states := r.GetStates()
	if len(states) == 0 {
		states = []userpb.AuthFactorState{userpb.AuthFactorState_AUTH_FACTOR_STATE_READY}
	}
	for _, f := range st.factors[r.GetUserId()].list() {
		wanted := len(r.GetAuthFactors()) == 0 || slices.Contains(r.GetAuthFactors(), f.kind)
		if wanted && slices.Contains(states, f.pb.GetState()) {
			response.Result = append(response.Result, f.pb)
		}
	}
	return response, nil
}

type listedFactor struct {
	kind userpb.AuthFactors
	pb   *userpb.AuthFactor
}

func (f userFactors) list() []listedFactor {
	var list []listedFactor
	if f.totp.secret != "" {
		list = append(list, listedFactor{userpb.AuthFactors_OTP, &userpb.AuthFactor{
			State: factorState(f.totp.ready), Type: &userpb.AuthFactor_Otp{Otp: &userpb.AuthFactorOTP{}},
		}})
	}
	for _, key := range f.keys.listed {
		if key.kind == u2fKey {
			list = append(list, listedFactor{userpb.AuthFactors_U2F, &userpb.AuthFactor{
				State: factorState(key.ready), Type: &userpb.AuthFactor_U2F{U2F: &userpb.AuthFactorU2F{Id: key.id, Name: key.name}},
			}})
		}
	}
	if f.otpSMS {
		list = append(list, listedFactor{userpb.AuthFactors_OTP_SMS, &userpb.AuthFactor{
			State: factorState(true), Type: &userpb.AuthFactor_OtpSms{OtpSms: &userpb.AuthFactorOTPSMS{}},
		}})
	}
	if f.otpEmail {
		list = append(list, listedFactor{userpb.AuthFactors_OTP_EMAIL, &userpb.AuthFactor{
			State: factorState(true), Type: &userpb.AuthFactor_OtpEmail{OtpEmail: &userpb.AuthFactorOTPEmail{}},
		}})
	}
	return list
}

func factorState(ready bool) userpb.AuthFactorState {
	if ready {
		return userpb.AuthFactorState_AUTH_FACTOR_STATE_READY
	}
	return userpb.AuthFactorState_AUTH_FACTOR_STATE_NOT_READY
}
