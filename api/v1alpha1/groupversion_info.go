// Package v1alpha1 holds the words users write: the kinds of
// security.neosc.io/v1alpha1, their bounds and rules, and the condition types
// and reasons they read back. It imports nothing of ours.
//
// +kubebuilder:object:generate=true
// +groupName=security.neosc.io
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is security.neosc.io/v1alpha1.
var GroupVersion = schema.GroupVersion{Group: "security.neosc.io", Version: "v1alpha1"}

var (
	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the kinds of this package to a scheme.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&SecurityPolicy{}, &SecurityPolicyList{},
		&ZitadelConnection{}, &ZitadelConnectionList{},
		&MFAAuditRecord{}, &MFAAuditRecordList{},
		&MFALedger{}, &MFALedgerList{},
		&MFALedgerSnapshot{}, &MFALedgerSnapshotList{},
		&MFAUser{}, &MFAUserList{},
		&MFAExemption{}, &MFAExemptionList{},
		&MFAReset{}, &MFAResetList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
