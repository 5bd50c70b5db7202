package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// CredentialType says what kind of credential a Secret holds.
// +kubebuilder:validation:Enum=JWTProfile;PAT
type CredentialType string

// The two kinds of credential.
const (
	// CredentialJWTProfile is the JSON key file of a machine user.
	CredentialJWTProfile CredentialType = "JWTProfile"
	// CredentialPAT is a personal access token of a machine user.
	CredentialPAT CredentialType = "PAT"
)

// ZitadelConnectionSpec says where a Zitadel instance is, as whom we speak to
// it, and which namespaces may use that.
type ZitadelConnectionSpec struct {
	// domain is the instance's external domain, by which Zitadel tells its
	// instances apart and which tokens are issued for.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?$`
	Domain string `json:"domain,omitempty"`

	// port is the instance's external port. Unset: 443, or 80 with insecure.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`

	// insecure speaks plain HTTP. Refused unless the host is loopback or the
	// operator runs with --allow-insecure. Unset: TLS.
	// +optional
	Insecure bool `json:"insecure,omitempty"` //nolint:kubeapilinter // Plain HTTP or TLS: there is no third transport.

	// address is where to connect, as host:port, when that differs from the
	// external domain, such as a Service inside the cluster. Unset: domain and
	// port.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=320
	// +kubebuilder:validation:Pattern=`^[^\s/]+:[0-9]{1,5}$`
	Address string `json:"address,omitempty"`

	// caBundle holds the certificates, PEM, to trust instead of the system's.
	// Unset: the system's.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	CABundle []byte `json:"caBundle,omitempty"`

	// credentials say as whom to speak.
	// +required
	Credentials Credentials `json:"credentials,omitzero"`

	// rateLimit bounds the calls to the instance, for all policies together.
	// Unset: 10 per second with bursts of 20.
	// +optional
	// +default={}
	RateLimit RateLimit `json:"rateLimit,omitzero"`

	// timeoutSeconds bounds each call, and each request for a token. Unset: 10.
	// +optional
	// +default=10
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=120
	TimeoutSeconds int32 `json:"timeoutSeconds,omitempty"`

	// access lists which namespaces may target what. Without a matching rule a
	// SecurityPolicy has no effect. Unset: nobody may use the connection.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Access []AccessRule `json:"access,omitempty"`

	// events says how the instance's event log is followed. Unset: every 10
	// seconds.
	// +optional
	// +default={}
	Events EventsSpec `json:"events,omitzero"`

	// discovery makes an MFAUser for every human user of some organizations, and
	// removes it when the user goes. Unset: none is made, and those made before
	// are removed. An MFAUser that somebody else made is never touched.
	// +optional
	Discovery *DiscoverySpec `json:"discovery,omitempty"`
}

// DiscoverySpec says whose MFAUsers are made, and where.
type DiscoverySpec struct {
	// namespace the MFAUsers are made in. An access rule has to let it target the
	// organizations.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespace string `json:"namespace,omitempty"`

	// organizations are those whose users are discovered.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	Organizations []OrganizationSelector `json:"organizations,omitempty"` //nolint:kubeapilinter // A rule on the struct requires exactly one of its fields.
}

// DiscoveryStatus says how far discovery is.
type DiscoveryStatus struct {
	// users is how many human users the organizations have.
	// +required
	Users int32 `json:"users"` //nolint:kubeapilinter // 0 is said, not left out.

	// made is how many of them have an MFAUser that discovery made.
	// +required
	Made int32 `json:"made"` //nolint:kubeapilinter // 0 is said, not left out.

	// shown is how many of these have been read from Zitadel since.
	// +required
	Shown int32 `json:"shown"` //nolint:kubeapilinter // 0 is said, not left out.
}

// EventsSpec says how an event log is followed.
type EventsSpec struct {
	// pollSeconds is the pause between two looks at the event log, each of which
	// costs one call. It bounds how long a change made by somebody else goes
	// unnoticed. Unset: 10.
	// +optional
	// +default=10
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3600
	PollSeconds int32 `json:"pollSeconds,omitempty"`

	// webhook has Zitadel ring when settings are changed, so that the log is
	// looked at then and not at the end of the pause. Unset: it does not.
	// +optional
	Webhook EventsWebhook `json:"webhook,omitzero"`
}

// EventsWebhook is a doorbell at the instance. It only makes the next look at the
// event log come sooner: Zitadel calls once, and what a lost call was about is
// found by the look after the pause.
// +kubebuilder:validation:XValidation:rule="!has(self.enabled) || !self.enabled || has(self.url)",message="url must be set when the webhook is enabled",fieldPath=".url",reason=FieldValueRequired
type EventsWebhook struct {
	// enabled makes and keeps a target in Zitadel, and executions that call it,
	// where nobody else has any. It needs the role IAM_OWNER. When it becomes
	// false they are removed. Unset: false.
	// +optional
	Enabled bool `json:"enabled,omitempty"` //nolint:kubeapilinter // There is a bell, or there is none.

	// url is where Zitadel reaches the operator's webhook. The path
	// /zitadel/v1/ring/ and the name of the connection are appended. Unset:
	// enabled is refused.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=500
	// +kubebuilder:validation:Pattern=`^https?://([a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?(/[a-zA-Z0-9._~/-]*)?$`
	URL string `json:"url,omitempty"`
}

