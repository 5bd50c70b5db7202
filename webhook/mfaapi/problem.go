package mfaapi

import (
	"context"
	"errors"
	"math"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/webhook/callers"
)

// statusFor turns what the rules answer into what the caller gets.
func statusFor(ctx context.Context, err error) error {
	var (
		invalid    *mfa.InvalidError
		notAllowed *mfa.NotAllowedError
		throttled  *mfa.ThrottledError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &invalid):
		p := callers.NewProblem(http.StatusUnprocessableEntity, callers.Invalid, err.Error())
		p.Errors = []*huma.ErrorDetail{{Message: invalid.Message, Location: "body." + invalid.Field}}
		return p
	case errors.Is(err, mfa.ErrDenied):
		return callers.NewProblem(http.StatusForbidden, callers.Denied, "the second factor was not accepted")
	case errors.As(err, &notAllowed):
		p := callers.NewProblem(http.StatusConflict, callers.NotAllowed, "the rules of enrolment do not let this happen now")
		p.Reason = notAllowed.Reason
		return p
	case errors.As(err, &throttled):
		p := callers.NewProblem(http.StatusTooManyRequests, callers.Throttled, "too much was tried; nothing was looked at")
		p.RetryAfter = max(1, int(math.Ceil(throttled.RetryAfter.Seconds())))
		return p
	case errors.Is(err, mfa.ErrNotFound):
		return callers.NewProblem(http.StatusNotFound, callers.NotFound, "there is no such thing")
	default:
		return callers.StatusFor(ctx, err)
	}
}
