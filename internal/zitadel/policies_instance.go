package zitadel

import (
	"context"
	"fmt"

	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/admin"
	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"

	"github.com/neosc/mfa-operator/internal/idp"
)

// instancePolicies are the instance's own, which every organization without
// one inherits.
type instancePolicies struct{ api admin.AdminServiceClient }

func (i instancePolicies) read(ctx context.Context, g idp.Group) (reading, error) {
	var p policyMessage
	var err error
	switch g {
	case idp.Login:
		p, err = policyOf(i.api.GetLoginPolicy(ctx, &admin.GetLoginPolicyRequest{}))
	case idp.Lockout:
		p, err = policyOf(i.api.GetLockoutPolicy(ctx, &admin.GetLockoutPolicyRequest{}))
	case idp.PasswordComplexity:
		p, err = policyOf(i.api.GetPasswordComplexityPolicy(ctx, &admin.GetPasswordComplexityPolicyRequest{}))
	case idp.PasswordAge:
		p, err = policyOf(i.api.GetPasswordAgePolicy(ctx, &admin.GetPasswordAgePolicyRequest{}))
	}
	return reading{group: g, policy: p}, err
}

func (i instancePolicies) write(ctx context.Context, wanted reading) (uint64, error) {
	switch p := wanted.policy.(type) {
	case *policy.LoginPolicy:
		return sequenceOf(i.api.UpdateLoginPolicy(ctx, copied(p, &admin.UpdateLoginPolicyRequest{})))
	case *policy.LockoutPolicy:
		return sequenceOf(i.api.UpdateLockoutPolicy(ctx, copied(p, &admin.UpdateLockoutPolicyRequest{})))
	case *policy.PasswordComplexityPolicy:
		return sequenceOf(i.api.UpdatePasswordComplexityPolicy(ctx, copied(p, &admin.UpdatePasswordComplexityPolicyRequest{})))
	case *policy.PasswordAgePolicy:
		return sequenceOf(i.api.UpdatePasswordAgePolicy(ctx, copied(p, &admin.UpdatePasswordAgePolicyRequest{})))
	}
	panic(fmt.Sprintf("writing a %T", wanted.policy))
}

func (i instancePolicies) addFactor(ctx context.Context, f factor) (uint64, error) {
	if f.multi != 0 {
		return sequenceOf(i.api.AddMultiFactorToLoginPolicy(ctx, &admin.AddMultiFactorToLoginPolicyRequest{Type: f.multi}))
	}
	return sequenceOf(i.api.AddSecondFactorToLoginPolicy(ctx, &admin.AddSecondFactorToLoginPolicyRequest{Type: f.second}))
}

func (i instancePolicies) removeFactor(ctx context.Context, f factor) (uint64, error) {
	if f.multi != 0 {
		return sequenceOf(i.api.RemoveMultiFactorFromLoginPolicy(ctx, &admin.RemoveMultiFactorFromLoginPolicyRequest{Type: f.multi}))
	}
	return sequenceOf(i.api.RemoveSecondFactorFromLoginPolicy(ctx, &admin.RemoveSecondFactorFromLoginPolicyRequest{Type: f.second}))
}
