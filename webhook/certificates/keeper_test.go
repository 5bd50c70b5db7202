package certificates_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/neosc/mfa-operator/webhook/certificates"
)

var (
	key  = types.NamespacedName{Namespace: "home", Name: "tls"}
	here = ctrl.Request{NamespacedName: key}
)

// keeper is one with a clock that the test moves, and counts writes.
type keeper struct {
	*certificates.Keeper
	kube   client.Client
	now    time.Time
	writes int
	fail   error // of the next write
}

func newKeeper(t *testing.T) *keeper {
	t.Helper()
	k := &keeper{now: time.Now()}
	k.kube = fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).
		WithObjects(
			&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}},
			&admissionregistrationv1.ValidatingWebhookConfiguration{
				ObjectMeta: metav1.ObjectMeta{Name: "hooks"},
				Webhooks:   []admissionregistrationv1.ValidatingWebhook{{Name: "a.b.c"}, {Name: "d.e.f"}},
			}).
		WithInterceptorFuncs(interceptor.Funcs{Update: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.UpdateOption) error {
			if err := k.fail; err != nil {
				k.fail = nil
				return err
			}
			k.writes++
			return c.Update(ctx, obj, opts...)
		}}).Build()
	k.Keeper = k.another()
	return k
}

// another is a second replica at the same Secret.
func (k *keeper) another() *certificates.Keeper {
	return &certificates.Keeper{
		Client: k.kube, Secret: key, Configuration: "hooks", DNSNames: []string{"hook.home.svc", "localhost"},
		Now: func() time.Time { return k.now },
	}
}

func (k *keeper) work(t *testing.T) {
	t.Helper()
	if _, err := k.Reconcile(t.Context(), here); err != nil {
		t.Fatal(err)
	}
}

// certificate is what is shown, verified at this time as the API server does.
func (k *keeper) certificate(t *testing.T) *x509.Certificate {
	t.Helper()
	pair, err := k.Certificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	if err := k.kube.Get(t.Context(), client.ObjectKey{Name: "hooks"}, configuration); err != nil {
		t.Fatal(err)
	}
	for _, hook := range configuration.Webhooks {
		trusted := x509.NewCertPool()
		trusted.AppendCertsFromPEM(hook.ClientConfig.CABundle)
		for _, name := range k.DNSNames {
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: trusted, DNSName: name, CurrentTime: k.now}); err != nil {
				t.Errorf("%s as %s: %v", hook.Name, name, err)
			}
		}
	}
	return pair.Leaf
}

func (k *keeper) authority(t *testing.T) []byte {
	t.Helper()
	secret := &corev1.Secret{}
	if err := k.kube.Get(t.Context(), key, secret); err != nil {
		t.Fatal(err)
	}
	return secret.Data["ca.crt"]
}

func TestCertificateIsMadeOnceAndRenewedInTime(t *testing.T) {
	k := newKeeper(t)
	if err := k.Check(nil); err == nil {
		t.Error("ready without a certificate")
	}
	if _, err := k.Certificate(nil); err == nil {
		t.Error("there is a certificate before there is one")
	}
	k.work(t)
	first, authority := k.certificate(t), k.authority(t)
	if err := k.Check(nil); err != nil {
		t.Error(err)
	}
	if k.writes != 2 {
		t.Errorf("%d writes, want one of the Secret and one of the configuration", k.writes)
	}
	k.work(t)
	k.now = first.NotAfter.Add(-91 * 24 * time.Hour)
	k.work(t)
	if k.writes != 2 || !k.certificate(t).Equal(first) {
		t.Errorf("%d writes; where nothing is due nothing is written", k.writes)
	}

	k.now = k.now.Add(2 * 24 * time.Hour)
	k.work(t)
	second := k.certificate(t)
	if second.Equal(first) || !bytes.Equal(k.authority(t), authority) || k.writes != 3 {
		t.Errorf("the certificate is renewed by the same authority, so that nobody has to be told; %d writes", k.writes)
	}

	k.now = k.now.AddDate(10, 0, 0) // long asleep
	k.work(t)
	if k.certificate(t).Equal(second) || bytes.Equal(k.authority(t), authority) {
		t.Error("an authority that ends is replaced")
	}
}

func TestReplicasAgree(t *testing.T) {
	k := newKeeper(t)
	k.work(t)
	other := k.another()
	if _, err := other.Reconcile(t.Context(), here); err != nil {
		t.Fatal(err)
	}
	pair, err := other.Certificate(nil)
	if err != nil || !pair.Leaf.Equal(k.certificate(t)) || k.writes != 2 {
		t.Errorf("the second replica takes what the first has made: %v, %d writes", err, k.writes)
	}

	k.DNSNames = append(k.DNSNames, "new.home.svc")
	k.work(t)
	k.certificate(t) // is good for the new name as well
}

