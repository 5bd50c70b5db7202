package zitadeltest

import (
	"context"

	managementpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/management"
	policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
)

// managementService is the organization-level v1 API. It acts on the organization of the call
// (callOf(ctx).org): the one named in the header, else the caller's own.
type managementService struct {
	managementpb.UnimplementedManagementServiceServer
	*Server
}

func (managementService) Healthz(context.Context, *managementpb.HealthzRequest) (*managementpb.HealthzResponse, error) {
	return &managementpb.HealthzResponse{}, nil
}

func (s managementService) GetLoginPolicy(ctx context.Context, _ *managementpb.GetLoginPolicyRequest) (*managementpb.GetLoginPolicyResponse, error) {
	p := loginPB(s.read(), callOf(ctx).org)
	return &managementpb.GetLoginPolicyResponse{Policy: p, IsDefault: p.GetIsDefault()}, nil
}

func (s managementService) GetDefaultLoginPolicy(context.Context, *managementpb.GetDefaultLoginPolicyRequest) (*managementpb.GetDefaultLoginPolicyResponse, error) {
	return &managementpb.GetDefaultLoginPolicyResponse{Policy: loginPB(s.read(), s.instanceID)}, nil
}

func (s managementService) AddCustomLoginPolicy(ctx context.Context, r *managementpb.AddCustomLoginPolicyRequest) (*managementpb.AddCustomLoginPolicyResponse, error) {
	value := loginFrom(r)
	if err := loginKind.checkAdd(callOrg(ctx), value); err != nil {
		return nil, err
	}
	factors, err := listedFactors(r.GetSecondFactors(), r.GetMultiFactors())
	if err != nil {
		return nil, err
	}
	e, err := addPolicy(ctx, s.Server, loginKind, callOrg(ctx), value, func() ([]change, error) {
		var ids []string
		for _, idp := range r.GetIdps() {
			ids = append(ids, idp.GetIdpId())
		}
		idps, err := s.listedIDPs(ids)
		return append(factors, idps...), err
	})
	if err != nil {
		return nil, err
	}
	return &managementpb.AddCustomLoginPolicyResponse{Details: addedDetails(e)}, nil
}

func (s managementService) UpdateCustomLoginPolicy(ctx context.Context, r *managementpb.UpdateCustomLoginPolicyRequest) (*managementpb.UpdateCustomLoginPolicyResponse, error) {
	e, err := changePolicy(ctx, s.Server, loginKind, callOrg(ctx), loginFrom(r))
	if err != nil {
		return nil, err
	}
	return &managementpb.UpdateCustomLoginPolicyResponse{Details: changedDetails(e)}, nil
}

func (s managementService) ResetLoginPolicyToDefault(ctx context.Context, _ *managementpb.ResetLoginPolicyToDefaultRequest) (*managementpb.ResetLoginPolicyToDefaultResponse, error) {
	e, err := resetPolicy(ctx, s.Server, loginKind, callOrg(ctx))
	if err != nil {
		return nil, err
	}
	return &managementpb.ResetLoginPolicyToDefaultResponse{Details: changedDetails(e)}, nil
}

func (s managementService) ListLoginPolicySecondFactors(ctx context.Context, _ *managementpb.ListLoginPolicySecondFactorsRequest) (*managementpb.ListLoginPolicySecondFactorsResponse, error) {
	factors := effectiveLists(s.read(), callOf(ctx).org).second
	return &managementpb.ListLoginPolicySecondFactorsResponse{
		Details: s.listDetailsV1(len(factors)), Result: enumsFrom[policypb.SecondFactorType](factors),
	}, nil
}

func (s managementService) AddSecondFactorToLoginPolicy(ctx context.Context, r *managementpb.AddSecondFactorToLoginPolicyRequest) (*managementpb.AddSecondFactorToLoginPolicyResponse, error) {
	e, err := s.addFactor(ctx, callOrg(ctx), secondFactor, int32(r.GetType()))
	if err != nil {
		return nil, err
	}
	return &managementpb.AddSecondFactorToLoginPolicyResponse{Details: addedDetails(e)}, nil
}

