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

func (p pass) failed() bool {
	return slices.ContainsFunc(p.results, func(one result) bool { return one.err != nil })
}

// retryable returns the errors that can get better by themselves, joined; nil
// if there is none.
func (p pass) retryable() error {
	var errs []error
	for _, one := range p.results {
		if errors.Is(one.err, idp.ErrUnreachable) {
			errs = append(errs, one.err)
		}
	}
	return errors.Join(errs...)
}
