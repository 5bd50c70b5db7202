package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// MaxExemptionDays is how long an MFAExemption lasts at most, in days.
const MaxExemptionDays = 90

// MFAExemptionSpec says who is let off what, why, on whose word, and until when.
// It cannot be changed: whoever wants something else makes another exemption.
// +kubebuilder:validation:XValidation:rule="has(self.userRef) != has(self.selector)",message="exactly one of userRef and selector must be set"
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="an exemption cannot be changed; delete it and make another"
type MFAExemptionSpec struct {
	// userRef names one MFAUser. Unset: selector selects.
	// +optional
	UserRef *UserRef `json:"userRef,omitempty"`

	// selector selects MFAUsers in the exemption's namespace by label; an empty
	// one selects all. Unset: userRef names one.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`

	// policyRef names the SecurityPolicy, in the exemption's namespace, whose
	// demand for a second factor they are let off. What other policies demand
	// stays.
	// +required
	PolicyRef LocalRef `json:"policyRef,omitzero"`

	// reason says why, for people.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1000
	Reason string `json:"reason,omitempty"`

	// ticket is where it was asked for. Unset: nowhere.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	Ticket string `json:"ticket,omitempty"`

	// approvedBy says who answers for it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	ApprovedBy string `json:"approvedBy,omitempty"`

	// expiresAt is when it ends, at most 90 days after it is made.
	// +required
	ExpiresAt metav1.Time `json:"expiresAt,omitzero"` //nolint:kubeapilinter // A zero time is not in the future, so it never counts.
}

// UserRef names an MFAUser.
type UserRef struct {
	// name of the MFAUser.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// namespace of the MFAUser. Unset: that of the object that names it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
}

// LocalRef names an object in the same namespace.
type LocalRef struct {
	// name of the object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// ExemptionPhase says whether an exemption counts.
type ExemptionPhase string

// The phases.
const (
	ExemptionActive  ExemptionPhase = "Active"
	ExemptionExpired ExemptionPhase = "Expired"
	// ExemptionRefused exemptions never counted.
	ExemptionRefused ExemptionPhase = "Refused"
)

// MFAExemptionStatus says what became of an exemption.
type MFAExemptionStatus struct {
	// observedGeneration is the generation of the spec this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions sum up the exemption; see the reasons of each type.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +patchMergeKey=type
	// +patchStrategy=merge
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`

	// phase says whether it counts.
	// +optional
	Phase ExemptionPhase `json:"phase,omitempty"` //nolint:kubeapilinter // The column people look for; conditions say more.

	// users is how many MFAUsers it names. Unset: it does not count.
	// +optional
	Users *int32 `json:"users,omitempty"`
}

// MFAExemption is a hole in a policy with an owner and an end.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=mfaexempt,categories=neosc
// +kubebuilder:printcolumn:name="Policy",type=string,JSONPath=`.spec.policyRef.name`
// +kubebuilder:printcolumn:name="Users",type=integer,JSONPath=`.status.users`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.spec.expiresAt`
// +kubebuilder:printcolumn:name="Approved by",type=string,JSONPath=`.spec.approvedBy`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.spec.reason`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type MFAExemption struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says who, what, why and until when.
	// +required
	Spec MFAExemptionSpec `json:"spec,omitzero"`

	// status says what became of it.
	// +default={"observedGeneration":-1}
	// +optional
	Status MFAExemptionStatus `json:"status,omitzero"`
}

// MFAExemptionList is a list of exemptions.
//
// +kubebuilder:object:root=true
type MFAExemptionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MFAExemption `json:"items"`
}
