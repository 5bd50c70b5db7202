package zitadeltest

import (
	"context"
	"fmt"
)

// policyKind describes one kind of policy. The commands below serve both levels; which errors they
// answer is the only thing that differs, and it stands in the tables.
type policyKind[V comparable] struct {
	name string // the middle of the event type, "lockout" in "org.policy.lockout.added"
	rows func(*state) map[string]policyRow[V]
	// instance and org are the refusals on the two levels. The instance always has every policy, so
	// it needs fewer.
	instance, org policyRefusals
	// checkAdd and checkChange judge a value before anything is looked up; nil accepts every value.
	checkAdd, checkChange func(agg aggregate, value V) error
	// removed clears what belongs to a policy but has its own rows; nil means nothing does.
	removed func(st *state, id string)
}

type policyRefusals struct {
	unchanged    refusal // update to the same values
	missing      refusal // update without an own policy
	present      refusal // add a second one
	resetMissing refusal // reset without an own policy
}

// policyRow is the policy of one instance or organization.
type policyRow[V comparable] struct {
	rowDetails
	value V
}

func (k *policyKind[V]) refusals(agg aggregate) policyRefusals {
	if agg.kind == kindInstance {
		return k.instance
	}
	return k.org
}

// addPolicy gives an organization its own policy; more, if not nil, gives further events of the same
// command.
func addPolicy[V comparable](ctx context.Context, s *Server, kind *policyKind[V], agg aggregate, value V, more func() ([]change, error)) (*event, error) {
	if kind.checkAdd != nil {
		if err := kind.checkAdd(agg, value); err != nil {
			return nil, err
		}
	}
	if _, own := kind.rows(s.write)[agg.id]; own {
		return nil, kind.refusals(agg).present.err()
	}
	changes := []change{policyAdded[V]{kind, value}}
	if more != nil {
		further, err := more()
		if err != nil {
			return nil, err
		}
		changes = append(changes, further...)
	}
	return s.push(editor(ctx), agg, changes...), nil
}

// changePolicy replaces all values of a policy. Doing so without a difference is an error.
func changePolicy[V comparable](ctx context.Context, s *Server, kind *policyKind[V], agg aggregate, value V) (*event, error) {
	if kind.checkChange != nil {
		if err := kind.checkChange(agg, value); err != nil {
			return nil, err
		}
	}
	row, own := kind.rows(s.write)[agg.id]
	if !own {
		return nil, kind.refusals(agg).missing.err()
	}
	if row.value == value {
		return nil, kind.refusals(agg).unchanged.err()
	}
	return s.push(editor(ctx), agg, policyChanged[V]{kind, row.value, value}), nil
}

// resetPolicy takes an organization's own policy away, so that it inherits again.
func resetPolicy[V comparable](ctx context.Context, s *Server, kind *policyKind[V], agg aggregate) (*event, error) {
	if _, own := kind.rows(s.write)[agg.id]; !own {
		return nil, kind.refusals(agg).resetMissing.err()
	}
	return s.push(editor(ctx), agg, policyRemoved[V]{kind}), nil
}

// effectivePolicy returns the policy that applies to an organization in a view, and whether it is
// inherited. An organization that does not exist inherits too. "" means the instance.
func effectivePolicy[V comparable](st *state, kind *policyKind[V], orgID string) (row policyRow[V], inherited bool) {
	if row, own := kind.rows(st)[orgID]; own && orgID != st.instanceID {
		return row, false
	}
	return kind.rows(st)[st.instanceID], true
}

type policyAdded[V comparable] struct {
	kind  *policyKind[V]
	value V
}

func (c policyAdded[V]) eventType(level string) string {
	return fmt.Sprintf("%s.policy.%s.added", level, c.kind.name)
}
func (c policyAdded[V]) payload() any { return setFields(c.value) }
func (c policyAdded[V]) apply(st *state, e *event) {
	c.kind.rows(st)[e.id] = policyRow[V]{detailsOf(e), c.value}
}

type policyChanged[V comparable] struct {
	kind          *policyKind[V]
	before, after V
}

func (c policyChanged[V]) eventType(level string) string {
	return fmt.Sprintf("%s.policy.%s.changed", level, c.kind.name)
}
func (c policyChanged[V]) payload() any { return changedFields(c.before, c.after) }
func (c policyChanged[V]) apply(st *state, e *event) {
	row := c.kind.rows(st)[e.id]
	row.value = c.after
	row.touch(e)
	c.kind.rows(st)[e.id] = row
}

type policyRemoved[V comparable] struct{ kind *policyKind[V] }

func (c policyRemoved[V]) eventType(level string) string {
	return fmt.Sprintf("%s.policy.%s.removed", level, c.kind.name)
}
func (policyRemoved[V]) payload() any { return nil }
func (c policyRemoved[V]) apply(st *state, e *event) {
	delete(c.kind.rows(st), e.id)
	if c.kind.removed != nil {
		c.kind.removed(st, e.id)
	}
}
