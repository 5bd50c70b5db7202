package integration

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/neosc/mfa-operator/test/collector"
)

// A pass over a policy shows what was asked of Zitadel, and what of the API server.
func TestAPassIsTraced(t *testing.T) {
	to := collector.Start(t)
	g := NewWithT(t)
	g.Expect(cluster.stop()).To(Succeed())
	g.Expect(startManager("--tracing-endpoint=" + to.Endpoint)).To(Succeed())
	restarted := false
	restart := func() {
		if !restarted {
			restarted = true
			g.Expect(cluster.stop()).To(Succeed()) // it has sent its spans then
			g.Expect(startManager()).To(Succeed())
		}
	}
	t.Cleanup(restart) // after what the world has to clean up

	w := newWorld(t)
	const canary = "canary-acme"
	w.zitadel.AddOrganization(canary)
	w.zitadel.AddHuman(w.zitadel.DefaultOrganizationID(), "canary-adam", "canary-adam@example.com")
	p := w.policy("pol-traced", canary, alwaysRequired)
	w.create(p)
	w.ready(p)
	missing := w.policy("pol-lost", "canary-nowhere", alwaysRequired)
	w.create(missing)
	w.condition(missing, "Ready", "False", "")
	restart()

	spans := to.Spans()
	slices.SortFunc(spans, func(a, b collector.Span) int { return cmp.Compare(a.Begin, b.Begin) })
	passes := map[string]collector.Span{} // over our policy that wrote to Zitadel, by ID
	names := map[string][]string{}        // what is below a span, in order
	for _, s := range spans {
		w.Expect(s.Service).To(Equal("mfa-operator-manager"))
		names[s.Parent] = append(names[s.Parent], s.Name)
		if strings.HasPrefix(s.Name, "reconcile ") {
			w.Expect(s.Parent).To(BeEmpty())
		}
	}
	for _, s := range spans {
		if s.Name == "reconcile securitypolicy" && s.Attributes["controller.object.name"] == "pol-traced" &&
			slices.Contains(names[s.ID], "zitadel.management.v1.ManagementService/AddCustomLoginPolicy") {
			passes[s.ID] = s
		}
	}
	w.Expect(passes).To(HaveLen(1), "one pass made the organization's policy; %v", names)
	for id, s := range passes {
		w.Expect(s.Attributes).To(Equal(map[string]string{
			"controller.name": "securitypolicy", "controller.object.kind": "SecurityPolicy", "controller.object.name": "pol-traced",
			"k8s.namespace.name": w.namespace, "controller.result": "requeue_after",
		}))
		const login, policies = "zitadel.management.v1.ManagementService/", "/apis/security.neosc.io/v1alpha1/namespaces/{namespace}/securitypolicies/{name}"
		w.Expect(names[id]).To(Equal([]string{
			"PATCH " + policies, // the finalizer
			"zitadel.org.v2.OrganizationService/ListOrganizations",
			login + "GetLoginPolicy",
			"POST /api/v1/namespaces/{namespace}/configmaps", // what stood before is kept
			login + "GetLoginPolicy",
			login + "AddCustomLoginPolicy",
			login + "GetLoginPolicy", // read back
			"ledger append",
			"PUT /api/v1/namespaces/{namespace}/configmaps/{name}",
			"PATCH " + policies + "/status",
		}))
	}
	for _, s := range spans {
		if !strings.HasPrefix(s.Name, "zitadel.") {
			continue
		}
		w.Expect(s.Kind).To(Equal("CLIENT"))
		w.Expect(s.Attributes).To(And(HaveKeyWithValue("rpc.system.name", "grpc"), HaveKeyWithValue("rpc.method", s.Name), HaveKey("rpc.response.status_code"), HaveKey("server.address")))
		w.Expect(s.Failed).To(Equal(s.Attributes["rpc.response.status_code"] != "OK"))
	}
	raw := to.Raw()
	for _, secret := range []string{"canary", w.zitadel.OwnerToken(), "Bearer"} {
		w.Expect(strings.Contains(raw, secret)).To(BeFalse(), "%q is in what was sent", secret)
	}
}
