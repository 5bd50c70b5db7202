package install

import (
	"strings"

	"github.com/onsi/gomega"

	"github.com/neosc/mfa-operator/internal/doorbell"
	"github.com/neosc/mfa-operator/internal/sealed"
	"github.com/neosc/mfa-operator/test/harness"
)

const webhookAccount = "system:serviceaccount:" + namespace + ":" + hook

// startWebhook runs the real webhook as its service account, until the end of
// the test, and waits until it is ready.
func (c *cluster) startWebhook(flags ...string) *harness.Webhook {
	c.t.Helper()
	logs := &harness.Recorder{}
	running, err := harness.StartWebhook(c.writeKubeconfig(webhookAccount), logs, flags...)
	c.Expect(err).NotTo(gomega.HaveOccurred())
	c.t.Cleanup(func() {
		if err := running.Stop(); err != nil {
			c.t.Errorf("the webhook: %v; log:\n%s", err, logs)
		}
		for line := range strings.Lines(logs.String()) {
			if strings.Contains(line, "forbidden: User") {
				c.t.Errorf("a right is missing: %s", line)
			}
		}
	})
	c.Expect(running.AwaitReady(c.t.Context())).To(gomega.Succeed(), "log:\n%s", logs)
	return running
}

// webhookMayNot asks about what would undo the separation of the two processes.
func (c *cluster) webhookMayNot() {
	const neosc, registration = "security.neosc.io", "admissionregistration.k8s.io"
	for _, no := range []struct{ verb, group, resource, subresource, namespace, name, why string }{
		{"get", "", "secrets", "", namespace, "zitadel-credentials", "the credentials for Zitadel are the manager's"},
		{"list", "", "secrets", "", namespace, "", "the same, all at once"},
		{"watch", "", "secrets", "", namespace, "", "the same, as they come"},
		{"create", "", "secrets", "", namespace, "", "a service account token Secret would be a way to more rights"},
		{"get", "", "secrets", "", "default", "", "credentials lie in the namespaces that are named only"},
		{"list", "", "secrets", "", "", "", "the same, all at once"},
		{"delete", "", "secrets", "", namespace, sealed.KeysName, "nobody's factors would open any more"},
		{"patch", neosc, "mfausers", "status", "default", "any", "the HTTP side appends to the ledger, and reports nothing"},
		{"update", neosc, "mfaledgers", "status", "default", "ledger", "checkpoints are the manager's"},
		{"update", "", "configmaps", "", namespace, "census-default", "it would write what it decides by"},
		{"patch", neosc, "securitypolicies", "", namespace, "pol-mfa-required", "it decides, and changes nothing"},
		{"patch", neosc, "securitypolicies", "status", namespace, "pol-mfa-required", "the status is the manager's"},
		{"update", registration, "validatingwebhookconfigurations", "", "", "another", "other webhooks' trust"},
		{"create", registration, "validatingwebhookconfigurations", "", "", "", "to be asked about more"},
		{"update", registration, "mutatingwebhookconfigurations", "", "", hook, "to change what is stored"},
		{"update", "", "secrets", "", namespace, doorbell.Name, "the keys are the manager's to write"},
		{"create", "coordination.k8s.io", "leases", "", namespace, "", "there is no leader among equals"},
		{"impersonate", "", "users", "", "", "system:admin", "to be somebody else"},
		{"impersonate", "", "groups", "", "", "system:masters", "to be anybody"},
		{"impersonate", "", "serviceaccounts", "", namespace, manager, "the credentials for Zitadel are the manager's"},
	} {
		c.Expect(c.allowed(webhookAccount, no.verb, no.group, no.resource, no.subresource, no.namespace, no.name)).To(gomega.BeFalse(),
			"%s %s/%s %s in %q: %s", no.verb, no.resource, no.subresource, no.name, no.namespace, no.why)
	}
	c.Expect(c.allowed(webhookAccount, "update", "", "secrets", "", namespace, hook+"-tls")).To(gomega.BeTrue())
	c.Expect(c.allowed(webhookAccount, "update", registration, "validatingwebhookconfigurations", "", "", hook)).To(gomega.BeTrue())
}
