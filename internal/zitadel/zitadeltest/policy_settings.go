package zitadeltest

import (
	"context"

	objectv2pb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/object/v2"
	policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
	settingspb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/settings/v2"
)

// settingsService is the v2 way to read policies. It cannot write them, it has its own names for the
// same fields, and it answers for an organization that does not exist as if it inherited.
type settingsService struct {
	settingspb.UnimplementedSettingsServiceServer
	*Server
}

// settingsScope is whose settings a request asks for. No context means the organization of the
// call, as on the real server.
func (s settingsService) settingsScope(ctx context.Context, asked *objectv2pb.RequestContext) string {
	switch {
	case asked.GetInstance():
		return s.instanceID
	case asked.GetOrgId() != "":
		return asked.GetOrgId()
	}
	return callOf(ctx).org
}

func ownerType(inherited bool) settingspb.ResourceOwnerType {
	if inherited {
		return settingspb.ResourceOwnerType_RESOURCE_OWNER_TYPE_INSTANCE
	}
	return settingspb.ResourceOwnerType_RESOURCE_OWNER_TYPE_ORG
}

func (s settingsService) GetLoginSettings(ctx context.Context, r *settingspb.GetLoginSettingsRequest) (*settingspb.GetLoginSettingsResponse, error) {
	scope := s.settingsScope(ctx, r.GetCtx())
	row, _ := effectivePolicy(s.read(), loginKind, scope)
	p := loginPB(s.read(), scope)
	passkeys := settingspb.PasskeysType_PASSKEYS_TYPE_NOT_ALLOWED
	if p.GetPasswordlessType() == policypb.PasswordlessType_PASSWORDLESS_TYPE_ALLOWED {
		passkeys = settingspb.PasskeysType_PASSKEYS_TYPE_ALLOWED
	}
	lists := effectiveLists(s.read(), scope)
	return &settingspb.GetLoginSettingsResponse{
		Details: row.v2(),
		Settings: &settingspb.LoginSettings{
			AllowUsernamePassword:      p.GetAllowUsernamePassword(),
			AllowLocalAuthentication:   p.GetAllowUsernamePassword(),
			AllowRegister:              p.GetAllowRegister(),
			AllowExternalIdp:           p.GetAllowExternalIdp(),
			ForceMfa:                   p.GetForceMfa(),
			ForceMfaLocalOnly:          p.GetForceMfaLocalOnly(),
			PasskeysType:               passkeys,
			HidePasswordReset:          p.GetHidePasswordReset(),
			IgnoreUnknownUsernames:     p.GetIgnoreUnknownUsernames(),
			DefaultRedirectUri:         p.GetDefaultRedirectUri(),
			PasswordCheckLifetime:      p.GetPasswordCheckLifetime(),
			ExternalLoginCheckLifetime: p.GetExternalLoginCheckLifetime(),
			MfaInitSkipLifetime:        p.GetMfaInitSkipLifetime(),
			SecondFactorCheckLifetime:  p.GetSecondFactorCheckLifetime(),
			MultiFactorCheckLifetime:   p.GetMultiFactorCheckLifetime(),
			SecondFactors:              enumsFrom[settingspb.SecondFactorType](lists.second),
			MultiFactors:               enumsFrom[settingspb.MultiFactorType](lists.multi),
			AllowDomainDiscovery:       p.GetAllowDomainDiscovery(),
			DisableLoginWithEmail:      p.GetDisableLoginWithEmail(),
			DisableLoginWithPhone:      p.GetDisableLoginWithPhone(),
			ResourceOwnerType:          ownerType(p.GetIsDefault()),
		},
	}, nil
}

func (s settingsService) GetLockoutSettings(ctx context.Context, r *settingspb.GetLockoutSettingsRequest) (*settingspb.GetLockoutSettingsResponse, error) {
	row, inherited := effectivePolicy(s.read(), lockoutKind, s.settingsScope(ctx, r.GetCtx()))
	return &settingspb.GetLockoutSettingsResponse{
		Details: row.v2(),
		Settings: &settingspb.LockoutSettings{
			MaxPasswordAttempts: row.value.MaxPasswordAttempts,
			MaxOtpAttempts:      row.value.MaxOTPAttempts,
			ResourceOwnerType:   ownerType(inherited),
		},
	}, nil
}

func (s settingsService) GetPasswordComplexitySettings(ctx context.Context, r *settingspb.GetPasswordComplexitySettingsRequest) (*settingspb.GetPasswordComplexitySettingsResponse, error) {
	row, inherited := effectivePolicy(s.read(), complexityKind, s.settingsScope(ctx, r.GetCtx()))
	return &settingspb.GetPasswordComplexitySettingsResponse{
		Details: row.v2(),
		Settings: &settingspb.PasswordComplexitySettings{
			MinLength:         row.value.MinLength,
			RequiresUppercase: row.value.HasUppercase,
			RequiresLowercase: row.value.HasLowercase,
			RequiresNumber:    row.value.HasNumber,
			RequiresSymbol:    row.value.HasSymbol,
			ResourceOwnerType: ownerType(inherited),
		},
	}, nil
}

func (s settingsService) GetPasswordExpirySettings(ctx context.Context, r *settingspb.GetPasswordExpirySettingsRequest) (*settingspb.GetPasswordExpirySettingsResponse, error) {
	row, inherited := effectivePolicy(s.read(), ageKind, s.settingsScope(ctx, r.GetCtx()))
	return &settingspb.GetPasswordExpirySettingsResponse{
		Details: row.v2(),
		Settings: &settingspb.PasswordExpirySettings{
			MaxAgeDays:        row.value.MaxAgeDays,
			ExpireWarnDays:    row.value.ExpireWarnDays,
			ResourceOwnerType: ownerType(inherited),
		},
	}, nil
}
