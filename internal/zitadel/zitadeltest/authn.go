package zitadeltest

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// token is what an opaque access token stands for.
type token struct {
	userID string
	pat    string // id of the personal access token; "" for one of the token endpoint
	// The next two are for tokens of the token endpoint; a personal access token has its expiry in
	// its event and always carries the audience.
	expires  time.Time
	audience bool // made with the scope for Zitadel's own API

	session, sessionTokenID string // of a session token, see authn_session.go
}

var badToken = refusal{codes.Unauthenticated, "AUTH-7fs1e", "invalid token"}

// authenticate returns the user a call's token belongs to. It looks at the write view: the real
// server reads token and user state fresh too.
func (s *Server) authenticate(ctx context.Context) (userID string, err error) {
	authorization, _ := header(ctx, "authorization")
	if authorization == "" {
		return "", status.Error(codes.Unauthenticated, "auth header missing")
	}
	scheme, secret, _ := strings.Cut(authorization, " ")
	t, known := s.tokens[strings.TrimSpace(secret)]
	if !strings.EqualFold(scheme, "bearer") || !known {
		return "", badToken.err()
	}
	if t.session != "" {
		return s.authenticateSession(t)
	}
	if !s.usable(t) {
		return "", badToken.err()
	}
	return t.userID, nil
}

func (s *Server) usable(t token) bool {
	expires := t.expires
	if t.pat != "" {
		pat, held := s.write.pats[t.pat]
		if !held {
			return false
		}
		expires = pat.expires
	} else if !t.audience {
		return false
	}
	user, held := s.write.users[t.userID]
	return held && user.state == userpb.UserState_USER_STATE_ACTIVE && s.clock().Before(expires)
}
