// Package certificates keeps the certificate that the webhook server shows: in
// one Secret for all replicas, renewed in time, and trusted by the API server,
// which reads whom to trust from the webhook configuration.
package certificates

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/neosc/mfa-operator/internal/metrics"
)

// The rights are those over two objects, by name. RBAC can name objects for list
// and watch where the request selects one by metadata.name; the cache does.
//
// +kubebuilder:rbac:groups="",resources=secrets,resourceNames=mfa-operator-webhook-tls,verbs=get;list;watch;update,namespace=neosc-system
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingwebhookconfigurations,resourceNames=mfa-operator-webhook,verbs=get;list;watch;update

// Entries of the Secret; ca.key signs the next certificate.
const (
	entryCA      = "ca.crt"
	entryCAKey   = "ca.key"
	entryCert    = "tls.crt"
	entryCertKey = "tls.key"
)

// How long certificates are good for, and how long before their end they are
// replaced.
const (
	authorityYears  = 10
	certificateDays = 365
	renewBefore     = 90 * 24 * time.Hour
	lookAgain       = 12 * time.Hour
)

// authority names whoever signs.
const authority = "mfa-operator-webhook-ca"

// Keeper keeps the certificate.
type Keeper struct {
	Client client.Client
	// Secret holds certificate and authority. It must exist; what is in it is
	// made here.
	Secret types.NamespacedName
	// Configuration names the ValidatingWebhookConfiguration whose caBundle is
	// kept.
	Configuration string
	// Provided tells that somebody else makes the certificate and says whom to
	// trust: both objects are read, and never written.
	Provided bool
	// DNSNames are those by which the server is called, at least one.
	DNSNames []string
	// Now is the clock; nil means the system's.
	Now func() time.Time

	current atomic.Pointer[tls.Certificate]
	trusted atomic.Bool
}

// SetupWithManager makes every replica look after the certificate.
func (k *Keeper) SetupWithManager(mgr ctrl.Manager) error {
	ours := func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: k.Secret}}
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("webhookcertificate").
		For(&corev1.Secret{}).
		Watches(&admissionregistrationv1.ValidatingWebhookConfiguration{}, handler.EnqueueRequestsFromMapFunc(ours)).
		WithOptions(controller.Options{NeedLeaderElection: ptr.To(false)}).
		Complete(k)
}

// Reconcile makes sure that there is a good certificate and that the API server
// trusts it.
func (k *Keeper) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	if req.NamespacedName != k.Secret {
		return ctrl.Result{}, nil
	}
	if k.Provided {
		return ctrl.Result{RequeueAfter: lookAgain}, k.follow(ctx)
	}
	secret := &corev1.Secret{}
	if err := k.Client.Get(ctx, k.Secret, secret); err != nil {
		// Where there is a certificate already, it goes on serving.
		return ctrl.Result{}, fmt.Errorf("reading the webhook's certificate: %w", err)
	}
	if !k.good(secret) {
		renewed, err := k.renewed(secret)
		if err != nil {
			return ctrl.Result{}, err
		}
		// Carries the resource version: of several replicas one is first, and
		// the others hear of it.
		if err := k.Client.Update(ctx, renewed); err != nil {
			if apierrors.IsConflict(err) {
				return ctrl.Result{RequeueAfter: time.Second}, nil
			}
			return ctrl.Result{}, fmt.Errorf("keeping the webhook's certificate: %w", err)
		}
		ctrl.LoggerFrom(ctx).Info("Made a new certificate", "secret", k.Secret)
		secret = renewed
	}
	pair, err := tls.X509KeyPair(secret.Data[entryCert], secret.Data[entryCertKey])
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("reading the webhook's certificate: %w", err)
	}
	k.current.Store(&pair)
	metrics.CertificateExpiry.Set(float64(pair.Leaf.NotAfter.Unix()))
	if err := k.tellWhomToTrust(ctx, secret.Data[entryCA]); err != nil {
		return ctrl.Result{}, err
	}
	k.trusted.Store(true)
	return ctrl.Result{RequeueAfter: lookAgain}, nil
}

