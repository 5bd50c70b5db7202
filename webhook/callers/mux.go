package callers

import (
	"net/http"
	"path"
	"strings"
)

// Problems serves a mux, and answers with a problem where the mux would do so
// with a line of text: an unknown path, or a method that it does not take. A path
// that is not written plainly, with "//" or "..", is unknown: a mux would
// redirect, and a client might carry its token and a code along.
func Problems(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !plain(r.URL.EscapedPath()) {
			write(w, NewProblem(http.StatusNotFound, NotFound, "there is no such path"))
			return
		}
		handler, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		says := &refusal{header: http.Header{}}
		handler.ServeHTTP(says, r)
		p := NewProblem(says.status, NotFound, "there is no such path")
		if allowed := says.header.Get("Allow"); allowed != "" {
			w.Header().Set("Allow", allowed)
			p.Type, p.Detail = Invalid, "this path takes "+allowed
		}
		write(w, p)
	})
}

// plain tells whether a path is as a mux wants it.
func plain(p string) bool {
	clean := path.Clean(p)
	return p == clean || p == clean+"/" && strings.HasPrefix(p, "/")
}

// refusal is how a mux refuses a request, without the text.
type refusal struct {
	header http.Header
	status int
}

func (r *refusal) Header() http.Header         { return r.header }
func (r *refusal) WriteHeader(status int)      { r.status = status }
func (r *refusal) Write(b []byte) (int, error) { return len(b), nil }
