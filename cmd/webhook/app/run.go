// Package app wires the webhook's doors together and runs them.
package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/cmd/internal/process"
	"github.com/neosc/mfa-operator/internal/ledger"
	"github.com/neosc/mfa-operator/internal/metrics"
	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/options"
	"github.com/neosc/mfa-operator/internal/policy"
	"github.com/neosc/mfa-operator/webhook"
	"github.com/neosc/mfa-operator/webhook/admission"
	"github.com/neosc/mfa-operator/webhook/callers"
	"github.com/neosc/mfa-operator/webhook/certificates"
	"github.com/neosc/mfa-operator/webhook/changes"
	"github.com/neosc/mfa-operator/webhook/neoscapi"
	"github.com/neosc/mfa-operator/webhook/zitadelevents"
)

// garbagePercent is GOGC where the environment says nothing. A request leaves much
// behind and keeps little: with Go's default of 100, collecting that is an eighth of what a
// verification costs. By the GOMEMLIMIT of the manifests it is collected more often the
// nearer it comes to what the container may have.
const garbagePercent = 300

// Run serves until ctx ends. args are the flags of options.ParseWebhook; logs go
// to stderr, and only what a flag asks for to stdout.
func Run(ctx context.Context, version string, args []string, stdout, stderr io.Writer) error {
	o, err := options.ParseWebhook(args)
	if err != nil {
		return err
	}
	if o.Version {
		_, err := fmt.Fprintln(stdout, version)
		return err
	}
	log := process.Logger(o.LogLevel, o.LogFormat, stderr)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	log.Info("Starting", "version", version, "namespace", o.Namespace)
	endTracing, err := process.Trace(ctx, o.Tracing, log, "mfa-operator-webhook", version, o.MFA.PodName)
	if err != nil {
		return err
	}
	defer endTracing()
	restConfig, scheme, err := process.Begin(log, o.Kubeconfig, metrics.Webhook())
	if err != nil {
		return err
	}
	// Every replica works: no leader, no lease.
	mgr, err := ctrl.NewManager(restConfig, ctrl.Options{
		Scheme:                 scheme,
		Logger:                 log,
		Controller:             ctrlconfig.Controller{SkipNameValidation: ptr.To(true)},
		Cache:                  cacheOptions(o),
		Metrics:                server.Options{BindAddress: o.MetricsAddress},
		HealthProbeBindAddress: o.HealthAddress,
		PprofBindAddress:       o.PprofAddress,
	})
	if err != nil {
		return fmt.Errorf("making the manager: %w", err)
	}
	serving := &webhook.Server{Leaving: ctx.Done(), Linger: o.ShutdownDelay, Log: log.WithName("server")}
	if err := setup(ctx, mgr, o, serving); err != nil {
		return err
	}
	// The server ends first: what its answers rest on has to outlive them.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	context.AfterFunc(ctx, func() {
		if !serving.Listening() {
			end()
		}
	})
	if err := mgr.Add(first{serving, end}); err != nil {
		return fmt.Errorf("adding the server: %w", err)
	}
	return mgr.Start(life)
}

// first is the server that ends before everything else.
type first struct {
	*webhook.Server
	end func()
}

// Start implements manager.Runnable.
func (f first) Start(ctx context.Context) error {
	defer f.end()
	return f.Server.Start(ctx)
}

// setup adds everything to mgr but the server, and says what that serves.
func setup(ctx context.Context, mgr ctrl.Manager, o options.Webhook, serving *webhook.Server) error {
	keeper := &certificates.Keeper{
		Client:        mgr.GetClient(),
		Secret:        types.NamespacedName{Namespace: o.Namespace, Name: o.CertificateSecret},
		Configuration: o.Configuration,
		Provided:      o.CertificateProvided,
		DNSNames:      o.DNSNames,
	}
	if err := keeper.SetupWithManager(mgr); err != nil {
		return fmt.Errorf("setting up the certificate: %w", err)
	}

	if err := admission.Indexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	published, named := &admission.Published{}, &admission.Named{}
	// The manager appends to the same ledgers: checkpoints hold the state of this very
	// fold.
	ledgers, err := ledger.New(ledger.Config{REST: mgr.GetConfig(), Writer: o.MFA.PodName, Log: mgr.GetLogger().WithName("ledger")}, mfa.Fold{})
	if err != nil {
		return err
	}
	witness := changes.New(ledgers, mgr.GetLogger().WithName("changes"))
	for _, runnable := range []manager.Runnable{ledgers, witness} {
		if err := mgr.Add(runnable); err != nil {
			return fmt.Errorf("adding %T: %w", runnable, err)
		}
	}
	heard, err := listen(ctx, mgr.GetCache(), published, named, witness)
	if err != nil {
		return err
	}
	routes, err := admission.Routes(mgr.GetScheme(), &admission.Cluster{
		Cache: mgr.GetCache(), Live: mgr.GetAPIReader(), Published: published, Named: named,
	}, witness.Watch)
	if err != nil {
		return err
	}
	authorities, err := clientCAs(o.ClientCAFile)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	for path, handler := range routes {
		if authorities != nil {
			handler = webhook.WithCertificate(handler)
		}
		mux.Handle("POST "+path, handler)
	}
	checks := map[string]healthz.Checker{"caches": process.Synced(mgr.GetCache()), "certificate": keeper.Check, "published": heard}
	ready, err := answerCallers(ctx, mgr, o, ledgers, mux)
	if err != nil {
		return err
	}
	for name, check := range ready {
		checks[name] = func(*http.Request) error { return check() }
	}
	serving.Address, serving.Certificate, serving.ClientCAs, serving.Handler = o.Address, keeper.Certificate, authorities, callers.Problems(mux)
	if o.DoorbellAddress != "0" {
		if err := zitadelevents.Setup(ctx, mgr, o.Namespace, o.DoorbellAddress); err != nil {
			return err
		}
	}

	if err := process.Live(mgr, ledgers); err != nil {
		return err
	}
	checks["server"] = serving.Check
	for name, check := range checks {
		if err := mgr.AddReadyzCheck(name, check); err != nil {
			return fmt.Errorf("adding the readiness check %s: %w", name, err)
		}
	}
	return nil
}

