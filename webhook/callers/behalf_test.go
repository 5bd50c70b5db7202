package callers

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/rest"
)

// What the API server is told of who asks, and for whom.
func TestOnBehalf(t *testing.T) {
	var told http.Header
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { told = r.Header }))
	defer server.Close()
	account := authenticationv1.UserInfo{Username: "system:serviceaccount:neosc-system:webhook", Groups: []string{"system:serviceaccounts", "system:authenticated"}}
	admin := authenticationv1.UserInfo{Username: "admin", Groups: []string{"system:masters"}}
	for _, c := range []struct {
		why    string
		config rest.Config
		self   authenticationv1.UserInfo
		caller string
		want   http.Header // nil: the request is not made
	}{
		{
			"a service account has its groups from the API server, and the right to none", rest.Config{}, account, "system:serviceaccount:console:ann",
			http.Header{"Impersonate-User": {account.Username}, "Impersonate-Extra-Security.neosc.io%2fon-Behalf-Of": {"system:serviceaccount:console:ann"}},
		},
		{
			"anybody else brings them along", rest.Config{}, admin, "ann",
			http.Header{"Impersonate-User": {"admin"}, "Impersonate-Group": {"system:masters"}, "Impersonate-Extra-Security.neosc.io%2fon-Behalf-Of": {"ann"}},
		},
		{
			"a process that is somebody else already", rest.Config{Impersonate: rest.ImpersonationConfig{UserName: account.Username}}, account, "ann",
			http.Header{"Impersonate-User": {account.Username}, "Impersonate-Extra-Security.neosc.io%2fon-Behalf-Of": {"ann"}},
		},
		{"nobody is named", rest.Config{}, account, "", nil},
		{"a name that would be a header of its own", rest.Config{}, account, "ann\r\nImpersonate-Group: system:masters", nil},
	} {
		told = nil
		c.config.Host = server.URL
		client, err := rest.HTTPClientFor(OnBehalf(&c.config, c.self))
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		if c.caller != "" {
			ctx = context.WithValue(ctx, callerKey{}, &user.DefaultInfo{Name: c.caller})
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err == nil {
			err = resp.Body.Close()
		}
		if (err != nil) != (c.want == nil) {
			t.Errorf("%s: got %v", c.why, err)
		}
		for _, other := range []string{"User-Agent", "Accept-Encoding"} {
			told.Del(other)
		}
		if d := cmp.Diff(c.want, told); d != "" {
			t.Errorf("%s: want (-) and told (+) differ:\n%s", c.why, d)
		}
	}
}

func TestActor(t *testing.T) {
	named := func(names ...string) authenticationv1.UserInfo {
		return authenticationv1.UserInfo{Username: "webhook", Extra: map[string]authenticationv1.ExtraValue{onBehalfOf: names, "scopes": {"x"}}}
	}
	for _, c := range []struct {
		why  string
		of   authenticationv1.UserInfo
		want string
	}{
		{"whoever asks in their own name", authenticationv1.UserInfo{Username: "ann"}, "ann"},
		{"the caller behind the webhook", named("ann"), "ann"},
		{"nobody is named", named(), "webhook"},
		{"of several names none is believed", named("ann", "bob"), "webhook"},
	} {
		if got := Actor(c.of); got != c.want {
			t.Errorf("%s: got %q, want %q", c.why, got, c.want)
		}
	}
}
