package zitadelevents

import (
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/internal/doorbell"
)

// Setup makes the manager hear doorbells on address, host:port. namespace is the
// operator's own.
func Setup(mgr ctrl.Manager, namespace, address string) error {
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
	if err := mgr.Add(&Server{address: address, handler: mux, log: log}); err != nil {
		return fmt.Errorf("adding the server of doorbells: %w", err)
	}
	return nil
}