func (s managementService) RemoveSecondFactorFromLoginPolicy(ctx context.Context, r *managementpb.RemoveSecondFactorFromLoginPolicyRequest) (*managementpb.RemoveSecondFactorFromLoginPolicyResponse, error) {
	e, err := s.removeFactor(ctx, callOrg(ctx), secondFactor, int32(r.GetType()))
	if err != nil {
		return nil, err
	}
	return &managementpb.RemoveSecondFactorFromLoginPolicyResponse{Details: changedDetails(e)}, nil
}

func (s managementService) ListLoginPolicyMultiFactors(ctx context.Context, _ *managementpb.ListLoginPolicyMultiFactorsRequest) (*managementpb.ListLoginPolicyMultiFactorsResponse, error) {
	factors := effectiveLists(s.read(), callOf(ctx).org).multi
	return &managementpb.ListLoginPolicyMultiFactorsResponse{
		Details: s.listDetailsV1(len(factors)), Result: enumsFrom[policypb.MultiFactorType](factors),
	}, nil
}

func (s managementService) AddMultiFactorToLoginPolicy(ctx context.Context, r *managementpb.AddMultiFactorToLoginPolicyRequest) (*managementpb.AddMultiFactorToLoginPolicyResponse, error) {
	e, err := s.addFactor(ctx, callOrg(ctx), multiFactor, int32(r.GetType()))
	if err != nil {
		return nil, err
	}
	return &managementpb.AddMultiFactorToLoginPolicyResponse{Details: addedDetails(e)}, nil
}

func (s managementService) RemoveMultiFactorFromLoginPolicy(ctx context.Context, r *managementpb.RemoveMultiFactorFromLoginPolicyRequest) (*managementpb.RemoveMultiFactorFromLoginPolicyResponse, error) {
	e, err := s.removeFactor(ctx, callOrg(ctx), multiFactor, int32(r.GetType()))
	if err != nil {
		return nil, err
	}
	return &managementpb.RemoveMultiFactorFromLoginPolicyResponse{Details: changedDetails(e)}, nil
}

func (s managementService) ListLoginPolicyIDPs(ctx context.Context, _ *managementpb.ListLoginPolicyIDPsRequest) (*managementpb.ListLoginPolicyIDPsResponse, error) {
	links := effectiveLists(s.read(), callOf(ctx).org).idpLinks()
	return &managementpb.ListLoginPolicyIDPsResponse{Details: s.listDetailsV1(len(links)), Result: links}, nil
}

func (s managementService) GetLockoutPolicy(ctx context.Context, _ *managementpb.GetLockoutPolicyRequest) (*managementpb.GetLockoutPolicyResponse, error) {
	p := lockoutPB(s.read(), callOf(ctx).org)
	return &managementpb.GetLockoutPolicyResponse{Policy: p, IsDefault: p.GetIsDefault()}, nil
}

func (s managementService) GetDefaultLockoutPolicy(context.Context, *managementpb.GetDefaultLockoutPolicyRequest) (*managementpb.GetDefaultLockoutPolicyResponse, error) {
	return &managementpb.GetDefaultLockoutPolicyResponse{Policy: lockoutPB(s.read(), s.instanceID)}, nil
}

func (s managementService) AddCustomLockoutPolicy(ctx context.Context, r *managementpb.AddCustomLockoutPolicyRequest) (*managementpb.AddCustomLockoutPolicyResponse, error) {
	e, err := addPolicy(ctx, s.Server, lockoutKind, callOrg(ctx), lockoutFrom(r), nil)
	if err != nil {
		return nil, err
	}
	return &managementpb.AddCustomLockoutPolicyResponse{Details: addedDetails(e)}, nil
}

