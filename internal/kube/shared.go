package kube

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/retry"
)

// Secrets makes a client for Secrets that asks the API server each time and
// does not hold requests back: what is read is what is stored.
func Secrets(config *rest.Config) (corev1client.SecretsGetter, error) {
	c := rest.CopyConfig(config)
	c.QPS = -1
	c.ContentType = runtime.ContentTypeProtobuf
	client, err := corev1client.NewForConfig(c)
	if err != nil {
		return nil, fmt.Errorf("making a client for Secrets: %w", err)
	}
	return client, nil
}

// SharedSecret is a Secret in which the replicas of a process share something,
// such as keys.
type SharedSecret struct {
	Client          corev1client.SecretsGetter
	Namespace, Name string
}

// Get reads it.
func (s SharedSecret) Get(ctx context.Context) (*corev1.Secret, error) {
	return s.Client.Secrets(s.Namespace).Get(ctx, s.Name, metav1.GetOptions{})
}

// Create creates it with this content; an error of AlreadyExists if somebody
// else was faster.
func (s SharedSecret) Create(ctx context.Context, kind corev1.SecretType, data map[string][]byte) (*corev1.Secret, error) {
	return s.Client.Secrets(s.Namespace).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name}, Type: kind, Data: data,
	}, metav1.CreateOptions{})
}

// Fill puts this content into it if it is there and empty, as manifests leave it to
// those who may not create Secrets. It returns the Secret as it then is, whoever
// filled it.
func (s SharedSecret) Fill(ctx context.Context, data map[string][]byte) (*corev1.Secret, error) {
	return s.Change(ctx, func(secret *corev1.Secret) (bool, error) {
		if len(secret.Data) > 0 {
			return false, nil
		}
		secret.Data = data
		return true, nil
	})
}

// Change reads it, lets change alter what was read, and writes that back; again
// from the start if somebody else wrote in between. Nothing is written if change
// returns false. It returns the Secret as it then is.
func (s SharedSecret) Change(ctx context.Context, change func(*corev1.Secret) (bool, error)) (*corev1.Secret, error) {
	var now *corev1.Secret
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		read, err := s.Get(ctx)
		if err != nil {
			return err
		}
		now = read
		if changed, err := change(read); err != nil || !changed {
			return err
		}
		now, err = s.Client.Secrets(s.Namespace).Update(ctx, read, metav1.UpdateOptions{})
		return err
	})
	return now, err
}

// Watch calls heard with the Secret as it is, and whenever it has changed, one
// after the other, until ctx ends; with nil when it was deleted. It needs the right to list and watch the
// Secret of that name.
func (s SharedSecret) Watch(ctx context.Context, heard func(*corev1.Secret)) {
	secrets := s.Client.Secrets(s.Namespace)
	only := fields.OneTermEqualSelector(metav1.ObjectNameField, s.Name).String()
	tell := func(obj any) {
		if secret, ok := obj.(*corev1.Secret); ok {
			heard(secret)
		}
	}
	_, controller := toolscache.NewInformerWithOptions(toolscache.InformerOptions{
		ListerWatcher: &toolscache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
				o.FieldSelector = only
				return secrets.List(ctx, o)
			},
			WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
				o.FieldSelector = only
				return secrets.Watch(ctx, o)
			},
		},
		ObjectType: &corev1.Secret{},
		Handler: toolscache.ResourceEventHandlerFuncs{
			AddFunc:    tell,
			UpdateFunc: func(_, obj any) { tell(obj) },
			DeleteFunc: func(any) { heard(nil) },
		},
	})
	controller.RunWithContext(ctx)
}
