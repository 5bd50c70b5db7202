package localpolicy

import (
	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/mfa"
)

// Owner says a local user in the words of package mfa.
func Owner(u *v1alpha1.MFAUser) mfa.Owner {
	return mfa.Owner{Namespace: u.Namespace, Name: u.Name, UID: string(u.UID)}
}
