package securitypolicy

import (
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

// target is one target of a policy, resolved: reachable, known, and allowed.
type target struct {
	key      targetKey
	name     string // the organization's name, empty for the instance
	provider Provider
}

// resolve finds out what a target of the spec means, and whether the policy's
// namespace may target it.
func (r *Reconciler) resolve(ctx context.Context, p *v1alpha1.SecurityPolicy, spec *v1alpha1.ZitadelTarget) (target, error) {
	conn, provider, err := r.connection(ctx, spec.Connection)
	if err != nil {
		return target{}, err
	}
	t := target{key: targetKey{connection: spec.Connection}, provider: provider}
	if spec.Organization == nil {
		return t, r.allowed(ctx, p.Namespace, conn, nil, "the instance")
	}
	s := spec.Organization
	what := "organization " + selectorText(s)
	org, err := provider.Organization(ctx, idp.OrganizationRef{ID: s.ID, Name: s.Name, PrimaryDomain: s.PrimaryDomain})
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
	t.name, t.key.scope = org.Name, idp.InOrganization(org.ID)
	return t, nil
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
