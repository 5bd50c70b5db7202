package zitadel

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/zitadel/oidc/v3/pkg/client/profile"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/zitadel-go/v3/pkg/client"
	"golang.org/x/oauth2"
)

// CredentialType says what a secret is.
type CredentialType string

// The two ways to prove who we are.
const (
	// PAT is a personal access token, sent as it is.
	PAT CredentialType = "PAT"
	// JWTProfile is a JSON key file; short-lived tokens are requested with it.
	JWTProfile CredentialType = "JWTProfile"
)

const redacted = "[redacted]"

// Credentials prove who we are. Printing, logging or marshalling them never
// shows the secret.
type Credentials struct {
	Type CredentialType
	// Secret is the token, or the content of the key file. White space around
	// it is ignored, because files end in a newline.
	Secret []byte
}

// String names the type only.
func (c Credentials) String() string { return string(c.Type) + " " + redacted }

// Format makes every verb of package fmt print String, also %d and %#v, which
// would otherwise show the bytes.
func (c Credentials) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// LogValue makes log/slog print String.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText makes encoders, encoding/json among them, write String.
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// tokenSource gives the token to send with a call. Its errors carry a gRPC
// status, so that a failed token request is retried and explained like a
// failed call.
type tokenSource interface {
	token(ctx context.Context) (string, error)
	// reject says that the server refused the token.
	reject(token string)
}

// staticToken is a PAT. There is nothing newer to be had when it is rejected.
type staticToken string

func (t staticToken) token(context.Context) (string, error) { return string(t), nil }
func (staticToken) reject(string)                           {}

// keyFile is what Zitadel hands out for a service account's key.
type keyFile struct {
	Type           string    `json:"type"`
	KeyID          string    `json:"keyId"`
	Key            string    `json:"key"`
	UserID         string    `json:"userId"`
	ExpirationDate time.Time `json:"expirationDate"`
}

// open turns the credentials into a token source. expires is known for a key
// file only.
func (c Config) open(httpClient *http.Client, issuer, endpoint string) (source tokenSource, expires time.Time, err error) {
	secret := bytes.TrimSpace(c.Credentials.Secret)
	if len(secret) == 0 {
		return nil, time.Time{}, c.unusable("the secret is empty")
	}
	switch c.Credentials.Type {
	case PAT:
		if bytes.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, time.Time{}, c.unusable("the personal access token is not one line of ASCII text")
		}
		return staticToken(secret), time.Time{}, nil
	case JWTProfile:
		return c.openKeyFile(secret, httpClient, issuer, endpoint)
	}
	return nil, time.Time{}, c.unusable("the credential type is neither PAT nor JWTProfile")
}

// openKeyFile drops the errors of the parsers on purpose: they quote what they
// were given.
func (c Config) openKeyFile(secret []byte, httpClient *http.Client, issuer, endpoint string) (tokenSource, time.Time, error) {
	var file keyFile
	if json.Unmarshal(secret, &file) != nil || file.Type != "serviceaccount" || file.KeyID == "" || file.UserID == "" {
		return nil, time.Time{}, c.unusable("the secret is not the key file of a service account")
	}
	// A static endpoint saves the discovery, which would make Dial wait for
	// the server.
	source, err := profile.NewJWTProfileTokenSource(context.Background(), issuer, file.UserID, file.KeyID, []byte(file.Key),
		[]string{oidc.ScopeOpenID, client.ScopeZitadelAPI()},
		profile.WithHTTPClient(httpClient), profile.WithStaticTokenEndpoint(issuer, endpoint))
	if err != nil {
		return nil, time.Time{}, c.unusable("the private key in the key file is unusable")
	}
	return &keyTokens{source: source, turn: newTurn()}, unlessNever(file.ExpirationDate), nil
}

// unlessNever turns the far future, which Zitadel writes for "never", into the
// zero time.
func unlessNever(t time.Time) time.Time {
	if t.Year() >= 9999 {
		return time.Time{}
	}
	return t
}

// keyTokens requests tokens with a key and keeps the current one until shortly
// before it expires or the server refuses it. oauth2.ReuseTokenSource cannot
// forget a token and does not honour the context of the call that waits.
type keyTokens struct {
	source profile.TokenSource
	// turn guards current, and lets one token request happen at a time.
	turn    turn
	current *oauth2.Token
}

func (k *keyTokens) token(ctx context.Context) (string, error) {
	if err := k.turn.take(ctx); err != nil {
		return "", err
	}
	defer k.turn.release()
	if !k.current.Valid() {
		fresh, err := k.source.TokenCtx(ctx)
		if err != nil {
			return "", tokenRequestError(ctx, err)
		}
		k.current = fresh
	}
	return k.current.AccessToken, nil
}

// reject forgets the token, unless another call has already replaced it:
// many calls failing with one token cost one token request.
func (k *keyTokens) reject(token string) {
	_ = k.turn.take(context.Background())
	defer k.turn.release()
	if k.current != nil && k.current.AccessToken == token {
		k.current = nil
	}
}