// good tells whether what a Secret holds will do for a while yet.
func (k *Keeper) good(secret *corev1.Secret) bool {
	if !k.authorityGood(secret) {
		return false
	}
	for _, name := range k.DNSNames {
		ok, err := rotator.ValidCert(secret.Data[entryCA], secret.Data[entryCert], secret.Data[entryCertKey], name, serverAuth(), k.soon())
		if !ok || err != nil {
			return false
		}
	}
	return true
}

func (k *Keeper) authorityGood(secret *corev1.Secret) bool {
	ok, err := rotator.ValidCert(secret.Data[entryCA], secret.Data[entryCA], secret.Data[entryCAKey], authority, nil, k.soon())
	return ok && err == nil
}

// renewed is the Secret with a new certificate, of a new authority if the old
// one does not last.
func (k *Keeper) renewed(secret *corev1.Secret) (*corev1.Secret, error) {
	maker := rotator.CertRotator{
		CAName: authority, CAOrganization: "mfa-operator",
		DNSName: k.DNSNames[0], ExtraDNSNames: k.DNSNames[1:], ExtKeyUsages: serverAuth(),
	}
	begin := k.now().Add(-time.Hour) // for clocks that are late
	var ca *rotator.KeyPairArtifacts
	var err error
	if k.authorityGood(secret) {
		ca, err = parse(secret)
	} else {
		ca, err = maker.CreateCACert(begin, k.now().AddDate(authorityYears, 0, 0))
	}
	if err != nil {
		return nil, fmt.Errorf("making an authority for the webhook's certificate: %w", err)
	}
	cert, key, err := maker.CreateCertPEM(ca, begin, k.now().AddDate(0, 0, certificateDays))
	if err != nil {
		return nil, fmt.Errorf("making the webhook's certificate: %w", err)
	}
	renewed := secret.DeepCopy()
	renewed.Data = map[string][]byte{entryCA: ca.CertPEM, entryCAKey: ca.KeyPEM, entryCert: cert, entryCertKey: key}
	return renewed, nil
}

func parse(secret *corev1.Secret) (*rotator.KeyPairArtifacts, error) {
	pair, err := tls.X509KeyPair(secret.Data[entryCA], secret.Data[entryCAKey])
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("its key is not an RSA key")
	}
	return &rotator.KeyPairArtifacts{Cert: pair.Leaf, Key: key, CertPEM: secret.Data[entryCA], KeyPEM: secret.Data[entryCAKey]}, nil
}

// tellWhomToTrust puts the authority into the webhook configuration.
func (k *Keeper) tellWhomToTrust(ctx context.Context, ca []byte) error {
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	if err := k.Client.Get(ctx, types.NamespacedName{Name: k.Configuration}, configuration); err != nil {
		return fmt.Errorf("reading the webhook configuration: %w", err)
	}
	changed := false
	configuration = configuration.DeepCopy()
	for i := range configuration.Webhooks {
		if to := &configuration.Webhooks[i].ClientConfig; !bytes.Equal(to.CABundle, ca) {
			to.CABundle, changed = ca, true
		}
	}
	if !changed {
		return nil
	}
	if err := k.Client.Update(ctx, configuration); err != nil {
		return fmt.Errorf("telling the API server whom to trust: %w", err)
	}
	return nil
}

// Certificate is a tls.Config's GetCertificate.
func (k *Keeper) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if pair := k.current.Load(); pair != nil {
		return pair, nil
	}
	return nil, errors.New("there is no certificate yet")
}

// Check is a healthz.Checker: there is a certificate and the API server trusts
// it.
func (k *Keeper) Check(*http.Request) error {
	if k.current.Load() == nil || !k.trusted.Load() {
		return errors.New("the webhook's certificate is not ready, or not trusted yet")
	}
	return nil
}

func serverAuth() *[]x509.ExtKeyUsage { return &[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }

func (k *Keeper) soon() time.Time { return k.now().Add(renewBefore) }

func (k *Keeper) now() time.Time {
	if k.Now != nil {
		return k.Now()
	}
	return time.Now()
}
