package admission

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
)

// ZitadelConnections decides about ZitadelConnections.
type ZitadelConnections struct {
	Cluster *Cluster
}

var _ admission.Validator[*v1alpha1.ZitadelConnection] = (*ZitadelConnections)(nil)

// ValidateCreate implements admission.Validator.
func (v *ZitadelConnections) ValidateCreate(ctx context.Context, conn *v1alpha1.ZitadelConnection) (admission.Warnings, error) {
	return v.validate(ctx, nil, conn)
}

// ValidateUpdate implements admission.Validator.
func (v *ZitadelConnections) ValidateUpdate(ctx context.Context, old, conn *v1alpha1.ZitadelConnection) (admission.Warnings, error) {
	if !conn.DeletionTimestamp.IsZero() || equality.Semantic.DeepEqual(&old.Spec, &conn.Spec) {
		return nil, nil
	}
	return v.validate(ctx, old, conn)
}

// ValidateDelete implements admission.Validator. A deletion is never refused.
func (v *ZitadelConnections) ValidateDelete(ctx context.Context, conn *v1alpha1.ZitadelConnection) (admission.Warnings, error) {
	if !conn.DeletionTimestamp.IsZero() {
		return nil, nil
	}
	users, err := v.users(ctx, conn)
	if err != nil {
		return nil, nil //nolint:nilerr // it would only be a warning
	}
	return farewell(users), nil
}

func (v *ZitadelConnections) validate(ctx context.Context, old, conn *v1alpha1.ZitadelConnection) (admission.Warnings, error) {
	namespaces, err := v.namespaces(ctx)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	users, err := v.users(ctx, conn)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	mistakes, warnings := judgeConnection(old, conn, namespaces, users)
	if len(mistakes) > 0 {
		return warnings, apierrors.NewInvalid(v1alpha1.GroupVersion.WithKind("ZitadelConnection").GroupKind(), conn.Name, mistakes)
	}
	return warnings, nil
}

// namespaces returns the labels of every namespace by its name.
func (v *ZitadelConnections) namespaces(ctx context.Context) (map[string]labels.Set, error) {
	list := &corev1.NamespaceList{}
	if err := v.Cluster.Cache.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing namespaces: %w", err)
	}
	all := make(map[string]labels.Set, len(list.Items))
	for i := range list.Items {
		all[list.Items[i].Name] = list.Items[i].Labels
	}
	return all, nil
}

// users are the policies that name the connection.
func (v *ZitadelConnections) users(ctx context.Context, conn *v1alpha1.ZitadelConnection) ([]v1alpha1.SecurityPolicy, error) {
	return v.Cluster.policies(ctx, client.MatchingFields{indexConnection: conn.Name})
}

// judgeConnection lists every mistake, and what the user should know.
func judgeConnection(old, conn *v1alpha1.ZitadelConnection, namespaces map[string]labels.Set, users []v1alpha1.SecurityPolicy) (field.ErrorList, []string) {
	var mistakes field.ErrorList
	var n notes
	access := field.NewPath("spec", "access")
	if len(conn.Spec.Access) == 0 {
		n.add("access", "%s: without a rule no namespace may use the connection", access)
	}
	for i := range conn.Spec.Access {
		path := access.Index(i).Child("namespaceSelector")
		selector, err := metav1.LabelSelectorAsSelector(conn.Spec.Access[i].NamespaceSelector)
		if err != nil {
			mistakes = append(mistakes, field.Invalid(path, metav1.FormatLabelSelector(conn.Spec.Access[i].NamespaceSelector), err.Error()))
			continue
		}
		if !matchesAny(selector, namespaces) {
			n.add("access", "%s: no namespace has these labels now (%s)", path, selector)
		}
	}
	if len(mistakes) == 0 && old != nil {
		tellLostAccess(&n, old, conn, namespaces, users)
	}
	if conn.Spec.Insecure && !policy.Loopback(&conn.Spec) {
		n.add("insecure", "spec.insecure: the credential crosses the network in plain HTTP; refused unless the manager runs with --allow-insecure")
	}
	return mistakes, n.list()
}

func matchesAny(selector labels.Selector, namespaces map[string]labels.Set) bool {
	for _, set := range namespaces {
		if selector.Matches(set) {
			return true
		}
	}
	return false
}

// tellLostAccess names the policies that could act on a target and cannot any
// more.
func tellLostAccess(n *notes, old, conn *v1alpha1.ZitadelConnection, namespaces map[string]labels.Set, users []v1alpha1.SecurityPolicy) {
	var lost []string
	for i := range users {
		p := &users[i]
		if slices.ContainsFunc(p.Spec.Targets.Zitadel, func(t v1alpha1.ZitadelTarget) bool {
			return t.Connection == conn.Name && mayAct(old, p, &t, namespaces) && !mayAct(conn, p, &t, namespaces)
		}) {
			lost = append(lost, p.Namespace+"/"+p.Name)
		}
	}
	if len(lost) > 0 {
		n.add("lost", "spec.access: %s: what they put in force stays, and is not kept up any more: %s", lose(len(lost)), listed(lost))
	}
}

func lose(n int) string {
	if n == 1 {
		return "1 policy loses access to a target"
	}
	return grouped(n) + " policies lose access to a target"
}

func mayAct(conn *v1alpha1.ZitadelConnection, p *v1alpha1.SecurityPolicy, t *v1alpha1.ZitadelTarget, namespaces map[string]labels.Set) bool {
	set, known := namespaces[p.Namespace]
	if !known {
		return false
	}
	var org *idp.Organization
	if t.Organization != nil {
		org = new(asked(t.Organization))
	}
	granted, err := policy.GrantedTo(set, conn.Spec.Access)
	return err == nil && (granted.Cover(org) || org != nil && granted.MayTurnOutToCover(*org))
}

// farewell says what deleting a connection does to the policies that name it.
func farewell(users []v1alpha1.SecurityPolicy) []string {
	var n notes
	var all, waiting []string
	for i := range users {
		name := users[i].Namespace + "/" + users[i].Name
		all = append(all, name)
		if users[i].Spec.DeletionPolicy != v1alpha1.DeletionRetain {
			waiting = append(waiting, name)
		}
	}
	if len(all) > 0 {
		n.add("used", "still named by SecurityPolicies; what they put in force stays, and is not kept up any more: %s", listed(all))
	}
	if len(waiting) > 0 {
		n.add("waits", "the deletion waits until these are gone, which put back what stood before through the connection: %s", listed(waiting))
	}
	return n.list()
}

// listed names the first few.
func listed(names []string) string {
	slices.Sort(names)
	const shown = 5
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %s more", strings.Join(names[:shown], ", "), grouped(len(names)-shown))
}
