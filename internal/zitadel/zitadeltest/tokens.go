package zitadeltest

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// patRow is a personal access token of a machine user. Its secret is in Server.tokens: the event log
// must not show it.
type patRow struct {
	rowDetails
	id, userID string
	expires    time.Time
}

var expired = invalid("DOMAIN-dv3t5", "Errors.AuthNKey.ExpireBeforeNow")

// newPAT makes a secret known and returns the id of the token to come.
func (s *Server) newPAT(userID, secret string) string {
	id := s.ids.next()
	s.tokens[secret] = token{userID: userID, pat: id}
	return id
}

func (s userService) AddPersonalAccessToken(ctx context.Context, r *userpb.AddPersonalAccessTokenRequest) (*userpb.AddPersonalAccessTokenResponse, error) {
	expires := r.GetExpirationDate().AsTime()
	if !expires.After(s.clock()) {
		return nil, expired.err()
	}
	user := s.write.users[r.GetUserId()]
	if !user.exists() {
		return nil, precondition("COMMAND-Dggw2", "Errors.User.NotFound").err()
	}
	if user.isHuman {
		return nil, precondition("COMMAND-Df2f1", "Errors.User.WrongType").err()
	}
	if err := s.mayUser(ctx, "user.write", user.id, true); err != nil {
		return nil, err
	}
	secret := newToken()
	added := patAdded{id: s.newPAT(user.id, secret), expires: expires}
	e := s.push(editor(ctx), user.aggregate(), added)
	return &userpb.AddPersonalAccessTokenResponse{
		CreationDate: timestamppb.New(e.created), TokenId: added.id, Token: secret,
	}, nil
}

func (s userService) RemovePersonalAccessToken(ctx context.Context, r *userpb.RemovePersonalAccessTokenRequest) (*userpb.RemovePersonalAccessTokenResponse, error) {
	pat, held := s.write.pats[r.GetTokenId()]
	if !held || pat.userID != r.GetUserId() {
		return nil, notFound("COMMAND-4m77G", "Errors.User.PAT.NotFound").err()
	}
	if err := s.mayUser(ctx, "user.write", pat.userID, true); err != nil {
		return nil, err
	}
	e := s.push(editor(ctx), userAggregate(pat.userID, pat.owner), patRemoved{pat.id})
	return &userpb.RemovePersonalAccessTokenResponse{DeletionDate: timestamppb.New(e.created)}, nil
}

func (s userService) ListPersonalAccessTokens(ctx context.Context, r *userpb.ListPersonalAccessTokensRequest) (*userpb.ListPersonalAccessTokensResponse, error) {
	pats := rowsOf(s.read().pats, func(p patRow) bool {
		for _, f := range r.GetFilters() {
			if !matchPAT(f, p) {
				return false
			}
		}
		return p.userID == callOf(ctx).userID || s.may(ctx, "user.read", p.owner)
	})
	sortPATs(pats, r.GetSortingColumn(), r.GetPagination().GetAsc())
	pats, pagination, err := pageFilter(pats, r.GetPagination())
	if err != nil {
		return nil, err
	}
	response := &userpb.ListPersonalAccessTokensResponse{Pagination: pagination}
	for _, p := range pats {
		response.Result = append(response.Result, &userpb.PersonalAccessToken{
			Id: p.id, UserId: p.userID, OrganizationId: p.owner, ExpirationDate: timestamppb.New(p.expires),
			CreationDate: timestamppb.New(p.created), ChangeDate: timestamppb.New(p.changed),
		})
	}
	return response, nil
}

func matchPAT(filter *userpb.PersonalAccessTokensSearchFilter, p patRow) bool {
	switch f := filter.GetFilter().(type) {
	case *userpb.PersonalAccessTokensSearchFilter_TokenIdFilter:
		return p.id == f.TokenIdFilter.GetId()
	case *userpb.PersonalAccessTokensSearchFilter_UserIdFilter:
		return p.userID == f.UserIdFilter.GetId()
	case *userpb.PersonalAccessTokensSearchFilter_OrganizationIdFilter:
		return p.owner == f.OrganizationIdFilter.GetId()
	case *userpb.PersonalAccessTokensSearchFilter_CreatedDateFilter:
		return matchTime(f.CreatedDateFilter, p.created)
	case *userpb.PersonalAccessTokensSearchFilter_ExpirationDateFilter:
		return matchTime(f.ExpirationDateFilter, p.expires)
	}
	return false
}

func sortPATs(pats []patRow, column userpb.PersonalAccessTokenFieldName, ascending bool) {
	switch column {
	case userpb.PersonalAccessTokenFieldName_PERSONAL_ACCESS_TOKEN_FIELD_NAME_USER_ID:
		sortBy(pats, func(p patRow) string { return p.userID }, ascending)
	case userpb.PersonalAccessTokenFieldName_PERSONAL_ACCESS_TOKEN_FIELD_NAME_ORGANIZATION_ID:
		sortBy(pats, func(p patRow) string { return p.owner }, ascending)
	case userpb.PersonalAccessTokenFieldName_PERSONAL_ACCESS_TOKEN_FIELD_NAME_EXPIRATION_DATE:
		sortBy(pats, func(p patRow) int64 { return p.expires.UnixMicro() }, ascending)
	default:
		sortBy(pats, func(p patRow) string { return p.id }, ascending)
	}
}

type patAdded struct {
	id      string
	expires time.Time
}

func (patAdded) eventType(string) string { return "user.pat.added" }
func (c patAdded) payload() any {
	return map[string]any{"tokenId": c.id, "expiration": c.expires, "scopes": []string{"openid", scopeZitadelAPI}}
}
func (c patAdded) apply(st *state, e *event) {
	st.pats[c.id] = patRow{rowDetails: detailsOf(e), id: c.id, userID: e.id, expires: c.expires}
}

type patRemoved struct{ id string }

func (patRemoved) eventType(string) string     { return "user.pat.removed" }
func (c patRemoved) payload() any              { return map[string]any{"tokenId": c.id} }
func (c patRemoved) apply(st *state, _ *event) { delete(st.pats, c.id) }
