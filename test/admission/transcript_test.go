package admission

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/internal/controlplane"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
	"github.com/neosc/mfa-operator/test/harness"
)

const howTo = "docs/how-to/dry-run.md"

var (
	manifestBlock   = regexp.MustCompile("(?s)```yaml\n# (\\S+)\n(.*?)```")
	transcriptBlock = regexp.MustCompile("(?s)```console\n\\$ kubectl (apply [^\n]*-f (\\S+))\n(.*?)```")
)

// What the documentation shows is what happens, to the letter.
func TestTranscript(t *testing.T) {
	w := newWorld(t)
	zitadel := zitadeltest.Start(t, zitadeltest.Options{})
	acme := zitadel.AddOrganization("acme")
	for i := range 1200 {
		id := zitadel.AddHuman(acme, fmt.Sprintf("user-%d", i), fmt.Sprintf("user-%d@example.com", i))
		if i >= 300 {
			zitadel.AddTOTP(id)
		}
	}
	// In the documentation the connection is called default, and the namespace is
	// the operator's.
	w.namespace = "default"
	label := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"team":"default"}}}`))
	w.Expect(w.client.Patch(w.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: harness.OperatorNamespace}}, label)).To(gomega.Succeed())
	w.connectTo(zitadel)

	root, err := controlplane.Root()
	w.Expect(err).NotTo(gomega.HaveOccurred())
	page, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(howTo)))
	w.Expect(err).NotTo(gomega.HaveOccurred())
	dir := t.TempDir()
	for _, m := range manifestBlock.FindAllStringSubmatch(string(page), -1) {
		w.Expect(os.WriteFile(filepath.Join(dir, m[1]), []byte(m[2]), 0o600)).To(gomega.Succeed())
	}
	assets, err := controlplane.Assets()
	w.Expect(err).NotTo(gomega.HaveOccurred())
	transcripts := transcriptBlock.FindAllStringSubmatch(string(page), -1)
	w.Expect(transcripts).To(gomega.HaveLen(3))
	for _, m := range transcripts {
		cmd := exec.CommandContext(t.Context(), filepath.Join(assets, "kubectl"), strings.Fields(m[1])...)
		cmd.Dir, cmd.Env = dir, []string{"KUBECONFIG=" + cluster.kubeconfig, "HOME=" + dir}
		out, err := cmd.CombinedOutput()
		w.Expect(err == nil).To(gomega.Equal(strings.Contains(m[3], "server dry run")), "%s", out)
		w.Expect(string(out)).To(gomega.Equal(m[3]), "%s: %s shows something else", howTo, m[1])
	}
}
