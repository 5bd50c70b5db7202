package securitypolicy

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

// parallelTargets is how many targets of one policy are worked on at a time.
// The connection's rate limit is what really paces them.
const parallelTargets = 4

// result is what became of one target in this pass.
type result struct {
	spec       *v1alpha1.ZitadelTarget // nil: not, or not any more, named in the spec
	target     target
	applicable applicable
	settled    settled
	anew       bool // it was worked on now
	gone       bool // the organization does not exist any more
	below      below
	err        error
}

// sync brings every target of the spec to what its policies want, and lets go of
// those the spec does not name any more. The error is one of the API server;
// what Zitadel says is in the pass.
func (r *Reconciler) sync(ctx context.Context, p *v1alpha1.SecurityPolicy) (pass, error) {
	results := make([]result, len(p.Spec.Targets.Zitadel))
	for i := range results {
		results[i].spec = &p.Spec.Targets.Zitadel[i]
	}
	err := r.work(ctx, p, results, func(ctx context.Context, one *result) {
		if one.target, one.err = r.resolve(ctx, p, one.spec); one.err != nil {
			return
		}
		if one.applicable, one.err = r.applicableAt(ctx, one.target.connection, one.target.org); one.err != nil {
			return
		}
		one.settled, one.anew, one.err = r.settleOnce(ctx, one.target, one.applicable)
	})
	if err != nil {
		return pass{}, err
	}
	for i := range results {
		if one := &results[i]; one.err == nil && one.target.key.scope.IsInstance() {
			if one.below, err = r.settleBelow(ctx, p, one.target); err != nil {
				return pass{}, err
			}
		}
	}
	seen := passOf(results)
	if seen.waiting || slices.ContainsFunc(results, func(one result) bool { return one.target.provider == nil }) {
		// As long as a target is not resolved, none can be called removed.
		return seen, nil
	}
	left, err := r.leave(ctx, p, seen.targets())
	return seen.with(left), err
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
