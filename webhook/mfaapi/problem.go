package mfaapi

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"
	"github.com/go-logr/logr"

	"github.com/neosc/mfa-operator/internal/mfa"
)

// The types of problems (RFC 9457). They are names to branch on, not addresses.
const (
	problemInvalid         = "urn:neosc:mfa:invalid"
	problemUnauthenticated = "urn:neosc:mfa:unauthenticated"
	problemForbidden       = "urn:neosc:mfa:forbidden"
	problemDenied          = "urn:neosc:mfa:denied"
	problemNotFound        = "urn:neosc:mfa:not-found"
	problemNotAllowed      = "urn:neosc:mfa:not-allowed"
	problemThrottled       = "urn:neosc:mfa:throttled"
	problemUnavailable     = "urn:neosc:mfa:unavailable"
)

// retryUnavailable is what Retry-After says when a store cannot be reached, in
// seconds.
const retryUnavailable = 2

// problem is an error as a caller gets it.
type problem struct {
	huma.ErrorModel
	// Reason is one CamelCase word that says why something is not allowed.
	Reason string `json:"reason,omitempty" doc:"Why it is not allowed, in one word." example:"VerificationNeeded"`

	retryAfter int // seconds; 0: not told
}

// GetHeaders implements huma.HeadersError.
func (p *problem) GetHeaders() http.Header {
	if p.retryAfter == 0 {
		return nil
	}
	return http.Header{"Retry-After": {strconv.Itoa(p.retryAfter)}}
}

// unknownQuery is what the library says of a query parameter that it does not
// know.
const unknownQuery = "unknown query parameter"

func newProblem(status int, kind, detail string) *problem {
	return &problem{ErrorModel: huma.ErrorModel{Status: status, Type: kind, Title: http.StatusText(status), Detail: detail}}
}

// init makes the library's own errors problems like ours. What it read is not
// repeated, nor names that are not ours: either may be a code.
func init() {
	huma.ValidateStrictCasing = true
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		p := newProblem(status, problemInvalid, message)
		for _, err := range errs {
			detail := &huma.ErrorDetail{Message: "is not what is expected"}
			var told huma.ErrorDetailer
			if errors.As(err, &told) {
				of := told.ErrorDetail()
				detail = &huma.ErrorDetail{Message: of.Message, Location: of.Location}
				if of.Message == validation.MsgUnexpectedProperty || of.Message == unknownQuery {
					detail.Location, _, _ = strings.Cut(of.Location, ".")
				}
			}
			p.Errors = append(p.Errors, detail)
		}
		return p
	}
}

// statusFor turns what the rules answer into what the caller gets.
func statusFor(ctx context.Context, err error) error {
	var (
		own        *problem
		invalid    *mfa.InvalidError
		notAllowed *mfa.NotAllowedError
		throttled  *mfa.ThrottledError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own
	case errors.As(err, &invalid):
		p := newProblem(http.StatusUnprocessableEntity, problemInvalid, err.Error())
		p.Errors = []*huma.ErrorDetail{{Message: invalid.Message, Location: "body." + invalid.Field}}
		return p
	case errors.Is(err, mfa.ErrDenied):
		return newProblem(http.StatusForbidden, problemDenied, "the second factor was not accepted")
	case errors.As(err, &notAllowed):
		p := newProblem(http.StatusConflict, problemNotAllowed, "the rules of enrolment do not let this happen now")
		p.Reason = notAllowed.Reason
		return p
	case errors.As(err, &throttled):
		p := newProblem(http.StatusTooManyRequests, problemThrottled, "too much was tried; nothing was looked at")
		p.retryAfter = max(1, int(math.Ceil(throttled.RetryAfter.Seconds())))
		return p
	case errors.Is(err, mfa.ErrNotFound):
		return newProblem(http.StatusNotFound, problemNotFound, "there is no such thing")
	default:
		// Whatever else it is, it does not say whether a code was right.
		logr.FromContextOrDiscard(ctx).Error(err, "Cannot answer")
		p := newProblem(http.StatusServiceUnavailable, problemUnavailable, "a store or key cannot be reached now; this does not say whether a code was right")
		p.retryAfter = retryUnavailable
		return p
	}
}

// write answers with a problem where no endpoint does.
func write(w http.ResponseWriter, err error) {
	var p *problem
	if !errors.As(err, &p) {
		p = newProblem(http.StatusServiceUnavailable, problemUnavailable, "")
	}
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // whoever does not wait for it does not need it
}
