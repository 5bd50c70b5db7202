package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// UserSource says where a person signs in.
// +kubebuilder:validation:Enum=Local;Zitadel
type UserSource string

// The two sources.
const (
	// SourceLocal is a user of an application with a password login of its own.
	SourceLocal UserSource = "Local"
	// SourceZitadel is a user who signs in through Zitadel.
	SourceZitadel UserSource = "Zitadel"
)

// MFAUserSpec says who the person is.
// +kubebuilder:validation:XValidation:rule="(self.source == 'Zitadel') == has(self.zitadel)",message="zitadel must be set for source Zitadel, and only for it",fieldPath=".zitadel"
// +kubebuilder:validation:XValidation:rule="(self.source == 'Local') == has(self.username)",message="username must be set for source Local, and only for it",fieldPath=".username"
// +kubebuilder:validation:XValidation:rule="self.source == 'Local' || !has(self.contact)",message="contact is for source Local; Zitadel has the addresses of its users",fieldPath=".contact"
// +kubebuilder:validation:XValidation:rule="self.source == 'Local' || !has(self.mfaEnabled) || self.mfaEnabled",message="mfaEnabled can be false for source Local only: Zitadel cannot exempt one user from a forced factor",fieldPath=".mfaEnabled"
// +kubebuilder:validation:XValidation:rule="self.source == oldSelf.source",message="source cannot be changed",fieldPath=".source"
type MFAUserSpec struct {
	// source says where the person signs in: Zitadel, or Local for an application
	// with a password login of its own. It cannot be changed.
	// +required
	Source UserSource `json:"source,omitempty"`

	// mfaEnabled takes a local user out of the built-in baseline when false. It
	// never takes anybody out of a SecurityPolicy; that needs an MFAExemption.
	// Unset: true.
	// +optional
	// +default=true
	MFAEnabled *bool `json:"mfaEnabled,omitempty"` //nolint:kubeapilinter // NeoSC's API and console speak of an enabled flag.

	// username is the local user's name in the application. Unset: source
	// Zitadel.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	Username string `json:"username,omitempty"`

	// zitadel says which user of Zitadel it is. Unset: source Local.
	// +optional
	Zitadel *ZitadelUserRef `json:"zitadel,omitempty"`

	// suspended keeps the person out: true locks them in Zitadel, and again
	// whenever somebody unlocks them there; a local user's factors and sessions are
	// accepted no more. false unlocks them once; whoever is locked afterwards stays
	// so. Unset: not managed.
	// +optional
	Suspended *bool `json:"suspended,omitempty"` //nolint:kubeapilinter // Whoever is suspended is; there is no third case.

	// contact says where one-time codes for a local user are sent. Unset:
	// nowhere.
	// +optional
	Contact *Contact `json:"contact,omitempty"`
}

// ZitadelUserRef names one human user of Zitadel by exactly one of userID,
// loginName and email.
// +kubebuilder:validation:XValidation:rule="[has(self.userID), has(self.loginName), has(self.email)].filter(set, set).size() == 1",message="exactly one of userID, loginName and email must be set"
// +kubebuilder:validation:XValidation:rule="has(self.userID) != has(self.organization)",message="organization must be set for loginName and email, and only for them",fieldPath=".organization"
type ZitadelUserRef struct {
	// connection is the name of the ZitadelConnection to use.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Connection string `json:"connection,omitempty"`

	// userID is the user's id in Zitadel. Unset: selected by another field.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	UserID string `json:"userID,omitempty"`

	// loginName is the user's login name, compared without regard to case.
	// Unset: selected by another field.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	LoginName string `json:"loginName,omitempty"`

	// email is the user's e-mail address, compared without regard to case.
	// Unset: selected by another field.
	// +optional
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=200
	Email string `json:"email,omitempty"`

	// organization the user belongs to. Unset: selected by userID.
	// +optional
	Organization *OrganizationSelector `json:"organization,omitempty"`
}

// Contact says where one-time codes are sent.
// +kubebuilder:validation:MinProperties=1
type Contact struct {
	// email is an e-mail address. Unset: no codes by e-mail, and no notices of changes.
	// +optional
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=200
	// +kubebuilder:validation:Pattern=`^[^@\s]+@[^@\s]+$`
	Email string `json:"email,omitempty"`

	// phone is a telephone number in the international form of E.164, with a
	// plus and without spaces. Unset: no codes by SMS.
	// +optional
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:Pattern=`^\+[1-9][0-9]{1,14}$`
	Phone string `json:"phone,omitempty"`
}

