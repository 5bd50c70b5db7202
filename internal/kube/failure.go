package kube

import (
	"errors"
	"fmt"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
)

// failures say, for each cause of a failed call to an identity provider, what
// users read in a condition: the reason, and what to do.
var failures = map[idp.Cause]struct{ reason, advice string }{
	idp.NoSuchOrganization: {v1alpha1.ReasonOrganizationNotFound, "no organization matches; correct the selector, or create the organization"},
	idp.NoSuchUser:         {v1alpha1.ReasonUserNotFound, "no human user matches, or the account may not see them; correct the reference, or grant the account IAM_OWNER_VIEWER, or ORG_OWNER_VIEWER on the organization"},
	idp.AmbiguousUser:      {v1alpha1.ReasonUserAmbiguous, "several users match; select one by userID"},
	idp.NoSuchObject:       {v1alpha1.ReasonZitadelFault, "Zitadel does not know what it was asked about"},
	idp.InvalidValue:       {v1alpha1.ReasonSettingsRejected, "Zitadel refuses a value; correct the spec"},
	idp.EndpointDenied:     {v1alpha1.ReasonDoorbellURLDenied, "Zitadel will not call that URL: its host must resolve, and must not be on the deny list, which has private networks and this very machine unless Zitadel's operator says otherwise (ZITADEL_HTTPCLIENT_DENYLIST); correct spec.events.webhook.url"},
	idp.BadCredentials:     {v1alpha1.ReasonCredentialsRefused, "Zitadel refuses the key or token; put a valid one into the connection's Secret"},
	idp.MissingPermission:  {v1alpha1.ReasonPermissionMissing, "the account lacks a role; the instance needs IAM_OWNER, an organization ORG_SETTINGS_MANAGER or ORG_OWNER"},
	idp.Down:               {v1alpha1.ReasonZitadelUnreachable, "Zitadel cannot be reached; retrying"},
	idp.TimedOut:           {v1alpha1.ReasonZitadelTimedOut, "Zitadel did not answer within the connection's timeoutSeconds; retrying"},
	idp.RateLimited:        {v1alpha1.ReasonZitadelRateLimited, "Zitadel limits our requests; retrying. Lower the connection's rateLimit if this stays"},
	idp.WriteConflict:      {v1alpha1.ReasonWriteConflict, "another writer was faster and nothing was written; retrying"},
	idp.NotConfirmed:       {v1alpha1.ReasonNotConfirmed, "written, but Zitadel does not show it yet; retrying"},
	idp.ServerFault:        {v1alpha1.ReasonZitadelFault, "Zitadel failed unexpectedly; retrying"},
}

// Refusal is a reason of ours not to act. Only a change by somebody can help.
type Refusal struct {
	Reason  string // of the condition
	Message string // for people, with what to do
}

// Error implements error.
func (e *Refusal) Error() string { return e.Message }

// Refuse makes a Refusal.
func Refuse(reason, format string, args ...any) error {
	return &Refusal{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Explain turns a Refusal, or a failed call to an identity provider, into the
// reason and the message of a condition. It reports false for any other error,
// such as one of the API server: that is no state of the object.
func Explain(err error) (reason, message string, ok bool) {
	var refused *Refusal
	if errors.As(err, &refused) {
		return refused.Reason, refused.Message, true
	}
	f, ok := failures[idp.CauseOf(err)]
	if !ok {
		return "", "", false
	}
	return f.reason, f.advice + " (" + err.Error() + ")", true
}

// IsFailureReason tells whether a condition's reason is one that Explain gives.
func IsFailureReason(reason string) bool {
	for _, f := range failures {
		if f.reason == reason {
			return true
		}
	}
	return false
}
