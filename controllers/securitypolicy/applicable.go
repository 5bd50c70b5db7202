package securitypolicy

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
)

// applicable are the policies that apply to a target and may, those in mode
// Audit and the disabled ones among them.
type applicable struct {
	own   []*v1alpha1.SecurityPolicy // name the target itself
	floor []*v1alpha1.SecurityPolicy // name the instance above an organization
}

// applicableAt finds the policies that apply to the instance (org is zero) or an
// organization of a connection.
func (r *Reconciler) applicableAt(ctx context.Context, conn *v1alpha1.ZitadelConnection, org idp.Organization) (applicable, error) {
	floor, err := r.targeting(ctx, conn, nil, policy.InstanceKey(conn.Name))
	if err != nil {
		return applicable{}, err
	}
	if org.ID == "" {
		return applicable{own: floor}, nil
	}
	own, err := r.targeting(ctx, conn, &org, policy.KeysOf(conn.Name, org)...)
	if err != nil {
		return applicable{}, err
	}
	return applicable{own: own, floor: floor}, nil
}

// targeting lists the policies found under the keys that are not being deleted
// and whose namespaces may target org; nil is the instance.
func (r *Reconciler) targeting(ctx context.Context, conn *v1alpha1.ZitadelConnection, org *idp.Organization, keys ...string) ([]*v1alpha1.SecurityPolicy, error) {
	var found []*v1alpha1.SecurityPolicy
	for _, key := range keys {
		list := &v1alpha1.SecurityPolicyList{}
		// The cache's own objects: they are only read here.
		if err := r.Client.List(ctx, list, client.MatchingFields{IndexTarget: key}, client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("listing the policies of a target: %w", err)
		}
		for i := range list.Items {
			p := &list.Items[i]
			known := slices.ContainsFunc(found, func(other *v1alpha1.SecurityPolicy) bool { return other.UID == p.UID })
			if known || !p.DeletionTimestamp.IsZero() {
				continue
			}
			ok, err := r.mayTarget(ctx, p.Namespace, conn, org)
			if err != nil {
				return nil, err
			}
			if ok {
				found = append(found, p)
			}
		}
	}
	return found, nil
}

// mayTarget tells whether the connection lets a namespace target org; nil is the
// instance. Rules that cannot be read let nobody.
func (r *Reconciler) mayTarget(ctx context.Context, namespace string, conn *v1alpha1.ZitadelConnection, org *idp.Organization) (bool, error) {
	ns := &corev1.Namespace{}
	if err := r.Client.Get(ctx, types.NamespacedName{Name: namespace}, ns); err != nil {
		return false, fmt.Errorf("reading namespace %s: %w", namespace, err)
	}
	ok, err := policy.MayTarget(conn.Spec.Access, labels.Set(ns.Labels), org)
	return ok && err == nil, nil
}

// inForce is what the policies put in force, as their modes say.
func (a applicable) inForce() policy.Applied { return a.apply(policy.InForce) }

// spokenOf is what all of them speak of, whatever their modes.
func (a applicable) spokenOf() policy.Applied { return a.apply(policy.RulesOf) }

// ifEnforced is what they would put in force if p were in mode Enforce.
func (a applicable) ifEnforced(p *v1alpha1.SecurityPolicy) policy.Applied {
	rules := policy.RulesOf(&p.Spec)
	return a.with(p).apply(func(spec *v1alpha1.SecurityPolicySpec) policy.Rules {
		if spec == &p.Spec {
			return rules
		}
		return policy.InForce(spec)
	})
}

// with has p in place of what the cache knows as p.
func (a applicable) with(p *v1alpha1.SecurityPolicy) applicable {
	replace := func(list []*v1alpha1.SecurityPolicy) []*v1alpha1.SecurityPolicy {
		list = slices.Clone(list)
		for i, other := range list {
			if other.UID == p.UID {
				list[i] = p
			}
		}
		return list
	}
	return applicable{own: replace(a.own), floor: replace(a.floor)}
}

func (a applicable) apply(rules func(*v1alpha1.SecurityPolicySpec) policy.Rules) policy.Applied {
	var applied policy.Applied
	for _, p := range a.own {
		applied.Own = append(applied.Own, policy.ContributionOf(p, rules(&p.Spec), false))
	}
	for _, p := range a.floor {
		if slices.ContainsFunc(a.own, func(own *v1alpha1.SecurityPolicy) bool { return own.UID == p.UID }) {
			continue // what it says of the target itself is the same
		}
		applied.Floor = append(applied.Floor, policy.ContributionOf(p, rules(&p.Spec), true))
	}
	return applied
}

// fingerprint changes whenever anything does that the policies ask for here.
func (a applicable) fingerprint() string {
	var parts []string
	for _, p := range a.all() {
		parts = append(parts, string(p.UID)+"/"+strconv.FormatInt(p.Generation, 10))
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

func (a applicable) all() []*v1alpha1.SecurityPolicy { return slices.Concat(a.own, a.floor) }

func (a applicable) has(p *v1alpha1.SecurityPolicy) bool {
	return slices.ContainsFunc(a.all(), func(other *v1alpha1.SecurityPolicy) bool { return other.UID == p.UID })
}
