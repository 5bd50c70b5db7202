package securitypolicy

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
)

// leave settles every target that p still has a part in and was not seen in
// this pass: those its spec does not name any more, and all of a policy that is
// being deleted.
func (r *Reconciler) leave(ctx context.Context, p *v1alpha1.SecurityPolicy, seen map[targetKey]bool) (pass, error) {
	claims, unreadable, err := r.claimsOf(ctx, p)
	if err != nil {
		return pass{}, err
	}
	var results []result
	held := map[targetKey]*claim{}
	for i := range claims {
		c := &claims[i]
		if !seen[c.key] {
			results = append(results, result{target: target{key: c.key, org: c.org}, err: unreadable[i]})
			held[c.key] = c
		}
	}
	progress := r.progress(p, len(results))
	err = r.work(ctx, progress, pointers(results), func(ctx context.Context, one *result) {
		c := held[one.target.key]
		goes := !p.DeletionTimestamp.IsZero() || !targets(p, c.key.connection, c.org)
		if goes && p.Spec.DeletionPolicy == v1alpha1.DeletionRetain {
			one.err = r.walkAway(ctx, p, c, one.err)
			return
		}
		if one.err != nil {
			return
		}
		conn, provider, err := r.connection(ctx, c.key.connection)
		if err != nil {
			one.err = err
			return
		}
		one.target = newTarget(conn, provider, c.org)
		if one.applicable, one.err = r.applicableAt(ctx, conn, c.org); one.err == nil {
			one.settled, one.anew, one.err = r.settleOnce(ctx, p, one.target, one.applicable)
		}
	})
	p.Status = progress.shown()
	return passOf(results), err
}

// walkAway takes p out of a claim and leaves the settings as they are. It needs
// nothing from Zitadel: what the other policies at the target then make of them
// is their business.
func (r *Reconciler) walkAway(ctx context.Context, p *v1alpha1.SecurityPolicy, c *claim, unreadable error) error {
	one := r.memory.of(c.key)
	one.working.Lock()
	defer one.working.Unlock()
	one.outcome = nil
	if unreadable != nil {
		if slices.Equal(holdersOf(c.stored), []string{client.ObjectKeyFromObject(p).String()}) {
			return r.store(ctx, c, policy.Held{}, nil, nil)
		}
		return unreadable
	}
	if err := r.recordLeft(ctx, c, c.unrecorded.confirmed(idp.State{})); err != nil {
		return err
	}
	others, err := r.othersAsk(ctx, c)
	if err != nil {
		return err
	}
	return r.store(ctx, c, c.held.Without(client.ObjectKeyFromObject(p), others), c.drift, nil)
}

// othersAsk tells which settings the policies that still apply to a target ask
// for. Where the connection is gone, none applies.
func (r *Reconciler) othersAsk(ctx context.Context, c *claim) (idp.Settings, error) {
	conn := &v1alpha1.ZitadelConnection{}
	err := r.Client.Get(ctx, types.NamespacedName{Name: c.key.connection}, conn)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading ZitadelConnection %s: %w", c.key.connection, err)
	}
	a, err := r.applicableAt(ctx, conn, c.org)
	if err != nil {
		return nil, err
	}
	asked, _ := a.inForce().Wanted(func(g idp.Group) bool { return slices.Contains(c.held.Inherited, g) }, nil)
	return asked, nil
}

// ways say, for each setting that is held and not wanted any more, what becomes
// of it.
type ways struct {
	keep func(idp.Setting) bool
	how  func(idp.Setting) v1alpha1.DeletionPolicy
}

func (r *Reconciler) waysToLeave(ctx context.Context, t target, a applicable, held policy.Held, wanted idp.Settings) (ways, error) {
	askers := map[types.NamespacedName]*v1alpha1.SecurityPolicy{}
	for s, e := range held.Entries {
		if _, asked := wanted[s]; asked {
			continue
		}
		for _, name := range e.By {
			if _, known := askers[name]; known {
				continue
			}
			p := &v1alpha1.SecurityPolicy{}
			err := r.Client.Get(ctx, name, p)
			switch {
			case apierrors.IsNotFound(err):
				askers[name] = nil
			case err != nil:
				return ways{}, fmt.Errorf("looking up who asked for a setting: %w", err)
			default:
				askers[name] = p
			}
		}
	}
	return ways{
		keep: func(s idp.Setting) bool {
			return slices.ContainsFunc(held.Entries[s].By, func(name types.NamespacedName) bool {
				return r.barred(askers[name], s, t, a)
			})
		},
		how: func(s idp.Setting) v1alpha1.DeletionPolicy {
			var each []v1alpha1.DeletionPolicy
			for _, name := range held.Entries[s].By {
				p := askers[name]
				way := policy.WayToLeave(p, s, p != nil && targets(p, t.key.connection, t.org))
				if way == v1alpha1.DeletionReset && t.key.scope.IsInstance() {
					way = v1alpha1.DeletionRestore // there is nothing above the instance to follow
				}
				each = append(each, way)
			}
			return policy.Safest(each)
		},
	}, nil
}

// barred tells whether p asks for a setting but may not target it any more:
// losing access changes nothing in Zitadel.
func (r *Reconciler) barred(p *v1alpha1.SecurityPolicy, s idp.Setting, t target, a applicable) bool {
	if p == nil || !p.DeletionTimestamp.IsZero() || a.has(p) || !targets(p, t.key.connection, t.org) {
		return false
	}
	_, asked := policy.Desired(policy.InForce(&p.Spec), nil)[s]
	return asked
}

// targets tells whether a spec names a target, or the instance above it.
func targets(p *v1alpha1.SecurityPolicy, connection string, org idp.Organization) bool {
	named := append(policy.KeysOf(connection, org), policy.InstanceKey(connection))
	return slices.ContainsFunc(policy.TargetKeys(&p.Spec), func(key string) bool { return slices.Contains(named, key) })
}