// UserPhase says how far a person's MFA is.
type UserPhase string

// The phases.
const (
	// UserPendingEnrolment: no factor is ready for use.
	UserPendingEnrolment UserPhase = "PendingEnrolment"
	// UserEnrolled: at least one factor is ready for use.
	UserEnrolled UserPhase = "Enrolled"
	// UserLocked: too many wrong attempts, or an administrator.
	UserLocked UserPhase = "Locked"
	// UserSuspended: an administrator has deactivated the user.
	UserSuspended UserPhase = "Suspended"
)

// Compliance says whether a person has what is demanded of them.
type Compliance string

// The answers.
const (
	Compliant    Compliance = "Compliant"
	NonCompliant Compliance = "NonCompliant"
	// Exempt: they have not, and an MFAExemption covers it.
	Exempt Compliance = "Exempt"
	// InGrace: they have not, and there is still time to enrol.
	InGrace Compliance = "InGrace"
)

// UserFactor is one factor of a person.
type UserFactor struct {
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

	// state is Ready, or Pending while it is being set up.
	// +required
	// +kubebuilder:validation:MinLength=1
	State string `json:"state,omitempty"`

	// addedAt is when a local user's factor was enrolled. Unset: in Zitadel.
	// +optional
	AddedAt *metav1.Time `json:"addedAt,omitempty"`

	// lastUsedAt is when a local user last verified with it, to the minute. Unset:
	// never, or in Zitadel.
	// +optional
	LastUsedAt *metav1.Time `json:"lastUsedAt,omitempty"`

	// aaguid is the make of a local user's authenticator. Unset: none was told, or
	// it is not known; see the condition FactorsKnown.
	// +optional
	AAGUID string `json:"aaguid,omitempty"`
}

// FieldProvenance says where the value of one field of an effective policy comes
// from.
type FieldProvenance struct {
	// field is its path in the spec of a SecurityPolicy.
	// +required
	// +kubebuilder:validation:MinLength=1
	Field string `json:"field,omitempty"`

	// value that holds.
	// +optional
	Value string `json:"value,omitempty"`

	// by names the policies that ask for it, as namespace/name; built-in for the
	// baseline of local users whom no policy reaches.
	// +optional
	// +listType=set
	By []string `json:"by,omitempty"`
}

// EffectivePolicy is what the policies that reach a person make together.
type EffectivePolicy struct {
	// enforcement says when a second factor is demanded. Unset: no policy in
	// force says.
	// +optional
	Enforcement Enforcement `json:"enforcement,omitempty"`

	// methods that every policy allows. Unset: no policy in force says.
	// +optional
	// +listType=set
	Methods []Method `json:"methods,omitempty"`

	// names of the policies, as namespace/name, with commas between; none if no
	// policy in force reaches the person.
	// +optional
	Names string `json:"names,omitempty"`

	// provenance has one entry for each field that a policy in force sets.
	// +optional
	// +listType=map
	// +listMapKey=field
	Provenance []FieldProvenance `json:"provenance,omitempty"`
}

// SessionsStatus counts sign-ins that have not ended.
type SessionsStatus struct {
	// active is how many there are.
	// +required
	Active int32 `json:"active"` //nolint:kubeapilinter // 0 is said, not left out.

	// mfaVerified is in how many of them a second factor was proven, or a
	// passkey.
	// +required
	MFAVerified int32 `json:"mfaVerified"` //nolint:kubeapilinter // 0 is said, not left out.

	// nextEndTime is when the next of them ends by itself. Unset: none does.
	// +optional
	NextEndTime *metav1.Time `json:"nextEndTime,omitempty"`
}

// ExternalLogin says whether a person may sign in through an external identity
// provider.
type ExternalLogin string

// The two answers.
const (
	ExternalLoginLinked    ExternalLogin = "Linked"
	ExternalLoginNotLinked ExternalLogin = "NotLinked"
)

// ZitadelUserStatus is the person as Zitadel knows them.
type ZitadelUserStatus struct {
	// userID in Zitadel.
	// +optional
	UserID string `json:"userID,omitempty"`

	// organizationID of the user's organization.
	// +optional
	OrganizationID string `json:"organizationID,omitempty"`

	// loginName is the preferred one.
	// +optional
	LoginName string `json:"loginName,omitempty"`

	// externalLogin is Linked if the user may sign in through an external identity
	// provider, NotLinked if not. Unset: not known.
	// +optional
	ExternalLogin ExternalLogin `json:"externalLogin,omitempty"`

	// heardSequence numbers the last event of the user that was heard of, and
	// readSequence the last that the status is known to include. While they
	// differ, the user is being read again.
	// +optional
	HeardSequence int64 `json:"heardSequence,omitempty"`

	// readSequence is explained with heardSequence.
	// +optional
	ReadSequence int64 `json:"readSequence,omitempty"`

	// checkedTime is when everything was last read from Zitadel, to the minute.
	// +optional
	CheckedTime *metav1.Time `json:"checkedTime,omitempty"`
}

