package zitadeltest

import (
	"context"
	"slices"
	"strings"

	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// ListUsers leaves out whom the caller may not see instead of refusing. It works on ids up to the page
// that is asked for: rows are large and there may be many.
func (s userService) ListUsers(ctx context.Context, r *userpb.ListUsersRequest) (*userpb.ListUsersResponse, error) {
	if err := checkUserQueries(r.GetQueries(), 0); err != nil {
		return nil, err
	}
	st, caller, visible := s.read(), callOf(ctx).userID, s.mayIn(ctx, "user.read")
	var ids []string
	for _, id := range st.userCandidates(r.GetQueries()) {
		u := st.users[id]
		if u.exists() && matchAllUsers(r.GetQueries(), u) && (u.id == caller || visible(u.owner)) {
			ids = append(ids, id)
		}
	}
	st.sortUsers(ids, r.GetSortingColumn(), r.GetQuery().GetAsc())
	ids, total := page(ids, r.GetQuery().GetOffset(), uint64(r.GetQuery().GetLimit()))
	response := &userpb.ListUsersResponse{Details: s.listDetails(total), SortingColumn: r.GetSortingColumn()}
	for _, id := range ids {
		response.Result = append(response.Result, st.users[id].pb())
	}
	return response, nil
}

// maxNesting is how deep queries for users may contain others.
const maxNesting = 20

// checkUserQueries refuses queries that ask nothing, and those nested too deeply.
func checkUserQueries(queries []*userpb.SearchQuery, level int) error {
	if level > maxNesting && len(queries) > 0 {
		return invalid("USER-zsQ97", "Errors.Query.TooManyNestingLevels").err()
	}
	for _, query := range queries {
		var inner []*userpb.SearchQuery
		switch q := query.GetQuery().(type) {
		case nil:
			return invalid("GRPC-vR9nC", "List.Query.Invalid").err()
		case *userpb.SearchQuery_OrQuery:
			inner = q.OrQuery.GetQueries()
		case *userpb.SearchQuery_AndQuery:
			inner = q.AndQuery.GetQueries()
		case *userpb.SearchQuery_NotQuery:
			inner = []*userpb.SearchQuery{q.NotQuery.GetQuery()}
		}
		if err := checkUserQueries(inner, level+1); err != nil {
			return err
		}
	}
	return nil
}

// userCandidates narrows the users down before any is looked at, by the first query an index can
// answer: a lookup must not cost as much as the instance has users. The ids are in order.
func (st *state) userCandidates(queries []*userpb.SearchQuery) []string {
	for _, query := range queries {
		switch q := query.GetQuery().(type) {
		case *userpb.SearchQuery_InUserIdsQuery:
			ids := slices.Sorted(slices.Values(q.InUserIdsQuery.GetUserIds()))
			return slices.Compact(ids)
		case *userpb.SearchQuery_EmailQuery:
			if isEquals(q.EmailQuery.GetMethod()) {
				return st.usersByEmail.sorted(strings.ToLower(q.EmailQuery.GetEmailAddress()))
			}
		case *userpb.SearchQuery_LoginNameQuery:
			if isEquals(q.LoginNameQuery.GetMethod()) {
				return []string{st.usernames[strings.ToLower(q.LoginNameQuery.GetLoginName())]}
			}
		case *userpb.SearchQuery_UserNameQuery:
			if isEquals(q.UserNameQuery.GetMethod()) {
				return []string{st.usernames[strings.ToLower(q.UserNameQuery.GetUserName())]}
			}
		case *userpb.SearchQuery_OrganizationIdQuery:
			return st.usersByOrg.sorted(q.OrganizationIdQuery.GetOrganizationId())
		}
	}
	return st.userIDs
}

// sortUsers orders by the asked column; by default by id, which is by age.
func (st *state) sortUsers(ids []string, column userpb.UserFieldName, ascending bool) {
	byText := func(text func(userRow) string) {
		sortBy(ids, func(id string) string { return strings.ToLower(text(st.users[id])) }, ascending)
	}
	switch column {
	case userpb.UserFieldName_USER_FIELD_NAME_USER_NAME:
		byText(func(u userRow) string { return u.username })
	case userpb.UserFieldName_USER_FIELD_NAME_FIRST_NAME:
		byText(func(u userRow) string { return u.human.givenName })
	case userpb.UserFieldName_USER_FIELD_NAME_LAST_NAME:
		byText(func(u userRow) string { return u.human.familyName })
	case userpb.UserFieldName_USER_FIELD_NAME_NICK_NAME:
		byText(func(u userRow) string { return u.human.nickName })
	case userpb.UserFieldName_USER_FIELD_NAME_DISPLAY_NAME:
		byText(func(u userRow) string { return u.displayName() })
	case userpb.UserFieldName_USER_FIELD_NAME_EMAIL:
		byText(func(u userRow) string { return u.human.email.address })
	case userpb.UserFieldName_USER_FIELD_NAME_STATE:
		sortBy(ids, func(id string) int32 { return int32(st.users[id].state) }, ascending)
	case userpb.UserFieldName_USER_FIELD_NAME_TYPE:
		sortBy(ids, func(id string) int32 { return int32(userType(st.users[id])) }, ascending)
	case userpb.UserFieldName_USER_FIELD_NAME_CREATION_DATE:
		sortBy(ids, func(id string) int64 { return st.users[id].created.UnixMicro() }, ascending)
	default:
		if !ascending {
			slices.Reverse(ids)
		}
	}
}

func userType(u userRow) userpb.Type {
	if u.isHuman {
		return userpb.Type_TYPE_HUMAN
	}
	return userpb.Type_TYPE_MACHINE
}

func matchAllUsers(queries []*userpb.SearchQuery, u userRow) bool {
	return !slices.ContainsFunc(queries, func(q *userpb.SearchQuery) bool { return !matchUser(q, u) })
}

// matchUser answers one query. A query about humans never finds a machine.
func matchUser(query *userpb.SearchQuery, u userRow) bool {
	switch q := query.GetQuery().(type) {
	case *userpb.SearchQuery_UserNameQuery:
		return matchText(q.UserNameQuery.GetMethod(), u.username, q.UserNameQuery.GetUserName())
	case *userpb.SearchQuery_LoginNameQuery:
		return matchText(q.LoginNameQuery.GetMethod(), u.username, q.LoginNameQuery.GetLoginName())
	case *userpb.SearchQuery_FirstNameQuery:
		return u.isHuman && matchText(q.FirstNameQuery.GetMethod(), u.human.givenName, q.FirstNameQuery.GetFirstName())
	case *userpb.SearchQuery_LastNameQuery:
		return u.isHuman && matchText(q.LastNameQuery.GetMethod(), u.human.familyName, q.LastNameQuery.GetLastName())
	case *userpb.SearchQuery_NickNameQuery:
		return u.isHuman && matchText(q.NickNameQuery.GetMethod(), u.human.nickName, q.NickNameQuery.GetNickName())
	case *userpb.SearchQuery_DisplayNameQuery:
		return u.isHuman && matchText(q.DisplayNameQuery.GetMethod(), u.human.displayName, q.DisplayNameQuery.GetDisplayName())
	case *userpb.SearchQuery_EmailQuery:
		return u.isHuman && matchText(q.EmailQuery.GetMethod(), u.human.email.address, q.EmailQuery.GetEmailAddress())
	case *userpb.SearchQuery_PhoneQuery:
		return u.isHuman && matchText(q.PhoneQuery.GetMethod(), u.human.phone.address, q.PhoneQuery.GetNumber())
	case *userpb.SearchQuery_InUserEmailsQuery:
		return u.isHuman && slices.Contains(q.InUserEmailsQuery.GetUserEmails(), u.human.email.address)
	case *userpb.SearchQuery_InUserIdsQuery:
		return slices.Contains(q.InUserIdsQuery.GetUserIds(), u.id)
	case *userpb.SearchQuery_StateQuery:
		return u.state == q.StateQuery.GetState()
	case *userpb.SearchQuery_TypeQuery:
		return userType(u) == q.TypeQuery.GetType()
	case *userpb.SearchQuery_OrganizationIdQuery:
		return u.owner == q.OrganizationIdQuery.GetOrganizationId()
	case *userpb.SearchQuery_OrQuery:
		return slices.ContainsFunc(q.OrQuery.GetQueries(), func(q *userpb.SearchQuery) bool { return matchUser(q, u) })
	case *userpb.SearchQuery_AndQuery:
		return matchAllUsers(q.AndQuery.GetQueries(), u)
	case *userpb.SearchQuery_NotQuery:
		return !matchUser(q.NotQuery.GetQuery(), u)
	}
	return false // metadata: users here have none
}
