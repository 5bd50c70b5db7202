package changes

import (
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/policy"
)

// kind is what the witness has to know of a kind.
type kind struct {
	empty func() client.Object
	spec  func(client.Object) any
	// about begins the record of a change: what it is called, and of what it is. No
	// action: it is not the witness who tells of it.
	about func(obj client.Object, operation admissionv1.Operation) audit.Record
	// show tells whose values may be in the ledger. Of a person it has no more than
	// switches.
	show func(path string) bool
}

// kinds by their resource.
var kinds = map[string]kind{
	"securitypolicies": {
		empty: func() client.Object { return &v1alpha1.SecurityPolicy{} },
		spec:  func(obj client.Object) any { return &obj.(*v1alpha1.SecurityPolicy).Spec },
		about: func(obj client.Object, _ admissionv1.Operation) audit.Record {
			key := client.ObjectKeyFromObject(obj).String()
			return audit.Record{Action: audit.PolicyChanged, Subject: audit.Printable(key, audit.MaxSubject), Policy: key}
		},
		show: func(string) bool { return true },
	},
	"mfausers": {
		empty: func() client.Object { return &v1alpha1.MFAUser{} },
		spec:  func(obj client.Object) any { return &obj.(*v1alpha1.MFAUser).Spec },
		about: func(obj client.Object, _ admissionv1.Operation) audit.Record {
			return audit.Record{Action: audit.UserChanged, Subject: string(obj.GetUID())}
		},
		show: func(path string) bool { return slices.Contains([]string{"source", "mfaEnabled", "suspended"}, path) },
	},
	"mfaexemptions": {
		empty: func() client.Object { return &v1alpha1.MFAExemption{} },
		spec:  func(obj client.Object) any { return &obj.(*v1alpha1.MFAExemption).Spec },
		about: withdrawn,
		show:  func(string) bool { return false },
	},
}

// withdrawn is the record of an exemption that is deleted while it counts. That it
// begins and expires the manager tells.
func withdrawn(obj client.Object, operation admissionv1.Operation) audit.Record {
	e := obj.(*v1alpha1.MFAExemption)
	if operation != admissionv1.Delete || e.Status.Phase != v1alpha1.ExemptionActive {
		return audit.Record{}
	}
	record := policy.ExemptionRecord(e)
	record.Action = audit.ExemptionRevoked
	return record
}

func (k kind) same(a, b client.Object) bool { return equality.Semantic.DeepEqual(k.spec(a), k.spec(b)) }