// MFAUserStatus says how things stand with a person's MFA.
type MFAUserStatus struct {
	// observedGeneration is the generation of the spec this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions sum up the user; see the reasons of each type.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +patchMergeKey=type
	// +patchStrategy=merge
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`

	// user names the person for people.
	// +optional
	User string `json:"user,omitempty"`

	// phase says how far the person's MFA is. Unset: not known.
	// +optional
	Phase UserPhase `json:"phase,omitempty"` //nolint:kubeapilinter // The column people look for; conditions say more.

	// compliance says whether the person has what is demanded of them. Unset: not
	// known.
	// +optional
	Compliance Compliance `json:"compliance,omitempty"`

	// complianceReason says why, for people.
	// +optional
	ComplianceReason string `json:"complianceReason,omitempty"`

	// exemptUntil is when an exemption ends that compliance rests on. Unset:
	// none does.
	// +optional
	ExemptUntil *metav1.Time `json:"exemptUntil,omitempty"`

	// graceEndsAt is when the time to enrol ends. Unset: there is none, or it has
	// not begun.
	// +optional
	GraceEndsAt *metav1.Time `json:"graceEndsAt,omitempty"`

	// effectivePolicy is what the policies in force make together. Unset: not
	// known.
	// +optional
	EffectivePolicy *EffectivePolicy `json:"effectivePolicy,omitempty"`

	// factors of the person. An empty list says that there are none; unset: not
	// known.
	// +optional
	// +listType=atomic
	Factors []UserFactor `json:"factors,omitzero"`

	// factorTypes lists the types of the factors that are ready for use, with
	// commas between; none if there are none.
	// +optional
	FactorTypes string `json:"factorTypes,omitempty"`

	// recoveryCodesLeft is how many recovery codes of a local user were not used
	// yet. Unset: there are none, or source Zitadel.
	// +optional
	RecoveryCodesLeft *int32 `json:"recoveryCodesLeft,omitempty"`

	// lastVerifiedTime is when a local user last proved a second factor, to the
	// minute. Unset: never, or source Zitadel.
	// +optional
	LastVerifiedTime *metav1.Time `json:"lastVerifiedTime,omitempty"`

	// failedAttempts is how many wrong attempts of a local user count towards the
	// next lock.
	// +optional
	FailedAttempts int32 `json:"failedAttempts,omitempty"`

	// lockedUntil is when the lock of a local user ends by itself. Unset: not
	// locked, or until an administrator ends it; phase tells which.
	// +optional
	LockedUntil *metav1.Time `json:"lockedUntil,omitempty"`

	// sessions counts the person's sign-ins. Unset: not known.
	// +optional
	Sessions *SessionsStatus `json:"sessions,omitempty"`

	// zitadel is the person as Zitadel knows them. Unset: not found yet, or a
	// local user.
	// +optional
	Zitadel *ZitadelUserStatus `json:"zitadel,omitempty"`
}

// MFAUser is one person's MFA: whether it is on, with what, and under which
// policy.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=mfau,categories=neosc
// +kubebuilder:printcolumn:name="User",type=string,JSONPath=`.status.user`
// +kubebuilder:printcolumn:name="Source",type=string,JSONPath=`.spec.source`
// +kubebuilder:printcolumn:name="MFA",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Factors",type=string,JSONPath=`.status.factorTypes`
// +kubebuilder:printcolumn:name="Compliance",type=string,JSONPath=`.status.compliance`
// +kubebuilder:printcolumn:name="Policy",type=string,JSONPath=`.status.effectivePolicy.names`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Ready",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Sessions",type=integer,priority=1,JSONPath=`.status.sessions.active`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.complianceReason`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type MFAUser struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says who the person is.
	// +required
	Spec MFAUserSpec `json:"spec,omitzero"`

	// status says how things stand.
	// +default={"observedGeneration":-1}
	// +optional
	Status MFAUserStatus `json:"status,omitzero"`
}

// MFAUserList is a list of users.
//
// +kubebuilder:object:root=true
type MFAUserList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MFAUser `json:"items"`
}
