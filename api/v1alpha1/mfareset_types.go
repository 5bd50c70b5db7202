package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ResetFactor is what an MFAReset removes.
// +kubebuilder:validation:Enum=All;WebAuthn;TOTP;RecoveryCodes;Email;SMS
type ResetFactor string

// The factors, besides those that are methods. WebAuthn is security keys and
// passkeys.
const (
	ResetAll ResetFactor = "All"
)

// SessionRevocation says what becomes of sessions.
// +kubebuilder:validation:Enum=All;None
type SessionRevocation string

// The two answers.
const (
	// RevokeAll ends every session of the person.
	RevokeAll SessionRevocation = "All"
	// RevokeNone leaves them: a session keeps what was proven with a factor that
	// is removed.
	RevokeNone SessionRevocation = "None"
)

// MFAResetSpec says whose factors are removed, which, why, and at whose request.
// It cannot be changed.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a reset cannot be changed; make another one"
// +kubebuilder:validation:XValidation:rule="!('All' in self.factors) || self.factors.size() == 1",message="All goes alone",fieldPath=".factors"
type MFAResetSpec struct {
	// userRef names the MFAUser, in the reset's namespace.
	// +required
	UserRef LocalRef `json:"userRef,omitzero"`

	// factors lists what is removed: All, or some of WebAuthn (security keys and
	// passkeys), TOTP, RecoveryCodes, Email and SMS.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=5
	Factors []ResetFactor `json:"factors,omitempty"`

	// revokeSessions is All to end every session of the person, or None. Unset:
	// All.
	// +optional
	// +default="All"
	RevokeSessions SessionRevocation `json:"revokeSessions,omitempty"`

	// reason says why, for people.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1000
	Reason string `json:"reason,omitempty"`

	// requestedBy says who asked for it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	RequestedBy string `json:"requestedBy,omitempty"`

	// deleteAfterHours is how long after it has finished the object is deleted.
	// The same manifest applied again does nothing even then. Unset: it stays.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=8760
	DeleteAfterHours *int32 `json:"deleteAfterHours,omitempty"`
}

// ResetPhase says how far a reset is.
type ResetPhase string

// The phases.
const (
	ResetRunning   ResetPhase = "Running"
	ResetCompleted ResetPhase = "Completed"
	ResetFailed    ResetPhase = "Failed"
)

// The states of a factor that a reset removes.
const (
	ResetFactorPending = "Pending"
	ResetFactorRemoved = "Removed"
	ResetFactorFailed  = "Failed"
)

// ResetFactorStatus is what became of one factor.
type ResetFactorStatus struct {
	// type is TOTP, U2F, OTPEmail, OTPSMS, RecoveryCodes or Passkey in Zitadel, and
	// TOTP, WebAuthn, Email, SMS or RecoveryCodes of a local user.
	// +required
	// +kubebuilder:validation:MinLength=1
	Type string `json:"type,omitempty"`

	// id of a key in Zitadel, or of a local user's factor. Unset: there is only
	// one of this type.
	// +optional
	ID string `json:"id,omitempty"`

	// name the person gave the key. Unset: none.
	// +optional
	Name string `json:"name,omitempty"`

	// state is Pending, Removed or Failed.
	// +required
	// +kubebuilder:validation:MinLength=1
	State string `json:"state,omitempty"`

	// message says why it failed, or what is left of it that is worth nothing.
	// +optional
	Message string `json:"message,omitempty"`
}

// MFAResetStatus says what became of a reset.
type MFAResetStatus struct {
	// observedGeneration is the generation of the spec this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions sum up the reset; see the reasons of each type.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +patchMergeKey=type
	// +patchStrategy=merge
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`

	// phase says how far it is. Unset: not begun.
	// +optional
	Phase ResetPhase `json:"phase,omitempty"` //nolint:kubeapilinter // The column people look for; conditions say more.

	// userID of the person in Zitadel, or the UID of a local MFAUser, from the
	// beginning on.
	// +optional
	UserID string `json:"userID,omitempty"`

	// factors has one entry for each factor the person had when it began.
	// +optional
	// +listType=atomic
	Factors []ResetFactorStatus `json:"factors,omitempty"`

	// sessionsEnded is how many sessions were ended.
	// +optional
	SessionsEnded int32 `json:"sessionsEnded,omitempty"`

	// sessionsGoneTime is when no session was found any more. Unset: not yet.
	// +optional
	SessionsGoneTime *metav1.Time `json:"sessionsGoneTime,omitempty"`

	// recordedTime is when the ledger took the reset of a local user: from then on
	// the factors and sessions are worth nothing. Unset: not yet, or a person in
	// Zitadel.
	// +optional
	RecordedTime *metav1.Time `json:"recordedTime,omitempty"`

	// startTime is when it began.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// finishTime is when it ended, one way or the other.
	// +optional
	FinishTime *metav1.Time `json:"finishTime,omitempty"`
}

// MFAReset is one administrative act: it removes factors of a person and ends
// their sessions. It runs once.
//
// +kubebuilder:object:root=true
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="metadata.name of an MFAReset must have at most 63 characters"
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=mfareset,categories=neosc
// +kubebuilder:printcolumn:name="User",type=string,JSONPath=`.spec.userRef.name`
// +kubebuilder:printcolumn:name="Factors",type=string,JSONPath=`.spec.factors`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Requested by",type=string,JSONPath=`.spec.requestedBy`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type MFAReset struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says whose, which, why and at whose request.
	// +required
	Spec MFAResetSpec `json:"spec,omitzero"`

	// status says what became of it.
	// +default={"observedGeneration":-1}
	// +optional
	Status MFAResetStatus `json:"status,omitzero"`
}

// MFAResetList is a list of resets.
//
// +kubebuilder:object:root=true
type MFAResetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MFAReset `json:"items"`
}
