package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
)

// IsSelfReset tells whether a requester, by the name the API server knows them
// by, is the person whose factors would be removed: nobody may reset their own
// MFA, or whoever steals their session could. Prefixes such as oidc: do not
// count, and neither does case.
func IsSelfReset(requester string, user *v1alpha1.MFAUser) bool {
	names := []string{user.Spec.Username}
	if ref := user.Spec.Zitadel; ref != nil {
		names = append(names, ref.UserID, ref.LoginName, ref.Email)
	}
	if z := user.Status.Zitadel; z != nil {
		names = append(names, z.UserID, z.LoginName)
	}
	bare := requester[strings.LastIndexAny(requester, ":#/")+1:]
	return slices.ContainsFunc(names, func(name string) bool {
		return name != "" && (strings.EqualFold(name, requester) || strings.EqualFold(name, bare))
	})
}

// removes says which factors of a provider a word of a reset means.
var removes = map[v1alpha1.ResetFactor][]idp.Factor{
	v1alpha1.ResetAll: idp.AllFactors(),
	v1alpha1.ResetFactor(v1alpha1.MethodWebAuthn):      {idp.U2F, idp.Passkey},
	v1alpha1.ResetFactor(v1alpha1.MethodTOTP):          {idp.TOTP},
	v1alpha1.ResetFactor(v1alpha1.MethodRecoveryCodes): {idp.RecoveryCodes},
	v1alpha1.ResetFactor(v1alpha1.MethodEmail):         {idp.OTPEmail},
	v1alpha1.ResetFactor(v1alpha1.MethodSMS):           {idp.OTPSMS},
}

// ToRemove lists the credentials that a reset of these factors removes, pending
// ones among them.
func ToRemove(factors []v1alpha1.ResetFactor, has []idp.Credential) []idp.Credential {
	return slices.DeleteFunc(slices.Clone(has), func(c idp.Credential) bool {
		return !slices.ContainsFunc(factors, func(f v1alpha1.ResetFactor) bool { return slices.Contains(removes[f], c.Factor) })
	})
}

// ResetKey names a manifest of a reset: equal keys, same name and spec. A reset
// whose key is known to have run does not run again.
func ResetKey(r *v1alpha1.MFAReset) (string, error) {
	spec, err := json.Marshal(r.Spec)
	if err != nil {
		return "", fmt.Errorf("rendering a reset: %w", err)
	}
	sum := sha256.Sum256(spec)
	return r.Name + "=" + hex.EncodeToString(sum[:8]), nil
}
