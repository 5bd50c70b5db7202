package pages

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/netip"

	"github.com/go-logr/logr"

	"github.com/neosc/mfa-operator/internal/mfa"
)

// Verifier is local verification, as far as a link goes; *mfa.Service is one.
type Verifier interface {
	LinkOwner(ctx context.Context, namespace, link string) (mfa.Owner, error)
	LinkOffer(ctx context.Context, p mfa.Person, r mfa.Rules, link string) (mfa.Offer, error)
	StartEnrolment(ctx context.Context, p mfa.Person, r mfa.Rules, ask mfa.EnrolmentRequest) (mfa.Enrolment, error)
	ConfirmLinked(ctx context.Context, p mfa.Person, r mfa.Rules, link string, c mfa.Confirmation) (mfa.Linked, error)
}

// People knows the local users and what their policies say.
type People interface {
	// Person returns the user of a link. mfa.ErrNotFound: there is none any more.
	Person(ctx context.Context, owner mfa.Owner) (mfa.Person, mfa.Rules, error)
}

// Pages answers browsers. All fields but Proxies have to be set.
type Pages struct {
	Verifier Verifier
	People   People
	// Origin is the one browsers see: scheme, host and port.
	Origin string
	// Name is whose page it is, for people.
	Name string
	// Proxies are those whose word about who connects to them is believed.
	Proxies []netip.Prefix
	Log     logr.Logger
}

// Path is where the page is. Prefixes are all that Handler answers, as patterns
// of http.ServeMux.
const Path = "/enrol"

// Prefixes are the paths that Handler answers, as patterns of http.ServeMux.
var Prefixes = []string{Path, Path + "/"}

// Link is the address of the page for a link's token in a namespace.
func Link(origin, namespace, token string) string {
	return origin + Path + "#" + namespace + separator + token
}

// separator is in no namespace and in no token.
const separator = "."

//go:embed assets
var assets embed.FS

var page = template.Must(template.ParseFS(assets, "assets/enrol.html"))

// Handler answers all of Prefixes.
func (p *Pages) Handler() (http.Handler, error) {
	var html bytes.Buffer
	if err := page.Execute(&html, p); err != nil {
		return nil, fmt.Errorf("making the page: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+Path, file("text/html; charset=utf-8", html.Bytes()))
	for name, kind := range map[string]string{"enrol.js": "text/javascript; charset=utf-8", "enrol.css": "text/css; charset=utf-8"} {
		text, err := assets.ReadFile("assets/" + name)
		if err != nil {
			return nil, fmt.Errorf("reading a part of the page: %w", err)
		}
		mux.Handle("GET "+Path+"/"+name, file(kind, text))
	}
	asked := http.NewServeMux()
	asked.Handle("POST "+Path+"/offer", answer(p, p.offer))
	asked.Handle("POST "+Path+"/start", answer(p, p.start))
	asked.Handle("POST "+Path+"/confirm", answer(p, p.confirm))
	// No cookie is looked at, so nobody's browser can be made to ask in their name. It
	// is refused all the same.
	crossing := http.NewCrossOriginProtection()
	if err := crossing.AddTrustedOrigin(p.Origin); err != nil {
		return nil, fmt.Errorf("naming the page's origin: %w", err)
	}
	crossing.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		write(w, problem{status: http.StatusForbidden, Problem: problemInvalid})
	}))
	mux.Handle("POST "+Path+"/", newLimits(p.Proxies).guard(crossing.Handler(asked)))
	return p.guard(mux), nil
}

func file(kind string, text []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(text) // whoever does not wait for it does not need it
	})
}

// policy lets the page run its one script and show its one picture, and nothing
// else; nobody may frame it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

// guard gives every answer the headers of the page, and answers for what panicked.
// What that says may be what was sent, so only its type is logged.
func (p *Pages) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"Content-Security-Policy":    policy,
			"Referrer-Policy":            "no-referrer",
			"Cache-Control":              "no-store",
			"X-Content-Type-Options":     "nosniff",
			"Cross-Origin-Opener-Policy": "same-origin",
		} {
			w.Header().Set(name, value)
		}
		defer func() {
			if panicked := recover(); panicked != nil {
				p.Log.Error(fmt.Errorf("a panic of type %T", panicked), "Cannot answer a browser", "path", r.URL.Path)
				write(w, unavailable)
			}
		}()
		next.ServeHTTP(w, r)
	})
}
