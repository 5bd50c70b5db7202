package idp

// Scope says for whom settings hold: the whole instance, or one organization.
type Scope struct {
	// OrganizationID is empty for the instance.
	OrganizationID string
}

// Instance is the scope of the instance defaults.
var Instance = Scope{}

// InOrganization is the scope of one organization.
func InOrganization(id string) Scope { return Scope{OrganizationID: id} }

// IsInstance tells whether this is the instance scope.
func (s Scope) IsInstance() bool { return s.OrganizationID == "" }

// String names the scope for people: "instance" or "organization ID".
func (s Scope) String() string {
	if s.IsInstance() {
		return "instance"
	}
	return "organization " + s.OrganizationID
}

// OrganizationRef selects an organization by exactly one of its id, its name
// (case-sensitive, unique in the instance) or its primary domain.
type OrganizationRef struct {
	ID            string
	Name          string
	PrimaryDomain string
}

// String names the selector for people.
func (r OrganizationRef) String() string {
	switch {
	case r.ID != "":
		return "id " + r.ID
	case r.Name != "":
		return "name " + r.Name
	default:
		return "primary domain " + r.PrimaryDomain
	}
}

// Organization is one tenant of the instance.
type Organization struct {
	ID            string
	Name          string
	PrimaryDomain string
}
