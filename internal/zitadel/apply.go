package zitadel

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/neosc/mfa-operator/internal/idp"
)

// maxRounds bounds how often a change starts over because an organization got
// or lost its own policy between our read and our write.
const maxRounds = 3

// Apply makes the scope hold the changes and leaves everything else as it is.
// It reads the policies concerned, writes only what differs, and returns once
// reads show every write and every wanted value; the state has the groups the
// changes belong to. An organization without a policy of its own gets a copy
// of the instance's with the changes on top, but only if something differs.
//
// The calls are Update… and Add/Remove…FactorToLoginPolicy of the Admin
// service, and UpdateCustom…, AddCustom… and the same factor calls of the
// Management service. There is no transaction across them: after an error,
// part of the change may be in force. Updates replace a policy, so what
// somebody else wrote to it just before may be undone. Besides what every call can fail with,
// the error is idp.InvalidValue for a value a setting cannot have, before
// anything is written; idp.NotConfirmed if reads did not follow within 15 s;
// and idp.WriteConflict if somebody else kept changing the same policies.
func (c *Client) Apply(ctx context.Context, scope idp.Scope, changes idp.Settings) (idp.State, error) {
	if names := unfit(changes); len(names) > 0 {
		return idp.State{}, &idp.Error{Cause: idp.InvalidValue, Doing: "changing settings of " + scope.String(),
			Detail: fmt.Sprintf("no such setting, or not a value for it: %v", names)}
	}
	turn := c.turns.forScope(scope)
	if err := turn.take(ctx); err != nil {
		return idp.State{}, failure(ctx, "waiting for another change of "+scope.String(), err)
	}
	defer turn.release()

	ongoing := &change{Client: c, scope: scope, wanted: changes, written: map[idp.Group]uint64{}}
	for range maxRounds {
		state, err := ongoing.round(ctx)
		if raced := (*ownershipRace)(nil); errors.As(err, &raced) {
			// Whatever we wrote to that policy went with it.
			delete(ongoing.written, raced.found.group)
			if err := c.awaitOwnership(ctx, scope, raced); err != nil {
				return idp.State{}, err
			}
			continue
		}
		return state, err
	}
	return idp.State{}, &idp.Error{Cause: idp.WriteConflict, Doing: "changing settings of " + scope.String(),
		Detail: "its own policies appear and disappear"}
}

// change is one Apply.
type change struct {
	*Client
	scope  idp.Scope
	wanted idp.Settings
	// written has the groups we wrote to, with the sequence of the newest
	// write; 0 if the server found nothing to change.
	written map[idp.Group]uint64
}

// edit is what differs in one policy.
type edit struct {
	found reading
	diff  idp.Settings
}

// round tightens before it loosens: what is newly allowed is added and what is
// required is set before anything is taken away. Whatever call fails, users
// are never left with a requirement they have no means to meet.
func (c *change) round(ctx context.Context) (idp.State, error) {
	readings, err := c.readAll(ctx, c.scope, c.wanted.Groups())
	if err != nil {
		return idp.State{}, err
	}
	edits := make([]edit, 0, len(readings))
	for _, found := range readings {
		edits = append(edits, edit{found, found.settings().Differences(c.wanted.Of(found.group))})
	}
	for _, step := range []func(context.Context, edit) error{c.addFactors, c.write, c.removeFactors} {
		for _, e := range edits {
			if err := step(ctx, e); err != nil {
				return idp.State{}, err
			}
		}
	}
	if len(c.written) == 0 {
		return stateOf(readings), nil
	}
	return c.confirm(ctx, readings)
}

// factors returns the factors to add or to remove. A policy that is about to
// be created takes its lists along.
func (e edit) factors(present bool) []field {
	var members []field
	for _, setting := range e.diff.Sorted() {
		if f := fieldOf[setting]; f.isFactor() && !e.found.inherited && e.diff[setting].Bool() == present {
			members = append(members, f)
		}
	}
	return members
}

// needsWrite tells whether something differs besides the factor lists, or
// there is no own policy to change them in.
func (e edit) needsWrite() bool {
	for setting := range e.diff {
		if e.found.inherited || !fieldOf[setting].isFactor() {
			return true
		}
	}
	return false
}

func (c *change) addFactors(ctx context.Context, e edit) error {
	for _, f := range e.factors(true) {
		sequence, err := c.policies(c.scope).addFactor(ctx, f.factor)
		if meaningOf(err) == factorPresent && !c.scope.IsInstance() {
			// Writes see it, reads do not: it was added while the organization
			// had no policy of its own. Only removing it first brings it into
			// the reads, which is what users get.
			if _, err = c.policies(c.scope).removeFactor(ctx, f.factor); err == nil || meaningOf(err) == factorAbsent {
				sequence, err = c.policies(c.scope).addFactor(ctx, f.factor)
			}
		}
		if err := c.note(ctx, "adding "+factorName(f)+" to", e, sequence, err); err != nil {
			return err
		}
	}
	return nil
}

func (c *change) removeFactors(ctx context.Context, e edit) error {
	for _, f := range e.factors(false) {
		sequence, err := c.policies(c.scope).removeFactor(ctx, f.factor)
		if err := c.note(ctx, "removing "+factorName(f)+" from", e, sequence, err); err != nil {
			return err
		}
	}
	return nil
}

func (c *change) write(ctx context.Context, e edit) error {
	if !e.needsWrite() {
		return nil
	}
	verb := "updating"
	if e.found.inherited {
		verb = "creating"
	}
	wanted := e.found
	wanted.policy = overlaid(e.found.policy, e.diff)
	sequence, err := c.policies(c.scope).write(ctx, wanted)
	return c.note(ctx, verb, e, sequence, err)
}

// note settles the outcome of one write. That there was nothing left to do is
// decided on the server's event log and may contradict what we read: it counts
// as written, and reading back tells whether it is true.
func (c *change) note(ctx context.Context, verb string, e edit, sequence uint64, err error) error {
	switch meaningOf(err) {
	case unchanged, factorPresent, factorAbsent:
		sequence, err = 0, nil
	case ownPolicyExists, ownPolicyMissing:
		return &ownershipRace{e.found}
	case alreadyInherited:
	}
	if err != nil {
		return failure(ctx, doing(verb, e.found.group, c.scope), err)
	}
	c.written[e.found.group] = max(c.written[e.found.group], sequence)
	return nil
}

// factorName is "secondFactors.OTP" out of "login.secondFactors.OTP".
func factorName(f field) string {
	_, name, _ := strings.Cut(string(f.setting), ".")
	return name
}
