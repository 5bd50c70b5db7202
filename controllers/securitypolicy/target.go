package securitypolicy

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/policy"
)

// target is one target of a policy, resolved: reachable and known.
type target struct {
	key        targetKey
	org        idp.Organization // zero for the instance
	connection *v1alpha1.ZitadelConnection
	provider   Provider
}

func newTarget(conn *v1alpha1.ZitadelConnection, provider Provider, org idp.Organization) target {
	return target{key: targetKey{conn.Name, idp.InOrganization(org.ID)}, org: org, connection: conn, provider: provider}
}

// account is the id of the user we act as, empty if not known.
func (t target) account() string {
	if t.connection.Status.Credential == nil {
		return ""
	}
	return t.connection.Status.Credential.UserID
}

// String names the target for people.
func (t target) String() string {
	if t.key.scope.IsInstance() {
		return "instance"
	}
	return "organization " + cmp.Or(t.org.Name, t.key.scope.OrganizationID)
}

// resolve finds out what a target of the spec means, and whether the policy's
// namespace may target it.
func (r *Reconciler) resolve(ctx context.Context, p *v1alpha1.SecurityPolicy, spec *v1alpha1.ZitadelTarget) (target, error) {
	conn, provider, err := r.connection(ctx, spec.Connection)
	if err != nil {
		return target{}, err
	}
	if spec.Organization == nil {
		return newTarget(conn, provider, idp.Organization{}), r.allowed(ctx, p.Namespace, conn, nil, "the instance")
	}
	s := spec.Organization
	what := "organization " + selectorText(s)
	org, err := r.organization(ctx, conn, provider, idp.OrganizationRef{ID: s.ID, Name: s.Name, PrimaryDomain: s.PrimaryDomain})
	if errors.Is(err, idp.ErrNotFound) {
		// Whoever may not target an organization is not told whether it exists.
		asked := &idp.Organization{ID: s.ID, Name: s.Name, PrimaryDomain: s.PrimaryDomain}
		if refused := r.allowed(ctx, p.Namespace, conn, asked, what); refused != nil {
			return target{}, refused
		}
	}
	if err != nil {
		return target{}, err
	}
	if err := r.allowed(ctx, p.Namespace, conn, &org, what); err != nil {
		return target{}, err
	}
	return newTarget(conn, provider, org), nil
}

// organization looks an organization up, at most once between two full
// comparisons.
func (r *Reconciler) organization(ctx context.Context, conn *v1alpha1.ZitadelConnection, provider Provider, ref idp.OrganizationRef) (idp.Organization, error) {
	return r.directory.find(ctx, conn.Name, provider, ref, r.now(), r.resync(conn))
}

// connection finds a connection by name, and the provider behind it.
func (r *Reconciler) connection(ctx context.Context, name string) (*v1alpha1.ZitadelConnection, Provider, error) {
	conn := &v1alpha1.ZitadelConnection{}
	err := r.Client.Get(ctx, types.NamespacedName{Name: name}, conn)
	if apierrors.IsNotFound(err) {
		return nil, nil, kube.Refuse(v1alpha1.ReasonConnectionNotFound, "there is no ZitadelConnection %q; create it, or correct the name", name)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading ZitadelConnection %s: %w", name, err)
	}
	if provider, ok := r.Providers.Provider(name); ok {
		return conn, provider, nil
	}
	ready := meta.FindStatusCondition(conn.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Status == metav1.ConditionTrue {
		return nil, nil, errConnecting
	}
	return nil, nil, kube.Refuse(connectionReason(ready.Reason), "ZitadelConnection %s is not ready: %s", name, ready.Message)
}

// allowed refuses a target that no access rule of the connection covers; org is
// nil for the instance.
func (r *Reconciler) allowed(ctx context.Context, namespace string, conn *v1alpha1.ZitadelConnection, org *idp.Organization, what string) error {
	ns := &corev1.Namespace{}
	if err := r.Client.Get(ctx, types.NamespacedName{Name: namespace}, ns); err != nil {
		return fmt.Errorf("reading namespace %s: %w", namespace, err)
	}
	ok, err := policy.MayTarget(conn.Spec.Access, labels.Set(ns.Labels), org)
	if err != nil {
		return kube.Refuse(v1alpha1.ReasonNamespaceNotAllowed, "spec.access of ZitadelConnection %s: %v", conn.Name, err)
	}
	if !ok {
		return kube.Refuse(v1alpha1.ReasonNamespaceNotAllowed,
			"no rule in spec.access of ZitadelConnection %s lets namespace %s target %s", conn.Name, namespace, what)
	}
	return nil
}
