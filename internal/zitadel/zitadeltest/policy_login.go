package zitadeltest

import (
	"net/url"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	idppb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/idp"
	policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
)

// loginPolicy is the scalar part of a login policy; factors and identity providers have events and
// rows of their own (policy_login_factors.go, policy_login_idps.go).
type loginPolicy struct {
	AllowUsernamePassword      bool                      `json:"allowUsernamePassword"`
	AllowRegister              bool                      `json:"allowRegister"`
	AllowExternalIDP           bool                      `json:"allowExternalIdp"`
	ForceMFA                   bool                      `json:"forceMFA"`
	ForceMFALocalOnly          bool                      `json:"forceMFALocalOnly"`
	HidePasswordReset          bool                      `json:"hidePasswordReset"`
	IgnoreUnknownUsernames     bool                      `json:"ignoreUnknownUsernames"`
	AllowDomainDiscovery       bool                      `json:"allowDomainDiscovery"`
	DisableLoginWithEmail      bool                      `json:"disableLoginWithEmail"`
	DisableLoginWithPhone      bool                      `json:"disableLoginWithPhone"`
	PasswordlessType           policypb.PasswordlessType `json:"passwordlessType"`
	DefaultRedirectURI         string                    `json:"defaultRedirectURI"`
	PasswordCheckLifetime      time.Duration             `json:"passwordCheckLifetime"`
	ExternalLoginCheckLifetime time.Duration             `json:"externalLoginCheckLifetime"`
	MFAInitSkipLifetime        time.Duration             `json:"mfaInitSkipLifetime"`
	SecondFactorCheckLifetime  time.Duration             `json:"secondFactorCheckLifetime"`
	MultiFactorCheckLifetime   time.Duration             `json:"multiFactorCheckLifetime"`
}

var loginKind = &policyKind[loginPolicy]{
	name: "login",
	rows: func(st *state) map[string]policyRow[loginPolicy] { return st.login },
	instance: policyRefusals{
		unchanged: precondition("INSTANCE-5M9vdd", "Errors.IAM.LoginPolicy.NotChanged"),
		missing:   notFound("INSTANCE-M0sif", "Errors.IAM.LoginPolicy.NotFound"),
	},
	org: policyRefusals{
		unchanged:    precondition("Org-5M9vdd", "Errors.Org.LoginPolicy.NotChanged"),
		missing:      notFound("Org-M0sif", "Errors.Org.LoginPolicy.NotFound"),
		present:      exists("Org-Dgfb2", "Errors.Org.LoginPolicy.AlreadyExists"),
		resetMissing: notFound("Org-GHB37", "Errors.Org.LoginPolicy.NotFound"),
	},
	checkAdd: func(_ aggregate, p loginPolicy) error {
		return checkRedirect(p, invalid("Org-WSfdq", "Errors.Org.LoginPolicy.RedirectURIInvalid"))
	},
	checkChange: func(agg aggregate, p loginPolicy) error {
		if agg.kind == kindInstance {
			return checkRedirect(p, invalid("INST-SFdqd", "Errors.IAM.LoginPolicy.RedirectURIInvalid"))
		}
		return checkRedirect(p, invalid("Org-Sfd21", "Errors.Org.LoginPolicy.RedirectURIInvalid"))
	},
	removed: forgetLoginLists,
}

// checkRedirect is the only validation a login policy gets. Lifetimes have none.
func checkRedirect(p loginPolicy, bad refusal) error {
	if p.DefaultRedirectURI == "" {
		return nil
	}
	uri, err := url.Parse(p.DefaultRedirectURI)
	if err != nil || uri.Scheme == "" {
		return bad.err()
	}
	if (uri.Scheme == "http" || uri.Scheme == "https") && uri.Host == "" {
		return bad.err()
	}
	return nil
}

