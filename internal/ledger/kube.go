package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
)

// The resources, as in the paths of the API.
const (
	batches   = "mfaauditrecords"
	ledgers   = "mfaledgers"
	snapshots = "mfaledgersnapshots"
)

// What keeps the API server from sending back a batch that we have just sent
// it, or more of a list than we want to know.
const (
	onlyMetadata     = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
	onlyMetadataList = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
)

// kube is the Store that asks an API server. It has a client of its own: the
// usual ones read from a cache, decode every answer, and hold requests back.
type kube struct{ rest rest.Interface }

// NewStore makes a Store of a connection. What a transport learns by wrap may
// be nil.
func NewStore(config *rest.Config, wrap func(http.RoundTripper) http.RoundTripper) (Store, error) {
	scheme := runtime.NewScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		return nil, fmt.Errorf("registering the kinds of lists: %w", err)
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("registering our kinds: %w", err)
	}
	c := rest.CopyConfig(config)
	c.APIPath = "/apis"
	c.GroupVersion = &v1alpha1.GroupVersion
	c.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	c.QPS = -1 // batches are the limit
	if wrap != nil {
		c.Wrap(wrap)
	}
	client, err := rest.RESTClientFor(c)
	if err != nil {
		return nil, fmt.Errorf("making a client for the ledger: %w", err)
	}
	return &kube{rest: client}, nil
}

func (k *kube) Create(ctx context.Context, namespace string, b audit.Batch) error {
	err := k.rest.Post().Namespace(namespace).Resource(batches).SetHeader("Accept", onlyMetadata).
		Body(ToObject(namespace, b)).Do(ctx).Error()
	return classify("creating", Name(b.Sequence), err)
}

func (k *kube) Batch(ctx context.Context, namespace string, sequence int64) (audit.Batch, error) {
	data, err := k.rest.Get().Namespace(namespace).Resource(batches).Name(Name(sequence)).Do(ctx).Raw()
	if err != nil {
		return audit.Batch{}, classify("reading", Name(sequence), err)
	}
	return decodeBatch(Name(sequence), data)
}

func (k *kube) Remove(ctx context.Context, namespace string, sequence int64) error {
	return k.remove(ctx, namespace, batches, Name(sequence))
}

func (k *kube) Any(ctx context.Context, namespace string) (bool, error) {
	list, err := k.first(ctx, namespace)
	return len(list.Items) > 0, err
}

func (k *kube) Ask(ctx context.Context) error {
	return k.rest.Get().AbsPath("/version").Do(ctx).Error()
}

func (k *kube) Now(ctx context.Context, namespace string) (string, error) {
	list, err := k.first(ctx, namespace)
	return list.ResourceVersion, err
}

// first lists the metadata of at most one batch.
func (k *kube) first(ctx context.Context, namespace string) (*metav1.PartialObjectMetadataList, error) {
	list := &metav1.PartialObjectMetadataList{}
	err := k.rest.Get().Namespace(namespace).Resource(batches).Param("limit", "1").
		SetHeader("Accept", onlyMetadataList).Do(ctx).Into(list)
	return list, classify("listing", batches, err)
}

func (k *kube) Ledger(ctx context.Context, namespace string) (*v1alpha1.MFALedger, error) {
	obj := &v1alpha1.MFALedger{}
	err := k.rest.Get().Namespace(namespace).Resource(ledgers).Name(v1alpha1.LedgerName).Do(ctx).Into(obj)
	return obj, classify("reading MFALedger", v1alpha1.LedgerName, err)
}

func (k *kube) CreateLedger(ctx context.Context, namespace string) error {
	obj := &v1alpha1.MFALedger{
		TypeMeta:   typeMeta("MFALedger"),
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: v1alpha1.LedgerName},
	}
	return k.create(ctx, namespace, ledgers, obj)
}

func (k *kube) UpdateLedgerStatus(ctx context.Context, obj *v1alpha1.MFALedger) error {
	obj.TypeMeta = typeMeta("MFALedger")
	err := k.rest.Put().Namespace(obj.Namespace).Resource(ledgers).Name(obj.Name).SubResource("status").
		Body(obj).Do(ctx).Into(obj)
	return classify("writing the status of MFALedger", obj.Name, err)
}

func (k *kube) Snapshot(ctx context.Context, namespace, name string) ([]byte, error) {
	obj := &v1alpha1.MFALedgerSnapshot{}
	err := k.rest.Get().Namespace(namespace).Resource(snapshots).Name(name).Do(ctx).Into(obj)
	return obj.Spec.Data, classify("reading MFALedgerSnapshot", name, err)
}

