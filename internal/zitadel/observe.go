package zitadel

import (
	"context"

	"github.com/neosc/mfa-operator/internal/idp"
)

// Observe returns what the scope holds for the given groups, with one Get…Policy
// call for each: of the Admin service at the instance, of the Management
// service at an organization.
//
// Reads may lag a write of somebody else by up to a minute, usually by less
// than 0.1 s.
func (c *Client) Observe(ctx context.Context, scope idp.Scope, groups ...idp.Group) (idp.State, error) {
	if err := checkGroups(scope, groups); err != nil {
		return idp.State{}, err
	}
	readings, err := c.readAll(ctx, scope, groups)
	return stateOf(readings), err
}

// checkGroups refuses groups this package does not know.
func checkGroups(scope idp.Scope, groups []idp.Group) error {
	for _, g := range groups {
		if policyNames[g] == "" {
			return &idp.Error{Cause: idp.InvalidValue, Doing: "choosing policies of " + scope.String(), Detail: "there is no group " + string(g)}
		}
	}
	return nil
}

// policyNames are the names of the groups for people.
var policyNames = map[idp.Group]string{
	idp.Login:              "login policy",
	idp.Lockout:            "lockout policy",
	idp.PasswordComplexity: "password complexity policy",
	idp.PasswordAge:        "password age policy",
}

// doing says what is tried with a policy: "updating login policy of
// organization 42".
func doing(verb string, g idp.Group, scope idp.Scope) string {
	return verb + " " + policyNames[g] + " of " + scope.String()
}

func (c *Client) read(ctx context.Context, scope idp.Scope, g idp.Group) (reading, error) {
	r, err := c.policies(scope).read(ctx, g)
	return r, failure(ctx, doing("reading", g, scope), err)
}

func (c *Client) readAll(ctx context.Context, scope idp.Scope, groups []idp.Group) ([]reading, error) {
	readings := make([]reading, 0, len(groups))
	for _, g := range groups {
		r, err := c.read(ctx, scope, g)
		if err != nil {
			return nil, err
		}
		readings = append(readings, r)
	}
	return readings, nil
}

func stateOf(readings []reading) idp.State {
	state := idp.State{Settings: idp.Settings{}}
	for _, r := range readings {
		state.Settings = state.Settings.Overlay(r.settings())
		if r.inherited {
			state.Inherited = append(state.Inherited, r.group)
		}
	}
	return state
}