// answerCallers has mux answer those who come with a Kubernetes token, and returns
// what has to be ready for that.
func answerCallers(ctx context.Context, mgr ctrl.Manager, o options.Webhook, ledgers *ledgers, mux *http.ServeMux) (map[string]func() error, error) {
	if len(o.MFA.Namespaces) == 0 && o.NeoSCNamespace == "" {
		return nil, nil
	}
	clientset, err := kubernetes.NewForConfig(mgr.GetConfig())
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	guard, err := callers.New(clientset)
	if err != nil {
		return nil, err
	}
	if o.NeoSCNamespace != "" {
		policies, err := setupNeoSC(ctx, mgr, o.NeoSCNamespace, clientset, guard)
		if err != nil {
			return nil, fmt.Errorf("setting up NeoSC's API: %w", err)
		}
		for _, prefix := range neoscapi.Prefixes {
			mux.Handle(prefix, policies)
		}
	}
	if len(o.MFA.Namespaces) == 0 {
		return nil, nil
	}
	answered, ready, err := setupMFA(ctx, mgr, o, ledgers, guard)
	if err != nil {
		return nil, fmt.Errorf("setting up local verification: %w", err)
	}
	for pattern, handler := range answered {
		mux.Handle(pattern, handler)
	}
	return ready, nil
}

// listen has the manager's ConfigMaps told to published, policies to named, and
// changes to witness.
// The check is ready when all that there was at the start has been.
func listen(ctx context.Context, informers cache.Informers, published, named, witness toolscache.ResourceEventHandler) (healthz.Checker, error) {
	var registrations []toolscache.ResourceEventHandlerRegistration
	for _, one := range []struct {
		obj     client.Object
		handler toolscache.ResourceEventHandler
	}{
		{&corev1.ConfigMap{}, published},
		{&v1alpha1.SecurityPolicy{}, named},
		{&v1alpha1.SecurityPolicy{}, witness},
		{&v1alpha1.MFAUser{}, witness},
		{&v1alpha1.MFAExemption{}, witness},
		// These are asked for by the first request otherwise.
		{&v1alpha1.ZitadelConnection{}, nil},
		{&corev1.Namespace{}, nil},
	} {
		// Its first list comes with the start of the cache, not now.
		informer, err := informers.GetInformer(ctx, one.obj, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, fmt.Errorf("watching %T: %w", one.obj, err)
		}
		if one.handler == nil {
			continue
		}
		registration, err := informer.AddEventHandler(one.handler)
		if err != nil {
			return nil, fmt.Errorf("watching %T: %w", one.obj, err)
		}
		registrations = append(registrations, registration)
	}
	return func(*http.Request) error {
		for _, r := range registrations {
			if !r.HasSynced() {
				return errors.New("policies, users and what the manager publishes have not all been read yet")
			}
		}
		return nil
	}, nil
}

// cacheOptions keep in memory, and ask the right to watch, only what is needed.
// Of Secrets that is one, and that of doorbells by its own cache: those beside
// them are credentials for Zitadel, which this process must not hold.
func cacheOptions(o options.Webhook) cache.Options {
	named := func(name string) fields.Selector { return fields.OneTermEqualSelector("metadata.name", name) }
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}: {Namespaces: map[string]cache.Config{o.Namespace: {FieldSelector: named(o.CertificateSecret)}}},
			&corev1.ConfigMap{}: {
				Namespaces: map[string]cache.Config{o.Namespace: {}},
				Label:      labels.SelectorFromSet(policy.PublishedLabels),
			},
			&admissionregistrationv1.ValidatingWebhookConfiguration{}: {Field: named(o.Configuration)},
		},
	}
}

func clientCAs(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file) //nolint:gosec // whoever starts the process names the file
	if err != nil {
		return nil, fmt.Errorf("reading --client-ca-file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading --client-ca-file: there is no certificate in %s", file)
	}
	return pool, nil
}
