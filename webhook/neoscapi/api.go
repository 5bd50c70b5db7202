package neoscapi

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/webhook/callers"
)

// What is changed, beside the right to patch the policies of the one namespace, which
// is given there (config/neosc/policies_role.yaml): the name of the caller, by saying
// of itself on whose behalf it asks (callers.OnBehalf). That is two rights, to be
// itself and to add that name, and none to be anybody else.
//
// +kubebuilder:rbac:groups=security.neosc.io,resources=securitypolicies,verbs=get;list
// +kubebuilder:rbac:groups=authentication.k8s.io,resources=userextras/security.neosc.io/on-behalf-of,verbs=impersonate
// +kubebuilder:rbac:groups="",resources=serviceaccounts,resourceNames=mfa-operator-webhook,verbs=impersonate,namespace=neosc-system

// API answers in NeoSC's shape. All fields have to be set.
type API struct {
	// Guard tells who asks, and what they may.
	Guard callers.Guard
	// Namespace is the one whose policies there are.
	Namespace string
	// Policies reads the API server itself, so that whoever has changed something sees
	// it in the next answer of any replica.
	Policies client.Reader
	// Changes writes on behalf of the caller whose request the context is of.
	Changes client.Writer
}

// maxBody is the bound of a body, in bytes.
const maxBody = 4 << 10

// Prefixes are the paths that Handler answers, as patterns of http.ServeMux.
var Prefixes = []string{"/api", "/api/"}

// Handler answers all of Prefixes.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	a.describe(mux)
	guard := a.Guard
	guard.Patience = patience
	return callers.Measured(mux, guard.Admit(callers.Problems(mux), maxBody, public))
}

// public tells what is for everybody: the description of the API.
func public(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Path == description+".json"
}

// description is where the API describes itself, without .json.
const description = "/api/openapi"

// describe adds every endpoint to mux, and returns what it says of them.
func (a *API) describe(mux *http.ServeMux) huma.API {
	api := callers.NewAPI(mux, &huma.Info{
		Title:       "NeoSC policies",
		Version:     "v1",
		Description: "SecurityPolicies as NeoSC has them: list, read, toggle.",
	}, description)
	a.routes(api)
	return api
}

// OpenAPI describes the API, as OpenAPI 3.1 in JSON, for people.
func OpenAPI() ([]byte, error) {
	return callers.OpenAPI((&API{}).describe(http.NewServeMux()))
}
