package securitypolicy

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
)

// below is what became of the organizations under an instance that have
// settings of their own. In Zitadel those replace the instance's, so a baseline
// has to be held there, too.
type below struct {
	known   bool // which organizations those are
	results []result
}

// settleBelow brings every organization under an instance that has settings of
// its own to at least what the policies of the instance want. A policy of the
// organization's own may be among them; then this is where it is settled as
// well, with the same outcome.
func (r *Reconciler) settleBelow(ctx context.Context, p *v1alpha1.SecurityPolicy, instance target) (below, error) {
	conn := instance.connection
	census, known := r.Census.Of(conn.Name)
	if !known {
		return below{}, nil
	}
	spoken := policy.Desired(policy.RulesOf(&p.Spec), nil).Groups()
	var results []result
	for _, id := range slices.Sorted(maps.Keys(census.Organizations)) {
		if slices.ContainsFunc(census.Organizations[id].Own, func(g idp.Group) bool { return slices.Contains(spoken, g) }) {
			results = append(results, result{target: target{key: targetKey{conn.Name, idp.InOrganization(id)}}})
		}
	}
	progress := r.progress(p, len(results))
	err := r.work(ctx, progress, pointers(results), func(ctx context.Context, one *result) {
		org, err := r.organization(ctx, conn, instance.provider, idp.OrganizationRef{ID: one.target.key.scope.OrganizationID})
		if errors.Is(err, idp.ErrNotFound) {
			one.gone = true // since the census was taken
			return
		}
		if one.err = err; err != nil {
			return
		}
		one.target = newTarget(conn, instance.provider, org)
		if one.applicable, one.err = r.applicableAt(ctx, conn, org); one.err == nil {
			one.settled, one.anew, one.err = r.settleOnce(ctx, p, one.target, one.applicable)
		}
	})
	p.Status = progress.shown()
	results = slices.DeleteFunc(results, func(one result) bool { return one.gone })
	return below{known: true, results: results}, err
}

// status counts those that have no policy of their own, which would speak for
// them.
func (b below) status() *v1alpha1.OrganizationsStatus {
	if !b.known {
		return nil
	}
	s := &v1alpha1.OrganizationsStatus{}
	for i := range b.results {
		one := &b.results[i]
		if one.hasPolicy() {
			continue
		}
		s.OwnSettings++
		switch {
		case one.err != nil:
			s.Failed++
		case !one.settled.held.Empty():
			s.Raised++
		}
	}
	return s
}

// failure returns the first of them that failed, nil if none did.
func (b below) failure() *result {
	for i := range b.results {
		if one := &b.results[i]; one.err != nil && !one.hasPolicy() {
			return one
		}
	}
	return nil
}

// hasPolicy tells whether a policy in force names the target itself.
func (one *result) hasPolicy() bool { return len(one.applicable.inForce().OwnGroups()) > 0 }
