package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Mode says how far a policy goes.
// +kubebuilder:validation:Enum=Audit;Warn;Enforce
type Mode string

// The three modes.
const (
	// ModeAudit writes nothing; status shows what would be written.
	ModeAudit Mode = "Audit"
	// ModeWarn puts everything in force except the force flags: users are
	// prompted, nobody is blocked.
	ModeWarn Mode = "Warn"
	// ModeEnforce puts everything in force.
	ModeEnforce Mode = "Enforce"
)

// Enforcement says when a second factor is demanded.
// +kubebuilder:validation:Enum=Optional;RequiredOnFirstLogin;AlwaysRequired
type Enforcement string

// The three levels.
const (
	// EnforcementOptional never forces; users who have a factor are asked.
	EnforcementOptional Enforcement = "Optional"
	// EnforcementRequiredOnFirstLogin makes users set up a factor at their
	// first login.
	EnforcementRequiredOnFirstLogin Enforcement = "RequiredOnFirstLogin"
	// EnforcementAlwaysRequired does the same and keeps checks fresh for at
	// most 15 minutes, the closest Zitadel gets to "at every login".
	EnforcementAlwaysRequired Enforcement = "AlwaysRequired"
)

// Audience says whose sign-in the enforcement covers.
// +kubebuilder:validation:Enum=AllUsers;LocalUsersOnly
type Audience string

// The two audiences.
const (
	// AllUsers covers local users and those of external identity providers.
	AllUsers Audience = "AllUsers"
	// LocalUsersOnly leaves out users who sign in through an external identity
	// provider.
	LocalUsersOnly Audience = "LocalUsersOnly"
)

// Method is a way to prove a second factor.
// +kubebuilder:validation:Enum=WebAuthn;TOTP;RecoveryCodes;Email;SMS
type Method string

// The methods.
const (
	// MethodWebAuthn is a FIDO2 security key or platform authenticator.
	MethodWebAuthn Method = "WebAuthn"
	// MethodTOTP is a time-based one-time password (RFC 6238).
	MethodTOTP Method = "TOTP"
	// MethodRecoveryCodes are single-use codes for a lost device.
	MethodRecoveryCodes Method = "RecoveryCodes"
	// MethodEmail is a one-time code sent by e-mail.
	MethodEmail Method = "Email"
	// MethodSMS is a one-time code sent by SMS.
	MethodSMS Method = "SMS"
)

// UserVerification says whether an authenticator must make sure who uses it, by a
// PIN or a biometric.
// +kubebuilder:validation:Enum=Required;Preferred;Discouraged
type UserVerification string

// The three answers.
const (
	// UserVerificationRequired refuses an answer without it.
	UserVerificationRequired UserVerification = "Required"
	// UserVerificationPreferred asks for it where the authenticator can.
	UserVerificationPreferred UserVerification = "Preferred"
	// UserVerificationDiscouraged asks for a touch only.
	UserVerificationDiscouraged UserVerification = "Discouraged"
)

// Attestation says whether a new authenticator must prove its make.
// +kubebuilder:validation:Enum=None;Direct
type Attestation string

// The two answers.
const (
	// AttestationNone takes any authenticator, and believes nothing that it says
	// of its make.
	AttestationNone Attestation = "None"
	// AttestationDirect takes only one whose make is proven.
	AttestationDirect Attestation = "Direct"
)

// AAGUID names a make of authenticator (WebAuthn Level 3, 6.5.1), as a UUID in
// lower case. Zeros are what authenticators say that do not tell their make.
// +kubebuilder:validation:MinLength=36
// +kubebuilder:validation:MaxLength=36
// +kubebuilder:validation:Pattern=`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`
// +kubebuilder:validation:XValidation:rule="self != '00000000-0000-0000-0000-000000000000'",message="zeros name no make; attestation Direct refuses authenticators that do not tell theirs"
type AAGUID string

// DeletionPolicy says what becomes of a target's settings when the policy, or
// the target, goes away.
// +kubebuilder:validation:Enum=Retain;Restore;Reset
type DeletionPolicy string

