package install

import (
	"net/http"
	"slices"
	"testing"

	"github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/rights"
	"github.com/neosc/mfa-operator/test/harness"
)

// NeoSC's API with the chart, for the policies of another namespace: what the webhook may
// then, and that callers are answered. test/neoscapi has what.
func TestNeoSCWithHelm(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.kubectl("create", "namespace", usersNamespace)
	c.do("", tool(t, "helm"), "install", release, chart, "--namespace", namespace, "--create-namespace", "--set", "neosc.namespace="+usersNamespace)
	c.kindsEstablished()
	c.mayExactly(webhookAccount, slices.Concat(rights.ForWebhook.Everywhere, rights.ForNeoSC.Everywhere), places{
		namespace: slices.Concat(rights.ForWebhook.Home, rights.ForNeoSC.Home), usersNamespace: rights.ForNeoSC.Named,
	})
	c.webhookMayNot()

	running := c.startWebhook("--neosc-namespace=" + usersNamespace)
	c.Expect(harness.Redirect(t.Context(), c.client, running.URL)).To(gomega.Succeed())
	viewer := c.caller(running.URL, "viewer", "mfa-operator-securitypolicy-viewer")
	editor := c.caller(running.URL, "editor", "mfa-operator-securitypolicy-editor")
	c.Expect(c.client.Create(t.Context(), &v1alpha1.SecurityPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: usersNamespace, Name: "apps"},
		Spec: v1alpha1.SecurityPolicySpec{
			Mode: v1alpha1.ModeAudit, Targets: v1alpha1.Targets{LocalUsers: &v1alpha1.LocalUsersTarget{Selector: &metav1.LabelSelector{}}},
			MFA: &v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementOptional},
		},
	})).To(gomega.Succeed())
	viewer.do(http.MethodGet, "/api/policies/apps", nil, http.StatusOK)
	viewer.do(http.MethodPatch, "/api/policies/apps", nil, http.StatusForbidden)
	c.Expect(editor.do(http.MethodPatch, "/api/policies/apps", nil, http.StatusOK)).To(gomega.HaveKeyWithValue("enabled", false))
	stored := &v1alpha1.SecurityPolicy{}
	c.get(stored, usersNamespace+"/apps")
	c.Expect(stored.Spec.Enabled).To(gomega.HaveValue(gomega.BeFalse()))
}
