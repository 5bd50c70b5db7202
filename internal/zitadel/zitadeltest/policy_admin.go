package zitadeltest

import (
	"context"

	adminpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/admin"
	policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
)

// The instance's policies: what applies wherever an organization has none of its own.

func (s adminService) GetLoginPolicy(context.Context, *adminpb.GetLoginPolicyRequest) (*adminpb.GetLoginPolicyResponse, error) {
	return &adminpb.GetLoginPolicyResponse{Policy: loginPB(s.read(), s.instanceID)}, nil
}

func (s adminService) UpdateLoginPolicy(ctx context.Context, r *adminpb.UpdateLoginPolicyRequest) (*adminpb.UpdateLoginPolicyResponse, error) {
	e, err := changePolicy(ctx, s.Server, loginKind, s.instance(), loginFrom(r))
	if err != nil {
		return nil, err
	}
	return &adminpb.UpdateLoginPolicyResponse{Details: changedDetails(e)}, nil
}

func (s adminService) ListLoginPolicySecondFactors(context.Context, *adminpb.ListLoginPolicySecondFactorsRequest) (*adminpb.ListLoginPolicySecondFactorsResponse, error) {
	factors := effectiveLists(s.read(), s.instanceID).second
	return &adminpb.ListLoginPolicySecondFactorsResponse{
		Details: s.listDetailsV1(len(factors)), Result: enumsFrom[policypb.SecondFactorType](factors),
	}, nil
}

func (s adminService) AddSecondFactorToLoginPolicy(ctx context.Context, r *adminpb.AddSecondFactorToLoginPolicyRequest) (*adminpb.AddSecondFactorToLoginPolicyResponse, error) {
	e, err := s.addFactor(ctx, s.instance(), secondFactor, int32(r.GetType()))
	if err != nil {
		return nil, err
	}
	return &adminpb.AddSecondFactorToLoginPolicyResponse{Details: addedDetails(e)}, nil
}

func (s adminService) RemoveSecondFactorFromLoginPolicy(ctx context.Context, r *adminpb.RemoveSecondFactorFromLoginPolicyRequest) (*adminpb.RemoveSecondFactorFromLoginPolicyResponse, error) {
	e, err := s.removeFactor(ctx, s.instance(), secondFactor, int32(r.GetType()))
	if err != nil {
		return nil, err
	}
	return &adminpb.RemoveSecondFactorFromLoginPolicyResponse{Details: changedDetails(e)}, nil
}

func (s adminService) ListLoginPolicyMultiFactors(context.Context, *adminpb.ListLoginPolicyMultiFactorsRequest) (*adminpb.ListLoginPolicyMultiFactorsResponse, error) {
	factors := effectiveLists(s.read(), s.instanceID).multi
	return &adminpb.ListLoginPolicyMultiFactorsResponse{
		Details: s.listDetailsV1(len(factors)), Result: enumsFrom[policypb.MultiFactorType](factors),
	}, nil
}

func (s adminService) AddMultiFactorToLoginPolicy(ctx context.Context, r *adminpb.AddMultiFactorToLoginPolicyRequest) (*adminpb.AddMultiFactorToLoginPolicyResponse, error) {
	e, err := s.addFactor(ctx, s.instance(), multiFactor, int32(r.GetType()))
	if err != nil {
		return nil, err
	}
	return &adminpb.AddMultiFactorToLoginPolicyResponse{Details: addedDetails(e)}, nil
}

func (s adminService) RemoveMultiFactorFromLoginPolicy(ctx context.Context, r *adminpb.RemoveMultiFactorFromLoginPolicyRequest) (*adminpb.RemoveMultiFactorFromLoginPolicyResponse, error) {
	e, err := s.removeFactor(ctx, s.instance(), multiFactor, int32(r.GetType()))
	if err != nil {
		return nil, err
	}
	return &adminpb.RemoveMultiFactorFromLoginPolicyResponse{Details: changedDetails(e)}, nil
}

