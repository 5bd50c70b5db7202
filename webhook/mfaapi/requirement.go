package mfaapi

import (
	"context"
	"time"

	"github.com/neosc/mfa-operator/internal/mfa"
)

type requirementRequest struct {
	UserPath
	Body struct {
		Session string `json:"session,omitempty" maxLength:"8192" doc:"Token of an earlier verification."`
	}
}

type requirementResponse struct {
	Body struct {
		Needed      bool         `json:"needed" doc:"The login must not go on without a verification or an enrolment."`
		Why         mfa.Why      `json:"why" doc:"Why, or why not, in one word."`
		Methods     []mfa.Method `json:"methods" nullable:"false" doc:"Methods the user can verify with now, the preferred one first."`
		Enrollable  []mfa.Method `json:"enrollable" nullable:"false" doc:"Methods the user may enrol now, the preferred one first."`
		Preferred   mfa.Method   `json:"preferred,omitempty" doc:"What to offer first."`
		GraceEndsAt *time.Time   `json:"graceEndsAt,omitempty" doc:"When the time to enrol ends."`
	}
}

// requirement tells whether a second factor is needed now.
func (a *API) requirement(ctx context.Context, s subject, in *requirementRequest) (*requirementResponse, error) {
	q, err := a.Verifier.Requirement(ctx, s.person, s.rules, mfa.RequirementRequest{Session: in.Body.Session, From: s.from})
	if err != nil {
		return nil, err
	}
	out := &requirementResponse{}
	b := &out.Body
	b.Needed, b.Why, b.Preferred, b.GraceEndsAt = q.Needed, q.Why, q.Preferred, instant(q.GraceEndsAt)
	b.Methods, b.Enrollable = listed(q.Methods), listed(q.Enrollable)
	return out, nil
}

// instant is nil for the zero time.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}

// listed is never nil: an empty list is said.
func listed[T any](list []T) []T { return append([]T{}, list...) }
