package zitadel

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/grpc/codes"

	"github.com/neosc/mfa-operator/internal/idp"
)

// confirm reads the written policies again until they show our writes and the
// wanted values. Sequences alone would not do, since a write that changed
// nothing has none; values alone would not do either, since an older state may
// have had them.
func (c *change) confirm(ctx context.Context, readings []reading) (idp.State, error) {
	readings = slices.Clone(readings)
	err := c.readBack(ctx, "confirming the change of "+c.scope.String(), func(ctx context.Context) (string, error) {
		for i, last := range readings {
			sequence, written := c.written[last.group]
			if !written {
				continue
			}
			now, err := c.read(ctx, c.scope, last.group)
			if err != nil {
				return "", err
			}
			// What is still inherited has the sequence of the instance, which
			// cannot be compared.
			if now.inherited || now.sequence() < sequence || len(now.settings().Differences(c.wanted.Of(last.group))) > 0 {
				return policyNames[last.group], nil
			}
			readings[i] = now
		}
		return "", nil
	})
	if err != nil {
		return idp.State{}, err
	}
	return stateOf(readings), nil
}

// ownershipRace says that, when we wrote, the organization's own policy was
// there although a read had not shown it, or was not there although it had.
type ownershipRace struct{ found reading }

// Error implements error.
func (r *ownershipRace) Error() string { return "the organization's own policy came or went" }

// awaitOwnership waits until reads show what the race revealed: the round that
// follows builds on them.
func (c *Client) awaitOwnership(ctx context.Context, scope idp.Scope, race *ownershipRace) error {
	return c.readBack(ctx, doing("finding out who owns", race.found.group, scope), func(ctx context.Context) (string, error) {
		now, err := c.read(ctx, scope, race.found.group)
		if now.inherited == race.found.inherited {
			return policyNames[race.found.group], err
		}
		return "", err
	})
}

// readBack asks missing until it names no policy any more, fails, or the time
// for confirming is over, which is idp.NotConfirmed.
func (c *Client) readBack(ctx context.Context, doing string, missing func(context.Context) (string, error)) error {
	limited, cancel := context.WithTimeout(ctx, c.confirmWithin)
	defer cancel()
	behind := ""
	err := c.pace.DelayFunc().Until(limited, true, true, func(ctx context.Context) (bool, error) {
		name, err := missing(ctx)
		if err == nil {
			behind = name
		}
		return name == "", err
	})
	// Our own rate limit refuses at once what would come too late.
	var own *localError
	over := limited.Err() != nil || errors.As(err, &own) && own.code == codes.DeadlineExceeded
	if err != nil && over && !errors.Is(ctx.Err(), context.Canceled) {
		return &idp.Error{Cause: idp.NotConfirmed, Doing: doing, Detail: "reads did not follow in time: " + behind}
	}
	return failure(ctx, doing, err)
}

// Reset takes the organization's own policies of the given groups away, so
// that those of the instance hold again (Reset…PolicyToDefault of the
// Management service), and returns once reads show it. One that is inherited
// already is left alone. The instance has nothing to fall back to:
// idp.InvalidValue. idp.NotConfirmed if reads did not follow within 15 s.
func (c *Client) Reset(ctx context.Context, scope idp.Scope, groups ...idp.Group) error {
	if scope.IsInstance() {
		return &idp.Error{Cause: idp.InvalidValue, Doing: "resetting policies of " + scope.String(), Detail: "it has no defaults to return to"}
	}
	if err := checkGroups(scope, groups); err != nil {
		return err
	}
	turn := c.turns.forScope(scope)
	if err := turn.take(ctx); err != nil {
		return failure(ctx, "waiting for another change of "+scope.String(), err)
	}
	defer turn.release()

	organization := organizationPolicies{c.api.ManagementService(), scope.OrganizationID}
	for _, g := range groups {
		if err := organization.reset(ctx, g); err != nil && meaningOf(err) != alreadyInherited {
			return failure(ctx, doing("resetting", g, scope), err)
		}
	}
	return c.readBack(ctx, "confirming the reset of "+scope.String(), func(ctx context.Context) (string, error) {
		readings, err := c.readAll(ctx, scope, groups)
		for _, r := range readings {
			if !r.inherited {
				return policyNames[r.group], nil
			}
		}
		return "", err
	})
}
