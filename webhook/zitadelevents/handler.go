package zitadelevents

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/go-logr/logr"

	"github.com/neosc/mfa-operator/internal/doorbell"
)

const (
	// maxBody bounds a call. It is read through once and never held.
	maxBody = 256 << 10
	// maxCalls is how many calls are read at a time; what comes beyond is turned
	// away.
	maxCalls = 32
)

// Handler answers Zitadel's calls. What it is sent it verifies and forgets. A
// caller who is refused is not told why, nor whether there is such a
// connection.
type Handler struct {
	keys func(ctx context.Context, connection string) (doorbell.Keys, error)
	ring func(connection string)
	now  func() time.Time
	log  logr.Logger
	// slots bounds the calls that are read at a time.
	slots chan struct{}
}

// ServeHTTP implements http.Handler for doorbell.Pattern.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	connection := r.PathValue("connection")
	code, err := h.hear(w, r, connection)
	if err != nil {
		h.log.V(1).Info("Refused a call", "connection", connection, "code", code, "reason", err.Error())
	} else {
		h.log.V(1).Info("Heard a ring", "connection", connection)
	}
	w.WriteHeader(code)
}

// hear verifies a call and rings. The error, safe to show, says why not.
func (h *Handler) hear(w http.ResponseWriter, r *http.Request, connection string) (code int, err error) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		return http.StatusServiceUnavailable, errors.New("too many calls at a time")
	}
	signature, err := doorbell.ParseSignature(r.Header.Get(doorbell.SignatureHeader))
	if err != nil {
		return http.StatusUnauthorized, err
	}
	keys, err := h.keys(r.Context(), connection)
	if err != nil {
		return http.StatusServiceUnavailable, err
	}
	err = signature.Verify(http.MaxBytesReader(w, r.Body, maxBody), keys, h.now())
	var large *http.MaxBytesError
	switch {
	case err == nil:
		h.ring(connection)
		return http.StatusNoContent, nil
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge, errors.New("the call is too large")
	case errors.Is(err, doorbell.ErrWrongKey), errors.Is(err, doorbell.ErrOutOfTime):
		return http.StatusUnauthorized, err
	}
	return http.StatusBadRequest, errors.New("the call broke off")
}
