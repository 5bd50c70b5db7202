package zitadelevents

import (
	"context"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/internal/doorbell"
	"github.com/neosc/mfa-operator/webhook"
)

// callTimeout bounds a call. Zitadel waits for three seconds.
const callTimeout = 5 * time.Second

// Setup makes the manager hear doorbells on address, host:port, and be ready once
// it does. namespace is the operator's own.
//
// It hears them in plain HTTP: whoever brings Zitadel's calls into the cluster
// ends their TLS, with a certificate that Zitadel trusts, and a signature
// protects them from there.
func Setup(ctx context.Context, mgr ctrl.Manager, namespace, address string) error {
	log := mgr.GetLogger().WithName("doorbell")
	// A cache of its own: the manager's can watch one Secret by name, and that
	// is another.
	secrets, err := cache.New(mgr.GetConfig(), cache.Options{
		Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
		ByObject: map[client.Object]cache.ByObject{&corev1.Secret{}: {Namespaces: map[string]cache.Config{
			namespace: {FieldSelector: fields.OneTermEqualSelector("metadata.name", doorbell.Name)},
		}}},
	})
	if err != nil {
		return fmt.Errorf("making the cache of doorbell keys: %w", err)
	}
	// The manager serves when its caches are filled, so this one must know by then
	// what it is to hold; the first call would wait for that otherwise.
	if _, err := secrets.GetInformer(ctx, &corev1.Secret{}, cache.BlockUntilSynced(false)); err != nil {
		return fmt.Errorf("watching doorbell keys: %w", err)
	}
	ringer := newRinger(mgr.GetClient(), namespace, log)
	keys := keyring{secrets, namespace}
	mux := http.NewServeMux()
	mux.Handle("POST "+doorbell.Pattern, &Handler{
		keys: keys.of, ring: ringer.Ring, now: time.Now, log: log, slots: make(chan struct{}, maxCalls),
	})
	if err := mgr.Add(secrets); err != nil {
		return fmt.Errorf("adding the cache of doorbell keys: %w", err)
	}
	if err := mgr.Add(ringer); err != nil {
		return fmt.Errorf("adding the ringer: %w", err)
	}
	serving := &webhook.Server{Address: address, Plain: true, Handler: mux, RequestTimeout: callTimeout, Log: log}
	if err := mgr.Add(serving); err != nil {
		return fmt.Errorf("adding the server of doorbells: %w", err)
	}
	if err := mgr.AddReadyzCheck("doorbell", serving.Check); err != nil {
		return fmt.Errorf("adding the readiness check of doorbells: %w", err)
	}
	return nil
}
