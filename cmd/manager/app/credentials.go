package app

import (
	"k8s.io/client-go/rest"

	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/sealed"
)

// newCredentials makes what lists and removes the credentials of local users. The
// manager cannot open them: it has no sealing keys. It reads and changes their
// Secrets only where an administrator lets it.
func newCredentials(config *rest.Config) (*sealed.Store, error) {
	secrets, err := kube.Secrets(config)
	if err != nil {
		return nil, err
	}
	return sealed.NewStore(secrets), nil
}
