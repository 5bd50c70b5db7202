package callers

import (
	"errors"
	"net/http"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
)

// onBehalfOf is what a request to the API server says beside who makes it: the name
// of the caller for whom. It is the one thing about itself that the webhook may say
// otherwise than it is (docs/adr/0021-changed-on-behalf-of.md).
const onBehalfOf = "security.neosc.io/on-behalf-of"

// OnBehalf returns a configuration for requests that self makes, with its own rights,
// and that name the caller whose request their context is of. Without one they fail.
// What the API server warns of goes to the context's Warnings.
func OnBehalf(config *rest.Config, self authenticationv1.UserInfo) *rest.Config {
	as := transport.ImpersonationConfig{UserName: self.Username}
	// The API server adds those of a service account itself.
	if !strings.HasPrefix(self.Username, serviceaccount.ServiceAccountUsernamePrefix) {
		as.Groups = self.Groups
	}
	named := rest.CopyConfig(config)
	named.Impersonate = rest.ImpersonationConfig{} // it would hide this one
	named.WarningHandlerWithContext = hearing{}
	named.Wrap(func(next http.RoundTripper) http.RoundTripper { return behalf{as: as, next: next} })
	return named
}

type behalf struct {
	as   transport.ImpersonationConfig
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b behalf) RoundTrip(r *http.Request) (*http.Response, error) {
	caller := Of(r.Context())
	if caller == nil {
		return nil, errors.New("nobody is named on whose behalf this request is")
	}
	as := b.as
	as.Extra = map[string][]string{onBehalfOf: {caller.GetName()}}
	return transport.NewImpersonatingRoundTripper(as, b.next).RoundTrip(r)
}

// Actor names who is behind a request that the API server tells of: the caller it was
// made on behalf of, else who made it. Only who has the right to name others can say
// the former, so it is as good as the latter.
func Actor(of authenticationv1.UserInfo) string {
	if named := of.Extra[onBehalfOf]; len(named) == 1 {
		return named[0]
	}
	return of.Username
}
