package callers

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"
	"github.com/go-logr/logr"
)

// The types of problems (RFC 9457). They are names to branch on, not addresses.
const (
	Invalid         = "urn:neosc:mfa:invalid"
	Unauthenticated = "urn:neosc:mfa:unauthenticated"
	Forbidden       = "urn:neosc:mfa:forbidden"
	Denied          = "urn:neosc:mfa:denied"
	NotFound        = "urn:neosc:mfa:not-found"
	NotAllowed      = "urn:neosc:mfa:not-allowed"
	Throttled       = "urn:neosc:mfa:throttled"
	Unavailable     = "urn:neosc:mfa:unavailable"
)

// retryUnavailable is what Retry-After says when a store cannot be reached, in
// seconds.
const retryUnavailable = 2

// Problem is an error as a caller gets it.
type Problem struct {
	huma.ErrorModel
	// Reason is one CamelCase word that says why something is not allowed.
	Reason string `json:"reason,omitempty" doc:"Why it is not allowed, in one word." example:"VerificationNeeded"`

	// RetryAfter is in seconds; 0: not told.
	RetryAfter int `json:"-"`
}

// GetHeaders implements huma.HeadersError.
func (p *Problem) GetHeaders() http.Header {
	if p.RetryAfter == 0 {
		return nil
	}
	return http.Header{"Retry-After": {strconv.Itoa(p.RetryAfter)}}
}

// unknownQuery is what the library says of a query parameter that it does not
// know.
const unknownQuery = "unknown query parameter"

// NewProblem makes one: an HTTP status, one of the types, and what people read.
func NewProblem(status int, kind, detail string) *Problem {
	return &Problem{ErrorModel: huma.ErrorModel{Status: status, Type: kind, Title: http.StatusText(status), Detail: detail}}
}

// init makes the library's own errors problems like ours. What it read is not
// repeated, nor names that are not ours: either may be a code.
func init() {
	huma.ValidateStrictCasing = true
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		p := NewProblem(status, Invalid, message)
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

// StatusFor turns what went wrong into what the caller gets: a Problem as it is, and
// whatever else as an outage, of which the log has the reason.
func StatusFor(ctx context.Context, err error) error {
	var own *Problem
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own
	default:
		// Whatever it is, it does not say whether a code was right.
		logr.FromContextOrDiscard(ctx).Error(err, "Cannot answer")
		p := NewProblem(http.StatusServiceUnavailable, Unavailable, "a store, a key or the API server cannot be reached now; this does not say whether a code was right, or a change was made")
		p.RetryAfter = retryUnavailable
		return p
	}
}

// write answers with a problem where no endpoint does.
func write(w http.ResponseWriter, err error) {
	var p *Problem
	if !errors.As(err, &p) {
		p = NewProblem(http.StatusServiceUnavailable, Unavailable, "")
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
