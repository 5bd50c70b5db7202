// Package doorbell shows what a doorbell is for: a manager that looks at the event
// log once an hour, and compares everything twice a day, repairs what somebody
// changed long before. Nothing but the ring can have told it.
package doorbell

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/controlplane"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
	"github.com/neosc/mfa-operator/test/harness"
)

func TestAChangeIsRepairedWhenItRings(t *testing.T) {
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(30 * time.Second)
	zitadel := zitadeltest.Start(t, zitadeltest.Options{DenyList: []string{}})
	cluster, err := harness.StartCluster()
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(cluster.Stop()).To(Succeed()) })
	c, logs := cluster.Client, cluster.Logs

	g.Expect(harness.InstallDoorbell(t.Context(), c)).To(Succeed())
	stop, err := harness.StartManager(cluster.Env, logs, "--resync=12h", "--log-level=debug")
	g.Expect(err).NotTo(HaveOccurred())
	cluster.AtEnd(stop)
	bell := startWebhook(t, cluster)

	conn, mfa := connection(t, zitadel, "http://"+bell), policy()
	for _, obj := range []client.Object{credential(zitadel), conn, mfa} {
		g.Expect(c.Create(t.Context(), obj)).To(Succeed())
	}
	g.Eventually(func() bool {
		g.Expect(c.Get(t.Context(), client.ObjectKeyFromObject(mfa), mfa)).To(Succeed())
		g.Expect(c.Get(t.Context(), client.ObjectKeyFromObject(conn), conn)).To(Succeed())
		return meta.IsStatusConditionTrue(mfa.Status.Conditions, v1alpha1.ConditionReady) &&
			meta.IsStatusConditionTrue(conn.Status.Conditions, v1alpha1.ConditionDoorbellReady)
	}).Should(BeTrue(), "log:\n%s", logs)

	forced := func() bool { held, _ := zitadel.LoginPolicy(""); return held.GetForceMfa() }
	for i := range 5 {
		adam := zitadel.AddHuman(zitadel.DefaultOrganizationID(), fmt.Sprint("adam", i), "adam@example.com")
		zitadel.ResetCalls()
		start := time.Now()
		zitadel.As(adam).ChangeLoginPolicy("", func(p *policypb.LoginPolicy) { p.ForceMfa = false })
		// Long before the next poll, in an hour; how long exactly is logged.
		g.Eventually(forced).WithPolling(time.Millisecond).Should(BeTrue(), func() string {
			return fmt.Sprintf("calls: %v\nlog:\n%s", zitadel.CountCalls(), logs)
		})
		t.Logf("change %d is repaired after %s", i+1, time.Since(start).Round(time.Millisecond))
		g.Eventually(func() string {
			g.Expect(c.Get(t.Context(), client.ObjectKeyFromObject(mfa), mfa)).To(Succeed())
			drift := ptr.Deref(mfa.Status.Targets[0].Drift, v1alpha1.Drift{})
			return ptr.Deref(drift.Editor, v1alpha1.Editor{}).UserID
		}).Should(Equal(adam))
	}
}

// startWebhook runs the whole webhook, and returns where it hears doorbells.
func startWebhook(t *testing.T, cluster *harness.Cluster) (bell string) {
	t.Helper()
	g := NewWithT(t)
	bell, err := controlplane.FreeAddress()
	g.Expect(err).NotTo(HaveOccurred())
	_, err = cluster.RunWebhooks(t.Context(), 1, cluster.Kubeconfig, "--log-level=debug", "--doorbell-bind-address="+bell)
	g.Expect(err).NotTo(HaveOccurred(), "log:\n%s", cluster.Logs)

	// Ready means that both are heard, and neither at the other's door.
	ring, err := http.Post("http://"+bell+"/zitadel/v1/ring/default", "application/json", nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(ring.Body.Close()).To(Succeed())
	g.Expect(ring.StatusCode).To(Equal(http.StatusUnauthorized), "nobody signed it")
	review, err := http.Post("http://"+bell+"/admission/v1/securitypolicies", "application/json", nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(review.Body.Close()).To(Succeed())
	g.Expect(review.StatusCode).To(Equal(http.StatusNotFound))
	return bell
}

func credential(zitadel *zitadeltest.Server) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: harness.OperatorNamespace, Name: "zitadel"},
		Data:       map[string][]byte{"token": []byte(zitadel.OwnerToken())},
	}
}

func connection(t *testing.T, zitadel *zitadeltest.Server, url string) *v1alpha1.ZitadelConnection {
	t.Helper()
	host, port, err := net.SplitHostPort(zitadel.Addr())
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return &v1alpha1.ZitadelConnection{
		ObjectMeta: metav1.ObjectMeta{Name: "default"},
		Spec: v1alpha1.ZitadelConnectionSpec{
			Domain: host, Port: ptr.To(int32(number)), Insecure: true,
			Credentials: v1alpha1.Credentials{
				Type:      v1alpha1.CredentialPAT,
				SecretRef: v1alpha1.SecretKeyRef{Namespace: harness.OperatorNamespace, Name: "zitadel", Key: "token"},
			},
			Access: []v1alpha1.AccessRule{{NamespaceSelector: &metav1.LabelSelector{}, Scopes: []v1alpha1.TargetScope{v1alpha1.ScopeInstance}}},
			Events: v1alpha1.EventsSpec{PollSeconds: 3600, Webhook: v1alpha1.EventsWebhook{Enabled: true, URL: url}},
		},
	}
}

func policy() *v1alpha1.SecurityPolicy {
	return &v1alpha1.SecurityPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: harness.OperatorNamespace, Name: "mfa"},
		Spec: v1alpha1.SecurityPolicySpec{
			Targets: v1alpha1.Targets{Zitadel: []v1alpha1.ZitadelTarget{{Connection: "default", Scope: v1alpha1.ScopeInstance}}},
			MFA: &v1alpha1.MFASettings{
				Enforcement: v1alpha1.EnforcementAlwaysRequired, Methods: []v1alpha1.Method{v1alpha1.MethodWebAuthn, v1alpha1.MethodTOTP},
			},
		},
	}
}
