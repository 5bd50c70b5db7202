package neoscapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/neosc/mfa-operator/webhook/callers"
)

// patience is for one request, with the webhooks that the API server asks.
const patience = 15 * time.Second

const pathPolicies = "/api/policies"

// routes is the whole surface, each with the verb that a caller must be allowed on
// securitypolicies.
func (a *API) routes(api huma.API) {
	op := func(method, path, id, summary string) huma.Operation {
		return huma.Operation{Method: method, Path: pathPolicies + path, OperationID: id, Summary: summary, DefaultStatus: http.StatusOK}
	}
	endpoint(a, api, op(http.MethodGet, "", "list-policies", "List the policies"), "list", a.list)
	endpoint(a, api, op(http.MethodGet, "/{id}", "get-policy", "Read a policy"), "get", a.get)
	endpoint(a, api, op(http.MethodPatch, "/{id}", "toggle-policy", "Enable or disable a policy; without a body, the other way round"), "patch", a.toggle)
}

// PolicyPath is which policy a request is about. It is exported for the library, which
// looks at no other fields.
type PolicyPath struct {
	ID string `path:"id" maxLength:"253" doc:"Name of the SecurityPolicy."`
}

func (p *PolicyPath) policy() string { return p.ID }

type everything struct{}

func (everything) policy() string { return "" }

// endpoint adds one: it asks whether the caller may, and lets work do the rest.
func endpoint[I any, O any](a *API, api huma.API, op huma.Operation, verb string, work func(ctx context.Context, in *I) (*O, error)) {
	problems := []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable}
	if op.Method == http.MethodPatch {
		problems = append(problems, http.StatusPreconditionFailed)
	}
	op = callers.Guarded(op, problems...)
	huma.Register(api, op, func(ctx context.Context, in *I) (*O, error) {
		name := any(in).(interface{ policy() string }).policy()
		err := a.Guard.Authorize(ctx, callers.Right{Verb: verb, Resource: "securitypolicies"}, a.Namespace, name)
		if err != nil {
			return nil, callers.StatusFor(ctx, err)
		}
		out, err := work(ctx, in)
		return out, callers.StatusFor(ctx, err)
	})
}
