package mfaapi

import (
	"context"
	"net/http"
	"net/netip"

	"github.com/danielgtaylor/huma/v2"

	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/webhook/callers"
)

// UserPath is whom a request is about, and on whose behalf it comes. It is
// exported for the library, which looks at no other fields.
type UserPath struct {
	Namespace string `path:"namespace" maxLength:"63" doc:"Namespace of the MFAUser."`
	User      string `path:"user" maxLength:"200" doc:"Name of the user in the application: the MFAUser's username."`
	ClientIP  string `header:"MFA-Client-IP" maxLength:"64" doc:"Address of the end user, as the application knows it. Unset: there is no limit by address."`
	UserAgent string `header:"MFA-Client-User-Agent" maxLength:"1024" doc:"User-Agent of the end user, for the record."`
}

func (p *UserPath) path() *UserPath { return p }

// about is any request with a UserPath.
type about interface{ path() *UserPath }

// subject is the user a request is about, with what their policy says.
type subject struct {
	person mfa.Person
	rules  mfa.Rules
	from   mfa.From
}

// endpoint adds one: it finds the user, asks whether the caller may, and lets
// work do the rest.
func endpoint[I any, O any](a *API, api huma.API, op huma.Operation, may right, work func(ctx context.Context, s subject, in *I) (*O, error)) {
	op = callers.Guarded(op, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict,
		http.StatusTooManyRequests, http.StatusServiceUnavailable)
	huma.Register(api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := answer(ctx, a, may, in, work)
		return out, statusFor(ctx, err)
	})
}

func answer[I any, O any](ctx context.Context, a *API, may right, in *I, work func(ctx context.Context, s subject, in *I) (*O, error)) (*O, error) {
	path := any(in).(about).path()
	from, err := path.from(ctx)
	if err != nil {
		return nil, err
	}
	found, err := a.Directory.find(ctx, path.Namespace, path.User)
	if err != nil {
		return nil, err
	}
	if err := a.authorize(ctx, may, path.Namespace, found.name); err != nil {
		return nil, err
	}
	person, rules, err := a.Directory.standing(ctx, found)
	if err != nil {
		return nil, err
	}
	return work(ctx, subject{person: person, rules: rules, from: from}, in)
}

// right is what a caller must be allowed to do with a user: a verb on a
// subresource of mfausers.
type right struct{ verb, subresource string }

func (a *API) authorize(ctx context.Context, may right, namespace, name string) error {
	return a.Guard.Authorize(ctx, callers.Right{Verb: may.verb, Resource: "mfausers", Subresource: may.subresource}, namespace, name)
}

// from says who asks, for whom.
func (p *UserPath) from(ctx context.Context) (mfa.From, error) {
	from := mfa.From{UserAgent: p.UserAgent}
	if caller := callers.Of(ctx); caller != nil {
		from.Actor = caller.GetName()
	}
	if p.ClientIP == "" {
		return from, nil
	}
	ip, err := netip.ParseAddr(p.ClientIP)
	if err != nil {
		return mfa.From{}, callers.NewProblem(http.StatusUnprocessableEntity, callers.Invalid, "the header MFA-Client-IP has to be an IP address")
	}
	from.IP = ip.WithZone("").Unmap()
	return from, nil
}
