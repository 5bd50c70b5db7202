package users

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	openreports "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/controllers/compliance"
)

// TestComplianceIsSummedUp: in the policy's status always, in a Report per
// namespace from when the cluster has the kind.
func TestComplianceIsSummedUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.zitadel.AddHuman(w.acme, "ann", "ann@example.com")
	bob := w.zitadel.AddHuman(w.acme, "bob", "bob@example.com")
	w.zitadel.AddTOTP(bob)
	p := w.policy("everybody", v1alpha1.MethodWebAuthn, v1alpha1.MethodTOTP)
	first, second := w.user("ann", v1alpha1.ZitadelUserRef{UserID: ann}), w.user("bob", v1alpha1.ZitadelUserRef{UserID: bob})
	counts := func() v1alpha1.UserCounts {
		w.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
		if p.Status.Users == nil {
			return v1alpha1.UserCounts{}
		}
		return *p.Status.Users
	}
	w.Eventually(counts).Should(Equal(v1alpha1.UserCounts{Compliant: 1, NonCompliant: 1}))

	_, err := envtest.InstallCRDs(cluster.env.Config, envtest.CRDInstallOptions{Paths: []string{openReportsCRDs(t)}})
	w.Expect(err).NotTo(HaveOccurred())
	w.zitadel.AddTOTP(ann)
	w.Eventually(counts).Should(Equal(v1alpha1.UserCounts{Compliant: 2}))
	report := &openreports.Report{}
	key := client.ObjectKey{Namespace: w.name, Name: compliance.ReportName}
	says := func() string {
		if err := cluster.client.Get(w.ctx, key, report); err != nil {
			return err.Error()
		}
		said := fmt.Sprintf("%d of %d", report.Summary.Pass, report.Summary.Pass+report.Summary.Fail)
		for _, r := range report.Results {
			said += fmt.Sprintf(", %s %s %s of %s: %s", r.Result, r.Subjects[0].Kind, r.Subjects[0].Name, r.Policy, r.Description)
		}
		return said
	}
	w.Eventually(says).Should(Equal("2 of 2"))

	w.zitadel.Owner().RemoveTOTP(ann)
	w.Eventually(says).Should(Equal("1 of 2, fail MFAUser ann of " + w.name + "/everybody: a second factor is demanded and they have none"))
	w.Expect(counts()).To(Equal(v1alpha1.UserCounts{Compliant: 1, NonCompliant: 1}))

	w.Expect(cluster.client.Delete(w.ctx, first)).To(Succeed())
	w.Expect(cluster.client.Delete(w.ctx, second)).To(Succeed())
	w.Eventually(counts).Should(BeZero())
	w.Expect(p.Status.Users).To(BeNil())
	w.Eventually(func() bool { return apierrors.IsNotFound(cluster.client.Get(w.ctx, key, report)) }).Should(BeTrue(), "nobody is left to report of")
}

// openReportsCRDs is where the library has the kinds it is for.
func openReportsCRDs(t *testing.T) string {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/openreports/reports-api").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(dir)), "config", "crd")
}