func (k *kube) CreateSnapshot(ctx context.Context, namespace, name string, spec v1alpha1.MFALedgerSnapshotSpec) error {
	return k.create(ctx, namespace, snapshots, &v1alpha1.MFALedgerSnapshot{
		TypeMeta:   typeMeta("MFALedgerSnapshot"),
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       spec,
	})
}

func (k *kube) Snapshots(ctx context.Context, namespace string) ([]string, error) {
	list := &metav1.PartialObjectMetadataList{}
	err := k.rest.Get().Namespace(namespace).Resource(snapshots).SetHeader("Accept", onlyMetadataList).Do(ctx).Into(list)
	names := make([]string, len(list.Items))
	for i := range list.Items {
		names[i] = list.Items[i].Name
	}
	return names, classify("listing", snapshots, err)
}

func (k *kube) RemoveSnapshot(ctx context.Context, namespace, name string) error {
	return k.remove(ctx, namespace, snapshots, name)
}

func (k *kube) create(ctx context.Context, namespace, resource string, obj runtime.Object) error {
	err := k.rest.Post().Namespace(namespace).Resource(resource).SetHeader("Accept", onlyMetadata).Body(obj).Do(ctx).Error()
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return classify("creating", resource, err)
}

func (k *kube) remove(ctx context.Context, namespace, resource, name string) error {
	err := k.rest.Delete().Namespace(namespace).Resource(resource).Name(name).Do(ctx).Error()
	if apierrors.IsNotFound(err) {
		return nil
	}
	return classify("removing", name, err)
}

func (k *kube) Watch(ctx context.Context, namespace, point string, heard func(News) error) error {
	stream, err := k.rest.Get().Namespace(namespace).Resource(batches).
		Param("watch", "true").Param("resourceVersion", point).Stream(ctx)
	if err != nil {
		return classify("watching", batches, err)
	}
	defer func() { _ = stream.Close() }() // only read from
	frames := json.NewDecoder(stream)
	for {
		var frame struct {
			Type   watch.EventType `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		if err := frames.Decode(&frame); errors.Is(err, io.EOF) {
			return ctx.Err()
		} else if err != nil {
			return fmt.Errorf("watching %s: %w", batches, err)
		}
		switch frame.Type {
		case watch.Error:
			status := &metav1.Status{}
			if err := json.Unmarshal(frame.Object, status); err != nil {
				return fmt.Errorf("watching %s: %w", batches, err)
			}
			return classify("watching", batches, apierrors.FromObject(status))
		case watch.Added, watch.Deleted:
			var head struct {
				Metadata struct {
					Name string `json:"name"`
				} `json:"metadata"`
			}
			if err := json.Unmarshal(frame.Object, &head); err != nil {
				return fmt.Errorf("watching %s: %w", batches, err)
			}
			sequence, err := sequenceOf(head.Metadata.Name)
			if err != nil {
				return err
			}
			decode := func() (audit.Batch, error) { return decodeBatch(head.Metadata.Name, frame.Object) }
			if err := heard(News{Sequence: sequence, Removed: frame.Type == watch.Deleted, Batch: decode}); err != nil {
				return err
			}
		default: // labels at most have changed; the spec never does
		}
	}
}

func decodeBatch(name string, data []byte) (audit.Batch, error) {
	obj := &v1alpha1.MFAAuditRecord{}
	if err := json.Unmarshal(data, obj); err != nil {
		return audit.Batch{}, fmt.Errorf("decoding %s: %w", name, err)
	}
	return FromObject(obj)
}

func typeMeta(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: kind}
}

// classify turns an answer into one of the errors of a Store.
//
// An answer that blames the request says that nothing was done, save for three:
// a conflict may be about something else, such as a quota's count, and too many
// requests and a time-out pass.
func classify(doing, what string, err error) error {
	if err == nil {
		return nil
	}
	code := 0
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		code = int(status.Status().Code)
	}
	wrapped := fmt.Errorf("%s %s: %w", doing, what, err)
	switch {
	case apierrors.IsAlreadyExists(err):
		return errors.Join(errExists, wrapped)
	case apierrors.IsNotFound(err) && doing != "creating": // there: of the namespace
		return errors.Join(errAbsent, wrapped)
	case code == http.StatusGone:
		return errors.Join(errExpired, wrapped)
	case code == http.StatusConflict, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout:
		return wrapped
	case code >= 400 && code < 500:
		return &refusal{wrapped}
	}
	return wrapped
}
