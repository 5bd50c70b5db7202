package install

import (
	"net/http"
	"slices"
	"testing"

	"github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/test/harness"
)

// What is added to the webhook's rights, where NeoSC's API is turned on.
var (
	neoscMayEverywhere = slices.Concat(webhookMayEverywhere, []right{
		{"authentication.k8s.io", "tokenreviews", "create", "who calls"},
		{"authorization.k8s.io", "subjectaccessreviews", "create", "what callers may"},
		{"authentication.k8s.io", "userextras/security.neosc.io/on-behalf-of", "impersonate", "to say for whom it asks"},
	})
	neoscMayAtHome = slices.Concat(webhookMayAtHome, []right{
		{"", "serviceaccounts:" + hook, "impersonate", "to say so, as itself; this one only"},
	})
	neoscMayThere = []right{
		{v1alpha1.GroupVersion.Group, "securitypolicies", "patch", "what callers toggle, in the namespace that is named"},
	}
)

// NeoSC's API with the chart, for the policies of another namespace: what the webhook may
// then, and that callers are answered. test/neoscapi has what.
func TestNeoSCWithHelm(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.kubectl("create", "namespace", usersNamespace)
	c.do("", tool(t, "helm"), "install", release, chart, "--namespace", namespace, "--create-namespace", "--set", "neosc.namespace="+usersNamespace)
	c.kindsEstablished()
	c.mayExactly(webhookAccount, neoscMayEverywhere, places{namespace: neoscMayAtHome, usersNamespace: neoscMayThere})
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
