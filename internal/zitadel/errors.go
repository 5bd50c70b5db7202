package zitadel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/message"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/neosc/mfa-operator/internal/idp"
)

// answer is how the server says no: a gRPC code and Zitadel's error id. Both
// count, since one id can mean two things. The spelling of the ids is as
// uneven as the server's.
type answer struct {
	code codes.Code
	id   string
}

// meaning is what some answers say besides no. All of them are decided on the
// server's event log, which may be ahead of what the read before showed.
type meaning int

const (
	unchanged        meaning = iota + 1 // the write would change nothing
	ownPolicyExists                     // the organization already has a policy of its own
	ownPolicyMissing                    // it has none to update
	alreadyInherited                    // it has none to reset
	factorPresent                       // the factor to add is there
	factorAbsent                        // the factor to remove is not there
)

var meanings = map[answer]meaning{
	{codes.FailedPrecondition, "INSTANCE-5M9vdd"}: unchanged, // login
	{codes.FailedPrecondition, "Org-5M9vdd"}:      unchanged,
	{codes.FailedPrecondition, "INSTANCE-9jlsf"}:  unchanged, // password complexity
	{codes.FailedPrecondition, "Org-DAs21"}:       unchanged,
	{codes.FailedPrecondition, "INSTANCE-180sf"}:  unchanged, // password age
	{codes.FailedPrecondition, "Org-dsgjR"}:       unchanged,
	{codes.FailedPrecondition, "INSTANCE-0psjF"}:  unchanged, // lockout
	{codes.FailedPrecondition, "ORG-0JFSr"}:       unchanged,

	{codes.AlreadyExists, "Org-Dgfb2"}: ownPolicyExists, // login
	{codes.AlreadyExists, "Org-LdhbS"}: ownPolicyExists, // password complexity
	{codes.AlreadyExists, "ORG-Lk0dS"}: ownPolicyExists, // password age
	{codes.AlreadyExists, "ORG-0olDf"}: ownPolicyExists, // lockout

	{codes.NotFound, "Org-M0sif"}: ownPolicyMissing, // login
	{codes.NotFound, "ORG-Dgs3g"}: ownPolicyMissing, // password complexity
	{codes.NotFound, "ORG-0oPew"}: ownPolicyMissing, // password age
	{codes.NotFound, "ORG-ADfs1"}: ownPolicyMissing, // lockout

	{codes.NotFound, "Org-GHB37"}: alreadyInherited, // login
	{codes.NotFound, "ORG-ADgs2"}: alreadyInherited, // password complexity
	{codes.NotFound, "ORG-Dgs1g"}: alreadyInherited, // password age
	{codes.NotFound, "ORG-D4zuz"}: alreadyInherited, // lockout

	{codes.AlreadyExists, "INSTANCE-2B0ps"}: factorPresent, // second factor
	{codes.AlreadyExists, "Org-2B0ps"}:      factorPresent,
	{codes.AlreadyExists, "INSTANCE-3M9od"}: factorPresent, // multi factor
	{codes.AlreadyExists, "Org-3M9od"}:      factorPresent,
	{codes.NotFound, "INSTANCE-3M9od"}:      factorAbsent, // second factor
	{codes.NotFound, "Org-3M9od"}:           factorAbsent,
	{codes.NotFound, "INSTANCE-3M9df"}:      factorAbsent, // multi factor
	{codes.NotFound, "Org-3M9df"}:           factorAbsent,
}

// unboundHost is an id that comes in the text only, without a detail.
const unboundHost = "QUERY-1kIjX"

func answerOf(err error) answer {
	s := status.Convert(err)
	for _, detail := range s.Details() {
		if d, ok := detail.(*message.ErrorDetail); ok {
			return answer{s.Code(), safeID(d.GetId())}
		}
	}
	if strings.Contains(s.Message(), unboundHost) {
		return answer{s.Code(), unboundHost}
	}
	return answer{code: s.Code()}
}

func meaningOf(err error) meaning { return meanings[answerOf(err)] }