// loginRequest is what the login policy requests of both levels have in common.
type loginRequest interface {
	GetAllowUsernamePassword() bool
	GetAllowRegister() bool
	GetAllowExternalIdp() bool
	GetForceMfa() bool
	GetForceMfaLocalOnly() bool
	GetPasswordlessType() policypb.PasswordlessType
	GetHidePasswordReset() bool
	GetIgnoreUnknownUsernames() bool
	GetDefaultRedirectUri() string
	GetPasswordCheckLifetime() *durationpb.Duration
	GetExternalLoginCheckLifetime() *durationpb.Duration
	GetMfaInitSkipLifetime() *durationpb.Duration
	GetSecondFactorCheckLifetime() *durationpb.Duration
	GetMultiFactorCheckLifetime() *durationpb.Duration
	GetAllowDomainDiscovery() bool
	GetDisableLoginWithEmail() bool
	GetDisableLoginWithPhone() bool
}

// loginFrom takes a request as the whole policy: what is unset becomes zero.
func loginFrom(r loginRequest) loginPolicy {
	return loginPolicy{
		AllowUsernamePassword:      r.GetAllowUsernamePassword(),
		AllowRegister:              r.GetAllowRegister(),
		AllowExternalIDP:           r.GetAllowExternalIdp(),
		ForceMFA:                   r.GetForceMfa(),
		ForceMFALocalOnly:          r.GetForceMfaLocalOnly(),
		HidePasswordReset:          r.GetHidePasswordReset(),
		IgnoreUnknownUsernames:     r.GetIgnoreUnknownUsernames(),
		AllowDomainDiscovery:       r.GetAllowDomainDiscovery(),
		DisableLoginWithEmail:      r.GetDisableLoginWithEmail(),
		DisableLoginWithPhone:      r.GetDisableLoginWithPhone(),
		PasswordlessType:           r.GetPasswordlessType(),
		DefaultRedirectURI:         r.GetDefaultRedirectUri(),
		PasswordCheckLifetime:      r.GetPasswordCheckLifetime().AsDuration(),
		ExternalLoginCheckLifetime: r.GetExternalLoginCheckLifetime().AsDuration(),
		MFAInitSkipLifetime:        r.GetMfaInitSkipLifetime().AsDuration(),
		SecondFactorCheckLifetime:  r.GetSecondFactorCheckLifetime().AsDuration(),
		MultiFactorCheckLifetime:   r.GetMultiFactorCheckLifetime().AsDuration(),
	}
}

func loginPB(st *state, orgID string) *policypb.LoginPolicy {
	row, inherited := effectivePolicy(st, loginKind, orgID)
	lists := effectiveLists(st, orgID)
	p := row.value
	return &policypb.LoginPolicy{
		Details:                    row.v1(),
		AllowUsernamePassword:      p.AllowUsernamePassword,
		AllowRegister:              p.AllowRegister,
		AllowExternalIdp:           p.AllowExternalIDP,
		ForceMfa:                   p.ForceMFA,
		PasswordlessType:           p.PasswordlessType,
		IsDefault:                  inherited,
		HidePasswordReset:          p.HidePasswordReset,
		IgnoreUnknownUsernames:     p.IgnoreUnknownUsernames,
		DefaultRedirectUri:         p.DefaultRedirectURI,
		PasswordCheckLifetime:      durationpb.New(p.PasswordCheckLifetime),
		ExternalLoginCheckLifetime: durationpb.New(p.ExternalLoginCheckLifetime),
		MfaInitSkipLifetime:        durationpb.New(p.MFAInitSkipLifetime),
		SecondFactorCheckLifetime:  durationpb.New(p.SecondFactorCheckLifetime),
		MultiFactorCheckLifetime:   durationpb.New(p.MultiFactorCheckLifetime),
		SecondFactors:              enumsFrom[policypb.SecondFactorType](lists.second),
		MultiFactors:               enumsFrom[policypb.MultiFactorType](lists.multi),
		Idps:                       append([]*idppb.IDPLoginPolicyLink(nil), lists.idpLinks()...),
		AllowDomainDiscovery:       p.AllowDomainDiscovery,
		DisableLoginWithEmail:      p.DisableLoginWithEmail,
		DisableLoginWithPhone:      p.DisableLoginWithPhone,
		ForceMfaLocalOnly:          p.ForceMFALocalOnly,
	}
}
