// Package rights is the complete list of what each process may do in the cluster, and
// why. test/install holds it to what an API server makes of config/rbac and the chart,
// and hack/rights writes docs/reference/rights.md from it.
package rights

import (
	"github.com/neosc/mfa-operator/internal/doorbell"
	"github.com/neosc/mfa-operator/internal/sealed"
	"github.com/neosc/mfa-operator/internal/signing"
)

// Manager and Webhook name the processes' Deployments, accounts and roles, and the
// objects that only one of them is for.
const (
	Manager = "mfa-operator-manager"
	Webhook = "mfa-operator-webhook"
)

// neosc is the API group of our kinds.
const neosc = "security.neosc.io"

// Right is what may be done with one kind of object.
type Right struct {
	// Group is the API group, empty for Kubernetes' own.
	Group string
	// Resource may have a subresource behind a slash, and the name of the only object
	// behind a colon.
	Resource string
	// Verbs are separated by spaces.
	Verbs string
	// Why is for whoever has to judge it.
	Why string
}

// Scope is rights by where they hold: in every namespace, in the operator's own, and in
// those that somebody names.
type Scope struct {
	Everywhere, Home, Named []Right
}

// ForManager is what the manager may. A right that is not here is a finding: either the
// marker in controllers/ is too wide, or this list wants a line.
var ForManager = Scope{
	Everywhere: []Right{
		{"", "namespaces", "get list watch", "access rules select namespaces by label"},
		{"events.k8s.io", "events", "create patch", "Events stand beside the object they speak of"},
		{"openreports.io", "reports", "get list create update delete", "who complies, where the cluster has the kind"},
		{neosc, "securitypolicies", "get list watch patch", "patch: the finalizer"},
		{neosc, "securitypolicies/status", "patch", "what became of it"},
		{neosc, "securitypolicies/finalizers", "update", "owner references where OwnerReferencesPermissionEnforcement is on"},
		{neosc, "mfausers", "get list watch create delete patch", "whose MFA is shown; create, delete: discovery; patch: which resets have run"},
		{neosc, "mfausers/status", "patch", "how things stand with it"},
		{neosc, "mfaresets", "get list watch delete", "delete: those that have finished, after deleteAfterHours"},
		{neosc, "mfaresets/status", "patch", "how far it is"},
		{neosc, "mfaexemptions", "get list watch", "who is let off what"},
		{neosc, "mfaexemptions/status", "patch", "what became of it"},
		{neosc, "zitadelconnections", "get list watch patch", "patch: the finalizer"},
		{neosc, "zitadelconnections/status", "patch", "what became of it"},
		{neosc, "zitadelconnections/finalizers", "update", "owner references, the same"},
		{neosc, "mfaauditrecords", "get list watch create delete", "delete: retention"},
		{neosc, "mfaledgers", "get list watch create", "created before a ledger's first batch"},
		{neosc, "mfaledgers/status", "get update patch", "floor and checkpoint, by compare-and-swap; conditions"},
		{neosc, "mfaledgersnapshots", "get list create delete", "checkpoints"},
	},
	Home: []Right{
		{"", "secrets", "get list watch", "credentials for Zitadel"},
		{"", "secrets:" + doorbell.Name, "patch", "the keys that Zitadel's calls are signed with, in this Secret only"},
		{"", "configmaps", "get list watch create update delete", "claims on targets, and what stood there before"},
		{"", "events", "create patch", "leader election speaks the older API"},
		{"coordination.k8s.io", "leases", "create", "leader election"},
		{"coordination.k8s.io", "leases:" + Manager, "get update", "leader election, this lease only"},
		{"coordination.k8s.io", "leases:" + doorbell.Name, "get list watch", "rings, which the webhook writes"},
	},
}

// ForWebhook is what the webhook may.
var ForWebhook = Scope{
	Everywhere: []Right{
		{"", "namespaces", "get list watch", "access rules select namespaces by label"},
		{neosc, "securitypolicies", "get list watch", "what others at the same target say"},
		{neosc, "zitadelconnections", "get list watch", "who may target what"},
		{neosc, "mfausers", "get list watch", "who would be reset, or let off"},
		{neosc, "mfaexemptions", "get list watch", "who withdrew one, and who is let off what"},
		{neosc, "mfaauditrecords", "get list watch create delete", "who changed what; delete: a batch that never counted"},
		{neosc, "mfaledgers", "get create", "created before a ledger's first batch"},
		{neosc, "mfaledgersnapshots", "get", "where reading begins"},
		{"admissionregistration.k8s.io", "validatingwebhookconfigurations:" + Webhook, "get list watch update", "whom the API server trusts; this one only"},
	},
	Home: []Right{
		{"", "configmaps", "get list watch", "the census, and who holds what"},
		{"", "secrets:" + Webhook + "-tls", "get list watch update", "its certificate; this one only"},
		{"", "secrets:" + doorbell.Name, "get list watch", "the keys that doorbells are signed with; this one only"},
		{"coordination.k8s.io", "leases:" + doorbell.Name, "patch", "that a bell rang; this one only"},
	},
}

// ForVerifier is what the webhook may besides where local users are verified; named are
// the namespaces that they are in.
var ForVerifier = Scope{
	Everywhere: []Right{
		{"authentication.k8s.io", "tokenreviews", "create", "who calls"},
		{"authorization.k8s.io", "subjectaccessreviews", "create", "what callers may"},
		{neosc, "mfausers", "create", "those whom applications register"},
	},
	Home: []Right{
		{"", "secrets:" + sealed.KeysName, "get list watch update", "the keys of the credentials; update: they are made in there"},
		{"", "secrets:" + signing.KeysName, "get list watch update", "the keys that sessions are signed with"},
	},
	Named: []Right{
		{"", "secrets", "get list watch create update delete", "the credentials, in the namespaces that are named"},
	},
}

// ForNeoSC is what the webhook may besides where NeoSC's API is turned on; named is the
// namespace whose policies it is for.
var ForNeoSC = Scope{
	Everywhere: []Right{
		{"authentication.k8s.io", "tokenreviews", "create", "who calls"},
		{"authorization.k8s.io", "subjectaccessreviews", "create", "what callers may"},
		{"authentication.k8s.io", "userextras/security.neosc.io/on-behalf-of", "impersonate", "to say for whom it asks"},
	},
	Home: []Right{
		{"", "serviceaccounts:" + Webhook, "impersonate", "to say so, as itself; this one only"},
	},
	Named: []Right{
		{neosc, "securitypolicies", "patch", "what callers toggle, in the namespace that is named"},
	},
}

// ForCheck is what the chart's test may, for as long as it runs.
var ForCheck = Scope{
	Home: []Right{
		{"coordination.k8s.io", "leases:" + Manager, "get", "whether a manager leads"},
		{neosc, "securitypolicies:" + CheckedPolicy, "create patch", "what the webhook refuses, as a dry run"},
	},
}

// CheckedPolicy is the one that manager check asks for.
const CheckedPolicy = "installation-check"