// Whoever is not first hears of it, and shows nothing of its own meanwhile.
func TestLostRace(t *testing.T) {
	k := newKeeper(t)
	k.fail = apierrors.NewConflict(schema.GroupResource{Resource: "secrets"}, key.Name, errors.New("somebody was faster"))
	result, err := k.Reconcile(t.Context(), here)
	if err != nil || result.RequeueAfter == 0 || k.Check(nil) == nil {
		t.Errorf("got %v, %v", result, err)
	}
	if _, err := k.Certificate(nil); err == nil {
		t.Error("shows a certificate that is not kept")
	}
	k.work(t)
	k.certificate(t)
}

func TestUntrustedIsNotReady(t *testing.T) {
	k := newKeeper(t)
	if err := k.kube.Delete(t.Context(), &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "hooks"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Reconcile(t.Context(), here); err == nil {
		t.Error("there is no configuration to write to, and no error")
	}
	if k.Check(nil) == nil {
		t.Error("ready although the API server does not trust it")
	}
}

func TestFailureKeepsWhatThereIs(t *testing.T) {
	k := newKeeper(t)
	k.work(t)
	before := k.certificate(t)
	k.now = before.NotAfter.Add(-24 * time.Hour)
	k.fail = errors.New("etcd is full")
	if _, err := k.Reconcile(t.Context(), here); err == nil {
		t.Error("the failure is not told")
	}
	if !k.certificate(t).Equal(before) || k.Check(nil) != nil {
		t.Error("the old certificate is still good, and serves on")
	}
}

// Somebody else's certificate is served as soon as it is there, and counts as ready
// when the API server trusts it for every name; nothing is written.
func TestProvided(t *testing.T) {
	k := newKeeper(t)
	k.work(t) // makes what cert-manager would
	made := &corev1.Secret{}
	hooks := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	read := func(name types.NamespacedName, obj client.Object) {
		t.Helper()
		if err := k.kube.Get(t.Context(), name, obj); err != nil {
			t.Fatal(err)
		}
	}
	read(key, made)
	read(types.NamespacedName{Name: "hooks"}, hooks)
	put := func(obj client.Object) {
		t.Helper()
		if err := k.kube.Update(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	bundle, cert, privateKey := hooks.Webhooks[0].ClientConfig.CABundle, made.Data["tls.crt"], made.Data["tls.key"]

	for _, c := range []struct {
		why         string
		data        map[string][]byte
		first, last []byte // bundles of the webhooks
		names       []string
		fails       bool
		serves      bool
		ready       bool
	}{
		{why: "nothing is there yet"},
		{why: "half of it is there", data: map[string][]byte{"tls.crt": cert}},
		{why: "the halves do not fit", data: map[string][]byte{"tls.crt": cert, "tls.key": []byte("no key")}, fails: true},
		{why: "nobody trusts it yet", data: map[string][]byte{"tls.crt": cert, "tls.key": privateKey}, serves: true},
		{why: "half of the webhooks trust it", data: map[string][]byte{"tls.crt": cert, "tls.key": privateKey}, first: bundle, serves: true},
		{
			why: "it is for another name", data: map[string][]byte{"tls.crt": cert, "tls.key": privateKey}, first: bundle, last: bundle,
			names: []string{"other.home.svc"}, serves: true,
		},
		{
			why: "trusted, without the authority's key", data: map[string][]byte{"tls.crt": cert, "tls.key": privateKey}, first: bundle, last: bundle,
			serves: true, ready: true,
		},
	} {
		t.Run(c.why, func(t *testing.T) {
			provided := k.another()
			provided.Provided = true
			if c.names != nil {
				provided.DNSNames = c.names
			}
			read(key, made)
			made.Data = c.data
			put(made)
			read(types.NamespacedName{Name: "hooks"}, hooks)
			hooks.Webhooks[0].ClientConfig.CABundle, hooks.Webhooks[1].ClientConfig.CABundle = c.first, c.last
			put(hooks)
			before := k.writes
			if _, err := provided.Reconcile(t.Context(), here); (err != nil) != c.fails {
				t.Errorf("error %v", err)
			}
			if k.writes != before {
				t.Error("something was written")
			}
			if _, err := provided.Certificate(nil); (err == nil) != c.serves {
				t.Errorf("serving: %v", err)
			}
			if err := provided.Check(nil); (err == nil) != c.ready {
				t.Errorf("ready: %v", err)
			}
		})
	}
}
