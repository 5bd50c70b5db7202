package zitadelconnection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/policy"
)

// +kubebuilder:rbac:groups=security.neosc.io,resources=zitadelconnections,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=security.neosc.io,resources=zitadelconnections/status,verbs=patch
// +kubebuilder:rbac:groups=security.neosc.io,resources=zitadelconnections/finalizers,verbs=update
// +kubebuilder:rbac:groups=security.neosc.io,resources=securitypolicies,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch,namespace=neosc-system
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconciler keeps connections to Zitadel.
type Reconciler struct {
	Client client.Client
	// Secrets reads Secrets one at a time, so that the right to read is needed
	// only where a connection's Secret is.
	Secrets client.Reader
	// Live reads past the cache.
	Live      client.Reader
	Connector Connector
	Events    events.EventRecorder
	// AllowInsecure permits plain HTTP to hosts that are not loopback.
	AllowInsecure bool
	// Probe is the pause between two proofs of a credential that works.
	Probe time.Duration
	// Now is the clock; nil means the system's.
	Now func() time.Time
}

// Reconcile connects to one instance and reports the account.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	conn := &v1alpha1.ZitadelConnection{}
	if err := r.Client.Get(ctx, req.NamespacedName, conn); err != nil {
		if apierrors.IsNotFound(err) {
			r.Connector.Forget(req.Name)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	var inUse error
	if !conn.DeletionTimestamp.IsZero() {
		var err error
		if inUse, err = r.finalize(ctx, conn); inUse == nil {
			return ctrl.Result{}, err
		}
	} else if _, err := kube.EnsureFinalizer(ctx, r.Client, conn, v1alpha1.Finalizer); err != nil {
		return ctrl.Result{}, err
	}

	// Also while being deleted: after a restart of ours, whoever it is in use by
	// could not put anything back otherwise, and both would wait for ever.
	account, err := r.connect(ctx, conn)
	if err == nil {
		err = inUse
	}
	if _, _, explained := kube.Explain(err); err != nil && !explained {
		return ctrl.Result{}, err
	}
	if statusErr := r.report(ctx, conn, account, err); statusErr != nil {
		return ctrl.Result{}, errors.Join(err, statusErr)
	}
	switch {
	case err == nil:
		return ctrl.Result{RequeueAfter: kube.Jitter(r.Probe)}, nil
	case errors.Is(err, idp.ErrUnreachable):
		return ctrl.Result{}, err
	default:
		return ctrl.Result{RequeueAfter: kube.Jitter(kube.SlowRetry)}, nil
	}
}

// connect reads the credential and proves it.
func (r *Reconciler) connect(ctx context.Context, conn *v1alpha1.ZitadelConnection) (idp.Account, error) {
	spec := &conn.Spec
	if spec.Insecure && !r.AllowInsecure && !policy.Loopback(spec) {
		return idp.Account{}, kube.Refuse(v1alpha1.ReasonInsecureNotAllowed,
			"plain HTTP to %s would send the credential in the clear; use TLS, or run the operator with --allow-insecure", spec.Domain)
	}
	credential, err := r.credential(ctx, spec.Credentials.SecretRef)
	if err != nil {
		return idp.Account{}, err
	}
	account, err := r.Connector.Connect(ctx, conn.Name, Instance{
		Domain:            spec.Domain,
		Port:              uint16(ptr.Deref(spec.Port, 0)),
		Insecure:          spec.Insecure,
		Address:           spec.Address,
		CABundle:          spec.CABundle,
		CredentialType:    string(spec.Credentials.Type),
		Credential:        credential,
		RequestsPerSecond: int(spec.RateLimit.RequestsPerSecond),
		Burst:             int(spec.RateLimit.Burst),
		Timeout:           time.Duration(spec.TimeoutSeconds) * time.Second,
	})
	if errors.Is(err, idp.ErrRejected) {
		return idp.Account{}, kube.Refuse(v1alpha1.ReasonSecretInvalid, "%v; correct the Secret, or spec.credentials.type", err)
	}
	return account, err
}

// credential reads the Secret's entry. White space at its ends is not part of a
// key or token; an editor or echo often leaves some.
func (r *Reconciler) credential(ctx context.Context, ref v1alpha1.SecretKeyRef) ([]byte, error) {
	secret := &corev1.Secret{}
	err := r.Secrets.Get(ctx, types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}, secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, kube.Refuse(v1alpha1.ReasonSecretNotFound, "there is no Secret %s in namespace %s; create it", ref.Name, ref.Namespace)
	case apierrors.IsForbidden(err):
		return nil, kube.Refuse(v1alpha1.ReasonSecretNotFound,
			"the operator may not read Secret %s in namespace %s; keep it in the operator's own namespace, or grant the right", ref.Name, ref.Namespace)
	case err != nil:
		return nil, fmt.Errorf("reading Secret %s/%s: %w", ref.Namespace, ref.Name, err)
	}
	value := strings.TrimSpace(string(secret.Data[ref.Key]))
	if value == "" {
		return nil, kube.Refuse(v1alpha1.ReasonSecretNotFound, "Secret %s/%s has no entry %q, or it is empty", ref.Namespace, ref.Name, ref.Key)
	}
	return []byte(value), nil
}

// finalize lets a deleted connection go, unless a policy needs it to put
// something back, or its doorbell is still there: then inUse says so.
func (r *Reconciler) finalize(ctx context.Context, conn *v1alpha1.ZitadelConnection) (inUse, err error) {
	needed, err := r.neededBy(ctx, conn.Name)
	if err != nil {
		return nil, err
	}
	if len(needed) > 0 {
		return kube.Refuse(v1alpha1.ReasonInUse,
			"deletion waits for %s to put back what stood before; delete them, or set their deletionPolicy to Retain", strings.Join(needed, ", ")), nil
	}
	if controllerutil.ContainsFinalizer(conn, v1alpha1.FinalizerDoorbell) {
		return kube.Refuse(v1alpha1.ReasonInUse, "deletion waits at most %s for the doorbell to be removed", farewell), nil
	}
	if err := kube.RemoveFinalizer(ctx, r.Client, conn, v1alpha1.Finalizer); err != nil {
		return nil, err
	}
	r.Connector.Forget(conn.Name)
	return nil, nil
}

// neededBy names the policies whose deletion has to write to Zitadel through
// the connection.
func (r *Reconciler) neededBy(ctx context.Context, name string) ([]string, error) {
	list := &v1alpha1.SecurityPolicyList{}
	if err := r.Client.List(ctx, list); err != nil {
		return nil, fmt.Errorf("listing the policies of the connection: %w", err)
	}
	var needed []string
	for i := range list.Items {
		if p := &list.Items[i]; usesForCleanup(p, name) {
			needed = append(needed, p.Namespace+"/"+p.Name)
		}
	}
	slices.Sort(needed)
	return needed, nil
}

func usesForCleanup(p *v1alpha1.SecurityPolicy, connection string) bool {
	return p.Spec.DeletionPolicy != v1alpha1.DeletionRetain &&
		slices.Contains(p.Finalizers, v1alpha1.Finalizer) &&
		(slices.ContainsFunc(p.Spec.Targets.Zitadel, func(t v1alpha1.ZitadelTarget) bool { return t.Connection == connection }) ||
			slices.ContainsFunc(p.Status.Targets, func(t v1alpha1.TargetStatus) bool { return t.Connection == connection }))
}

func (r *Reconciler) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}
