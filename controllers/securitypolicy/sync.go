package securitypolicy

import (
	"context"
	"errors"
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
	if connecting, err := r.connecting(ctx, p); connecting || err != nil {
		return pass{waiting: connecting}, err
	}
	results := make([]result, len(p.Spec.Targets.Zitadel))
	// Instances first: an organization that then has what its policies want, by
	// following the instance, needs no settings of its own.
	var instances, organizations []*result
	for i := range results {
		one := &results[i]
		one.spec = &p.Spec.Targets.Zitadel[i]
		if one.spec.Scope == v1alpha1.ScopeInstance {
			instances = append(instances, one)
		} else {
			organizations = append(organizations, one)
		}
	}
	progress := r.progress(p, len(results))
	for _, some := range [][]*result{instances, organizations} {
		err := r.work(ctx, progress, some, func(ctx context.Context, one *result) {
			if one.target, one.err = r.resolve(ctx, p, one.spec); one.err != nil {
				return
			}
			if one.applicable, one.err = r.applicableAt(ctx, one.target.connection, one.target.org); one.err != nil {
				return
			}
			one.settled, one.anew, one.err = r.settleOnce(ctx, p, one.target, one.applicable)
		})
		if err != nil {
			return pass{}, err
		}
	}
	p.Status = progress.shown()
	for _, one := range instances {
		if one.err != nil {
			continue
		}
		var err error
		if one.below, err = r.settleBelow(ctx, p, one.target); err != nil {
			return pass{}, err
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

// connecting tells whether one of the connections is being made, as after a
// start of the manager. Nothing is done before that is over: what works would be
// done again and again.
func (r *Reconciler) connecting(ctx context.Context, p *v1alpha1.SecurityPolicy) (bool, error) {
	for _, name := range connectionsOf(p) {
		if _, _, err := r.connection(ctx, name); errors.Is(err, errConnecting) {
			return true, nil
		} else if err != nil && !isOutcome(err) {
			return false, err
		}
	}
	return false, nil
}

// pointers to each of some results, to work on.
func pointers(results []result) []*result {
	all := make([]*result, len(results))
	for i := range results {
		all[i] = &results[i]
	}
	return all
}

// work runs do on every result, a few at a time, and shows progress while it
// lasts. It returns only errors that are not the target's own.
func (r *Reconciler) work(ctx context.Context, progress *progress, results []*result, do func(context.Context, *result)) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelTargets)
	for i := range results {
		group.Go(func() error {
			do(ctx, results[i])
			if err := results[i].err; err != nil && !isOutcome(err) {
				return err
			}
			return progress.step(ctx, results[i])
		})
	}
	return group.Wait()
}