// causes sorts every refusal and failure into the causes of package idp. What
// is in neither table is the server's fault.
var causes = map[codes.Code]idp.Cause{
	codes.Unauthenticated:    idp.BadCredentials,
	codes.PermissionDenied:   idp.MissingPermission,
	codes.NotFound:           idp.NoSuchObject,
	codes.InvalidArgument:    idp.InvalidValue,
	codes.FailedPrecondition: idp.InvalidValue,
	codes.OutOfRange:         idp.InvalidValue,
	codes.Unavailable:        idp.Down,
	codes.Canceled:           idp.Down, // not by the caller: see failure
	codes.DeadlineExceeded:   idp.TimedOut,
	codes.ResourceExhausted:  idp.RateLimited,
	codes.Aborted:            idp.WriteConflict,
	codes.AlreadyExists:      idp.WriteConflict, // somebody else keeps writing the same policy
}

// exceptions are the answers whose code misleads.
var exceptions = map[answer]idp.Cause{
	// What was not found is our membership.
	{codes.NotFound, "AUTHZ-cdgFk"}: idp.MissingPermission,
	// Even an instance owner gets it, where the header names no organization.
	{codes.PermissionDenied, "AUTH-Bs7Ds"}: idp.NoSuchOrganization,
	// A target's URL that is malformed, does not resolve or is on the deny list;
	// at creation and at change.
	{codes.InvalidArgument, "COMMAND-NcJUKo"}:     idp.EndpointDenied,
	{codes.InvalidArgument, "COMMAND-jsbaera7b6"}: idp.EndpointDenied,
	// Some Zitadel answered; only another domain in the spec can help.
	{codes.NotFound, unboundHost}: idp.InvalidValue,
}

func causeOf(err error) idp.Cause {
	if isWriteConflict(err) {
		return idp.WriteConflict
	}
	a := answerOf(err)
	return cmp.Or(exceptions[a], causes[a.code], idp.ServerFault)
}

// failure turns whatever a call returned into the error that leaves this
// package, nil into nil. Only a caller that gave up sees context.Canceled: a
// connection closed under the call is canceled too, but worth another try.
func failure(ctx context.Context, doing string, err error) error {
	var known *idp.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%s: %w", doing, context.Canceled)
	}
	return &idp.Error{Cause: causeOf(err), Doing: doing, Detail: detail(err)}
}

// detail composes what may be shown of an error: the code, Zitadel's id, and
// facts from lists of our own. Messages of the server are never among them.
func detail(err error) string {
	var local *localError
	if errors.As(err, &local) {
		return local.Error()
	}
	a := answerOf(err)
	switch {
	case a.id != "":
		return a.code.String() + " " + a.id
	case a.code == codes.Unavailable:
		return a.code.String() + ": " + connectionFact(status.Convert(err).Message())
	}
	return a.code.String()
}

// connectionFacts are the reasons for having no connection that an operator
// can act on, and the texts of the Go libraries that give them away.
var connectionFacts = []struct{ text, fact string }{
	{"connection refused", "connection refused"},
	{"no such host", "no such host"},
	{"no route to host", "no route to host"},
	{"network is unreachable", "network is unreachable"},
	{"certificate signed by unknown authority", "the server's certificate is signed by an unknown authority"},
	{"certificate has expired or is not yet valid", "the server's certificate has expired or is not yet valid"},
	{"certificate is valid for", "the server's certificate is for another name"},
	{"certificate is not valid for any names", "the server's certificate is for another name"},
	{"cannot validate certificate for", "the server's certificate is for another name"},
	{"first record does not look like a TLS handshake", "the server does not speak TLS"},
	{"server gave HTTP response to HTTPS client", "the server does not speak TLS"},
	{"i/o timeout", "no answer to the connection attempt"},
	{"connection reset by peer", "connection reset"},
	{"EOF", "connection closed by the server"},
}

// connectionFact names the reason it finds in the text, and nothing else of it.
func connectionFact(text string) string {
	for _, known := range connectionFacts {
		if strings.Contains(text, known.text) {
			return known.fact
		}
	}
	return "no connection"
}

var idPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)

// safeID returns the id if it looks like one.
func safeID(id string) string {
	if idPattern.MatchString(id) {
		return id
	}
	return ""
}

// localError is a call that failed before it reached the API. The fact is in
// our own words, hence safe to show.
type localError struct {
	code codes.Code
	fact string
}

// Error implements error.
func (e *localError) Error() string { return e.code.String() + ": " + e.fact }

// GRPCStatus lets package status see the code.
func (e *localError) GRPCStatus() *status.Status { return status.New(e.code, e.fact) }
