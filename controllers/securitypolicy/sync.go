package securitypolicy

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/policy"
)

// parallelTargets is how many targets of one policy are worked on at a time.
// The connection's rate limit is what really paces them.
const parallelTargets = 4

// result is what became of one target in this pass.
type result struct {
	spec    *v1alpha1.ZitadelTarget // nil: removed from the spec
	target  target
	settled settled
	err     error
}

// sync brings every target of the spec to what the policy wants, and lets go of
// those the spec does not name any more. The error is one of the API server;
// what Zitadel says is in the pass.
func (r *Reconciler) sync(ctx context.Context, p *v1alpha1.SecurityPolicy) (pass, error) {
	targets := p.Spec.Targets.Zitadel
	results := make([]result, len(targets))
	for i := range targets {
		results[i].spec = &targets[i]
	}
	err := r.work(ctx, p, results, func(ctx context.Context, one *result) {
		if one.target, one.err = r.resolve(ctx, p, one.spec); one.err == nil {
			one.settled, one.err = r.settle(ctx, p, one.target, false)
		}
	})
	if err != nil {
		return pass{}, err
	}
	seen := passOf(results)
	if seen.waiting || slices.ContainsFunc(results, func(one result) bool { return one.target.provider == nil }) {
		// As long as a target is not resolved, none can be called removed.
		return seen, nil
	}
	current := make(map[targetKey]bool, len(results))
	for _, one := range results {
		current[one.target.key] = true
	}
	left, err := r.leave(ctx, p, current)
	return seen.with(left), err
}

// leave lets go of every held target that is not current, as
// spec.deletionPolicy says.
func (r *Reconciler) leave(ctx context.Context, p *v1alpha1.SecurityPolicy, current map[targetKey]bool) (pass, error) {
	claims, err := r.claimsOf(ctx, p)
	if err != nil {
		return pass{}, err
	}
	claims = slices.DeleteFunc(claims, func(c claim) bool { return current[c.key] })
	results := make([]result, len(claims))
	held := make(map[targetKey]claim, len(claims))
	for i, c := range claims {
		results[i].target.key, held[c.key] = c.key, c
	}
	err = r.work(ctx, p, results, func(ctx context.Context, one *result) {
		c := held[one.target.key]
		if p.Spec.DeletionPolicy == v1alpha1.DeletionRetain {
			one.err = r.hold(ctx, p, &c, policy.Before{})
			return
		}
		if one.err = c.unreadable; one.err != nil {
			return
		}
		if _, one.target.provider, one.err = r.connection(ctx, c.key.connection); one.err == nil {
			one.settled, one.err = r.settle(ctx, p, one.target, true)
		}
	})
	return passOf(results), err
}

// work runs do on every result, a few at a time, and shows progress while it
// lasts. It returns only errors that are not the target's own.
func (r *Reconciler) work(ctx context.Context, p *v1alpha1.SecurityPolicy, results []result, do func(context.Context, *result)) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelTargets)
	progress := r.progress(p, len(results))
	for i := range results {
		group.Go(func() error {
			do(ctx, &results[i])
			if err := results[i].err; err != nil && !isOutcome(err) {
				return err
			}
			return progress.step(ctx, &results[i])
		})
	}
	err := group.Wait()
	p.Status = progress.policy.Status // what was last shown is what the final report is compared with
	return err
}