func (s adminService) ListLoginPolicyIDPs(context.Context, *adminpb.ListLoginPolicyIDPsRequest) (*adminpb.ListLoginPolicyIDPsResponse, error) {
	links := effectiveLists(s.read(), s.instanceID).idpLinks()
	return &adminpb.ListLoginPolicyIDPsResponse{Details: s.listDetailsV1(len(links)), Result: links}, nil
}

func (s adminService) GetLockoutPolicy(context.Context, *adminpb.GetLockoutPolicyRequest) (*adminpb.GetLockoutPolicyResponse, error) {
	return &adminpb.GetLockoutPolicyResponse{Policy: lockoutPB(s.read(), s.instanceID)}, nil
}

func (s adminService) UpdateLockoutPolicy(ctx context.Context, r *adminpb.UpdateLockoutPolicyRequest) (*adminpb.UpdateLockoutPolicyResponse, error) {
	e, err := changePolicy(ctx, s.Server, lockoutKind, s.instance(), lockoutFrom(r))
	if err != nil {
		return nil, err
	}
	return &adminpb.UpdateLockoutPolicyResponse{Details: changedDetails(e)}, nil
}

func (s adminService) GetPasswordComplexityPolicy(context.Context, *adminpb.GetPasswordComplexityPolicyRequest) (*adminpb.GetPasswordComplexityPolicyResponse, error) {
	return &adminpb.GetPasswordComplexityPolicyResponse{Policy: complexityPB(s.read(), s.instanceID)}, nil
}

func (s adminService) UpdatePasswordComplexityPolicy(ctx context.Context, r *adminpb.UpdatePasswordComplexityPolicyRequest) (*adminpb.UpdatePasswordComplexityPolicyResponse, error) {
	e, err := changePolicy(ctx, s.Server, complexityKind, s.instance(), complexityFrom(uint64(r.GetMinLength()), r))
	if err != nil {
		return nil, err
	}
	return &adminpb.UpdatePasswordComplexityPolicyResponse{Details: changedDetails(e)}, nil
}

func (s adminService) GetPasswordAgePolicy(context.Context, *adminpb.GetPasswordAgePolicyRequest) (*adminpb.GetPasswordAgePolicyResponse, error) {
	return &adminpb.GetPasswordAgePolicyResponse{Policy: agePB(s.read(), s.instanceID)}, nil
}

func (s adminService) UpdatePasswordAgePolicy(ctx context.Context, r *adminpb.UpdatePasswordAgePolicyRequest) (*adminpb.UpdatePasswordAgePolicyResponse, error) {
	e, err := changePolicy(ctx, s.Server, ageKind, s.instance(), ageFrom(r))
	if err != nil {
		return nil, err
	}
	return &adminpb.UpdatePasswordAgePolicyResponse{Details: changedDetails(e)}, nil
}

func (s adminService) GetNotificationPolicy(context.Context, *adminpb.GetNotificationPolicyRequest) (*adminpb.GetNotificationPolicyResponse, error) {
	return &adminpb.GetNotificationPolicyResponse{Policy: notificationPB(s.read(), s.instanceID)}, nil
}

func (s adminService) AddNotificationPolicy(ctx context.Context, r *adminpb.AddNotificationPolicyRequest) (*adminpb.AddNotificationPolicyResponse, error) {
	e, err := addPolicy(ctx, s.Server, notificationKind, s.instance(), notificationPolicy{r.GetPasswordChange()}, nil)
	if err != nil {
		return nil, err
	}
	return &adminpb.AddNotificationPolicyResponse{Details: addedDetails(e)}, nil
}

func (s adminService) UpdateNotificationPolicy(ctx context.Context, r *adminpb.UpdateNotificationPolicyRequest) (*adminpb.UpdateNotificationPolicyResponse, error) {
	e, err := changePolicy(ctx, s.Server, notificationKind, s.instance(), notificationPolicy{r.GetPasswordChange()})
	if err != nil {
		return nil, err
	}
	return &adminpb.UpdateNotificationPolicyResponse{Details: changedDetails(e)}, nil
}
