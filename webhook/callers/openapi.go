package callers

import (
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// scheme is what the description calls the one way to authenticate.
const scheme = "kubernetes"

// NewAPI makes an API on mux that reads JSON strictly, and describes itself at the
// path with .json behind it.
func NewAPI(mux *http.ServeMux, info *huma.Info, path string) huma.API {
	return humago.New(mux, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info:    info,
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					scheme: {Type: "http", Scheme: "bearer", Description: "A Kubernetes token for the audience " + Audience + "."},
				},
			},
		},
		OpenAPIPath:                  path,
		Formats:                      map[string]huma.Format{"application/json": strictJSON, "json": strictJSON},
		DefaultFormat:                "application/json",
		NoFormatFallback:             false,
		RejectUnknownQueryParameters: true,
	})
}

// Guarded is an operation behind a Guard, which has read the body, and what it may
// answer with beside success.
func Guarded(op huma.Operation, errors ...int) huma.Operation {
	op.Security, op.MaxBodyBytes, op.BodyReadTimeout = []map[string][]string{{scheme: {}}}, -1, -1
	op.Errors = errors
	return op
}

// OpenAPI is the description of an API, as OpenAPI 3.1 in JSON, for people.
func OpenAPI(api huma.API) ([]byte, error) {
	text, err := api.OpenAPI().MarshalJSON()
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
