package kube_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/kube"
)

// causes lists every way a call can fail, with the reason users read.
var causes = map[idp.Cause]string{
	idp.NoSuchOrganization: v1alpha1.ReasonOrganizationNotFound,
	idp.NoSuchObject:       v1alpha1.ReasonZitadelFault,
	idp.NoSuchUser:         v1alpha1.ReasonUserNotFound,
	idp.AmbiguousUser:      v1alpha1.ReasonUserAmbiguous,
	idp.InvalidValue:       v1alpha1.ReasonSettingsRejected,
	idp.EndpointDenied:     v1alpha1.ReasonDoorbellURLDenied,
	idp.BadCredentials:     v1alpha1.ReasonCredentialsRefused,
	idp.MissingPermission:  v1alpha1.ReasonPermissionMissing,
	idp.Down:               v1alpha1.ReasonZitadelUnreachable,
	idp.TimedOut:           v1alpha1.ReasonZitadelTimedOut,
	idp.RateLimited:        v1alpha1.ReasonZitadelRateLimited,
	idp.WriteConflict:      v1alpha1.ReasonWriteConflict,
	idp.NotConfirmed:       v1alpha1.ReasonNotConfirmed,
	idp.ServerFault:        v1alpha1.ReasonZitadelFault,
}

func TestEveryCauseIsExplained(t *testing.T) {
	for cause, want := range causes {
		err := fmt.Errorf("syncing: %w", &idp.Error{Cause: cause, Doing: "reading login policy of instance", Detail: "a detail"})
		reason, message, ok := kube.Explain(err)
		if !ok || reason != want {
			t.Errorf("%s is explained as %q, %v; want %s", cause, reason, ok, want)
		}
		if !strings.Contains(message, err.Error()) || strings.HasPrefix(message, err.Error()) {
			t.Errorf("%s: the message must say what to do, then what happened: %s", cause, message)
		}
		if retried := strings.Contains(message, "retrying"); retried != errors.Is(err, idp.ErrUnreachable) {
			t.Errorf("%s: whether it is retried and what the message says differ: %s", cause, message)
		}
		if !kube.IsFailureReason(reason) {
			t.Errorf("%s is not known as the reason of a failure", reason)
		}
	}
}

func TestRefusals(t *testing.T) {
	err := fmt.Errorf("resolving: %w", kube.Refuse(v1alpha1.ReasonClaimInvalid, "%s holds it", "a/b"))
	reason, message, ok := kube.Explain(err)
	if !ok || reason != v1alpha1.ReasonClaimInvalid || message != "a/b holds it" {
		t.Errorf("got %q, %q, %v", reason, message, ok)
	}
	if kube.IsFailureReason(v1alpha1.ReasonClaimInvalid) {
		t.Error("a refusal of ours is no failure of the provider")
	}
}

// TestOtherErrorsAreNotExplained: an error of the API server is no state of the
// object.
func TestOtherErrorsAreNotExplained(t *testing.T) {
	for _, err := range []error{nil, errors.New("conflict"), &idp.Error{Cause: "NewerThanUs"}} {
		if reason, message, ok := kube.Explain(err); ok || reason != "" || message != "" {
			t.Errorf("%v is explained as %q, %q", err, reason, message)
		}
	}
	for _, reason := range []string{"", v1alpha1.ReasonInForce, v1alpha1.ReasonConnectionNotReady} {
		if kube.IsFailureReason(reason) {
			t.Errorf("%q is the reason of a failure", reason)
		}
	}
}
