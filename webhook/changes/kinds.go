package changes

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
)

// kind is what the witness has to know of a kind.
type kind struct {
	action audit.Action
	empty  func() client.Object
	spec   func(client.Object) any
	// subject is how the ledger names the object.
	subject func(client.Object) string
	// show tells whose values may be in the ledger. Of a person it has no more than
	// switches.
	show func(path string) bool
}

// kinds by their resource.
var kinds = map[string]kind{
	"securitypolicies": {
		action:  audit.PolicyChanged,
		empty:   func() client.Object { return &v1alpha1.SecurityPolicy{} },
		spec:    func(obj client.Object) any { return &obj.(*v1alpha1.SecurityPolicy).Spec },
		subject: func(obj client.Object) string { return client.ObjectKeyFromObject(obj).String() },
		show:    func(string) bool { return true },
	},
	"mfausers": {
		action:  audit.UserChanged,
		empty:   func() client.Object { return &v1alpha1.MFAUser{} },
		spec:    func(obj client.Object) any { return &obj.(*v1alpha1.MFAUser).Spec },
		subject: func(obj client.Object) string { return string(obj.GetUID()) },
		show:    func(path string) bool { return slices.Contains([]string{"source", "mfaEnabled", "suspended"}, path) },
	},
}

func (k kind) same(a, b client.Object) bool { return equality.Semantic.DeepEqual(k.spec(a), k.spec(b)) }
