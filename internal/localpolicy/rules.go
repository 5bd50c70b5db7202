// Package localpolicy says a local user and an effective policy in the words of local
// verification, so that who verifies and who reports mean the same. It decides
// nothing.
package localpolicy

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/policy"
)

// Rules says an effective policy in the words of package mfa. Of the relying party
// of WebAuthn a policy says nothing.
func Rules(e policy.Effective) mfa.Rules {
	m, s, l := &e.Rules.MFA, &e.Rules.Session, &e.Rules.Lockout
	r := mfa.Rules{
		Enforcement:  mfa.Enforcement(m.Enforcement),
		SecondFactor: minutes(s.SecondFactorMinutes),
		MultiFactor:  minutes(s.MultiFactorMinutes),
		Policy:       audit.Printable(deciders(e), audit.MaxPolicy),
	}
	for _, method := range m.Methods {
		r.Methods = append(r.Methods, mfa.Method(method))
	}
	if slices.Contains(m.Methods, m.PreferredMethod) { // another policy may not allow it
		r.Preferred = mfa.Method(m.PreferredMethod)
	}
	if n := m.GracePeriodHours; n != nil {
		r.GracePeriod = time.Duration(*n) * time.Hour
	}
	if n := l.MaxOTPAttempts; n != nil {
		r.MaxAttempts = int(*n)
	}
	r.AutoUnlock = minutes(l.AutoUnlockMinutes)
	if w := m.WebAuthn; w != nil {
		r.WebAuthn.UserVerification = mfa.UserVerification(w.UserVerification)
		r.WebAuthn.Attestation = mfa.Attestation(w.Attestation)
		r.WebAuthn.AllowedAAGUIDs = texts(w.AllowedAAGUIDs)
		r.WebAuthn.DeniedAAGUIDs = texts(w.DeniedAAGUIDs)
	}
	return r
}

// texts keeps nil and empty apart: no list allows every make, an empty one none.
func texts(list []v1alpha1.AAGUID) []string {
	if list == nil {
		return nil
	}
	out := make([]string, 0, len(list))
	for _, one := range list {
		out = append(out, string(one))
	}
	return out
}

func minutes(n *int32) time.Duration {
	if n == nil {
		return 0
	}
	return time.Duration(*n) * time.Minute
}

// deciders names the policies to which the user owes the demand and its methods.
func deciders(e policy.Effective) string {
	var names []string
	seen := map[types.NamespacedName]bool{}
	for _, f := range e.Fields {
		if f.Field != policy.FieldEnforcement && f.Field != policy.FieldMethods {
			continue
		}
		for _, p := range f.By {
			if seen[p] {
				continue
			}
			seen[p] = true
			if p == policy.BuiltIn {
				names = append(names, p.Name)
				continue
			}
			names = append(names, p.String())
		}
	}
	return strings.Join(names, ",")
}
