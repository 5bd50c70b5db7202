package zitadeltest

import (
	"context"
	"slices"
	"strings"

	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// ListUsers leaves out whom the caller may not see instead of refusing.
func (s userService) ListUsers(ctx context.Context, r *userpb.ListUsersRequest) (*userpb.ListUsersResponse, error) {
	caller := callOf(ctx).userID
	users := rowsOf(s.read().users, func(u userRow) bool {
		return u.exists() && matchAllUsers(r.GetQueries(), u) &&
			(u.id == caller || s.may(ctx, "user.read", u.owner))
	})
	sortUsers(users, r.GetSortingColumn(), r.GetQuery().GetAsc())
	users, total := page(users, r.GetQuery().GetOffset(), uint64(r.GetQuery().GetLimit()))
	response := &userpb.ListUsersResponse{Details: s.listDetails(total), SortingColumn: r.GetSortingColumn()}
	for _, u := range users {
		response.Result = append(response.Result, u.pb())
	}
	return response, nil
}

// sortUsers orders by the asked column; by default by id, which is by age.
func sortUsers(users []userRow, column userpb.UserFieldName, ascending bool) {
	text := func(u userRow) string { return u.id }
	switch column {
	case userpb.UserFieldName_USER_FIELD_NAME_USER_NAME:
		text = func(u userRow) string { return u.username }
	case userpb.UserFieldName_USER_FIELD_NAME_FIRST_NAME:
		text = func(u userRow) string { return u.human.givenName }
	case userpb.UserFieldName_USER_FIELD_NAME_LAST_NAME:
		text = func(u userRow) string { return u.human.familyName }
	case userpb.UserFieldName_USER_FIELD_NAME_NICK_NAME:
		text = func(u userRow) string { return u.human.nickName }
	case userpb.UserFieldName_USER_FIELD_NAME_DISPLAY_NAME:
		text = func(u userRow) string { return u.human.displayName }
	case userpb.UserFieldName_USER_FIELD_NAME_EMAIL:
		text = func(u userRow) string { return u.human.email.address }
	case userpb.UserFieldName_USER_FIELD_NAME_STATE:
		sortBy(users, func(u userRow) int32 { return int32(u.state) }, ascending)
		return
	case userpb.UserFieldName_USER_FIELD_NAME_TYPE:
		sortBy(users, func(u userRow) int32 { return int32(userType(u)) }, ascending)
		return
	case userpb.UserFieldName_USER_FIELD_NAME_CREATION_DATE:
		sortBy(users, func(u userRow) int64 { return u.created.UnixMicro() }, ascending)
		return
	}
	sortBy(users, func(u userRow) string { return strings.ToLower(text(u)) }, ascending)
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
