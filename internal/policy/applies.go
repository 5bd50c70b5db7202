package policy

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
)

// TargetKeys returns, for each target of a spec, the key to find it by in an
// index: equal keys, same target. An organization has a key for each way to
// select it; KeysOf lists them.
func TargetKeys(spec *v1alpha1.SecurityPolicySpec) []string {
	keys := make([]string, 0, len(spec.Targets.Zitadel))
	for i := range spec.Targets.Zitadel {
		t := &spec.Targets.Zitadel[i]
		if t.Organization == nil {
			keys = append(keys, InstanceKey(t.Connection))
		} else {
			keys = append(keys, OrganizationKey(t.Connection, t.Organization))
		}
	}
	return keys
}

// ConnectionsOf lists the connections that a spec names, each once.
func ConnectionsOf(spec *v1alpha1.SecurityPolicySpec) []string {
	var names []string
	for i := range spec.Targets.Zitadel {
		if name := spec.Targets.Zitadel[i].Connection; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// InstanceKey is the key of a connection's instance.
func InstanceKey(connection string) string { return connection + "/instance" }

// OrganizationKey is the key of an organization by what selects it.
func OrganizationKey(connection string, s *v1alpha1.OrganizationSelector) string {
	switch {
	case s.ID != "":
		return connection + "/id/" + s.ID
	case s.Name != "":
		return connection + "/name/" + s.Name
	default:
		return connection + "/domain/" + s.PrimaryDomain
	}
}

// KeysOf returns the keys an organization can be targeted by, as far as it is
// known.
func KeysOf(connection string, org idp.Organization) []string {
	var keys []string
	for _, k := range []struct{ by, value string }{{"/id/", org.ID}, {"/name/", org.Name}, {"/domain/", org.PrimaryDomain}} {
		if k.value != "" {
			keys = append(keys, connection+k.by+k.value)
		}
	}
	return keys
}

// ContributionOf returns what a policy contributes with these rules: InForce of
// its spec for what is, RulesOf for what would be. floor says that it targets
// the instance and is looked at for an organization.
func ContributionOf(p *v1alpha1.SecurityPolicy, r Rules, floor bool) Contribution {
	return Contribution{
		Policy:   types.NamespacedName{Namespace: p.Namespace, Name: p.Name},
		Rules:    r,
		Floor:    floor,
		Priority: valueOf(p.Spec.Priority),
		Created:  p.CreationTimestamp.Time,
	}
}