// The three ways to leave.
const (
	// DeletionRetain leaves everything as it is.
	DeletionRetain DeletionPolicy = "Retain"
	// DeletionRestore puts back what stood before the policy first wrote.
	DeletionRestore DeletionPolicy = "Restore"
	// DeletionReset makes an organization follow the instance default again in
	// every group of settings the policy managed; at the instance it is the
	// same as Restore.
	DeletionReset DeletionPolicy = "Reset"
)

// SecurityPolicySpec is the intent. A field that is absent is not managed: it
// is never compared and never written.
type SecurityPolicySpec struct {
	// displayName is the policy's name for people. Unset: the object's name.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	DisplayName string `json:"displayName,omitempty"`

	// description says what the policy is for. Unset: none.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1000
	Description string `json:"description,omitempty"`

	// enabled takes the policy out of force when false: what stood before is
	// put back, and the policy stays for later. Unset: true.
	// +optional
	// +default=true
	Enabled *bool `json:"enabled,omitempty"` //nolint:kubeapilinter // NeoSC's API and console speak of an enabled flag; a third state is a mode.

	// mode says how far the policy goes: Audit reports and writes nothing, Warn
	// prompts and never blocks, Enforce does all. Unset: Enforce.
	// +optional
	// +default="Enforce"
	Mode Mode `json:"mode,omitempty"`

	// priority decides between policies at one target, only for fields where no
	// value is stricter: the higher one wins, then the older policy, then the
	// name. Unset: 0.
	// +optional
	// +kubebuilder:validation:Minimum=-1000
	// +kubebuilder:validation:Maximum=1000
	Priority *int32 `json:"priority,omitempty"`

	// targets say where the policy is put in force.
	// +required
	Targets Targets `json:"targets,omitzero"`

	// mfa says who is asked for which second factor, and when. Unset: nothing
	// of it is managed.
	// +optional
	MFA *MFASettings `json:"mfa,omitempty"`

	// session bounds how long a check stays fresh. Unset: not managed.
	// +optional
	Session *SessionSettings `json:"session,omitempty"`

	// login says which ways to sign in there are. Unset: not managed.
	// +optional
	Login *LoginSettings `json:"login,omitempty"`

	// password says what a password must look like. Unset: not managed.
	// +optional
	Password *PasswordSettings `json:"password,omitempty"`

	// lockout bounds failed attempts. Unset: not managed.
	// +optional
	Lockout *LockoutSettings `json:"lockout,omitempty"`

	// deletionPolicy says what becomes of the settings when the policy is
	// deleted or a target is removed from it: Retain leaves them, Restore puts
	// back what stood before, Reset makes an organization follow the instance
	// default again. Unset: Retain, so that an accidental prune weakens nobody.
	// +optional
	// +default="Retain"
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// Targets say where a policy is put in force.
// +kubebuilder:validation:MinProperties=1
type Targets struct {
	// zitadel lists instances and organizations of Zitadel. Unset: none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	Zitadel []ZitadelTarget `json:"zitadel,omitempty"`

	// localUsers selects MFAUsers of source Local. Unset: none.
	// +optional
	LocalUsers *LocalUsersTarget `json:"localUsers,omitempty"`
}

// Namespaces says where objects are looked for.
// +kubebuilder:validation:Enum=Same;All
type Namespaces string

// The two answers.
const (
	// NamespacesSame is the object's own namespace.
	NamespacesSame Namespaces = "Same"
	// NamespacesAll is every namespace. It counts only in the operator's own
	// namespace; elsewhere it is the same as Same.
	NamespacesAll Namespaces = "All"
)

// LocalUsersTarget selects MFAUsers of source Local.
type LocalUsersTarget struct {
	// selector selects them by label. An empty selector selects all.
	// +required
	Selector *metav1.LabelSelector `json:"selector,omitempty"`

	// namespaces says where they are: Same as the policy's, or All, which counts
	// only in the operator's own namespace. Unset: Same.
	// +optional
	// +default="Same"
	Namespaces Namespaces `json:"namespaces,omitempty"`
}

// ZitadelTarget is one instance or organization.
// +kubebuilder:validation:XValidation:rule="(self.scope == 'Organization') == has(self.organization)",message="organization must be set for scope Organization, and only for it",fieldPath=".organization"
type ZitadelTarget struct {
	// connection is the name of the ZitadelConnection to use.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Connection string `json:"connection,omitempty"`

	// scope is Instance for the defaults of the whole instance, or Organization
	// for one organization.
	// +required
	Scope TargetScope `json:"scope,omitempty"`

	// organization selects the organization. Unset: the target is the instance.
	// +optional
	Organization *OrganizationSelector `json:"organization,omitempty"`
}

// MFASettings say who is asked for which second factor, and when.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.appliesTo) || has(self.enforcement)",message="appliesTo needs enforcement",fieldPath=".appliesTo"
// +kubebuilder:validation:XValidation:rule="!has(self.enforcement) || self.enforcement == 'Optional' || !has(self.methods) || self.methods.size() > 0 || !has(self.passkeyLogin) || self.passkeyLogin == 'Allowed'",message="an enforcement other than Optional needs at least one method, or passkeyLogin Allowed",fieldPath=".methods"
// +kubebuilder:validation:XValidation:rule="!has(self.preferredMethod) || !has(self.methods) || self.preferredMethod in self.methods",message="preferredMethod must be one of methods",fieldPath=".preferredMethod"
type MFASettings struct {
	// enforcement says when a second factor is demanded: Optional never forces,
	// RequiredOnFirstLogin makes users set one up at their first login,
	// AlwaysRequired also asks again after at most 15 minutes. Unset: not
	// managed.
	// +optional
	Enforcement Enforcement `json:"enforcement,omitempty"`

	// appliesTo says whose sign-in the enforcement covers. Unset: AllUsers.
	// +optional
	AppliesTo Audience `json:"appliesTo,omitempty"`

	// methods lists the second factors users may set up and use; every other
	// method we know is taken off Zitadel's lists, factors only the server knows
	// stay. An empty list allows none. Unset: not managed.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=5
	Methods []Method `json:"methods,omitzero"`

	// preferredMethod is offered first, local users only. It has no effect while
	// it is not among the methods that hold. Unset: not managed.
	// +optional
	PreferredMethod Method `json:"preferredMethod,omitempty"`

	// passkeyLogin says whether a passkey with user verification may replace
	// the password (passwordless login). Unset: not managed.
	// +optional
	PasskeyLogin Permission `json:"passkeyLogin,omitempty"`

	// setupPrompt says how often users without a factor are invited to set one
	// up while the enforcement is Optional. Unset: not managed.
	// +optional
	SetupPrompt *SetupPrompt `json:"setupPrompt,omitempty"`

	// gracePeriodHours is how long users without a factor may go on after their
	// first login until they have to set one up, in hours, local users only. It
	// is given once and never again; 0 gives none. Unset: not managed, and where
	// no policy manages it there is none.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=8760
	GracePeriodHours *int32 `json:"gracePeriodHours,omitempty"`

	// webauthn says which authenticators are good enough, local users only.
	// Unset: not managed.
	// +optional
	WebAuthn *WebAuthnSettings `json:"webauthn,omitempty"`
}

// WebAuthnSettings say which security keys and platform authenticators of local
// users are good enough. Attestation and AAGUIDs count when one is set up; those
// that were set up before go on to work.
// +kubebuilder:validation:MinProperties=1
type WebAuthnSettings struct {
	// userVerification says whether the authenticator must make sure who uses it,
	// by a PIN or a biometric: Required refuses an answer without it, Preferred
	// asks for it where it can be had, Discouraged does without. Unset: not
	// managed, and where no policy manages it Preferred.
	// +optional
	UserVerification UserVerification `json:"userVerification,omitempty"`

	// attestation says whether a new authenticator must prove its make: None
	// takes any, Direct only one whose attestation leads to a root that is
	// trusted. Unset: not managed, and where no policy manages it None.
	// +optional
	Attestation Attestation `json:"attestation,omitempty"`

	// allowedAAGUIDs are the only makes that may be set up. As only a proven make
	// counts, the list brings attestation Direct along. Where policies have no
	// make in common, none may be set up. Unset: not managed, and where no policy
	// manages it all may.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	AllowedAAGUIDs []AAGUID `json:"allowedAAGUIDs,omitzero"`

	// deniedAAGUIDs are makes that may not be set up, proven or not, even if they
	// are allowed. The lists of several policies all count, however long they are
	// together. Unset: not managed, and where no policy manages it none is denied.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	DeniedAAGUIDs []AAGUID `json:"deniedAAGUIDs,omitzero"`
}

// PromptFrequency says how often users are invited to set up a factor.
// +kubebuilder:validation:Enum=Every;Never
type PromptFrequency string

// The two frequencies.
const (
	PromptEvery PromptFrequency = "Every"
	PromptNever PromptFrequency = "Never"
)

// SetupPrompt says how often users are invited to set up a factor. Zitadel's
// login version 2 does not show such invitations.
// +kubebuilder:validation:XValidation:rule="(self.frequency == 'Every') == has(self.everyHours)",message="everyHours must be set for frequency Every, and only for it",fieldPath=".everyHours"
type SetupPrompt struct {
	// frequency is Every, after everyHours, or Never. Unset: Every.
	// +optional
	// +default="Every"
	Frequency PromptFrequency `json:"frequency,omitempty"`

	// everyHours is how long a skipped invitation stays away, in hours. Unset:
	// only with frequency Never.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=8760
	EveryHours *int32 `json:"everyHours,omitempty"`
}

// SessionSettings bound how long a check stays fresh, in minutes.
// +kubebuilder:validation:MinProperties=1
type SessionSettings struct {
	// secondFactorMinutes is how long a second factor stays fresh. With
	// AlwaysRequired at most 15 is written. Unset: not managed.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=525600
	SecondFactorMinutes *int32 `json:"secondFactorMinutes,omitempty"`

	// multiFactorMinutes is how long a passkey stays fresh. With AlwaysRequired
	// at most 15 is written. Unset: not managed.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=525600
	MultiFactorMinutes *int32 `json:"multiFactorMinutes,omitempty"`

	// passwordMinutes is how long a password stays fresh. Unset: not managed.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=525600
	PasswordMinutes *int32 `json:"passwordMinutes,omitempty"`

	// externalLoginMinutes is how long a login at an external identity provider
	// stays fresh. Unset: not managed.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=525600
	ExternalLoginMinutes *int32 `json:"externalLoginMinutes,omitempty"`
}

// LoginSettings say which ways to sign in there are.
// +kubebuilder:validation:MinProperties=1
type LoginSettings struct {
	// passwordLogin is sign-in with user name and password. Unset: not managed.
	// +optional
	PasswordLogin Permission `json:"passwordLogin,omitempty"`

	// registration is self-registration. Unset: not managed.
	// +optional
	Registration Permission `json:"registration,omitempty"`

	// externalIdPs is sign-in through external identity providers. Unset: not
	// managed.
	// +optional
	ExternalIDPs Permission `json:"externalIdPs,omitempty"`

	// domainDiscovery finds the organization from the domain of an unknown user
	// name. Unset: not managed.
	// +optional
	DomainDiscovery Permission `json:"domainDiscovery,omitempty"`

	// passwordResetLink is the "forgot password" link on the login page. Unset:
	// not managed.
	// +optional
	PasswordResetLink Permission `json:"passwordResetLink,omitempty"`

	// unknownUsernames says what the login page makes of unknown user names:
	// Allowed sends them on to the password page, so that it does not reveal who
	// exists; Forbidden refuses them at once. Unset: not managed.
	// +optional
	UnknownUsernames Permission `json:"unknownUsernames,omitempty"`

	// loginWithEmail is sign-in with the e-mail address as user name. Unset:
	// not managed.
	// +optional
	LoginWithEmail Permission `json:"loginWithEmail,omitempty"`

	// loginWithPhone is sign-in with the phone number as user name. Unset: not
	// managed.
	// +optional
	LoginWithPhone Permission `json:"loginWithPhone,omitempty"`

	// defaultRedirectURI is where users go who sign in without an application:
	// empty for Zitadel's own page, or a URI with scheme and host. Unset: not
	// managed.
	// +optional
	// +kubebuilder:validation:MinLength=0
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self == '' || self.matches('^[a-zA-Z][a-zA-Z0-9+.-]*:.+') && (!self.matches('^[hH][tT][tT][pP][sS]?:') || self.matches('^[a-zA-Z]+://[^/?#]+'))",message="defaultRedirectURI must be empty or a URI with a scheme, and with a host for http and https"
	DefaultRedirectURI *string `json:"defaultRedirectURI,omitempty"`
}

// PasswordSettings say what a password must look like and how long it lasts.
// +kubebuilder:validation:MinProperties=1
type PasswordSettings struct {
	// minLength is the least number of characters; 72 is the most Zitadel
	// accepts. Unset: not managed.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=72
	MinLength *int32 `json:"minLength,omitempty"`

	// requireUppercase asks for an upper-case letter. Unset: not managed.
	// +optional
	RequireUppercase Requirement `json:"requireUppercase,omitempty"`

	// requireLowercase asks for a lower-case letter. Unset: not managed.
	// +optional
	RequireLowercase Requirement `json:"requireLowercase,omitempty"`

	// requireNumber asks for a digit. Unset: not managed.
	// +optional
	RequireNumber Requirement `json:"requireNumber,omitempty"`

	// requireSymbol asks for a symbol. Unset: not managed.
	// +optional
	RequireSymbol Requirement `json:"requireSymbol,omitempty"`

	// expireAfterDays is the age, in days, at which a password must be changed;
	// 0 means never. Unset: not managed.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3650
	ExpireAfterDays *int32 `json:"expireAfterDays,omitempty"`

	// warnBeforeDays is how many days before that users are warned; 0 means
	// never. Unset: not managed.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3650
	WarnBeforeDays *int32 `json:"warnBeforeDays,omitempty"`
}

// LockoutSettings bound failed attempts. Zitadel's 0, never lock, cannot be
// asked for: leave the field out instead.
// +kubebuilder:validation:MinProperties=1
type LockoutSettings struct {
	// maxPasswordAttempts is how many wrong passwords lock the user. Unset: not
	// managed.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	MaxPasswordAttempts *int32 `json:"maxPasswordAttempts,omitempty"`

	// maxOTPAttempts is how many wrong one-time codes of one kind lock the
	// user. Unset: not managed.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	MaxOTPAttempts *int32 `json:"maxOTPAttempts,omitempty"`

	// autoUnlockMinutes is how long a locked user stays so, in minutes, local
	// users only: in Zitadel an administrator must unlock them. Unset: not
	// managed, and where no policy manages it 15.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=525600
	AutoUnlockMinutes *int32 `json:"autoUnlockMinutes,omitempty"`
}

// TargetState says how far a target is.
type TargetState string

// The states of a target.
const (
	// TargetInForce: the target holds what the policy wants.
	TargetInForce TargetState = "InForce"
	// TargetPending: the target differs from what the policy wants, and that
	// is left so: mode Audit, or not reached yet.
	TargetPending TargetState = "Pending"
	// TargetOutOfForce: the policy is disabled and what stood before is back.
	TargetOutOfForce TargetState = "OutOfForce"
	// TargetFailed: see reason and message.
	TargetFailed TargetState = "Failed"
)

// SettingChange is one difference between what was found and what is wanted.
type SettingChange struct {
	// setting is Zitadel's name of the setting, behind that of its policy.
	// +required
	// +kubebuilder:validation:MinLength=1
	Setting string `json:"setting,omitempty"`

	// found is the value in Zitadel; empty if there was none.
	// +optional
	Found string `json:"found,omitempty"`

	// wanted is the value the policy asks for.
	// +optional
	Wanted string `json:"wanted,omitempty"`
}

// OverriddenField is a field in which other policies at the same target won.
type OverriddenField struct {
	// field is its path in the spec.
	// +required
	// +kubebuilder:validation:MinLength=1
	Field string `json:"field,omitempty"`

	// value is what this policy asks for.
	// +optional
	Value string `json:"value,omitempty"`

	// effective is what holds instead.
	// +optional
	Effective string `json:"effective,omitempty"`

	// stricter tells that the value won for being stricter; else a higher
	// priority decided, or the older policy.
	// +optional
	Stricter bool `json:"stricter,omitempty"` //nolint:kubeapilinter // There are two ways to win.

	// by names the policies that won, as namespace/name.
	// +optional
	// +listType=set
	By []string `json:"by,omitempty"`
}

// Editor is who changed something in Zitadel.
type Editor struct {
	// userID is the user's id in Zitadel.
	// +optional
	UserID string `json:"userID,omitempty"`

	// name is the user's name for people. Unset: the server does not tell.
	// +optional
	Name string `json:"name,omitempty"`
}

// Drift is a change that somebody else made in Zitadel to what the policy put
// in force.
type Drift struct {
	// organization is the one below the target whose settings were changed.
	// Unset: it was the target itself.
	// +optional
	Organization string `json:"organization,omitempty"`

	// detectedTime is when it was found.
	// +required
	DetectedTime metav1.Time `json:"detectedTime,omitzero"` //nolint:kubeapilinter // A zero time is never written.

	// settings lists what was found changed, and what the policies want.
	// +optional
	// +listType=map
	// +listMapKey=setting
	Settings []SettingChange `json:"settings,omitempty"`

	// editor made the change. Unset: the account may not read Zitadel's events.
	// +optional
	Editor *Editor `json:"editor,omitempty"`

	// editedTime is when the change was made. Unset: not known.
	// +optional
	EditedTime *metav1.Time `json:"editedTime,omitempty"`
}

// OrganizationsStatus counts the organizations below an instance that have
// settings of their own, and no policy of their own.
type OrganizationsStatus struct {
	// ownSettings is how many there are.
	// +optional
	OwnSettings int32 `json:"ownSettings,omitempty"`

	// raised is how many of them hold values that were raised to the policy's.
	// +optional
	Raised int32 `json:"raised,omitempty"`

	// failed is how many could not be brought to what the policy wants.
	// +optional
	Failed int32 `json:"failed,omitempty"`
}

// TargetStatus is what became of one target.
type TargetStatus struct {
	// connection is the name of the ZitadelConnection.
	// +required
	// +kubebuilder:validation:MinLength=1
	Connection string `json:"connection,omitempty"`

	// scope is Instance or Organization.
	// +required
	Scope TargetScope `json:"scope,omitempty"`

	// organizationID is the organization's id in Zitadel. Unset: the instance,
	// or not resolved.
	// +optional
	OrganizationID string `json:"organizationID,omitempty"`

	// organization names the organization as it was last seen, or, while it is
	// not resolved, as the spec selects it. Unset: the instance.
	// +optional
	Organization string `json:"organization,omitempty"`

	// state says how far the target is.
	// +required
	// +kubebuilder:validation:MinLength=1
	State TargetState `json:"state,omitempty"`

	// reason says why, with the words of the Ready condition.
	// +optional
	Reason string `json:"reason,omitempty"`

	// message says it for people, and what to do.
	// +optional
	Message string `json:"message,omitempty"`

	// pending lists what differs from what the policy wants and has not been
	// written.
	// +optional
	// +listType=map
	// +listMapKey=setting
	Pending []SettingChange `json:"pending,omitempty"`

	// overridden lists the fields in which other policies at the target won.
	// +optional
	// +listType=map
	// +listMapKey=field
	Overridden []OverriddenField `json:"overridden,omitempty"`

	// drift is the last change that somebody else made to what was in force.
	// Unset: there was none.
	// +optional
	Drift *Drift `json:"drift,omitempty"`

	// organizations counts those below an instance that have settings of their
	// own. Unset: the target is an organization, or it is not known which have.
	// +optional
	Organizations *OrganizationsStatus `json:"organizations,omitempty"`

	// lastChangeTime is when the policies last wrote to the target. Unset:
	// never.
	// +optional
	LastChangeTime *metav1.Time `json:"lastChangeTime,omitempty"`
}

// Impact counts the users a policy reaches, as if it were in mode Enforce.
// Users who are locked or inactive do not count.
type Impact struct {
	// usersInScope is the sum of the next three.
	// +required
	UsersInScope int64 `json:"usersInScope"` //nolint:kubeapilinter // 0 is said, not left out.

	// compliant users have what is demanded of them, be it nothing.
	// +required
	Compliant int64 `json:"compliant"` //nolint:kubeapilinter // 0 is said, not left out.

	// willBePrompted users have to set up a factor at their next sign-in.
	// +required
	WillBePrompted int64 `json:"willBePrompted"` //nolint:kubeapilinter // 0 is said, not left out.

	// willBeBlocked users cannot sign in: no factor they could set up is
	// allowed, or no way to sign in that they have.
	// +required
	WillBeBlocked int64 `json:"willBeBlocked"` //nolint:kubeapilinter // 0 is said, not left out.

	// exempt is how many users of Zitadel that are known as MFAUsers an
	// MFAExemption lets off this policy. Zitadel cannot let off a single user, so
	// they are counted above as well.
	// +required
	Exempt int64 `json:"exempt"` //nolint:kubeapilinter // 0 is said, not left out.
}

// UserCounts counts MFAUsers by their compliance.
type UserCounts struct {
	// compliant users have what is demanded of them, be it nothing.
	// +required
	Compliant int32 `json:"compliant"` //nolint:kubeapilinter // 0 is said, not left out.

	// nonCompliant users lack it.
	// +required
	NonCompliant int32 `json:"nonCompliant"` //nolint:kubeapilinter // 0 is said, not left out.

	// inGrace users lack it, and have time to enrol.
	// +required
	InGrace int32 `json:"inGrace"` //nolint:kubeapilinter // 0 is said, not left out.

	// exempt users lack it, and an MFAExemption lets them off.
	// +required
	Exempt int32 `json:"exempt"` //nolint:kubeapilinter // 0 is said, not left out.

	// unknown is how many there are of whom it is not known.
	// +required
	Unknown int32 `json:"unknown"` //nolint:kubeapilinter // 0 is said, not left out.
}

// SecurityPolicyStatus is what became of the policy.
type SecurityPolicyStatus struct {
	// observedGeneration is the generation of the spec this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions sum up the policy; see the reasons of each type.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +patchMergeKey=type
	// +patchStrategy=merge
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`

	// inForce counts the targets in force out of all, such as 2/3.
	// +optional
	InForce string `json:"inForce,omitempty"`

	// impact counts the users the policy reaches, as if it were in mode Enforce.
	// Unset: a target failed, the account may not read Zitadel's events, or
	// users are still being counted.
	// +optional
	Impact *Impact `json:"impact,omitempty"`

	// users counts the MFAUsers for whom the policy is in force, by their
	// compliance. Unset: there are none.
	// +optional
	Users *UserCounts `json:"users,omitempty"`

	// targets has one entry for each target of the spec, and for each that was
	// removed from it and is not cleaned up yet.
	// +optional
	// +listType=atomic
	Targets []TargetStatus `json:"targets,omitempty"`
}

// SecurityPolicy is the intent of a security engineer: which multi-factor
// authentication, sign-in, password and lockout rules hold, and where.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=secpol,categories=neosc
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="MFA",type=string,JSONPath=`.spec.mfa.enforcement`
// +kubebuilder:printcolumn:name="In force",type=string,JSONPath=`.status.inForce`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Users",type=integer,priority=1,JSONPath=`.status.impact.usersInScope`
// +kubebuilder:printcolumn:name="Prompted",type=integer,priority=1,JSONPath=`.status.impact.willBePrompted`
// +kubebuilder:printcolumn:name="Blocked",type=integer,priority=1,JSONPath=`.status.impact.willBeBlocked`
// +kubebuilder:printcolumn:name="Lacking",type=integer,priority=1,JSONPath=`.status.users.nonCompliant`
// +kubebuilder:printcolumn:name="Methods",type=string,priority=1,JSONPath=`.spec.mfa.methods`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type SecurityPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the intent.
	// +required
	Spec SecurityPolicySpec `json:"spec,omitzero"`

	// status is what became of it.
	// +default={"observedGeneration":-1}
	// +optional
	Status SecurityPolicyStatus `json:"status,omitzero"`
}

// SecurityPolicyList is a list of policies.
//
// +kubebuilder:object:root=true
type SecurityPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []SecurityPolicy `json:"items"`
}
