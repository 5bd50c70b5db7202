package zitadel

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"
)

// maxTokenAnswer is far above any token answer.
const maxTokenAnswer = 1 << 20

// tokenHTTPClient returns the HTTP client of token requests.
func tokenHTTPClient(tlsConfig *tls.Config, headers map[string]string, timeout time.Duration) *http.Client {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: tlsConfig, IdleConnTimeout: timeout}
	return &http.Client{Transport: &tokenTransport{next: transport, headers: headers}, Timeout: timeout}
}

// tokenTransport turns every answer but 200 into a localError. The OIDC
// library puts answers it does not understand into its errors whole; here they
// end before it sees them.
type tokenTransport struct {
	next    *http.Transport
	headers map[string]string
}

// RoundTrip implements http.RoundTripper.
func (t *tokenTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	for name, value := range t.headers {
		req.Header.Set(name, value)
	}
	answer, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	answer.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(answer.Body, maxTokenAnswer), answer.Body}
	if answer.StatusCode == http.StatusOK {
		return answer, nil
	}
	defer answer.Body.Close() //nolint:errcheck // nothing is lost
	var refusal struct {
		Error string `json:"error"`
	}
	_ = json.NewDecoder(answer.Body).Decode(&refusal) // no JSON: no OAuth error
	return nil, tokenRefusal(answer.StatusCode, safeID(refusal.Error))
}

// CloseIdleConnections lets http.Client.CloseIdleConnections through.
func (t *tokenTransport) CloseIdleConnections() { t.next.CloseIdleConnections() }

// tokenRefusal says what an answer other than 200 means. Only an OAuth error
// speaks about our key; anything else comes from a server that is not well, or
// from something in front of it.
func tokenRefusal(httpStatus int, oauthError string) error {
	code := codes.Unavailable
	switch {
	case httpStatus == http.StatusTooManyRequests:
		code = codes.ResourceExhausted
	case httpStatus >= 400 && httpStatus < 500 && oauthError != "" && oauthError != "server_error":
		code = codes.Unauthenticated
	}
	fact := fmt.Sprintf("the token endpoint answered %d", httpStatus)
	if oauthError != "" {
		fact += " " + oauthError
	}
	return &localError{code, fact}
}

// tokenRequestError gives a failed token request a gRPC status. The text of
// the error is dropped but for what connectionFact knows to be harmless.
func tokenRequestError(ctx context.Context, err error) error {
	var refused *localError
	var network net.Error
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.Is(ctx.Err(), context.Canceled):
		return &localError{codes.Canceled, "the token request was given up"}
	case ctx.Err() != nil, errors.As(err, &network) && network.Timeout():
		return &localError{codes.DeadlineExceeded, "the token request took too long"}
	case errors.As(err, &network):
		return &localError{codes.Unavailable, "the token request failed: " + connectionFact(err.Error())}
	}
	return &localError{codes.Unavailable, "the token endpoint gave no usable answer"}
}
