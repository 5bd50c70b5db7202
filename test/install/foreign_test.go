package install

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// foreign are CRDs of the tools beside us, by the Go module, at a version, that has them.
// Only these files are read, from Go's module cache: nothing of it is built, so that its
// dependencies are nobody's.
var foreign = map[string][]string{
	"github.com/prometheus-operator/prometheus-operator@v0.88.0": {
		"example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
		"example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
	},
	"github.com/argoproj/argo-cd/v3@v3.3.0":         {"manifests/crds/application-crd.yaml"},
	"github.com/fluxcd/source-controller@v1.7.3":    {"config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml"},
	"github.com/fluxcd/helm-controller@v1.4.3":      {"config/crd/bases/helm.toolkit.fluxcd.io_helmreleases.yaml"},
	"github.com/fluxcd/kustomize-controller@v1.7.3": {"config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml"},
}

// What we write for other tools is taken by their own CRDs, every field known: what both
// ways to install have for the Prometheus Operator, and what the guide to GitOps shows.
func TestOtherToolsTakeWhatIsForThem(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	for module, files := range foreign {
		dir := moduleFolder(t, module)
		for _, file := range files {
			c.kubectl("apply", "--server-side", "-f", filepath.Join(dir, filepath.FromSlash(file)))
		}
	}
	c.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
	for _, name := range []string{namespace, "argocd", "flux-system"} {
		c.kubectl("create", "namespace", name)
	}
	strictly := func(obj *unstructured.Unstructured) (string, error) {
		t.Helper()
		manifest, err := json.Marshal(obj)
		c.Expect(err).NotTo(gomega.HaveOccurred())
		_, stderr, err := c.try(string(manifest), kubectl(t), "apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-")
		return stderr, err
	}

	var all []*unstructured.Unstructured
	for _, list := range [][]*unstructured.Unstructured{rendered(t, monitored...), overlay(t, "components: [config/prometheus]")} {
		all = append(all, one(t, list, "PodMonitor"), one(t, list, "PrometheusRule"))
	}
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(read(t, "docs/how-to/gitops.md"), -1) {
		all = append(all, objects(t, block[1])...)
	}
	var kinds []string
	for _, obj := range all {
		if !strings.Contains(obj.GetAPIVersion(), "/") {
			continue // Kubernetes' own
		}
		kinds = append(kinds, obj.GetKind())
		stderr, err := strictly(obj)
		c.Expect(err).NotTo(gomega.HaveOccurred(), "%s: %s", obj.GetKind(), stderr)
		c.Expect(stderr).NotTo(gomega.ContainSubstring("Warning"), obj.GetKind())

		// Somebody looks.
		wrong := obj.DeepCopy()
		c.Expect(unstructured.SetNestedField(wrong.Object, "1m", "spec", "intervall")).To(gomega.Succeed())
		stderr, err = strictly(wrong)
		c.Expect(err).To(gomega.HaveOccurred(), obj.GetKind())
		c.Expect(stderr).To(gomega.ContainSubstring("intervall"), obj.GetKind())
	}
	slices.Sort(kinds)
	c.Expect(slices.Compact(kinds)).To(gomega.Equal([]string{"Application", "GitRepository", "HelmRelease", "Kustomization", "PodMonitor", "PrometheusRule"}))
}

// The chart with all of it turned on is installed where these kinds are.
func TestMonitoringWithHelm(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	for module, files := range foreign {
		if strings.Contains(module, "prometheus-operator") {
			for _, file := range files {
				c.kubectl("apply", "--server-side", "-f", filepath.Join(moduleFolder(t, module), filepath.FromSlash(file)))
			}
		}
	}
	c.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
	c.do("", tool(t, "helm"), append([]string{"install", release, chart, "--namespace", namespace, "--create-namespace"}, monitored...)...)
	c.kubectl("-n", namespace, "get", "podmonitor,prometheusrule", release)
	c.do("", tool(t, "helm"), "uninstall", release, "--namespace", namespace)
	c.Expect(c.kubectl("-n", namespace, "get", "podmonitor,prometheusrule", "-o", "name")).To(gomega.BeEmpty())
}

// moduleFolder is where a Go module at a version lies; it is downloaded if need be, and
// checked against Go's checksum database as any other.
func moduleFolder(t *testing.T, module string) string {
	t.Helper()
	download := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module)
	download.Dir, download.Env = t.TempDir(), append(os.Environ(), "GO111MODULE=on", "GOWORK=off")
	out, err := download.Output()
	var found struct{ Dir, Error string }
	if decoded := json.Unmarshal(out, &found); err != nil || decoded != nil || found.Dir == "" {
		t.Fatalf("downloading %s: %v, %v: %s", module, err, decoded, found.Error)
	}
	return found.Dir
}
