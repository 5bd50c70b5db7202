package admission

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"testing"

	"github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/test/harness"
)

// Replicas share one certificate, which a lost or damaged Secret makes anew, and
// the API server hears whom to trust each time.
func TestCertificate(t *testing.T) {
	w := newWorld(t)
	w.connect()
	logs := &harness.Recorder{}
	second, err := harness.StartWebhook(cluster.kubeconfig, logs)
	w.Expect(err).NotTo(gomega.HaveOccurred())
	t.Cleanup(func() {
		if err := second.Stop(); err != nil {
			t.Error(err)
		}
	})
	w.Expect(second.AwaitReady(w.ctx)).To(gomega.Succeed(), logs.String())
	w.Expect(w.shown(second.URL)).To(gomega.Equal(w.shown(cluster.webhook.URL)))

	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: harness.OperatorNamespace, Name: "mfa-operator-webhook-tls"}
	for _, damage := range []func(){
		func() { secret.Data = nil },
		func() { secret.Data["tls.key"] = []byte("no key") },
		func() { secret.Data["ca.crt"] = secret.Data["tls.crt"] },
	} {
		w.Expect(w.client.Get(w.ctx, key, secret)).To(gomega.Succeed())
		before := w.shown(cluster.webhook.URL)
		damage()
		w.Expect(w.client.Update(w.ctx, secret)).To(gomega.Succeed())
		w.Eventually(func(g gomega.Gomega) {
			now := w.shown(cluster.webhook.URL)
			g.Expect(now).NotTo(gomega.Equal(before))
			g.Expect(w.shown(second.URL)).To(gomega.Equal(now))
			configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
			g.Expect(w.client.Get(w.ctx, client.ObjectKey{Name: harness.WebhookName}, configuration)).To(gomega.Succeed())
			for _, hook := range configuration.Webhooks {
				trusted := x509.NewCertPool()
				g.Expect(trusted.AppendCertsFromPEM(hook.ClientConfig.CABundle)).To(gomega.BeTrue())
				certificate, err := x509.ParseCertificate(now)
				g.Expect(err).NotTo(gomega.HaveOccurred())
				_, err = certificate.Verify(x509.VerifyOptions{Roots: trusted, DNSName: "localhost"})
				g.Expect(err).NotTo(gomega.HaveOccurred(), hook.Name)
			}
		}).Should(gomega.Succeed())
		w.Eventually(func() error {
			return w.client.Create(w.ctx, w.policy("p", "", required), client.DryRunAll)
		}).Should(gomega.Succeed(), "the API server trusts it")
		w.Expect(w.heard.take()).NotTo(gomega.BeEmpty())
	}

	t.Log("somebody takes the trust away")
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	w.Expect(w.client.Get(w.ctx, client.ObjectKey{Name: harness.WebhookName}, configuration)).To(gomega.Succeed())
	trusted := configuration.Webhooks[0].ClientConfig.CABundle
	configuration.Webhooks[0].ClientConfig.CABundle = nil
	w.Expect(w.client.Update(w.ctx, configuration)).To(gomega.Succeed())
	w.Eventually(func() bool {
		w.Expect(w.client.Get(w.ctx, client.ObjectKey{Name: harness.WebhookName}, configuration)).To(gomega.Succeed())
		return bytes.Equal(configuration.Webhooks[0].ClientConfig.CABundle, trusted)
	}).Should(gomega.BeTrue())

	t.Log("without its Secret it goes on serving, and a new process is not ready")
	w.Expect(w.client.Delete(w.ctx, secret)).To(gomega.Succeed())
	third, err := harness.StartWebhook(cluster.kubeconfig, logs)
	w.Expect(err).NotTo(gomega.HaveOccurred())
	t.Cleanup(func() {
		if err := third.Stop(); err != nil {
			t.Error(err)
		}
	})
	w.Expect(w.client.Create(w.ctx, w.policy("p", "", required), client.DryRunAll)).To(gomega.Succeed())
	w.Consistently(func() bool { return third.Ready(w.ctx) }, "1s").Should(gomega.BeFalse())
	w.Expect(w.client.Create(w.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}})).To(gomega.Succeed())
	w.Expect(third.AwaitReady(w.ctx)).To(gomega.Succeed(), "as soon as there is one again")
	w.Expect(w.shown(third.URL)).NotTo(gomega.BeEmpty())
}

// shown is the certificate that a server shows.
func (w *world) shown(url string) []byte {
	w.t.Helper()
	conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(w.ctx, "tcp", url[len("https://"):])
	w.Expect(err).NotTo(gomega.HaveOccurred())
	defer conn.Close() //nolint:errcheck // nothing was sent
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Raw
}
