package mfaapi

import (
	"bytes"
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
)

// The bounds of a body: an attestation with its certificates is the largest.
const (
	maxBody     = 96 << 10
	bodyTimeout = 5 * time.Second
)

// requestID is the header that names a request, in the answer and in the log.
const requestID = "X-Request-Id"

// guard lets through who can be authenticated, with a body that can be read; the
// description of the API and the public keys are for everybody.
func (a *API) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := string(uuid.NewUUID())
		log := a.Log.WithValues("request", id)
		r = r.WithContext(logr.NewContext(r.Context(), log))
		w.Header().Set(requestID, id)
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		defer rescue(w, r)
		if public(r) {
			next.ServeHTTP(w, r)
			return
		}
		who, err := a.authenticate(r)
		if err == nil {
			err = readBody(w, r)
		}
		if err != nil {
			write(w, statusFor(r.Context(), err))
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, who)))
	})
}

func public(r *http.Request) bool {
	return r.Method == http.MethodGet && (r.URL.Path == "/openapi.json" || r.URL.Path == pathKeys)
}

// readBody reads the whole body, so that what follows depends on no sender. It
// must say that it is JSON, and be it as it comes: whoever means something else
// does not mean us.
func readBody(w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength == 0 {
		return nil
	}
	if r.Header.Get("Content-Encoding") != "" {
		return newProblem(http.StatusUnsupportedMediaType, problemInvalid, "the body must not be compressed")
	}
	media, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset, told := parameters["charset"]
	if err != nil || media != "application/json" || told && !strings.EqualFold(charset, "utf-8") {
		return newProblem(http.StatusUnsupportedMediaType, problemInvalid, "the body has to be application/json in UTF-8, and say so")
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
		return newProblem(http.StatusRequestEntityTooLarge, problemInvalid, fmt.Sprintf("the body has more than %d bytes", maxBody))
	case errors.As(err, &network) && network.Timeout():
		return newProblem(http.StatusRequestTimeout, problemInvalid, fmt.Sprintf("the body did not come within %s", bodyTimeout))
	case err != nil:
		return newProblem(http.StatusBadRequest, problemInvalid, "the body ended early")
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
	write(w, statusFor(r.Context(), fmt.Errorf("a panic of type %T, at %s", panicked, place())))
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
