package courier

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/neosc/mfa-operator/internal/mfa"
)

// gateway sends short messages.
type gateway struct {
	SMS
	http  *http.Client
	clock func() time.Time
}

func newGateway(s SMS, clock func() time.Time) (*gateway, error) {
	trust, err := trusting(s.CAFile)
	if err != nil {
		return nil, fmt.Errorf("reading SMS.CAFile: %w", err)
	}
	return &gateway{s, &http.Client{
		Timeout:   s.Timeout,
		Transport: &http.Transport{TLSClientConfig: trust, Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute},
		// Where a code goes is configured; nobody else says so.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, clock}, nil
}

var numberPattern = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

func (g *gateway) send(ctx context.Context, code mfa.Message) error {
	if !numberPattern.MatchString(code.To) {
		return errors.New("the number is not one of E.164")
	}
	if !slices.ContainsFunc(g.Prefixes, func(prefix string) bool { return strings.HasPrefix(code.To, prefix) }) {
		return errors.New("the number begins with none of SMS.Prefixes")
	}
	request, err := g.request(ctx, code)
	if err != nil {
		return err
	}
	response, err := g.http.Do(request)
	if err != nil {
		if outer := (*url.Error)(nil); errors.As(err, &outer) {
			err = outer.Err // without the URL, which may hold a key
		}
		return fmt.Errorf("asking the SMS gateway %s: %w: %w", request.URL.Host, mfa.ErrUnavailable, err)
	}
	_, _ = io.CopyN(io.Discard, response.Body, 4<<10) // so that the connection can be used again
	if err := response.Body.Close(); err != nil {
		return fmt.Errorf("asking the SMS gateway %s: %w: %w", request.URL.Host, mfa.ErrUnavailable, err)
	}
	switch status := response.StatusCode; {
	case status >= 200 && status <= 299:
		return nil
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		return fmt.Errorf("the SMS gateway %s answers %d: %w", request.URL.Host, status, mfa.ErrUnavailable)
	default:
		return fmt.Errorf("the SMS gateway %s refuses the message with status %d", request.URL.Host, status)
	}
}

func (g *gateway) request(ctx context.Context, code mfa.Message) (*http.Request, error) {
	body, err := json.Marshal(struct {
		To   string `json:"to"`
		Text string `json:"text"`
	}{code.To, shortText(code)})
	if err != nil {
		return nil, fmt.Errorf("encoding the message: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, g.URL, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("SMS.URL is none")
	}
	key, err := signingKey(g.SigningKeyFile)
	if err != nil {
		return nil, fmt.Errorf("reading SMS.SigningKeyFile: %w", err)
	}
	id, at := "msg_"+rand.Text(), strconv.FormatInt(g.clock().Unix(), 10)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "neosc-mfa")
	request.Header.Set("Webhook-Id", id)
	request.Header.Set("Webhook-Timestamp", at)
	request.Header.Set("Webhook-Signature", "v1,"+signature(key, id, at, body))
	if g.TokenFile != "" {
		token, err := fromFile(g.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("reading SMS.TokenFile: %w", err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return request, nil
}

// signature signs as the Standard Webhooks specification says, symmetric, v1.
func signature(key []byte, id, at string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, at, body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// signingKey reads a key as Standard Webhooks writes them.
func signingKey(file string) ([]byte, error) {
	text, err := fromFile(file)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "whsec_"))
	if err != nil || len(key) < 24 || len(key) > 64 {
		return nil, fmt.Errorf("%s has no key of 24 to 64 bytes, written as whsec_ and base64", file)
	}
	return key, nil
}
