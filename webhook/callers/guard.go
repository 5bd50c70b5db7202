package callers

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// bodyTimeout is how long a body may take to come.
const bodyTimeout = 5 * time.Second

// Patience is how long an answer may take, without the time the request takes to
// come. An API server that hangs keeps nobody waiting for longer than one that is
// away: with the way there and back, two seconds. What was begun may still be
// recorded, which the answer does not deny.
const Patience = 1800 * time.Millisecond

// requestID is the header that names a request, in the answer and in the log.
const requestID = "X-Request-Id"

// Guard stands before an API; New makes one.
type Guard struct {
	// Callers tells who asks, by a Kubernetes bearer token for Audience.
	Callers authenticator.Request
	// Rights tells what callers may, by the RBAC of the cluster.
	Rights authorizer.Authorizer
	// Patience is for an API that needs more of it than others. Zero: Patience.
	Patience time.Duration
	Log      logr.Logger
}

// Admit lets through to next who can be authenticated, with a body of at most
// maxBody bytes that can be read; what is public is for everybody.
func (g Guard) Admit(next http.Handler, maxBody int64, public func(*http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := string(uuid.NewUUID())
		log := g.Log.WithValues("request", id)
		r = r.WithContext(logr.NewContext(r.Context(), log))
		w.Header().Set(requestID, id)
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		defer rescue(w, r)
		if public(r) {
			next.ServeHTTP(w, r)
			return
		}
		patience := cmp.Or(g.Patience, Patience)
		began := time.Now()
		who, err := g.authenticate(r, patience)
		patience -= time.Since(began)
		if err == nil {
			err = readBody(w, r, maxBody)
		}
		if err != nil {
			write(w, StatusFor(r.Context(), err))
			return
		}
		ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), callerKey{}, who), patience)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// readBody reads the whole body, so that what follows depends on no sender. It
// must say that it is JSON, and be it as it comes: whoever means something else
// does not mean us.
func readBody(w http.ResponseWriter, r *http.Request, maxBody int64) error {
	if r.ContentLength == 0 {
		return nil
	}
	if r.Header.Get("Content-Encoding") != "" {
		return NewProblem(http.StatusUnsupportedMediaType, Invalid, "the body must not be compressed")
	}
	media, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset, told := parameters["charset"]
	if err != nil || media != "application/json" || told && !strings.EqualFold(charset, "utf-8") {
		return NewProblem(http.StatusUnsupportedMediaType, Invalid, "the body has to be application/json in UTF-8, and say so")
	}
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil {
		return fmt.Errorf("limiting the time of a body: %w", err)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	var network net.Error
	switch {
	case errors.As(err, &tooLarge):
		return NewProblem(http.StatusRequestEntityTooLarge, Invalid, fmt.Sprintf("the body has more than %d bytes", maxBody))
	case errors.As(err, &network) && network.Timeout():
		return NewProblem(http.StatusRequestTimeout, Invalid, fmt.Sprintf("the body did not come within %s", bodyTimeout))
	case err != nil:
		return NewProblem(http.StatusBadRequest, Invalid, "the body ended early")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// rescue answers for what panicked. What it says may be what was sent, so only
// its type and place are logged.
func rescue(w http.ResponseWriter, r *http.Request) {
	panicked := recover()
	if panicked == nil {
		return
	}
	if err, ok := panicked.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(panicked)
	}
	write(w, StatusFor(r.Context(), fmt.Errorf("a panic of type %T, at %s", panicked, place())))
}

// place is where a panic came from, innermost first.
func place() string {
	pc := make([]uintptr, 12)
	frames := runtime.CallersFrames(pc[:runtime.Callers(4, pc)])
	var at []string
	for {
		frame, more := frames.Next()
		at = append(at, fmt.Sprintf("%s:%d", frame.Function, frame.Line))
		if !more {
			return strings.Join(at, " < ")
		}
	}
}
