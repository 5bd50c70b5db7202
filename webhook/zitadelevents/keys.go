package zitadelevents

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/internal/doorbell"
)

// +kubebuilder:rbac:groups="",resources=secrets,resourceNames=zitadel-doorbell,verbs=get;list;watch,namespace=neosc-system

// keyring reads keys from the Secret, as the cache has it.
type keyring struct {
	secrets   client.Reader
	namespace string
}

// of returns the keys of a connection: none if it has no doorbell.
func (k keyring) of(ctx context.Context, connection string) (doorbell.Keys, error) {
	// A cache that may not watch the Secret would have us wait for it.
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	secret := &corev1.Secret{}
	err := k.secrets.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: doorbell.Name}, secret)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading the keys of doorbells: %w", err)
	}
	entry, has := secret.Data[connection]
	if !has {
		return nil, nil
	}
	return doorbell.ParseKeys(entry)
}
