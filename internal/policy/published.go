package policy

import (
	"strings"

	"github.com/neosc/mfa-operator/internal/idp"
)

// What the manager keeps in ConfigMaps in the operator's namespace, and others
// read: the census of each connection, and a claim for each target that
// policies hold.

const (
	labelManagedBy = "app.kubernetes.io/managed-by"
	labelComponent = "app.kubernetes.io/component"
)

// PublishedLabels are on all of them, for selection, ClaimLabels on every claim,
// CensusLabels on every census.
var (
	PublishedLabels = map[string]string{labelManagedBy: "mfa-operator"}
	ClaimLabels     = map[string]string{labelManagedBy: "mfa-operator", labelComponent: "claim"}
	CensusLabels    = map[string]string{labelManagedBy: "mfa-operator", labelComponent: "census"}
)

// Further labels and annotations of a claim.
const (
	LabelConnection = "security.neosc.io/connection"
	// The organization; empty where the target is the instance.
	AnnotationOrganizationID   = "security.neosc.io/organization-id"
	AnnotationOrganizationName = "security.neosc.io/organization"
	AnnotationPrimaryDomain    = "security.neosc.io/primary-domain"
	// AnnotationPolicies names the policies that have a part in it, as
	// namespace/name, with spaces between.
	AnnotationPolicies = "security.neosc.io/policies"
)

// CensusKey is the entry of a census's ConfigMap; ReadCensus reads it.
const CensusKey = "census.json"

const censusPrefix = "census-"

// CensusName names the ConfigMap with the census of a connection.
func CensusName(connection string) string { return censusPrefix + connection }

// CensusOf is the connection whose census a ConfigMap of that name has.
func CensusOf(name string) string { return strings.TrimPrefix(name, censusPrefix) }

// IsCensus tells a census from a claim, by its labels.
func IsCensus(labels map[string]string) bool {
	return labels[labelComponent] == CensusLabels[labelComponent]
}

// OrganizationOf is the organization a claim is on; zero for the instance.
func OrganizationOf(annotations map[string]string) idp.Organization {
	return idp.Organization{
		ID:            annotations[AnnotationOrganizationID],
		Name:          annotations[AnnotationOrganizationName],
		PrimaryDomain: annotations[AnnotationPrimaryDomain],
	}
}

// HoldersOf names the policies that have a part in a claim, as namespace/name. A
// claim whose data cannot be read still tells.
func HoldersOf(annotations map[string]string) []string {
	return strings.Fields(annotations[AnnotationPolicies])
}
