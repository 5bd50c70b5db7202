package zitadel

import (
	"context"
	"fmt"
	"slices"

	"github.com/zitadel/zitadel-go/v3/pkg/client"
	idpv1 "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/idp"
	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/management"
	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
	"google.golang.org/grpc/metadata"

	"github.com/neosc/mfa-operator/internal/idp"
)

// organizationPolicies are those of one organization, its own or inherited.
type organizationPolicies struct {
	api management.ManagementServiceClient
	// id is never empty: the server would take that for our own organization.
	id string
}

func (o organizationPolicies) in(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, client.OrgHeader, o.id)
}

func (o organizationPolicies) read(ctx context.Context, g idp.Group) (reading, error) {
	ctx = o.in(ctx)
	var p policyMessage
	var err error
	switch g {
	case idp.Login:
		p, err = policyOf(o.api.GetLoginPolicy(ctx, &management.GetLoginPolicyRequest{}))
	case idp.Lockout:
		p, err = policyOf(o.api.GetLockoutPolicy(ctx, &management.GetLockoutPolicyRequest{}))
	case idp.PasswordComplexity:
		p, err = policyOf(o.api.GetPasswordComplexityPolicy(ctx, &management.GetPasswordComplexityPolicyRequest{}))
	case idp.PasswordAge:
		p, err = policyOf(o.api.GetPasswordAgePolicy(ctx, &management.GetPasswordAgePolicyRequest{}))
	}
	if err != nil {
		return reading{}, err
	}
	return reading{group: g, policy: p, inherited: p.GetIsDefault()}, nil
}

func (o organizationPolicies) write(ctx context.Context, wanted reading) (uint64, error) {
	if wanted.inherited {
		return o.create(ctx, wanted.policy)
	}
	ctx = o.in(ctx)
	switch p := wanted.policy.(type) {
	case *policy.LoginPolicy:
		return sequenceOf(o.api.UpdateCustomLoginPolicy(ctx, copied(p, &management.UpdateCustomLoginPolicyRequest{})))
	case *policy.LockoutPolicy:
		return sequenceOf(o.api.UpdateCustomLockoutPolicy(ctx, copied(p, &management.UpdateCustomLockoutPolicyRequest{})))
	case *policy.PasswordComplexityPolicy:
		return sequenceOf(o.api.UpdateCustomPasswordComplexityPolicy(ctx, copied(p, &management.UpdateCustomPasswordComplexityPolicyRequest{})))
	case *policy.PasswordAgePolicy:
		return sequenceOf(o.api.UpdateCustomPasswordAgePolicy(ctx, copied(p, &management.UpdateCustomPasswordAgePolicyRequest{})))
	}
	panic(fmt.Sprintf("writing a %T", wanted.policy))
}

// create gives the organization a policy of its own. It inherits nothing any
// more from then on, so the request must be complete.
func (o organizationPolicies) create(ctx context.Context, wanted policyMessage) (uint64, error) {
	ctx = o.in(ctx)
	switch p := wanted.(type) {
	case *policy.LoginPolicy:
		return sequenceOf(o.api.AddCustomLoginPolicy(ctx, ownLoginPolicy(p)))
	case *policy.LockoutPolicy:
		return sequenceOf(o.api.AddCustomLockoutPolicy(ctx, copied(p, &management.AddCustomLockoutPolicyRequest{})))
	case *policy.PasswordComplexityPolicy:
		return sequenceOf(o.api.AddCustomPasswordComplexityPolicy(ctx, copied(p, &management.AddCustomPasswordComplexityPolicyRequest{})))
	case *policy.PasswordAgePolicy:
		return sequenceOf(o.api.AddCustomPasswordAgePolicy(ctx, copied(p, &management.AddCustomPasswordAgePolicyRequest{})))
	}
	panic(fmt.Sprintf("creating a %T", wanted))
}

func ownLoginPolicy(p *policy.LoginPolicy) *management.AddCustomLoginPolicyRequest {
	request := copied(p, &management.AddCustomLoginPolicyRequest{})
	// The server stores a factor as often as it is listed.
	slices.Sort(request.SecondFactors)
	request.SecondFactors = slices.Compact(request.SecondFactors)
	slices.Sort(request.MultiFactors)
	request.MultiFactors = slices.Compact(request.MultiFactors)
	for _, link := range p.GetIdps() {
		request.Idps = append(request.Idps, &management.AddCustomLoginPolicyRequest_IDP{
			IdpId: link.GetIdpId(),
			// What is inherited is linked at the instance, and an instance can
			// only link providers of its own.
			OwnerType: idpv1.IDPOwnerType_IDP_OWNER_TYPE_SYSTEM,
		})
	}
	return request
}

func (o organizationPolicies) addFactor(ctx context.Context, f factor) (uint64, error) {
	ctx = o.in(ctx)
	if f.multi != 0 {
		return sequenceOf(o.api.AddMultiFactorToLoginPolicy(ctx, &management.AddMultiFactorToLoginPolicyRequest{Type: f.multi}))
	}
	return sequenceOf(o.api.AddSecondFactorToLoginPolicy(ctx, &management.AddSecondFactorToLoginPolicyRequest{Type: f.second}))
}

func (o organizationPolicies) removeFactor(ctx context.Context, f factor) (uint64, error) {
	ctx = o.in(ctx)
	if f.multi != 0 {
		return sequenceOf(o.api.RemoveMultiFactorFromLoginPolicy(ctx, &management.RemoveMultiFactorFromLoginPolicyRequest{Type: f.multi}))
	}
	return sequenceOf(o.api.RemoveSecondFactorFromLoginPolicy(ctx, &management.RemoveSecondFactorFromLoginPolicyRequest{Type: f.second}))
}

// reset takes the organization's own policy away.
func (o organizationPolicies) reset(ctx context.Context, g idp.Group) (err error) {
	ctx = o.in(ctx)
	switch g {
	case idp.Login:
		_, err = o.api.ResetLoginPolicyToDefault(ctx, &management.ResetLoginPolicyToDefaultRequest{})
	case idp.Lockout:
		_, err = o.api.ResetLockoutPolicyToDefault(ctx, &management.ResetLockoutPolicyToDefaultRequest{})
	case idp.PasswordComplexity:
		_, err = o.api.ResetPasswordComplexityPolicyToDefault(ctx, &management.ResetPasswordComplexityPolicyToDefaultRequest{})
	case idp.PasswordAge:
		_, err = o.api.ResetPasswordAgePolicyToDefault(ctx, &management.ResetPasswordAgePolicyToDefaultRequest{})
	}
	return err
}
