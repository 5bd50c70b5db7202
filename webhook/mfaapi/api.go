package mfaapi

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/webhook/callers"
)

// Verifier is local verification; *mfa.Service is one.
type Verifier interface {
	Requirement(ctx context.Context, p mfa.Person, r mfa.Rules, ask mfa.RequirementRequest) (mfa.Requirement, error)
	StartEnrolment(ctx context.Context, p mfa.Person, r mfa.Rules, ask mfa.EnrolmentRequest) (mfa.Enrolment, error)
	ConfirmEnrolment(ctx context.Context, p mfa.Person, r mfa.Rules, c mfa.Confirmation) (mfa.Confirmed, error)
	Factors(ctx context.Context, p mfa.Person) ([]mfa.Factor, error)
	Rename(ctx context.Context, p mfa.Person, r mfa.Rules, ask mfa.RenameRequest) error
	Remove(ctx context.Context, p mfa.Person, r mfa.Rules, ask mfa.RemoveRequest) error
	StartChallenge(ctx context.Context, p mfa.Person, r mfa.Rules, ask mfa.ChallengeRequest) (mfa.Challenge, error)
	Verify(ctx context.Context, p mfa.Person, r mfa.Rules, proof mfa.Proof) (mfa.Session, error)
	IssueRecoveryCodes(ctx context.Context, p mfa.Person, r mfa.Rules, ask mfa.RecoveryCodesRequest) ([]string, error)
	StartLink(ctx context.Context, p mfa.Person, r mfa.Rules, ask mfa.LinkRequest) (mfa.Link, error)
	Sessions(ctx context.Context, p mfa.Person, r mfa.Rules) ([]mfa.SessionInfo, error)
	Introspect(ctx context.Context, p mfa.Person, r mfa.Rules, token string) (mfa.Introspection, error)
	Revoke(ctx context.Context, p mfa.Person, ask mfa.RevokeRequest) error
	Unlock(ctx context.Context, p mfa.Person, from mfa.From) error
}

// API answers applications. All fields but LinkURL have to be set.
type API struct {
	Verifier  Verifier
	Directory *Directory
	// Guard tells who asks, and what they may.
	Guard callers.Guard
	// Keys returns the JSON Web Key Set (RFC 7517) with which sessions are checked.
	Keys func() (json.RawMessage, error)
	// LinkURL is the address of the page where a link's token is spent. Nil: there is
	// no page.
	LinkURL func(namespace, token string) string
}

// maxBody is the bound of a body, in bytes: an attestation with its certificates is
// the largest.
const maxBody = 96 << 10

// Prefixes are the paths that Handler answers, as patterns of http.ServeMux.
var Prefixes = []string{"/v1", "/v1/", "/openapi.json", "/.well-known/jwks.json"}

// Handler answers all of Prefixes.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	a.describe(mux)
	return callers.Measured(mux, a.Guard.Admit(callers.Problems(mux), maxBody, public))
}

// public tells what is for everybody: the description of the API and the public keys.
func public(r *http.Request) bool {
	return r.Method == http.MethodGet && (r.URL.Path == "/openapi.json" || r.URL.Path == pathKeys)
}

// describe adds every endpoint to mux, and returns what it says of them.
func (a *API) describe(mux *http.ServeMux) huma.API {
	api := callers.NewAPI(mux, &huma.Info{
		Title:       "NeoSC MFA API",
		Version:     "v1",
		Description: "Multi-factor authentication for applications with a password login of their own.",
	}, "/openapi")
	a.routes(api)
	return api
}

// OpenAPI describes the API, as OpenAPI 3.1 in JSON, for people.
func OpenAPI() ([]byte, error) {
	return callers.OpenAPI((&API{}).describe(http.NewServeMux()))
}
