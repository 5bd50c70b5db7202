package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

const (
	usersNamespace = "shop"
	application    = "shop-app"
	audience       = "mfa.security.neosc.io"
)

// caller is an application that has its users verified: it has a token of its own,
// and trusts the webhook by its authority.
type caller struct {
	screen
	http              http.Client
	url               string
	token             string
	caFile, tokenFile string // the same, for whoever wants to try it with curl
}

type object = map[string]any

// newCaller makes the application: a service account, the right to call, a token.
func (s *stage) newCaller(ctx context.Context) (*caller, error) {
	for _, args := range [][]string{
		{"apply", "-f", "config/rbac/mfa_caller_role.yaml"},
		{"-n", usersNamespace, "create", "serviceaccount", application},
		{"-n", usersNamespace, "create", "rolebinding", application, "--clusterrole=mfa-operator-mfa-caller", "--serviceaccount=" + usersNamespace + ":" + application},
	} {
		if err := s.kubectlShown(ctx, args...); err != nil {
			return nil, err
		}
	}
	a := &caller{
		screen: s.screen, url: s.webhookURL + "/v1/namespaces/" + usersNamespace + "/users/",
		caFile: filepath.Join(s.dir, "webhook-ca.crt"), tokenFile: filepath.Join(s.dir, application+".token"),
	}
	asked := []string{"-n", usersNamespace, "create", "token", application, "--audience=" + audience, "--duration=24h"}
	s.quote("$ kubectl " + strings.Join(asked, " ") + " > " + a.tokenFile)
	token, err := s.run(ctx, asked...)
	if err != nil {
		return nil, err
	}
	a.token = strings.TrimSpace(token)
	encoded, err := s.run(ctx, "-n", operatorNamespace, "get", "secret", "mfa-operator-webhook-tls", "-o", `jsonpath={.data.ca\.crt}`)
	if err != nil {
		return nil, err
	}
	ca, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("reading the webhook's authority: %w", err)
	}
	for file, content := range map[string][]byte{a.caFile: ca, a.tokenFile: []byte(a.token)} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return nil, fmt.Errorf("keeping what curl needs: %w", err)
		}
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(ca) {
		return nil, errors.New("the webhook's authority is no certificate")
	}
	a.http = http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}}
	return a, nil
}

// call sends a request about a user, shows how it was answered and some of the
// answer, and fails if the status is another than the one that is wanted. Nothing
// secret is shown unless it is named.
func (a *caller) call(ctx context.Context, method, about string, body object, want int, shown ...string) (object, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encoding a request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.url+about, bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := a.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("calling the webhook: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // it has been read
	var answer object
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the answer to %s %s: %w", method, about, err)
	}
	line := fmt.Sprintf("%-5s …/users/%-32s %d", method, about, resp.StatusCode)
	for _, name := range shown {
		value, err := json.Marshal(answer[name])
		if err != nil {
			return nil, fmt.Errorf("showing an answer: %w", err)
		}
		line += fmt.Sprintf("  %s: %s", name, value)
	}
	a.quote(line)
	if resp.StatusCode != want {
		return nil, fmt.Errorf("%s %s was answered with %d instead of %d: %v", method, about, resp.StatusCode, want, answer["detail"])
	}
	return answer, nil
}

// text is a member of an answer that must be there.
func text(answer object, name string) (string, error) {
	value, ok := answer[name].(string)
	if !ok || value == "" {
		return "", fmt.Errorf("there is no %s in the answer", name)
	}
	return value, nil
}

// raw is a member of an answer as JSON.
func raw(answer object, name string) (string, error) {
	value, err := json.Marshal(answer[name])
	if err != nil {
		return "", fmt.Errorf("reading %s of the answer: %w", name, err)
	}
	return string(value), nil
}
