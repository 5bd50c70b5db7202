package install

import (
	"github.com/onsi/gomega"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/doorbell"
	"github.com/neosc/mfa-operator/test/harness"
)

const webhookAccount = "system:serviceaccount:" + namespace + ":" + hook

// startWebhook runs the real webhook as its service account, until the end of
// the test, and waits until it is ready.
func (c *cluster) startWebhook(flags ...string) *harness.Webhook {
	c.t.Helper()
	logs := &harness.Recorder{}
	running, err := harness.StartWebhook(c.writeKubeconfig("webhook", webhookAccount), logs, flags...)
	c.Expect(err).NotTo(gomega.HaveOccurred())
	c.t.Cleanup(func() {
		if err := running.Stop(); err != nil {
			c.t.Errorf("the webhook: %v; log:\n%s", err, logs)
		}
	})
	c.Expect(running.AwaitReady(c.t.Context())).To(gomega.Succeed(), "log:\n%s", logs)
	return running
}

// The complete list for the webhook, as for the manager.
var (
	webhookMayEverywhere = []right{
		{"", "namespaces", "get list watch", "access rules select namespaces by label"},
		{v1alpha1.GroupVersion.Group, "securitypolicies", "get list watch", "what others at the same target say"},
		{v1alpha1.GroupVersion.Group, "zitadelconnections", "get list watch", "who may target what"},
		{v1alpha1.GroupVersion.Group, "mfausers", "get list watch", "who would be reset, or let off"},
		{"admissionregistration.k8s.io", "validatingwebhookconfigurations:" + hook, "get list watch update", "whom the API server trusts; this one only"},
	}
	webhookMayAtHome = []right{
		{"", "configmaps", "get list watch", "the census, and who holds what"},
		{"", "secrets:" + hook + "-tls", "get list watch update", "its certificate; this one only"},
		{"", "secrets:" + doorbell.Name, "get list watch", "the keys that doorbells are signed with; this one only"},
		{"coordination.k8s.io", "leases:" + doorbell.Name, "patch", "that a bell rang; this one only"},
	}
)

// webhookMayNot asks about what would undo the separation of the two processes.
func (c *cluster) webhookMayNot() {
	const neosc, registration = "security.neosc.io", "admissionregistration.k8s.io"
	for _, no := range []struct{ verb, group, resource, subresource, namespace, name, why string }{
		{"get", "", "secrets", "", namespace, "zitadel-credentials", "the credentials for Zitadel are the manager's"},
		{"list", "", "secrets", "", namespace, "", "the same, all at once"},
		{"watch", "", "secrets", "", namespace, "", "the same, as they come"},
		{"create", "", "secrets", "", namespace, "", "a service account token Secret would be a way to more rights"},
		{"update", "", "configmaps", "", namespace, "census-default", "it would write what it decides by"},
		{"patch", neosc, "securitypolicies", "", namespace, "pol-mfa-required", "it decides, and changes nothing"},
		{"patch", neosc, "securitypolicies", "status", namespace, "pol-mfa-required", "the status is the manager's"},
		{"update", registration, "validatingwebhookconfigurations", "", "", "another", "other webhooks' trust"},
		{"create", registration, "validatingwebhookconfigurations", "", "", "", "to be asked about more"},
		{"update", registration, "mutatingwebhookconfigurations", "", "", hook, "to change what is stored"},
		{"update", "", "secrets", "", namespace, doorbell.Name, "the keys are the manager's to write"},
		{"create", "coordination.k8s.io", "leases", "", namespace, "", "there is no leader among equals"},
	} {
		c.Expect(c.allowed(webhookAccount, no.verb, no.group, no.resource, no.subresource, no.namespace, no.name)).To(gomega.BeFalse(),
			"%s %s/%s %s in %q: %s", no.verb, no.resource, no.subresource, no.name, no.namespace, no.why)
	}
	c.Expect(c.allowed(webhookAccount, "update", "", "secrets", "", namespace, hook+"-tls")).To(gomega.BeTrue())
	c.Expect(c.allowed(webhookAccount, "update", registration, "validatingwebhookconfigurations", "", "", hook)).To(gomega.BeTrue())
}
