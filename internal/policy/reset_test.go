package policy

import (
	"testing"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

func TestIsSelfReset(t *testing.T) {
	local := &v1alpha1.MFAUser{Spec: v1alpha1.MFAUserSpec{Username: "Ann@example.com"}}
	zitadel := &v1alpha1.MFAUser{
		Spec:   v1alpha1.MFAUserSpec{Zitadel: &v1alpha1.ZitadelUserRef{Email: "ann@example.com"}},
		Status: v1alpha1.MFAUserStatus{Zitadel: &v1alpha1.ZitadelUserStatus{UserID: "42", LoginName: "ann@acme"}},
	}
	tests := []struct {
		requester string
		user      *v1alpha1.MFAUser
		want      bool
		reason    string
	}{
		{"ann@example.com", local, true, "the same, whatever the case"},
		{"oidc:ANN@example.com", local, true, "behind the prefix of an identity provider"},
		{"https://id.example.com#ann@example.com", local, true, "behind an issuer"},
		{"joann@example.com", local, false, "a longer name"},
		{"carol@example.com", local, false, "somebody else"},
		{"", local, false, "nobody"},
		{"ann@example.com", zitadel, true, "by e-mail address"},
		{"oidc:ann@acme", zitadel, true, "by login name"},
		{"oidc:42", zitadel, true, "by id"},
		{"system:serviceaccount:argocd:argocd", zitadel, false, "a machine"},
	}
	for _, test := range tests {
		if got := IsSelfReset(test.requester, test.user); got != test.want {
			t.Errorf("%s: %v", test.reason, got)
		}
	}
}
