package mfaapi

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/go-logr/logr"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/neosc/mfa-operator/internal/mfa"
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
	// Callers tells who asks, by a Kubernetes bearer token for Audience.
	Callers authenticator.Request
	// Rights tells what callers may, by the RBAC of the cluster.
	Rights authorizer.Authorizer
	// Keys returns the JSON Web Key Set (RFC 7517) with which sessions are checked.
	Keys func() (json.RawMessage, error)
	// LinkURL is the address of the page where a link's token is spent. Nil: there is
	// no page.
	LinkURL func(namespace, token string) string
	Log     logr.Logger
}

// Audience is the one a caller's token must be for.
const Audience = "mfa.security.neosc.io"

// Prefixes are the paths that Handler answers, as patterns of http.ServeMux.
var Prefixes = []string{"/v1", "/v1/", "/openapi.json", "/.well-known/jwks.json"}

// Handler answers all of Prefixes.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	a.describe(mux)
	return Measured(mux, a.guard(Problems(mux)))
}

// describe adds every endpoint to mux, and returns what it says of them.
func (a *API) describe(mux *http.ServeMux) huma.API {
	api := humago.New(mux, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:       "NeoSC MFA API",
				Version:     "v1",
				Description: "Multi-factor authentication for applications with a password login of their own.",
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					bearer: {Type: "http", Scheme: "bearer", Description: "A Kubernetes token for the audience " + Audience + "."},
				},
			},
		},
		OpenAPIPath:                  "/openapi",
		Formats:                      map[string]huma.Format{"application/json": strictJSON, "json": strictJSON},
		DefaultFormat:                "application/json",
		NoFormatFallback:             false,
		RejectUnknownQueryParameters: true,
	})
	a.routes(api)
	return api
}

const bearer = "kubernetes"

// OpenAPI describes the API, as OpenAPI 3.1 in JSON, for people.
func OpenAPI() ([]byte, error) {
	text, err := (&API{}).describe(http.NewServeMux()).OpenAPI().MarshalJSON()
	if err != nil {
		return nil, err
	}
	var pretty any
	if err := json.Unmarshal(text, &pretty); err != nil {
		return nil, err
	}
	text, err = json.MarshalIndent(pretty, "", "  ")
	return append(text, '\n'), err
}
