package idp_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/neosc/mfa-operator/internal/idp"
)

var kinds = map[string]error{
	"not found": idp.ErrNotFound, "rejected": idp.ErrRejected, "denied": idp.ErrDenied, "unreachable": idp.ErrUnreachable,
}

// TestEveryCauseIsOfOneKind: callers decide by the kind whether to retry, so an
// error of none would never be, and one of two could be either.
func TestEveryCauseIsOfOneKind(t *testing.T) {
	want := map[idp.Cause]error{
		idp.NoSuchOrganization: idp.ErrNotFound, idp.NoSuchObject: idp.ErrNotFound,
		idp.NoSuchUser:   idp.ErrNotFound,
		idp.InvalidValue: idp.ErrRejected, idp.AmbiguousUser: idp.ErrRejected, idp.EndpointDenied: idp.ErrRejected,
		idp.BadCredentials: idp.ErrDenied, idp.MissingPermission: idp.ErrDenied,
		idp.Down: idp.ErrUnreachable, idp.TimedOut: idp.ErrUnreachable, idp.RateLimited: idp.ErrUnreachable,
		idp.WriteConflict: idp.ErrUnreachable, idp.NotConfirmed: idp.ErrUnreachable, idp.ServerFault: idp.ErrUnreachable,
	}
	for _, name := range declared(t, "errors.go", "Cause") {
		cause := idp.Cause(name)
		err := fmt.Errorf("syncing: %w", &idp.Error{Cause: cause, Doing: "reading login policy"})
		var is []string
		for kind, target := range kinds {
			if errors.Is(err, target) {
				is = append(is, kind)
			}
		}
		if len(is) != 1 || !errors.Is(err, want[cause]) {
			t.Errorf("%s is %v, want exactly %v", cause, is, want[cause])
		}
		if got := idp.CauseOf(err); got != cause {
			t.Errorf("the cause of %s is %s", cause, got)
		}
	}
}

func TestErrorsSayWhatWasDone(t *testing.T) {
	for detail, want := range map[string]string{
		"":            "reading login policy: Down",
		"code 14, id": "reading login policy: Down: code 14, id",
	} {
		if got := (&idp.Error{Cause: idp.Down, Doing: "reading login policy", Detail: detail}).Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := idp.CauseOf(errors.New(strings.ToLower(string(idp.Down)))); got != "" {
		t.Errorf("an error of somebody else has cause %s", got)
	}
	if got := idp.CauseOf(nil); got != "" {
		t.Errorf("no error has cause %s", got)
	}
}

func TestScopesAndSelectorsHaveNames(t *testing.T) {
	for got, want := range map[string]string{
		idp.Instance.String():                                         "instance",
		idp.InOrganization("42").String():                             "organization 42",
		idp.OrganizationRef{ID: "42"}.String():                        "id 42",
		idp.OrganizationRef{Name: "acme"}.String():                    "name acme",
		idp.OrganizationRef{PrimaryDomain: "acme.localhost"}.String(): "primary domain acme.localhost",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if !idp.InOrganization("").IsInstance() || idp.InOrganization("42").IsInstance() {
		t.Error("only a scope without an organization is the instance")
	}
}
