package v1alpha1

// Permission says whether something is allowed at sign-in.
// +kubebuilder:validation:Enum=Allowed;Forbidden
type Permission string

// The two permissions.
const (
	Allowed   Permission = "Allowed"
	Forbidden Permission = "Forbidden"
)

// Requirement says whether something must be there.
// +kubebuilder:validation:Enum=Required;NotRequired
type Requirement string

// The two requirements.
const (
	Required    Requirement = "Required"
	NotRequired Requirement = "NotRequired"
)

// TargetScope says for whom a target's settings hold.
// +kubebuilder:validation:Enum=Instance;Organization
type TargetScope string

// The two scopes.
const (
	// ScopeInstance is the default of the whole Zitadel instance, which every
	// organization without settings of its own follows.
	ScopeInstance TargetScope = "Instance"
	// ScopeOrganization is one organization.
	ScopeOrganization TargetScope = "Organization"
)

// OrganizationSelector names one organization of a Zitadel instance by exactly
// one of its id, its name or its primary domain.
// +kubebuilder:validation:XValidation:rule="[has(self.id), has(self.name), has(self.primaryDomain)].filter(set, set).size() == 1",message="exactly one of id, name and primaryDomain must be set"
type OrganizationSelector struct {
	// id is the organization's id in Zitadel. Unset: selected by another field.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	ID string `json:"id,omitempty"`

	// name is the organization's name, compared exactly. Names are unique in an
	// instance. Unset: selected by another field.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	Name string `json:"name,omitempty"`

	// primaryDomain is the organization's primary domain, compared exactly.
	// Unset: selected by another field.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	PrimaryDomain string `json:"primaryDomain,omitempty"`
}
