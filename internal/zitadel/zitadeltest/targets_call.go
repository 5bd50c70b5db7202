package zitadeltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"

	"github.com/zitadel/zitadel-go/v3/pkg/actions"
)

var (
	errTargetFailed = errors.New("the target answered with a failure")
	// errNoWebKey is why signed and encrypted payloads never arrive: the worker finds no key for them.
	errNoWebKey = errors.New("no active web key (QUERY-Opoh7)")
)

// maxAnswer bounds what is read of a target's answer, in bytes.
const maxAnswer = 1 << 20

// newTargetClient calls targets. The deny list is asked again when it dials.
func newTargetClient(denied denyList) *http.Client {
	dialer := &net.Dialer{Control: func(_, address string, _ syscall.RawConn) error { return denied.checkDial(address) }}
	return &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, ForceAttemptHTTP2: false}}
}

// callTarget posts a signed body, once, and returns the answer to it.
func (s *Server) callTarget(ctx context.Context, target targetRow, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, target.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("preparing the call: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(actions.SigningHeader, actions.ComputeSignatureHeader(s.clock(), body, target.signingKey))
	response, err := s.targetClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("calling the target: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // only read
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("reading the target's answer: %w", err)
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return nil, errTargetFailed
	}
	return answer, nil
}
