package zitadeltest

import "context"

// call is who calls and about which organization.
type call struct {
	userID string
	org    string // the organization in the header, else the caller's own
}

type callKey struct{}

func withCall(ctx context.Context, c call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

func callOf(ctx context.Context) call {
	c, _ := ctx.Value(callKey{}).(call)
	return c
}

// callOrg is the aggregate of the organization the call is about.
func callOrg(ctx context.Context) aggregate { return orgAggregate(callOf(ctx).org) }

// editor is who the events of a command are attributed to.
func editor(ctx context.Context) string { return callOf(ctx).userID }
