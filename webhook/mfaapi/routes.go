package mfaapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/neosc/mfa-operator/webhook/callers"
)

const (
	pathKeys = "/.well-known/jwks.json"
	pathUser = "/v1/namespaces/{namespace}/users/{user}"
)

// The rights, as verbs on subresources of mfausers.
var (
	mayVerify         = right{"create", "verify"}
	mayEnrol          = right{"create", "enrol"}
	mayListFactors    = right{"get", "enrol"}
	mayRenameFactor   = right{"update", "enrol"}
	mayRemoveFactor   = right{"delete", "enrol"}
	mayLink           = right{"create", "links"} // stands in for a verification: for a help desk
	mayListSessions   = right{"get", "sessions"}
	mayIntrospect     = right{"create", "sessions"}
	mayRevokeSessions = right{"delete", "sessions"}
	mayUnlock         = right{"delete", "lock"}
)

// routes is the whole surface.
func (a *API) routes(api huma.API) {
	op := func(method, path, id, summary string) huma.Operation {
		o := huma.Operation{Method: method, Path: pathUser + path, OperationID: id, Summary: summary, DefaultStatus: http.StatusOK}
		switch method {
		case http.MethodPatch, http.MethodDelete:
			o.DefaultStatus = http.StatusNoContent
		}
		return o
	}
	started := func(o huma.Operation) huma.Operation {
		o.DefaultStatus = http.StatusCreated
		return o
	}
	register := callers.Guarded(op(http.MethodPut, "", "register-user", "Register a user; who is there already stays as they are"),
		http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable)
	huma.Register(api, register, func(ctx context.Context, in *registerRequest) (*registerResponse, error) {
		out, err := a.register(ctx, in)
		return out, statusFor(ctx, err)
	})

	endpoint(a, api, op(http.MethodPost, "/requirement", "get-requirement", "Tell whether a second factor is needed now"), mayVerify, a.requirement)
	endpoint(a, api, started(op(http.MethodPost, "/challenges", "start-challenge", "Begin a verification that needs a challenge")), mayVerify, a.startChallenge)
	endpoint(a, api, started(op(http.MethodPost, "/verifications", "verify", "Verify a second factor, and use it up")), mayVerify, a.verify)

	endpoint(a, api, started(op(http.MethodPost, "/enrolments", "start-enrolment", "Begin to enrol a factor")), mayEnrol, a.startEnrolment)
	endpoint(a, api, started(op(http.MethodPost, "/enrolments/confirm", "confirm-enrolment", "Prove the factor, and keep it")), mayEnrol, a.confirmEnrolment)
	endpoint(a, api, started(op(http.MethodPost, "/recovery-codes", "issue-recovery-codes", "Make recovery codes; earlier ones are void")), mayEnrol, a.issueRecoveryCodes)
	endpoint(a, api, started(op(http.MethodPost, "/enrolment-links", "start-link", "Make a one-time link to enrol with; an earlier one is void")), mayLink, a.startLink)
	endpoint(a, api, op(http.MethodGet, "/factors", "list-factors", "List the factors"), mayListFactors, a.factors)
	endpoint(a, api, op(http.MethodPatch, "/factors/{factor}", "rename-factor", "Give a factor another name"), mayRenameFactor, a.renameFactor)
	endpoint(a, api, op(http.MethodDelete, "/factors/{factor}", "remove-factor", "Take a factor away"), mayRemoveFactor, a.removeFactor)

	endpoint(a, api, op(http.MethodGet, "/sessions", "list-sessions", "List the active sessions"), mayListSessions, a.sessions)
	endpoint(a, api, op(http.MethodPost, "/sessions/introspect", "introspect-session", "Tell what a session is worth now"), mayIntrospect, a.introspect)
	endpoint(a, api, op(http.MethodDelete, "/sessions/{session}", "revoke-session", "End a session, at once"), mayRevokeSessions, a.revokeSession)
	endpoint(a, api, op(http.MethodDelete, "/sessions", "revoke-sessions", "End all sessions, at once"), mayRevokeSessions, a.revokeSessions)
	endpoint(a, api, op(http.MethodDelete, "/lock", "unlock", "End a lock, and forget the failures"), mayUnlock, a.unlock)

	huma.Register(api, huma.Operation{
		Method: http.MethodGet, Path: pathKeys, OperationID: "get-keys", Summary: "The keys with which sessions are signed, as a JSON Web Key Set",
	}, func(ctx context.Context, in *struct{}) (*keysResponse, error) {
		out, err := a.keys(ctx, in)
		return out, statusFor(ctx, err)
	})
}
