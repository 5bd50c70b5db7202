package install

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// monitored are the values with all of it turned on.
var monitored = set(`manager.metrics.enabled=true`, `webhook.metrics.enabled=true`,
	`monitoring={"podMonitor":{"enabled":true,"interval":"30s","labels":{"release":"prometheus"}},"prometheusRule":{"enabled":true,"labels":{"release":"prometheus"}},"dashboard":{"enabled":true}}`)

// Both ways to install have Prometheus scrape the same Pods at a port that they have,
// and raise the same alerts.
func TestMonitoring(t *testing.T) {
	t.Parallel()
	fromConfig := overlay(t, "components: [config/prometheus]")
	fromChart := rendered(t, monitored...)
	for name, list := range map[string][]*unstructured.Unstructured{"config": fromConfig, "chart": fromChart} {
		t.Run(name, func(t *testing.T) {
			g := gomega.NewWithT(t)
			monitor := one(t, list, "PodMonitor")
			wanted, _, err := unstructured.NestedStringMap(monitor.Object, "spec", "selector", "matchLabels")
			g.Expect(err).NotTo(gomega.HaveOccurred())
			g.Expect(wanted).NotTo(gomega.BeEmpty())
			endpoints, _, err := unstructured.NestedSlice(monitor.Object, "spec", "podMetricsEndpoints")
			g.Expect(err).NotTo(gomega.HaveOccurred())
			g.Expect(endpoints).To(gomega.HaveLen(1))
			for _, process := range []string{manager, hook} {
				pod := deployment(t, list, process).Spec.Template
				for label, value := range wanted {
					g.Expect(pod.Labels).To(gomega.HaveKeyWithValue(label, value), process)
				}
				g.Expect(pod.Spec.Containers[0].Ports).To(gomega.ContainElement(gomega.And(
					gomega.HaveField("Name", endpoints[0].(map[string]any)["port"]), gomega.HaveField("ContainerPort", int32(8080)))), process)
			}
			g.Expect(managerPod(t, deployment(t, list, manager).Spec.Template.Spec).MetricsAddress).To(gomega.Equal(":8080"))
			g.Expect(webhookPod(t, deployment(t, list, hook).Spec.Template.Spec).MetricsAddress).To(gomega.Equal(":8080"))
			g.Expect(monitor.GetNamespace()).To(gomega.Equal(namespace))
		})
	}
	t.Run("the same alerts", func(t *testing.T) {
		g := gomega.NewWithT(t)
		g.Expect(one(t, fromChart, "PrometheusRule").Object["spec"]).To(gomega.Equal(one(t, fromConfig, "PrometheusRule").Object["spec"]))
		for _, kind := range []string{"PodMonitor", "PrometheusRule"} {
			g.Expect(one(t, fromChart, kind).GetLabels()).To(gomega.HaveKeyWithValue("release", "prometheus"), kind)
		}
	})
	t.Run("dashboard", func(t *testing.T) {
		g := gomega.NewWithT(t)
		maps := only[corev1.ConfigMap](t, fromChart, "ConfigMap")
		g.Expect(maps).To(gomega.HaveLen(1))
		g.Expect(maps[0].Labels).To(gomega.HaveKeyWithValue("grafana_dashboard", "1"))
		g.Expect(json.Valid([]byte(maps[0].Data["mfa-operator.json"]))).To(gomega.BeTrue())
		g.Expect(maps[0].Data["mfa-operator.json"]).To(gomega.MatchJSON(read(t, "config/prometheus/dashboard.json")))
	})
	t.Run("no alert about what is not scraped", func(t *testing.T) {
		g := gomega.NewWithT(t)
		list := rendered(t, set(`manager.metrics.enabled=true`, `webhook.enabled=false`, `monitoring.prometheusRule.enabled=true`)...)
		groups, _, err := unstructured.NestedSlice(one(t, list, "PrometheusRule").Object, "spec", "groups")
		g.Expect(err).NotTo(gomega.HaveOccurred())
		var names []string
		for _, rule := range groups[0].(map[string]any)["rules"].([]any) {
			names = append(names, rule.(map[string]any)["alert"].(string))
		}
		g.Expect(names).To(gomega.ContainElement("MFAManagerAbsent"))
		g.Expect(names).NotTo(gomega.ContainElement("MFAWebhookAbsent"))
	})
	t.Run("nothing of it unasked", func(t *testing.T) {
		g := gomega.NewWithT(t)
		for _, obj := range slices.Concat(rendered(t), kustomization(t, "default")) {
			g.Expect(obj.GetKind()).NotTo(gomega.BeElementOf("PodMonitor", "PrometheusRule", "ConfigMap"), "its CRD may be missing")
		}
	})
}

// one is the only object of a kind.
func one(t *testing.T, list []*unstructured.Unstructured, kind string) *unstructured.Unstructured {
	t.Helper()
	var found []*unstructured.Unstructured
	for _, obj := range list {
		if obj.GetKind() == kind {
			found = append(found, obj)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d objects of kind %s", len(found), kind)
	}
	return found[0]
}
