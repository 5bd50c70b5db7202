package certificates

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// follow serves what somebody else, such as cert-manager, keeps in the Secret, and
// writes nothing. Until there is something, every change of the two objects brings
// it back here.
func (k *Keeper) follow(ctx context.Context) error {
	secret := &corev1.Secret{}
	if err := k.Client.Get(ctx, k.Secret, secret); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return nil
		}
		return fmt.Errorf("reading the webhook's certificate: %w", err)
	}
	if len(secret.Data[entryCert]) == 0 || len(secret.Data[entryCertKey]) == 0 {
		return nil
	}
	pair, err := tls.X509KeyPair(secret.Data[entryCert], secret.Data[entryCertKey])
	if err != nil {
		return fmt.Errorf("reading the webhook's certificate: %w", err)
	}
	k.current.Store(&pair)

	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	if err := k.Client.Get(ctx, types.NamespacedName{Name: k.Configuration}, configuration); err != nil {
		return fmt.Errorf("reading the webhook configuration: %w", err)
	}
	for i := range configuration.Webhooks {
		if err := k.trustedBy(&pair, configuration.Webhooks[i].ClientConfig.CABundle); err != nil {
			ctrl.LoggerFrom(ctx).Info("The API server does not trust the certificate yet", "webhook", configuration.Webhooks[i].Name, "reason", err.Error())
			return nil
		}
	}
	k.trusted.Store(true)
	return nil
}

// trustedBy is nil if whoever trusts a bundle takes the server for the names it is
// called by.
func (k *Keeper) trustedBy(pair *tls.Certificate, bundle []byte) error {
	options := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: k.now()}
	options.Roots.AppendCertsFromPEM(bundle)
	for _, der := range pair.Certificate[1:] {
		between, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("reading an intermediate certificate: %w", err)
		}
		options.Intermediates.AddCert(between)
	}
	for _, name := range k.DNSNames {
		options.DNSName = name
		if _, err := pair.Leaf.Verify(options); err != nil {
			return err
		}
	}
	return nil
}
