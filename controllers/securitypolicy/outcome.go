package securitypolicy

import (
	"errors"
	"slices"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/kube"
)

// errConnecting: the manager has just started and the connection is being made.
var errConnecting = errors.New("the connection is being made")

// connectionReason carries a connection's own failure over to the policies that
// wait for it, where the words are shared.
func connectionReason(reason string) string {
	if kube.IsFailureReason(reason) {
		return reason
	}
	return v1alpha1.ReasonConnectionNotReady
}

// isOutcome tells an error that belongs into a target's status from one of the
// API server, or of being stopped, which ends the pass.
func isOutcome(err error) bool {
	_, _, ok := kube.Explain(err)
	return ok || errors.Is(err, errConnecting)
}

// pass is what became of all targets in one go.
type pass struct {
	results []result
	// waiting: a connection is being made and nothing can be said yet.
	waiting bool
}

func passOf(results []result) pass {
	return pass{results: results, waiting: slices.ContainsFunc(results, func(one result) bool {
		return errors.Is(one.err, errConnecting)
	})}
}

// with adds the targets that were let go of and could not be.
func (p pass) with(left pass) pass {
	p.waiting = p.waiting || left.waiting
	for _, one := range left.results {
		if one.err != nil || one.settled.changed() {
			p.results = append(p.results, one)
		}
	}
	return p
}

// targets lists what was seen, below the instances too.
func (p pass) targets() map[targetKey]bool {
	seen := map[targetKey]bool{}
	for i := range p.results {
		for _, one := range p.results[i].withBelow() {
			seen[one.target.key] = true
		}
	}
	return seen
}

func (p pass) failed() bool { return len(p.errors()) > 0 }

// retryable returns the errors that can get better by themselves, joined; nil
// if there is none.
func (p pass) retryable() error {
	return errors.Join(slices.DeleteFunc(p.errors(), func(err error) bool {
		return !errors.Is(err, idp.ErrUnreachable) && !errors.Is(err, errNotRecorded)
	})...)
}

func (p pass) errors() []error {
	var errs []error
	for i := range p.results {
		for _, one := range p.results[i].withBelow() {
			if one.err != nil {
				errs = append(errs, one.err)
			}
		}
	}
	return errs
}

// withBelow returns the result and those of the organizations below it.
func (one *result) withBelow() []*result {
	all := []*result{one}
	for i := range one.below.results {
		all = append(all, &one.below.results[i])
	}
	return all
}
