package zitadeltest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	grantJWTProfile = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	// scopeZitadelAPI puts Zitadel's own API into the audience of a token. Without it the token is
	// good, but not here.
	scopeZitadelAPI = "urn:zitadel:iam:org:project:id:zitadel:aud"
)

// webHandler serves what Zitadel serves over plain HTTP and our code needs.
func (s *Server) webHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/ready", answerOK)
	mux.HandleFunc("GET /debug/healthz", answerOK)
	mux.HandleFunc("GET /.well-known/openid-configuration", s.onInstance(s.discovery))
	mux.HandleFunc("POST /oauth/v2/token", s.onInstance(s.exchange))
	return mux
}

func answerOK(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "ok")
}

// onInstance lets a request through when its host names the instance, and tells the handler the
// issuer: the origin the client sees.
func (s *Server) onInstance(handle func(w http.ResponseWriter, r *http.Request, issuer string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		host, byHeader := r.Host, false
		if forced := r.Header.Get(headerInstanceHost); forced != "" {
			host, byHeader = forced, true
		}
		if err := s.checkHost(host, byHeader); err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		handle(w, r, s.scheme()+"://"+host)
	}
}

func (s *Server) discovery(w http.ResponseWriter, _ *http.Request, issuer string) {
	answerJSON(w, http.StatusOK, map[string]any{
		"issuer":                                issuer,
		"token_endpoint":                        issuer + "/oauth/v2/token",
		"authorization_endpoint":                issuer + "/oauth/v2/authorize",
		"jwks_uri":                              issuer + "/oauth/v2/keys",
		"grant_types_supported":                 []string{grantJWTProfile},
		"response_types_supported":              []string{"code"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
	})
}

// exchange trades a signed assertion of a machine user for an access token.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request, issuer string) {
	if grant := r.FormValue("grant_type"); grant != grantJWTProfile {
		answerOAuthError(w, "unsupported_grant_type", fmt.Errorf("grant type %q is not supported", grant))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	userID, err := s.verifyAssertion(r.FormValue("assertion"), issuer)
	if err != nil {
		answerOAuthError(w, "invalid_grant", err)
		return
	}
	secret := newToken()
	s.tokens[secret] = token{
		userID:   userID,
		expires:  s.clock().Add(s.tokenLifetime),
		audience: slices.Contains(strings.Fields(r.FormValue("scope")), scopeZitadelAPI),
	}
	answerJSON(w, http.StatusOK, map[string]any{
		"access_token": secret,
		"token_type":   "Bearer",
		"expires_in":   int(s.tokenLifetime / time.Second),
	})
}

// verifyAssertion returns the machine user an assertion speaks for.
func (s *Server) verifyAssertion(assertion, issuer string) (string, error) {
	signed, err := jwt.ParseSigned(assertion, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return "", fmt.Errorf("parsing the assertion: %w", err)
	}
	key, known := s.write.keys[signed.Headers[0].KeyID]
	if !known || !s.clock().Before(key.expires) {
		return "", errors.New("the key is unknown or has expired")
	}
	var claims jwt.Claims
	if err := signed.Claims(key.public, &claims); err != nil {
		return "", fmt.Errorf("verifying the signature: %w", err)
	}
	if claims.Expiry == nil {
		return "", errors.New("the assertion never expires")
	}
	err = claims.ValidateWithLeeway(jwt.Expected{
		Issuer: key.userID, Subject: key.userID, AnyAudience: jwt.Audience{issuer}, Time: s.clock(),
	}, time.Second)
	if err != nil {
		return "", fmt.Errorf("checking the claims: %w", err)
	}
	if !s.usable(token{userID: key.userID, expires: farFuture, audience: true}) {
		return "", errors.New("the user is not active")
	}
	return key.userID, nil
}

func answerOAuthError(w http.ResponseWriter, code string, err error) {
	answerJSON(w, http.StatusBadRequest, map[string]any{"error": code, "error_description": err.Error()})
}

func answerJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) //nolint:errcheck // the client went away
}
