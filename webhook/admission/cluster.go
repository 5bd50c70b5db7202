package admission

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
)

// +kubebuilder:rbac:groups=security.neosc.io,resources=securitypolicies;zitadelconnections;mfausers,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch,namespace=neosc-system

// Cluster is what the checks know of the cluster.
type Cluster struct {
	// Cache has policies, connections, users and namespaces, with the indexes of
	// Indexes. Its objects are only read.
	Cache client.Reader
	// Live is asked for what the cache does not have: manifests are applied
	// faster than caches hear of them.
	Live client.Reader
	// Published is what the manager has published.
	Published *Published
	// Named is what policies name.
	Named *Named
}

// Field indexes of SecurityPolicies.
const (
	indexTarget     = "spec.targets.zitadel"
	indexConnection = "spec.targets.zitadel.connection"
)

// Indexes adds the field indexes that a Cluster's Cache needs.
func Indexes(ctx context.Context, indexer client.FieldIndexer) error {
	for field, of := range map[string]func(*v1alpha1.SecurityPolicySpec) []string{
		indexTarget: policy.TargetKeys, indexConnection: policy.ConnectionsOf,
	} {
		err := indexer.IndexField(ctx, &v1alpha1.SecurityPolicy{}, field, func(obj client.Object) []string {
			return of(&obj.(*v1alpha1.SecurityPolicy).Spec)
		})
		if err != nil {
			return fmt.Errorf("indexing policies by %s: %w", field, err)
		}
	}
	return nil
}

// connection returns nil if there is none of that name.
func (c *Cluster) connection(ctx context.Context, name string) (*v1alpha1.ZitadelConnection, error) {
	conn := &v1alpha1.ZitadelConnection{}
	err := c.get(ctx, client.ObjectKey{Name: name}, conn)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading ZitadelConnection %s: %w", name, err)
	}
	return conn, nil
}

func (c *Cluster) get(ctx context.Context, key client.ObjectKey, obj client.Object) error {
	err := c.Cache.Get(ctx, key, obj, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		return c.Live.Get(ctx, key, obj)
	}
	return err
}

func (c *Cluster) policies(ctx context.Context, which client.ListOption) ([]v1alpha1.SecurityPolicy, error) {
	list := &v1alpha1.SecurityPolicyList{}
	if err := c.Cache.List(ctx, list, which, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing policies: %w", err)
	}
	return list.Items, nil
}

// tenancy tells which namespaces may target what, for the time of one request.
type tenancy struct {
	cluster *Cluster
	granted map[tenant]grant
}

// tenant is a namespace at a connection.
type tenant struct{ namespace, connection string }

type grant struct {
	rules policy.Granted
	err   error // the rules cannot be read
}

func (c *Cluster) tenancy() *tenancy { return &tenancy{cluster: c, granted: map[tenant]grant{}} }

// of returns what a connection grants to a namespace.
func (t *tenancy) of(ctx context.Context, namespace string, conn *v1alpha1.ZitadelConnection) (grant, error) {
	key := tenant{namespace, conn.Name}
	if known, ok := t.granted[key]; ok {
		return known, nil
	}
	ns := &corev1.Namespace{}
	if err := t.cluster.get(ctx, client.ObjectKey{Name: namespace}, ns); err != nil {
		return grant{}, fmt.Errorf("reading namespace %s: %w", namespace, err)
	}
	var g grant
	g.rules, g.err = policy.GrantedTo(ns.Labels, conn.Spec.Access)
	t.granted[key] = g
	return g, nil
}

// may tells whether another policy's namespace may target org, nil for the
// instance. As for the controllers, rules that cannot be read let nobody.
func (t *tenancy) may(ctx context.Context, p *v1alpha1.SecurityPolicy, conn *v1alpha1.ZitadelConnection, org *idp.Organization) (bool, error) {
	granted, err := t.of(ctx, p.Namespace, conn)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil && granted.rules.Cover(org), err
}

// asked is what a selector says of an organization.
func asked(s *v1alpha1.OrganizationSelector) idp.Organization {
	return idp.Organization{ID: s.ID, Name: s.Name, PrimaryDomain: s.PrimaryDomain}
}