func (s managementService) UpdateCustomLockoutPolicy(ctx context.Context, r *managementpb.UpdateCustomLockoutPolicyRequest) (*managementpb.UpdateCustomLockoutPolicyResponse, error) {
	e, err := changePolicy(ctx, s.Server, lockoutKind, callOrg(ctx), lockoutFrom(r))
	if err != nil {
		return nil, err
	}
	return &managementpb.UpdateCustomLockoutPolicyResponse{Details: changedDetails(e)}, nil
}

func (s managementService) ResetLockoutPolicyToDefault(ctx context.Context, _ *managementpb.ResetLockoutPolicyToDefaultRequest) (*managementpb.ResetLockoutPolicyToDefaultResponse, error) {
	e, err := resetPolicy(ctx, s.Server, lockoutKind, callOrg(ctx))
	if err != nil {
		return nil, err
	}
	return &managementpb.ResetLockoutPolicyToDefaultResponse{Details: changedDetails(e)}, nil
}

func (s managementService) GetPasswordComplexityPolicy(ctx context.Context, _ *managementpb.GetPasswordComplexityPolicyRequest) (*managementpb.GetPasswordComplexityPolicyResponse, error) {
	p := complexityPB(s.read(), callOf(ctx).org)
	return &managementpb.GetPasswordComplexityPolicyResponse{Policy: p, IsDefault: p.GetIsDefault()}, nil
}

func (s managementService) GetDefaultPasswordComplexityPolicy(context.Context, *managementpb.GetDefaultPasswordComplexityPolicyRequest) (*managementpb.GetDefaultPasswordComplexityPolicyResponse, error) {
	return &managementpb.GetDefaultPasswordComplexityPolicyResponse{Policy: complexityPB(s.read(), s.instanceID)}, nil
}

func (s managementService) AddCustomPasswordComplexityPolicy(ctx context.Context, r *managementpb.AddCustomPasswordComplexityPolicyRequest) (*managementpb.AddCustomPasswordComplexityPolicyResponse, error) {
	e, err := addPolicy(ctx, s.Server, complexityKind, callOrg(ctx), complexityFrom(r.GetMinLength(), r), nil)
	if err != nil {
		return nil, err
	}
	return &managementpb.AddCustomPasswordComplexityPolicyResponse{Details: addedDetails(e)}, nil
}

func (s managementService) UpdateCustomPasswordComplexityPolicy(ctx context.Context, r *managementpb.UpdateCustomPasswordComplexityPolicyRequest) (*managementpb.UpdateCustomPasswordComplexityPolicyResponse, error) {
	e, err := changePolicy(ctx, s.Server, complexityKind, callOrg(ctx), complexityFrom(r.GetMinLength(), r))
	if err != nil {
		return nil, err
	}
	return &managementpb.UpdateCustomPasswordComplexityPolicyResponse{Details: changedDetails(e)}, nil
}

func (s managementService) ResetPasswordComplexityPolicyToDefault(ctx context.Context, _ *managementpb.ResetPasswordComplexityPolicyToDefaultRequest) (*managementpb.ResetPasswordComplexityPolicyToDefaultResponse, error) {
	e, err := resetPolicy(ctx, s.Server, complexityKind, callOrg(ctx))
	if err != nil {
		return nil, err
	}
	return &managementpb.ResetPasswordComplexityPolicyToDefaultResponse{Details: changedDetails(e)}, nil
}

func (s managementService) GetPasswordAgePolicy(ctx context.Context, _ *managementpb.GetPasswordAgePolicyRequest) (*managementpb.GetPasswordAgePolicyResponse, error) {
	p := agePB(s.read(), callOf(ctx).org)
	return &managementpb.GetPasswordAgePolicyResponse{Policy: p, IsDefault: p.GetIsDefault()}, nil
}

func (s managementService) GetDefaultPasswordAgePolicy(context.Context, *managementpb.GetDefaultPasswordAgePolicyRequest) (*managementpb.GetDefaultPasswordAgePolicyResponse, error) {
	return &managementpb.GetDefaultPasswordAgePolicyResponse{Policy: agePB(s.read(), s.instanceID)}, nil
}