// Credentials say where the credential is.
type Credentials struct {
	// type is JWTProfile for the JSON key file of a machine user, or PAT for a
	// personal access token.
	// +required
	Type CredentialType `json:"type,omitempty"`

	// secretRef names the Secret that holds it.
	// +required
	SecretRef SecretKeyRef `json:"secretRef,omitzero"`
}

// SecretKeyRef names one entry of a Secret.
type SecretKeyRef struct {
	// namespace of the Secret. The operator may read Secrets in its own
	// namespace; in others only where it has been given the right.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// key of the entry.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}

// RateLimit is a token bucket.
type RateLimit struct {
	// requestsPerSecond is how many calls are allowed on average. Unset: 10.
	// +optional
	// +default=10
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	RequestsPerSecond int32 `json:"requestsPerSecond,omitempty"`

	// burst is how many calls may come at once. Unset: 20.
	// +optional
	// +default=20
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Burst int32 `json:"burst,omitempty"`
}

// AccessRule lets namespaces target scopes.
// +kubebuilder:validation:XValidation:rule="!has(self.organizations) || self.scopes.exists(s, s == 'Organization')",message="organizations needs the scope Organization",fieldPath=".organizations"
type AccessRule struct {
	// namespaceSelector selects namespaces by their labels; an empty selector
	// selects all.
	// +required
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`

	// scopes lists what these namespaces may target.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	Scopes []TargetScope `json:"scopes,omitempty"`

	// organizations narrows the scope Organization to these. Unset: every
	// organization.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	Organizations []OrganizationSelector `json:"organizations,omitempty"` //nolint:kubeapilinter // A rule on the struct requires exactly one of its fields.
}

// CredentialStatus says who we are and what we may do.
type CredentialStatus struct {
	// userID of the machine user.
	// +optional
	UserID string `json:"userID,omitempty"`

	// userName of the machine user.
	// +optional
	UserName string `json:"userName,omitempty"`

	// roles lists the roles of the machine user by their names in Zitadel, with
	// the organization they are granted on behind an @, if any. Empty: it may do
	// nothing.
	// +optional
	// +listType=set
	Roles []string `json:"roles,omitempty"`

	// expiresAt is when the key or token ends. Unset: it does not, or the server
	// does not tell.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
}

// ZitadelConnectionStatus is what became of the connection.
type ZitadelConnectionStatus struct {
	// observedGeneration is the generation of the spec this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions sum up the connection; see the reasons of each type.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +patchMergeKey=type
	// +patchStrategy=merge
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`

	// discovery says how far discovery is. Unset: there is none.
	// +optional
	Discovery *DiscoveryStatus `json:"discovery,omitempty"`

	// serverVersion is the version the server reports. Unset: the credential
	// may not read it.
	// +optional
	ServerVersion string `json:"serverVersion,omitempty"`

	// credential says who we are and what we may do. Unset: never connected.
	// +optional
	Credential *CredentialStatus `json:"credential,omitempty"`

	// events says how far the event log has been followed. Unset: not yet.
	// +optional
	Events *EventsStatus `json:"events,omitempty"`
}

// EventsStatus is how far an event log has been followed.
type EventsStatus struct {
	// instance is the origin of the instance whose log it is; another one has
	// another log.
	// +optional
	Instance string `json:"instance,omitempty"`

	// from is the time up to which every event has been acted on.
	// +optional
	From *metav1.MicroTime `json:"from,omitempty"`

	// seen lists the events after that time that have been acted on, as type of
	// aggregate, id of aggregate and sequence.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=500
	Seen []string `json:"seen,omitempty"`

	// followedSince is since when no event has been missed: the log was followed
	// from its end then, as for the first time or after the place in it was lost.
	// Users that were read before are read again. Unset: not known.
	// +optional
	FollowedSince *metav1.Time `json:"followedSince,omitempty"`

	// lastPollTime is when the log was last looked at, to the minute.
	// +optional
	LastPollTime *metav1.Time `json:"lastPollTime,omitempty"`
}

// ZitadelConnection says where a Zitadel instance is, as whom the operator
// speaks to it, and which namespaces may use that.
//
// +kubebuilder:object:root=true
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="metadata.name of a ZitadelConnection must have at most 63 characters"
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=zconn,categories=neosc
// +kubebuilder:printcolumn:name="Domain",type=string,JSONPath=`.spec.domain`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.serverVersion`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Expires",type=date,JSONPath=`.status.credential.expiresAt`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Roles",type=string,priority=1,JSONPath=`.status.credential.roles`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type ZitadelConnection struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says where and as whom.
	// +required
	Spec ZitadelConnectionSpec `json:"spec,omitzero"`

	// status is what became of it.
	// +default={"observedGeneration":-1}
	// +optional
	Status ZitadelConnectionStatus `json:"status,omitzero"`
}

// ZitadelConnectionList is a list of connections.
//
// +kubebuilder:object:root=true
type ZitadelConnectionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ZitadelConnection `json:"items"`
}