func (s managementService) AddCustomPasswordAgePolicy(ctx context.Context, r *managementpb.AddCustomPasswordAgePolicyRequest) (*managementpb.AddCustomPasswordAgePolicyResponse, error) {
	e, err := addPolicy(ctx, s.Server, ageKind, callOrg(ctx), ageFrom(r), nil)
	if err != nil {
		return nil, err
	}
	return &managementpb.AddCustomPasswordAgePolicyResponse{Details: addedDetails(e)}, nil
}

func (s managementService) UpdateCustomPasswordAgePolicy(ctx context.Context, r *managementpb.UpdateCustomPasswordAgePolicyRequest) (*managementpb.UpdateCustomPasswordAgePolicyResponse, error) {
	e, err := changePolicy(ctx, s.Server, ageKind, callOrg(ctx), ageFrom(r))
	if err != nil {
		return nil, err
	}
	return &managementpb.UpdateCustomPasswordAgePolicyResponse{Details: changedDetails(e)}, nil
}

func (s managementService) ResetPasswordAgePolicyToDefault(ctx context.Context, _ *managementpb.ResetPasswordAgePolicyToDefaultRequest) (*managementpb.ResetPasswordAgePolicyToDefaultResponse, error) {
	e, err := resetPolicy(ctx, s.Server, ageKind, callOrg(ctx))
	if err != nil {
		return nil, err
	}
	return &managementpb.ResetPasswordAgePolicyToDefaultResponse{Details: changedDetails(e)}, nil
}

// GetNotificationPolicy is the one policy whose response does not repeat is_default.
func (s managementService) GetNotificationPolicy(ctx context.Context, _ *managementpb.GetNotificationPolicyRequest) (*managementpb.GetNotificationPolicyResponse, error) {
	return &managementpb.GetNotificationPolicyResponse{Policy: notificationPB(s.read(), callOf(ctx).org)}, nil
}

func (s managementService) GetDefaultNotificationPolicy(context.Context, *managementpb.GetDefaultNotificationPolicyRequest) (*managementpb.GetDefaultNotificationPolicyResponse, error) {
	return &managementpb.GetDefaultNotificationPolicyResponse{Policy: notificationPB(s.read(), s.instanceID)}, nil
}

func (s managementService) AddCustomNotificationPolicy(ctx context.Context, r *managementpb.AddCustomNotificationPolicyRequest) (*managementpb.AddCustomNotificationPolicyResponse, error) {
	e, err := addPolicy(ctx, s.Server, notificationKind, callOrg(ctx), notificationPolicy{r.GetPasswordChange()}, nil)
	if err != nil {
		return nil, err
	}
	return &managementpb.AddCustomNotificationPolicyResponse{Details: addedDetails(e)}, nil
}

func (s managementService) UpdateCustomNotificationPolicy(ctx context.Context, r *managementpb.UpdateCustomNotificationPolicyRequest) (*managementpb.UpdateCustomNotificationPolicyResponse, error) {
	e, err := changePolicy(ctx, s.Server, notificationKind, callOrg(ctx), notificationPolicy{r.GetPasswordChange()})
	if err != nil {
		return nil, err
	}
	return &managementpb.UpdateCustomNotificationPolicyResponse{Details: changedDetails(e)}, nil
}

func (s managementService) ResetNotificationPolicyToDefault(ctx context.Context, _ *managementpb.ResetNotificationPolicyToDefaultRequest) (*managementpb.ResetNotificationPolicyToDefaultResponse, error) {
	e, err := resetPolicy(ctx, s.Server, notificationKind, callOrg(ctx))
	if err != nil {
		return nil, err
	}
	return &managementpb.ResetNotificationPolicyToDefaultResponse{Details: changedDetails(e)}, nil
}
